"""What a measure consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benches.suite import contestants
from benches.suite.effort import Effort
from benches.suite.stage import Stage

Figures = dict[str, float]


class TooSlowError(Exception):
    """The contestant would take longer than the suite has. No failure: the table says so."""


@dataclass(frozen=True)
class Figure:
    """One number of a measure: a column of its table.

    Attributes:
        key: its name in the results.
        label: its name in the table.
        unit: as shown.
        limit: the figure of `limits` that no library is expected to beat, if any.
        better: whether less or more is better; "neither" is not compared.
    """

    key: str
    label: str
    unit: str
    limit: str = ""
    better: Literal["less", "more", "neither"] = "less"


@dataclass(frozen=True)
class Table:
    """Figures that are shown together."""

    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Step:
    """A part of a measure that may fail alone.

    Attributes:
        keys: the figures that it gives.
        run: measures them.
    """

    keys: tuple[str, ...]
    run: Callable[[Stage], Figures]


@dataclass(frozen=True)
class Measure:
    """Something that is measured of all contestants.

    Attributes:
        key: its name on the command line and in the results.
        title: its heading in the report.
        text: what exactly is measured, for the reader of the report.
        tables: how its figures are shown.
        steps: what measures them.
        peer_rounds: the others take part in no more rounds than this: heavy measures take long.
        patience: seconds after which a step is given up.
        contestants: who takes part, this project first.
    """

    key: str
    title: str
    text: str
    tables: tuple[Table, ...]
    steps: Callable[[Effort], list[Step]]
    peer_rounds: int = 99
    patience: float = 60.0
    contestants: tuple[str, ...] = contestants.LOCAL

    @property
    def own(self) -> str:
        """This project, in this measure."""
        return self.contestants[0]

    def figures(self) -> dict[str, Figure]:
        """All figures, by their keys."""
        return {figure.key: figure for table in self.tables for figure in table.figures}


def one_step(table: Table, run: Callable[[Stage], Figures]) -> Callable[[Effort], list[Step]]:
    """The steps of a measure that gives all figures of its one table at once."""
    step = Step(tuple(figure.key for figure in table.figures), run)
    return lambda _: [step]
