"""Large arguments and results."""

from __future__ import annotations

from functools import partial
from typing import Any

from benches.suite import jobs
from benches.suite.effort import Effort
from benches.suite.measures import data
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import repeated, warm_up


def into(kind: str, size: str, stage: Stage) -> Figures:
    """A job takes the data, and reads a byte of each page of it."""
    fresh = data.Fresh(data.make(kind, data.SIZES[size]))
    expected = jobs.touch(fresh.value)

    def once() -> None:
        assert stage.contestant.call(jobs.touch, (fresh.value,)) == expected

    warm_up(stage)
    return {f"{kind} {size} in": repeated(once, stage.effort.seconds, fresh.renew) * 1e3}


def and_out(kind: str, size: str, stage: Stage) -> Figures:
    """A job takes the data, reads it, and returns it; the client reads it, too."""
    fresh = data.Fresh(data.make(kind, data.SIZES[size]))
    expected = jobs.touch(fresh.value)

    def once() -> None:
        result: Any = stage.contestant.call(jobs.echo, (fresh.value,))
        assert jobs.touch(result) == expected

    warm_up(stage)
    return {f"{kind} {size} out": repeated(once, stage.effort.seconds, fresh.renew) * 1e3}


def _steps(sizes: tuple[str, ...], effort: Effort) -> list[Step]:
    return [
        Step((f"{kind} {size} {suffix}",), partial(run, kind, size))
        for size in sizes
        if data.SIZES[size] <= effort.largest
        for kind in data.KINDS
        for suffix, run in (("in", into), ("out", and_out))
    ]


def _tables(sizes: tuple[str, ...]) -> tuple[Table, ...]:
    return tuple(
        Table(
            f"{title}, {way}",
            tuple(
                Figure(f"{kind} {size} {suffix}", size, "ms", limit=f"memcpy {size}")
                for size in sizes
            ),
        )
        for kind, title in (("numpy", "numpy arrays"), ("bytes", "bytes"))
        for suffix, way in (("in", "in"), ("out", "in and out"))
    )


_SMALLER = ("1 KB", "1 MB", "100 MB")
_LARGEST = ("1 GB",)

MEASURE = Measure(
    key="arrays",
    title="Arrays and bytes",
    text=(
        "One job at a time takes an argument of this size and reads a byte of each page of it; "
        "then the same with the argument as the result, which the client reads likewise. Each "
        "time the data is new to the library. "
        "The limit is one memcpy of as much in memory that was used before."
    ),
    tables=_tables(_SMALLER),
    steps=partial(_steps, _SMALLER),
    peer_rounds=2,
)

LARGEST = Measure(
    key="gigabyte",
    title="A gigabyte",
    text="As above, with 1 GB. What takes long is done once.",
    tables=_tables(_LARGEST),
    steps=partial(_steps, _LARGEST),
    peer_rounds=1,
    patience=40.0,
)
