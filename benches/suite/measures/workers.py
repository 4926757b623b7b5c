"""Does a job cost more when there are many workers?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benches.suite import jobs
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import affordable, seconds, warm_up

COUNTS = (1, 2, 4, 8, 16, 32)


def rate(workers: int, stage: Stage) -> Figures:
    """No-op jobs per second with this many workers."""

    def batch(count: int) -> None:
        assert len(crowd.contestant.run_all(jobs.noop, zip(range(count)))) == count

    effort = replace(stage.effort.shortened(0.5), workers=workers)
    crowd = Stage(stage.kind, effort)
    try:
        warm_up(crowd)
        count = affordable(effort, batch)
        return {str(workers): count / seconds(lambda: batch(count))}
    finally:
        crowd.end()


MEASURE = Measure(
    key="workers",
    title="Growth with the number of workers",
    text="No-op jobs per second, submitted one by one and collected, with this many workers.",
    tables=(
        Table(
            "Jobs per second, by the number of workers",
            tuple(
                Figure(
                    str(count), "1 worker" if count == 1 else str(count), "jobs/s", better="more"
                )
                for count in COUNTS
            ),
        ),
    ),
    steps=lambda _: [Step((str(count),), partial(rate, count)) for count in COUNTS],
    peer_rounds=1,
)
