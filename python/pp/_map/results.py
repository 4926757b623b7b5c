"""The iterator that `Server.map` returns."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

if TYPE_CHECKING:
    from pp._map.run import Run

__all__ = ["Results", "results_of"]

T = TypeVar("T")


class Results(chain[T]):
    """Results of a map.

    A chain of blocks, since nothing hands out items more quickly. For the chain, asking
    for the next block is a block, too, an empty one: what is raised in there is raised by
    the chain, which goes on with the same block when it is asked again.
    """

    _blocks: _Blocks

    def close(self) -> None:
        """Ends the map: what has not begun is not run, and what runs is not waited for."""
        self._blocks.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("the results of a map cannot be copied or pickled")


def results_of(run: Run) -> Results[Any]:
    """What hands out the results of a map, one by one."""
    blocks = _Blocks(run)
    results = cast(Results[Any], Results.from_iterable(blocks))
    results._blocks = blocks
    return results


class _Blocks:
    """Iterators over blocks of results.

    A block stays here until it has been handed out: if several threads ask at once, a
    chain drops and comes back to one.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._unfinished: deque[Iterator[Any]] = deque()
        self._has_ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Iterator[Any]:
        unfinished = self._unfinished
        while unfinished:
            first = unfinished[0]
            if operator.length_hint(first):
                return first
            # Another thread may have done so.
            if unfinished and unfinished[0] is first:
                unfinished.popleft()
        if self._has_ended:
            raise StopIteration
        # Not kept: with a circle of the two, dropping the results would end nothing.
        return _Request(self)

    def request(self) -> None:
        """Waits for the next block."""
        if self._has_ended:
            return
        try:
            block = self._run.next_block()
        except StopIteration:
            self._has_ended = True
        else:
            self._unfinished.append(iter(block))

    def close(self) -> None:
        self._has_ended = True
        self._run.close()
        for block in list(self._unfinished):
            # The chain may be at it.
            deque(block, maxlen=0)


class _Request:
    """An empty block, which waits for the next one."""

    def __init__(self, blocks: _Blocks) -> None:
        self._blocks = blocks

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> NoReturn:
        self._blocks.request()
        raise StopIteration
