"""Where a step of a measure finds what it measures."""

from __future__ import annotations

from benches.suite.contestants.base import Contestant
from benches.suite.effort import Effort


class Stage:
    """One contestant in one process, for some steps of one measure."""

    def __init__(self, kind: type[Contestant], effort: Effort) -> None:
        self.kind = kind
        self.effort = effort
        self._started: Contestant | None = None

    @property
    def contestant(self) -> Contestant:
        """The contestant with its workers, started when first asked for."""
        if self._started is None:
            self._started = self.kind(self.effort.workers)
        return self._started

    def end(self) -> None:
        """Ends the workers."""
        if self._started is not None:
            self._started.end()
            self._started = None
