"""What is measured, in the order of the report."""

from __future__ import annotations

from benches.suite.measures import (
    arrays,
    cluster,
    efficiency,
    footprint,
    frame,
    growth,
    idle,
    limits,
    mapping,
    rate,
    round_trip,
    shared,
    start,
    tail,
    workers,
)
from benches.suite.measures.base import Measure

ALL: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        start.MEASURE,
        round_trip.MEASURE,
        rate.MEASURE,
        mapping.MEASURE,
        efficiency.MEASURE,
        tail.MEASURE,
        arrays.MEASURE,
        arrays.LARGEST,
        shared.MEASURE,
        frame.MEASURE,
        footprint.MEASURE,
        growth.MEASURE,
        workers.MEASURE,
        cluster.MEASURE,
        idle.MEASURE,
        limits.MEASURE,
    )
}

LIMITS = limits.MEASURE.key

# The frame needs pandas, which only the environment of the benchmarks has.
QUICK = tuple(key for key in ALL if key not in {"gigabyte", "frame"})
