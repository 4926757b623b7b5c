"""What the machine itself needs: the limits that the others are compared to."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections.abc import Callable, Collection
from functools import partial
from importlib import import_module
from time import perf_counter

from benches.suite.effort import Effort
from benches.suite.measures import data, tail
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.measures.start import until_first_line
from benches.suite.stage import Stage
from benches.suite.timing import affordable, percentile, repeated, seconds


def socket_pair(stage: Stage) -> Figures:
    """A byte through a socket pair, to a process on another processor that sends it back."""
    near, far = socket.socketpair()
    with near, far:
        trips = _echo(stage, _apart(), far.fileno(), far.fileno(), near.fileno(), near.fileno())
    return {"socketpair p50": percentile(trips, 50), "socketpair p99": percentile(trips, 99)}


def pipes(stage: Stage) -> Figures:
    """The same through a pipe, and back through another."""
    trips = _through_pipes(stage, _apart())
    return {"pipe p50": percentile(trips, 50), "pipe p99": percentile(trips, 99)}


def pipes_together(stage: Stage) -> Figures:
    """The same on one processor: no parallel work could be done, but nothing has to wake up."""
    trips = _through_pipes(stage, _apart()[:1] * 2)
    return {"together p50": percentile(trips, 50)}


def _apart() -> list[int]:
    """Two processors, where the system lets one choose."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    usable = sorted(os.sched_getaffinity(0))
    return [usable[0], usable[-1]]


def _through_pipes(stage: Stage, processors: list[int]) -> list[float]:
    (far_in, near_out), (near_in, far_out) = os.pipe(), os.pipe()
    trips = _echo(stage, processors, far_in, far_out, near_in, near_out)
    for descriptor in (far_in, near_out, near_in, far_out):
        os.close(descriptor)
    return trips


def _echo(
    stage: Stage, processors: list[int], far_in: int, far_out: int, near_in: int, near_out: int
) -> list[float]:
    """Sorted microseconds; the process at the far end stops at a byte of its own."""
    before = _stay_on(processors[:1])
    child = os.fork()
    if child == 0:
        _stay_on(processors[1:])
        while (byte := os.read(far_in, 1)) == b"x":
            os.write(far_out, byte)
        os._exit(0)

    def batch(count: int) -> list[float]:
        trips = []
        for _ in range(count):
            start = perf_counter()
            os.write(near_out, b"x")
            os.read(near_in, 1)
            trips.append((perf_counter() - start) * 1e6)
        return sorted(trips)

    trips = batch(affordable(stage.effort, batch, 20_000))
    os.write(near_out, b".")
    os.waitpid(child, 0)
    _stay_on(before)
    return trips


def _stay_on(processors: Collection[int]) -> Collection[int]:
    """Chooses the processors of this process; returns those that it had."""
    if not processors:
        return ()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    return before


def pickling(stage: Stage) -> Figures:
    """Jobs per second of a client that only pickles arguments and unpickles results."""

    def batch(count: int) -> None:
        for number in range(count):
            dumps((number,), 5)
            loads(result)

    dumps, loads, result = pickle.dumps, pickle.loads, pickle.dumps(123_456, 5)
    count = affordable(stage.effort, batch)
    return {"pickle": count / seconds(lambda: batch(count))}


def copying(size: str, stage: Stage) -> Figures:
    """One memcpy into memory that was used before, in milliseconds."""
    numpy = import_module("numpy")
    source = data.make("numpy", data.SIZES[size])
    target = source.copy()
    copy: Callable[[], object] = partial(numpy.copyto, target, source)
    return {f"memcpy {size}": repeated(copy, stage.effort.seconds / 2) * 1e3}


def interpreter(_: Stage) -> Figures:
    """Seconds from the start of an interpreter until it has printed a line."""
    return {"python start": until_first_line([sys.executable, "-c", "print(1)"])}


def schedule(stage: Stage) -> Figures:
    """Excess over the bound, in percent, of a scheduler that costs nothing."""
    return {"greedy": (tail.greedy(stage.effort) / tail.bound(stage.effort) - 1) * 100}


def _steps(effort: Effort) -> list[Step]:
    return [
        Step(("socketpair p50", "socketpair p99"), socket_pair),
        Step(("pipe p50", "pipe p99"), pipes),
        Step(("together p50",), pipes_together),
        Step(("pickle",), pickling),
        Step(("python start",), interpreter),
        Step(("greedy",), schedule),
    ] + [
        Step((f"memcpy {size}",), partial(copying, size))
        for size, count in data.SIZES.items()
        if count <= effort.largest
    ]


MEASURE = Measure(
    key="limits",
    title="The machine itself",
    text=(
        "What no library can do without, measured in the same rounds: a byte to another process "
        "and back, each on a processor of its own and asleep until it comes (for comparison also "
        "both on one); pickling `(i,)` and unpickling an integer, by the C pickler; the start of "
        "an interpreter; and copying within memory."
    ),
    tables=(
        Table(
            "A byte to another process and back",
            (
                Figure("socketpair p50", "socket pair, p50", "µs"),
                Figure("socketpair p99", "socket pair, p99", "µs"),
                Figure("pipe p50", "pipes, p50", "µs"),
                Figure("pipe p99", "pipes, p99", "µs"),
                Figure("together p50", "on one processor, p50", "µs"),
            ),
        ),
        Table(
            "Other work",
            (
                Figure("pickle", "pickle and unpickle", "jobs/s", better="more"),
                Figure("python start", "interpreter", "s"),
                Figure("greedy", "schedule of the heavy tail", "%"),
            ),
        ),
        Table(
            "Copying within memory",
            tuple(Figure(f"memcpy {size}", size, "ms") for size in data.SIZES),
        ),
    ),
    steps=_steps,
)
