"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Effort:
    """What each timing may cost.

    Attributes:
        workers: worker processes of each contestant.
        rounds: how often everything is measured; heavy measures bound it for the others.
        seconds: what one timing aims at. Contestants that are too slow for all jobs of
            a measure get fewer jobs: rates need no more.
        jobs: no timing submits more jobs than this.
        largest: the size of the largest array, in bytes.
    """

    workers: int = 2
    rounds: int = 3
    seconds: float = 0.6
    jobs: int = 1_000_000
    largest: int = 1_000_000_000

    def shortened(self, share: float) -> Effort:
        """The same with this share of the time."""
        return replace(self, seconds=self.seconds * share)


FULL = Effort()
QUICK = Effort(rounds=1, seconds=0.2, jobs=100_000, largest=100_000_000)
