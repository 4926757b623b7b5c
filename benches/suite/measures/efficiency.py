"""What share of the workers' time jobs of a given length get."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter

from benches.suite import jobs
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import affordable, warm_up

MILLISECONDS = (0.1, 1, 10, 100)


def efficiency(
    job: Callable[[float], float], key: str, milliseconds: float, stage: Stage
) -> Figures:
    """The time that jobs of this length need at least, over the time they took."""

    def submit(length: float, count: int) -> list[object]:
        return stage.contestant.run_all(job, [(length,)] * count)

    warm_up(stage)
    workers, length = stage.effort.workers, milliseconds / 1e3
    # A second's worth of jobs; fewer for contestants that cannot send so many.
    wanted = max(2 * workers, round(workers * stage.effort.seconds / length))
    count = affordable(stage.effort, partial(submit, 0.0), wanted)
    count = max(workers, count - count % workers)
    start = perf_counter()
    results = submit(length, count)
    took = perf_counter() - start
    assert results == [length] * count
    return {key: count * length / workers / took}


def _steps(job: Callable[[float], float]) -> list[Step]:
    name = job.__name__
    return [
        Step((key,), partial(efficiency, job, key, milliseconds))
        for milliseconds in MILLISECONDS
        for key in [f"{name} {milliseconds}"]
    ]


def _table(title: str, job: Callable[[float], float]) -> Table:
    return Table(
        title,
        tuple(
            Figure(f"{job.__name__} {milliseconds}", f"{milliseconds} ms", "", better="more")
            for milliseconds in MILLISECONDS
        ),
    )


MEASURE = Measure(
    key="efficiency",
    title="Efficiency",
    text=(
        "Jobs of equal length, submitted one by one and collected: the time that the workers "
        "need for them at least, over the time that they took; 1 is perfect. First, jobs that "
        "keep a processor busy until a time has passed on the clock. Then, jobs that need the "
        "same time of a processor: there, what the client computes for itself on the workers' "
        "processors counts as well."
    ),
    tables=(
        _table("Busy for a time", jobs.spin),
        _table("In need of a processor's time", jobs.work),
    ),
    steps=lambda _: _steps(jobs.spin) + _steps(jobs.work),
)
