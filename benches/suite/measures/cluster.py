"""Jobs that go over a network connection, if only to the same machine."""

from __future__ import annotations

from functools import partial

from benches.suite import contestants, jobs
from benches.suite.effort import Effort
from benches.suite.measures import start
from benches.suite.measures.arrays import and_out, into
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.measures.efficiency import efficiency
from benches.suite.measures.rate import one_by_one
from benches.suite.measures.round_trip import round_trips
from benches.suite.stage import Stage

_SIZE = "100 MB"


def first_result(stage: Stage) -> Figures:
    """The first result of another program, which joins what runs already, idle so far."""
    expression = stage.contestant.joining()
    return {"first": start.first_result_of(stage.kind.imports, expression)}


def _round_trips(stage: Stage) -> Figures:
    figures = round_trips(stage)
    return {key: figures[key] for key in ("p50", "p99")}


def _steps(_: Effort) -> list[Step]:
    return [
        Step(("first",), first_result),
        Step(("p50", "p99"), _round_trips),
        Step(("single",), one_by_one),
        Step(("spin 1",), partial(efficiency, jobs.spin, "spin 1", 1)),
        Step((f"numpy {_SIZE} in",), partial(into, "numpy", _SIZE)),
        Step((f"numpy {_SIZE} out",), partial(and_out, "numpy", _SIZE)),
    ]


MEASURE = Measure(
    key="cluster",
    title="Through one node on loopback",
    text=(
        "The client has no workers of its own: jobs go over TCP on loopback to one node with two "
        "workers, or to what comes closest to one: Dask's scheduler and workers, Scaler's, and "
        "Ray, which keeps to shared memory for what is large, since all is on one machine. This "
        "project encrypts and authenticates; the others are used as they come, without. Measured "
        "are, as above, no-op jobs one by one, round trips, the efficiency of jobs that are busy "
        "for 1 ms, and an array in, and in and out. The first result is that of another "
        "program, from the start of its interpreter; the node runs already."
    ),
    tables=(
        Table(
            "Jobs",
            (
                Figure("single", "no-op jobs", "jobs/s", limit="pickle", better="more"),
                Figure("p50", "round trip, p50", "µs"),
                Figure("p99", "round trip, p99", "µs"),
                Figure("spin 1", "efficiency, 1 ms jobs", "", better="more"),
                Figure("first", "first result", "s", limit="python start"),
            ),
        ),
        Table(
            f"numpy array of {_SIZE}",
            (
                Figure(f"numpy {_SIZE} in", "in", "ms", limit=f"memcpy {_SIZE}"),
                Figure(f"numpy {_SIZE} out", "in and out", "ms", limit=f"memcpy {_SIZE}"),
            ),
        ),
    ),
    steps=_steps,
    contestants=contestants.CLUSTER,
)
