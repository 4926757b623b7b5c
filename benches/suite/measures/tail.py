"""Job lengths with a heavy tail."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from time import perf_counter

from benches.suite import jobs
from benches.suite.effort import Effort
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import warm_up

# With this seed the order of the jobs costs next to nothing: see `greedy`.
SEED = 1
SHAPE = 1.1
COUNT = 1_000


def lengths(effort: Effort) -> list[float]:
    """Lengths in seconds, whose sum keeps all workers busy for twice the time aimed at."""
    generator = random.Random(SEED)  # noqa: S311 - nothing secret
    drawn = [generator.paretovariate(SHAPE) for _ in range(COUNT)]
    scale = effort.workers * effort.seconds * 2 / sum(drawn)
    return [scale * length for length in drawn]


def bound(effort: Effort) -> float:
    """No schedule can be shorter than this."""
    drawn = lengths(effort)
    return max(*drawn, sum(drawn) / effort.workers)


def greedy(effort: Effort) -> float:
    """Seconds of a schedule without any cost: the next job to the next free worker."""
    free = [0.0] * effort.workers
    for length in lengths(effort):
        heapq.heapreplace(free, free[0] + length)
    return max(free)


def submitted(stage: Stage) -> Figures:
    """The jobs are submitted one by one."""
    arguments = [(length,) for length in lengths(stage.effort)]
    warm_up(stage)
    return {"submit": _excess(stage, lambda: stage.contestant.run_all(jobs.spin, arguments))}


def mapped(stage: Stage) -> Figures:
    """The jobs go through `map`, which does not know their lengths."""
    items = lengths(stage.effort)
    stage.contestant.map(jobs.noop, range(100))
    return {"map": _excess(stage, lambda: stage.contestant.map(jobs.spin, items))}


def _excess(stage: Stage, action: Callable[[], list[float]]) -> float:
    start = perf_counter()
    results = action()
    took = perf_counter() - start
    assert results == lengths(stage.effort)
    return (took / bound(stage.effort) - 1) * 100


MEASURE = Measure(
    key="tail",
    title="Jobs of very different lengths",
    text=(
        f"{COUNT} jobs that are busy for times drawn from a Pareto distribution (shape {SHAPE}, "
        f"seed {SEED}): most are short, few are very long. Shown is by how much the time for all "
        "exceeds the best possible: the larger of the longest job and the sum divided by the "
        "number of workers. What a scheduler that costs nothing would exceed it by, if it gave the "
        "next job in order to the next free worker, is told at the end, with the machine itself."
    ),
    tables=(
        Table(
            "Jobs of very different lengths",
            (
                Figure("submit", "submitted one by one", "%"),
                Figure("map", "by map", "%"),
            ),
        ),
    ),
    steps=lambda _: [Step(("submit",), submitted), Step(("map",), mapped)],
)
