"""The parts into which a map is cut, each a job, and their order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pp._core import Job
    from pp._map.inputs import Items

__all__ = ["InOrder", "OfAnyOrder", "Piece"]


class Piece:
    """Some items in a row, and what becomes of them.

    Attributes:
        first: the number of the first item.
        count: how many items there are.
        items: the items; None when they are not needed any more.
        job: the job that has them; None if there is none.
        results: the results so far; None as long as nothing is known.
        failures: pairs of a place in `results` and the bytes of an exception.
        error: what stands in the place of all results.
        printed: what the job printed.
        size: how many bytes its results are; before that, how many its arguments are.
        rest: pieces that follow this one, and have items that were its.
    """

    __slots__ = (
        "count",
        "error",
        "failures",
        "first",
        "items",
        "job",
        "printed",
        "rest",
        "results",
        "size",
    )

    def __init__(self, first: int, items: Items) -> None:
        self.first = first
        self.count = len(items)
        self.items: Items | None = items
        self.job: Job[Any] | None = None
        self.results: list[Any] | None = None
        self.failures: list[tuple[int, bytes]] = []
        self.error: BaseException | None = None
        self.printed = b""
        self.size = 0
        self.rest: tuple[Piece, ...] = ()

    def part(self, start: int, stop: int | None = None) -> Piece:
        """A piece of the items from `start` on, up to `stop`, counted from its own first."""
        assert self.items is not None
        return Piece(self.first + start, self.items.part(start, stop))

    def give_way(self, *pieces: Piece) -> None:
        """Ends without results of its own: these come in its place."""
        self.items = None
        self.results = []
        self.rest = pieces

    def end(self, error: BaseException) -> None:
        """Ends without results: this is to be told of all of its items."""
        self.items = None
        self.results = []
        self.error = error


class InOrder:
    """Pieces in the order of their items."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, piece: Piece) -> None:
        """A piece was begun, behind all others."""
        self._pieces.append(piece)

    def ended(self, piece: Piece) -> None:
        """A piece has its results."""

    def is_ready(self) -> bool:
        """Whether there is a next piece that can be taken."""
        pieces = self._pieces
        while pieces and (head := pieces[0]).results is not None:
            if head.results or head.error is not None:
                return True
            pieces.popleft()
            pieces.extendleft(reversed(head.rest))
        return False

    def first(self) -> Piece:
        """The next piece, which is ready."""
        return self._pieces[0]

    def take(self) -> Piece:
        """Takes the next piece."""
        head = self._pieces.popleft()
        self._pieces.extendleft(reversed(head.rest))
        return head

    def clear(self) -> None:
        """Drops all pieces."""
        self._pieces.clear()


class OfAnyOrder:
    """Pieces in the order in which they end."""

    def __init__(self) -> None:
        self._ended: deque[Piece] = deque()

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, piece: Piece) -> None:
        """A piece was begun."""

    def ended(self, piece: Piece) -> None:
        """A piece has its results."""
        if piece.results or piece.error is not None:
            self._ended.append(piece)

    def is_ready(self) -> bool:
        """Whether there is a next piece that can be taken."""
        return bool(self._ended)

    def first(self) -> Piece:
        """The next piece, which is ready."""
        return self._ended[0]

    def take(self) -> Piece:
        """Takes the next piece."""
        return self._ended.popleft()

    def clear(self) -> None:
        """Drops all pieces."""
        self._ended.clear()
