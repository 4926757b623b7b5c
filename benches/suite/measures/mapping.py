"""Many items through `map`."""

from __future__ import annotations

from benches.suite import jobs
from benches.suite.measures.base import Figure, Figures, Measure, Table, one_step
from benches.suite.stage import Stage
from benches.suite.timing import affordable, seconds


def map_items(stage: Stage) -> Figures:
    """Maps the no-op over a range of numbers."""

    def batch(count: int) -> None:
        results = stage.contestant.map(jobs.noop, range(count))
        assert len(results) == count
        assert results[-1] == count - 1

    # The workers of some start only now.
    stage.contestant.map(jobs.noop, range(100))
    # Here a contestant gets three times as long as elsewhere, to do all of a million.
    count = affordable(stage.effort.shortened(3), batch)
    return {"items": count / seconds(lambda: batch(count))}


_TABLE = Table("Map", (Figure("items", "items", "items/s", better="more"),))

MEASURE = Measure(
    key="map",
    title="Map over a million items",
    text=(
        "`map(noop, range(1_000_000))` until the last result is there, with the library's own "
        "choice of chunks. What would take longer than some seconds gets fewer items."
    ),
    tables=(_TABLE,),
    steps=one_step(_TABLE, map_items),
)
