"""What was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benches.suite.effort import Effort


@dataclass
class Outcome:
    """What the rounds gave for one figure of one contestant.

    Attributes:
        values: one for each round that gave one.
        failures: why others gave none.
        skipped: why none was asked for: the library has no such call, or is too slow.
    """

    values: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def median(self) -> float | None:
        """The median over the rounds, if there is any."""
        return statistics.median(self.values) if self.values else None


@dataclass
class Results:
    """All outcomes of a run, and what they were measured on."""

    machine: dict[str, str]
    versions: dict[str, str]
    command: str
    date: str
    effort: Effort
    minutes: float = 0.0
    outcomes: dict[str, dict[str, dict[str, Outcome]]] = field(default_factory=dict)

    def outcome(self, measure: str, contestant: str, figure: str) -> Outcome:
        """The outcome, empty if there was none; what is added to it is kept."""
        by_contestant = self.outcomes.setdefault(measure, {})
        return by_contestant.setdefault(contestant, {}).setdefault(figure, Outcome())

    def median(self, measure: str, contestant: str, figure: str) -> float | None:
        """The median of a figure, or None if it was not measured."""
        found = self.outcomes.get(measure, {}).get(contestant, {}).get(figure)
        return found.median if found else None

    def medians(self, measure: str, figure: str) -> Iterator[tuple[str, float]]:
        """Contestants and medians, for those that have one."""
        for contestant in self.outcomes.get(measure, {}):
            median = self.median(measure, contestant, figure)
            if median is not None:
                yield contestant, median

    def save(self, path: Path) -> None:
        """Writes all as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Reads what `save` has written."""
        fields: dict[str, Any] = json.loads(path.read_text())
        fields["effort"] = Effort(**fields["effort"])
        fields["outcomes"] = {
            measure: {
                contestant: {figure: Outcome(**outcome) for figure, outcome in figures.items()}
                for contestant, figures in by_contestant.items()
            }
            for measure, by_contestant in fields["outcomes"].items()
        }
        return cls(**fields)
