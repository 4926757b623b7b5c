"""A data frame."""

from __future__ import annotations

from benches.suite import jobs
from benches.suite.measures import data
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import repeated, warm_up


def into(stage: Stage) -> Figures:
    """A job takes the frame, and counts its rows."""
    fresh = data.Fresh(data.frame())

    def once() -> None:
        assert stage.contestant.call(jobs.rows, (fresh.value,)) == len(fresh.value)

    warm_up(stage)
    return {"in": repeated(once, stage.effort.seconds, fresh.renew) * 1e3}


def and_out(stage: Stage) -> Figures:
    """A job takes the frame, and returns it."""
    fresh = data.Fresh(data.frame())

    def once() -> None:
        assert stage.contestant.call(jobs.same, (fresh.value,)).shape == fresh.value.shape

    warm_up(stage)
    return {"out": repeated(once, stage.effort.seconds, fresh.renew) * 1e3}


MEASURE = Measure(
    key="frame",
    title="A pandas frame",
    text=(
        "A data frame of a million rows and 100 MB (eight columns of floats, three of integers, "
        "one of times, one of categories) to a job; and to a job that returns it."
    ),
    tables=(
        Table(
            "A pandas frame",
            (
                Figure("in", "in", "ms", limit="memcpy 100 MB"),
                Figure("out", "in and out", "ms", limit="memcpy 100 MB"),
            ),
        ),
    ),
    steps=lambda _: [Step(("in",), into), Step(("out",), and_out)],
    peer_rounds=2,
)
