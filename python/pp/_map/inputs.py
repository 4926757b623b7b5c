"""Where the items of a map come from."""

from __future__ import annotations

import operator
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

__all__ = ["Input", "Items", "Iterated", "input_of", "iterator_of", "may_wait_for"]

# Items that take longer to come than this, in seconds, are sent without those that follow.
_PATIENCE = 0.002

# The most that are taken between two looks at the clock.
_MOST_AT_ONCE = 256

# Those whose parts are had without running any code, and
_SLICED = frozenset({list, range, tuple})

# those which at least never wait.
_READY = _SLICED | {bytearray, bytes, dict, frozenset, set, str}


class Items:
    """Some items in a row.

    Args:
        columns: for each argument its values; or, with `is_rows`, one column of iterables
            of arguments.
        is_rows: see there.
    """

    __slots__ = ("columns", "is_rows")

    def __init__(self, columns: tuple[Any, ...], is_rows: bool = False) -> None:
        self.columns = columns
        self.is_rows = is_rows

    def __len__(self) -> int:
        return len(self.columns[0])

    def part(self, start: int, stop: int | None = None) -> Items:
        """Those from `start` on, up to `stop`."""
        return Items(tuple(c[start:stop] for c in self.columns), self.is_rows)

    def on_the_wire(self) -> tuple[Any, ...]:
        """The columns as `pp._map.chunk.run_chunk` takes them."""
        return tuple((c.start, c.stop, c.step) if type(c) is range else c for c in self.columns)

    def arguments(self, index: int) -> tuple[Any, ...]:
        """The arguments of one call."""
        row = tuple(c[index] for c in self.columns)
        return row[0] if self.is_rows else row


class Input(Protocol):
    """Gives items, in order.

    Attributes:
        may_wait: whether taking items may take any time.
        ended: whether there are no more.
        is_awaited: whether there may be more, but none can be had yet.
    """

    may_wait: bool

    @property
    def ended(self) -> bool: ...
    @property
    def is_awaited(self) -> bool: ...

    def remaining(self) -> int | None:
        """How many items are left; None if that is not known."""

    def take(self, most: int, into: Callable[[Items], None]) -> None:
        """Gives some of the next items to `into`, also before it raises what the user's
        iterables raise. None, if there are none.
        """

    def wait(self, seconds: float) -> None:
        """Waits as long as `is_awaited`, but no longer than this."""

    def drop(self) -> None:
        """Ends it, and refers to nothing of the user's any more."""


def input_of(iterables: tuple[Iterable[Any], ...], caller: str) -> Input:
    """What gives the items of these iterables, the second argument of `caller` and on.

    Raises:
        TypeError: one is not iterable.
    """
    if all(type(each) in _SLICED and _has_length(each) for each in iterables):
        return _Sliced(iterables)
    iterators = [iterator_of(each, at, caller) for at, each in enumerate(iterables, 2)]
    return Iterated(iterators, may_wait=any(map(may_wait_for, iterables)))


def iterator_of(iterable: Iterable[Any], position: int, caller: str) -> Iterator[Any]:
    """The iterator of an argument; raises `TypeError` if it has none."""
    try:
        return iter(iterable)
    except TypeError as error:
        if hasattr(type(iterable), "__iter__"):
            raise
        raise TypeError(
            f"argument {position} of {caller}() must be iterable, not "
            f"{type(iterable).__name__!r}: {iterable!r:.100}"
        ) from error


def may_wait_for(iterable: Iterable[Any]) -> bool:
    """Whether the items of an iterable may take any time to come."""
    return type(iterable) not in _READY


def _has_length(sequence: Any) -> bool:
    try:
        return len(sequence) <= sys.maxsize
    except OverflowError:
        # Ranges can be longer than anything that is counted.
        return False


class _AtOnce:
    """An input whose `take` gives items unless there are none."""

    is_awaited = False

    def wait(self, seconds: float) -> None:
        """There is nothing to wait for."""


class _Sliced(_AtOnce):
    """Lists, ranges and tuples."""

    may_wait = False

    def __init__(self, sequences: tuple[Any, ...]) -> None:
        self._sequences = sequences
        self._taken = 0
        self.ended = False

    def remaining(self) -> int | None:
        return max(0, min(map(len, self._sequences)) - self._taken)

    def drop(self) -> None:
        self.ended = True
        self._sequences = ((),)

    def take(self, most: int, into: Callable[[Items], None]) -> None:
        start = self._taken
        count = min(most, self.remaining() or 0)
        self.ended = count < most
        if count:
            parts = (each[start : start + count] for each in self._sequences)
            # A tuple would be taken for the bounds of a range.
            columns = tuple(list(part) if type(part) is tuple else part for part in parts)
            self._taken = start + count
            into(Items(columns))


class Iterated(_AtOnce):
    """Any iterables, taken from one item at a time."""

    def __init__(self, iterators: list[Iterator[Any]], may_wait: bool) -> None:
        self.may_wait = may_wait
        self._is_rows = len(iterators) > 1
        self._hints = [_length_hint(each) for each in iterators]
        # As `map` does: the first ones give an item more if a later one ends first.
        self._items: Iterator[Any] = (
            zip(*iterators, strict=False) if self._is_rows else iterators[0]
        )
        self._taken = 0
        self.ended = False

    def remaining(self) -> int | None:
        known = [hint for hint in self._hints if hint is not None]
        return max(0, min(known) - self._taken) if known else None

    def drop(self) -> None:
        self.ended = True
        self._items = iter(())

    def take(self, most: int, into: Callable[[Items], None]) -> None:
        items: list[Any] = []
        try:
            self._take(items, most)
        finally:
            if items:
                self._taken += len(items)
                into(Items((items,), self._is_rows))

    def _take(self, items: list[Any], most: int) -> None:
        until = time.monotonic() + _PATIENCE
        stretch = 1
        while len(items) < most:
            wanted = min(len(items) + stretch, most)
            items.extend(islice(self._items, wanted - len(items)))
            if len(items) < wanted:
                self.ended = True
                return
            if time.monotonic() > until:
                return
            stretch = min(2 * stretch, _MOST_AT_ONCE)


def _length_hint(iterator: Iterator[Any]) -> int | None:
    try:
        hint = operator.length_hint(iterator, -1)
    except Exception:
        # Only a hint, and user code may give it.
        return None
    return None if hint < 0 else hint
