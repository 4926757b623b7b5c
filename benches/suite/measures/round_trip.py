"""One job at a time."""

from __future__ import annotations

from time import perf_counter

from benches.suite import jobs
from benches.suite.measures.base import Figure, Figures, Measure, Table, one_step
from benches.suite.stage import Stage
from benches.suite.timing import affordable, percentile, warm_up

MOST = 30_000


def round_trips(stage: Stage) -> Figures:
    """Submits a job and waits for it, again and again."""
    call = stage.contestant.call

    def batch(count: int) -> list[float]:
        trips = []
        for number in range(count):
            start = perf_counter()
            call(jobs.noop, (number,))
            trips.append((perf_counter() - start) * 1e6)
        return sorted(trips)

    warm_up(stage)
    trips = batch(affordable(stage.effort, batch, MOST))
    figures = {"p50": percentile(trips, 50), "p99": percentile(trips, 99)}
    # Of fewer it would be no more than the worst one.
    if len(trips) >= 1_000:
        figures["p999"] = percentile(trips, 99.9)
    return figures


_TABLE = Table(
    "Round trip",
    (
        Figure("p50", "p50", "µs", limit="pipe p50"),
        Figure("p99", "p99", "µs", limit="pipe p99"),
        Figure("p999", "p99.9", "µs"),
    ),
)

MEASURE = Measure(
    key="round_trip",
    title="Round trip",
    text=(
        "One no-op job is submitted and waited for, then the next. The limit is a byte that "
        "goes through pipes to a process on another processor and back. Most of it is the time "
        "to wake a processor that sleeps: what does not sleep at once can be below it."
    ),
    tables=(_TABLE,),
    steps=one_step(_TABLE, round_trips),
)
