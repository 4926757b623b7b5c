"""How long big arrays take to and from workers, beside one copy of them.

    python benches/big_data.py [--large] [--rounds N]

Each row is a median, and its ratio to a warm `memcpy` of the same bytes in this run.
`--large` adds arrays of 1 GB.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pp

MB = 1_000_000
USES = 200


def touch(array: Any) -> int:
    """Looks at an array without reading all of it."""
    return int(array[0]) + int(array[-1])


def echo(array: Any) -> Any:
    """Gives an array back."""
    return array


def timed(call: Callable[[], object], rounds: int) -> float:
    """The median of some calls, after two that warm up."""
    times = []
    for number in range(rounds + 2):
        start = time.perf_counter()
        kept = call()
        times.append(time.perf_counter() - start)
        del kept
        if number < 2:
            times.pop()
    return statistics.median(times)


def trip(server: pp.Server, function: Callable[[Any], Any], argument: Any) -> Callable[[], Any]:
    """A job, from its submit to its result."""

    def run() -> Any:
        job = server.submit(function, (argument,))
        return job()

    return run


def memcpy(array: Any, rounds: int) -> float:
    """One copy to memory that is there already."""
    target = np.empty_like(array)
    return timed(lambda: np.copyto(target, array), max(rounds, 5))


def show(name: str, seconds: float, copy: float) -> None:
    """Prints a row."""
    print(f"{name:44} {seconds * 1e3:9.1f} ms {seconds / copy:7.2f} x memcpy", flush=True)


def measure(server: pp.Server, size: int, rounds: int) -> None:
    """All rows for arrays of one size."""
    array = np.ones(size, np.uint8)
    copy = memcpy(array, rounds)
    label = f"{size // MB} MB"
    show(f"{label}: memcpy", copy, copy)
    show(f"{label}: in", timed(trip(server, touch, array), rounds), copy)
    show(f"{label}: in and out (echo)", timed(trip(server, echo, array), rounds), copy)

    def fresh(array: Any) -> Any:
        # An array of its own, warm as the result of real work is.
        import sys  # noqa: PLC0415
        import types  # noqa: PLC0415

        kept = vars(sys.modules.setdefault("kept", types.ModuleType("kept")))
        if kept.get("size") != array.nbytes:
            kept.update(size=array.nbytes, result=array.copy())
        return kept["result"]

    show(
        f"{label}: in and out (fresh)",
        timed(trip(server, fresh, array), rounds),
        copy,
    )
    text = array.tobytes()
    show(f"{label}: bytes in", timed(trip(server, len, text), rounds), copy)
    show(f"{label}: bytes in and out", timed(trip(server, echo, text), rounds), copy)


def measure_put(server: pp.Server, size: int, rounds: int) -> None:
    """One array for many jobs."""
    array = np.ones(size, np.uint8)
    copy = memcpy(array, rounds)

    def many(jobs: int) -> Callable[[], None]:
        def put() -> None:
            ref = server.put(array)
            for job in [server.submit(touch, (ref,)) for _ in range(jobs)]:
                job()

        return put

    sent = timed(trip(server, touch, array), rounds)
    show(f"{size // MB} MB: sent once", sent, copy)
    for jobs in (1, USES):
        took = timed(many(jobs), rounds)
        show(f"{size // MB} MB: put once, {jobs} jobs", took, copy)
        print(f"{'':44} {took / sent:9.2f} x sending it once")


def main() -> None:
    """Prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="arrays of 1 GB, too")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with pp.Server(2) as server:
        for job in [server.submit(os.getpid) for _ in range(20)]:
            job()
        measure(server, 100 * MB, options.rounds)
        measure_put(server, 100 * MB, options.rounds)
        if options.large:
            measure(server, 1000 * MB, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak resident memory of the client: {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
