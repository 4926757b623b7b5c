"""How many items go into one job."""

from __future__ import annotations

__all__ = ["FittingSize", "FixedSize"]

# What a chunk is to take, in nanoseconds: so long that sending it costs next to nothing, so
# short that no worker is missed who runs one more than the others.
_TARGET = 4_000_000

# Less than this gains nothing for the balance.
_LEAST = 300_000

# A chunk that takes longer than this returns what it has not begun.
_BUDGET = 4 * _TARGET

# A chunk is no more than this part of what a worker still has to expect.
_SHARE = 3

# The most bytes of arguments, or of results, that a chunk is to have: copying more costs
# more than sending it.
_BYTES = 2**20

# How fast chunks grow while little is known, and to how many items.
_GROWTH = 8
_MOST = 2**16


class FixedSize:
    """As the user says."""

    budget = 0

    def __init__(self, size: int) -> None:
        self._size = size

    def next(self, remaining: int | None, workers: int) -> int:  # noqa: ARG002 - as below
        """The size of the next chunk."""
        return self._size

    def observe(self, items: int, nanoseconds: int) -> None:
        """Takes note of how long some items took."""

    def weigh(self, items: int, size: int) -> None:
        """Takes note of how many bytes some items, or their results, were."""


class FittingSize:
    """By how long items have taken so far.

    Attributes:
        budget: after so many nanoseconds a chunk is to return what it has not begun.
    """

    budget = _BUDGET

    def __init__(self) -> None:
        # Nanoseconds, and bytes, of an item; 0 while nothing is known.
        self._length = 0.0
        self._weight = 0.0
        self._largest = 0

    def next(self, remaining: int | None, workers: int) -> int:
        """The size of the next chunk, if `remaining` items are left for it and others."""
        if not self._length:
            return 1
        size = min(int(_TARGET / self._length), int(_BYTES / max(self._weight, 1.0)))
        if remaining is not None:
            share = remaining // (_SHARE * max(workers, 1))
            size = min(size, max(share, int(_LEAST / self._length)))
        return max(1, min(size, _GROWTH * self._largest, _MOST))

    def observe(self, items: int, nanoseconds: int) -> None:
        """Takes note of how long some items took."""
        self._length = _followed(self._length, max(nanoseconds / max(items, 1), 1.0))
        self._largest = max(self._largest, items)

    def weigh(self, items: int, size: int) -> None:
        """Takes note of how many bytes some items, or their results, were."""
        self._weight = _followed(self._weight, size / max(items, 1))


def _followed(known: float, seen: float) -> float:
    """More counts at once: too small a chunk costs less than too large a one."""
    return max(seen, (known + seen) / 2)
