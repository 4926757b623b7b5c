"""The input of `Server.starmap`: each item is an iterable of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from pp._map.inputs import Items

if TYPE_CHECKING:
    from pp._map.inputs import Input

__all__ = ["RefusedRow", "Rows"]

_SENT_AS_THEY_ARE = frozenset({tuple, list})


class RefusedRow:
    """Stands for an item that is not iterable, and raises where it is iterated."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __iter__(self) -> NoReturn:
        raise TypeError(self._message)


class Rows:
    """The items of another input, each as what can be sent as arguments."""

    # Any item may be a generator that takes its time.
    may_wait = True
    is_awaited = False

    def __init__(self, source: Input, caller: str) -> None:
        self._source = source
        self._caller = caller
        self._given = 0
        # Items that were taken and not given yet.
        self._left: list[Any] = []

    @property
    def ended(self) -> bool:
        """Whether there are no more."""
        return self._source.ended and not self._left

    def remaining(self) -> int | None:
        """How many items are left; None if that is not known."""
        left = self._source.remaining()
        return None if left is None else left + len(self._left)

    def take(self, most: int, into: Callable[[Items], None]) -> None:
        """See `pp._map.inputs.Input`."""
        try:
            if not self._left:
                self._source.take(most, self._keep)
        finally:
            # What came before an exception is there.
            self._give(into)

    def wait(self, seconds: float) -> None:
        """There is nothing to wait for."""

    def drop(self) -> None:
        """Ends it, and refers to nothing of the user's any more."""
        self._left = []
        self._source.drop()

    def _keep(self, items: Items) -> None:
        self._left += items.columns[0]

    def _give(self, into: Callable[[Items], None]) -> None:
        items, self._left = self._left, []
        if not items:
            return
        if _SENT_AS_THEY_ARE.issuperset(map(type, items)):
            self._pass_on(items, into)
            return
        rows: list[Any] = []
        try:
            for item in items:
                rows.append(self._row(item, self._given + len(rows)))
        except BaseException as error:
            # After an exception of the user's nothing comes; after an interrupt, the rest.
            if not isinstance(error, Exception):
                self._left = items[len(rows) :]
            raise
        finally:
            self._pass_on(rows, into)

    def _pass_on(self, rows: list[Any], into: Callable[[Items], None]) -> None:
        if rows:
            self._given += len(rows)
            into(Items((rows,), is_rows=True))

    def _row(self, item: Any, number: int) -> Any:
        if type(item) in _SENT_AS_THEY_ARE:
            return item
        try:
            arguments = iter(item)
        except TypeError:
            if hasattr(type(item), "__iter__"):
                raise
            return RefusedRow(
                f"item {number} of {self._caller}() must be an iterable of arguments, not "
                f"{type(item).__name__!r}: {item!r:.100}"
            )
        return tuple(arguments)
