"""Memory."""

from __future__ import annotations

import gc
import os
import statistics
import time
from functools import partial
from time import perf_counter
from typing import Any

from benches.suite import gate, jobs, memory
from benches.suite.effort import Effort
from benches.suite.measures import data
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import warm_up

_SLICE = 1_000
_SECONDS = 10
_MOST_BYTES = 6_000_000_000


def queued_jobs(stage: Stage) -> Figures:
    """How much the client grows while jobs queue behind workers that are held."""
    memory.need_linux()
    warm_up(stage)
    contestant = stage.contestant
    with gate.held(contestant, stage.effort.workers):
        # What keeps the handles is there before, and not counted.
        handles: list[Any] = [None] * stage.effort.jobs
        count = grown = 0
        gc.collect()
        before, start = memory.resident(), perf_counter()
        while count < stage.effort.jobs:
            numbers = range(count, min(count + _SLICE, stage.effort.jobs))
            handles[count : numbers.stop] = contestant.submit_all(jobs.noop, zip(numbers))
            count = numbers.stop
            grown = memory.resident() - before
            slow = perf_counter() - start > _SECONDS * stage.effort.seconds
            if slow or grown > _MOST_BYTES:
                break
        return {"queued": grown / count, "count": count}


def idle_worker(stage: Stage) -> Figures:
    """The proportional set size of a worker that has done little and has nothing to do."""
    memory.need_linux()
    warm_up(stage)
    found = set(stage.contestant.run_all(jobs.where, [()] * stage.effort.workers * 8))
    time.sleep(stage.effort.seconds)
    return {"idle": statistics.median(memory.proportional(pid) for pid in found) / 1e6}


def peak(size: str, stage: Stage) -> Figures:
    """What client and workers grow by while an array goes to jobs and back, several times."""
    memory.need_linux()
    array = data.make("numpy", data.SIZES[size])
    warm_up(stage)
    before = memory.footprint(os.getpid())
    with memory.PeakWatch() as watch:
        for _ in range(5 if size == "100 MB" else 1):
            result = stage.contestant.call(jobs.echo, (array,))
            assert len(result) == len(array)
            del result
    return {f"peak {size}": (watch.peak - before) / 1e6}


def _steps(effort: Effort) -> list[Step]:
    # The queue last: others would have to wait until it has been worked off.
    return [
        Step(("idle",), idle_worker),
        *(
            Step((f"peak {size}",), partial(peak, size))
            for size in ("100 MB", "1 GB")
            if data.SIZES[size] <= effort.largest
        ),
        Step(("queued", "count"), queued_jobs),
    ]


MEASURE = Measure(
    key="memory",
    title="Memory",
    text=(
        "By how much the client grows for each no-op job that waits in the queue, its handle "
        "included, at a million jobs (or as many as can be submitted in some seconds); the "
        "proportional set size of a worker that idles; and by how much client and workers "
        "together, shared memory included, exceed their size before, while an array goes to "
        "a job and back."
    ),
    tables=(
        Table(
            "Memory",
            (
                Figure("queued", "client, per queued job", "bytes"),
                Figure("count", "jobs queued", "", better="neither"),
                Figure("idle", "idle worker", "MB"),
                Figure("peak 100 MB", "peak, 100 MB there and back", "MB"),
                Figure("peak 1 GB", "peak, 1 GB there and back", "MB"),
            ),
        ),
    ),
    steps=_steps,
    peer_rounds=1,
)
