"""Items that come by an event loop, for a map that runs in another thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, Self

from pp._map.inputs import Input, Items, Iterated, input_of, iterator_of, may_wait_for

__all__ = ["Arrivals", "arriving_input_of"]

# After so many items that came at once, others on the loop have their turn.
_MOST_IN_A_ROW = 128


def arriving_input_of(
    iterables: tuple[Iterable[Any] | AsyncIterable[Any], ...], caller: str
) -> tuple[Input, list[Arrivals]]:
    """What gives the items of these iterables, and those of them that a loop has to drive.

    Raises:
        TypeError: one is not iterable.
    """
    bell = _Bell()
    plain: list[Any] = []
    arrivals: list[Arrivals] = []
    for each in iterables:
        if isinstance(each, AsyncIterable):
            arrivals.append(Arrivals(aiter(each), bell))
            plain.append(arrivals[-1])
        else:
            plain.append(each)
    if not arrivals:
        return input_of(tuple(plain), caller), arrivals
    iterators = [iterator_of(each, position, caller) for position, each in enumerate(plain, 2)]
    may_wait = any(may_wait_for(each) for each in plain if not isinstance(each, Arrivals))
    return _Arriving(Iterated(iterators, may_wait), arrivals, bell), arrivals


class _Bell:
    """Wakes who waits for items."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_heard = False

    def ring(self) -> None:
        """Something has come."""
        # Each item rings, and mostly nobody waits. Who does looks again after this is set.
        if self._is_heard:
            with self._condition:
                self._condition.notify_all()

    def wait(self, predicate: Callable[[], bool], seconds: float) -> None:
        """Waits until something has come that makes this true, or for so long."""
        with self._condition:
            self._is_heard = True
            try:
                self._condition.wait_for(predicate, seconds)
            finally:
                self._is_heard = False


class Arrivals:
    """The items of an asynchronous iterable: a loop takes them, and a thread gets them.

    The loop never takes more than the thread wants.

    Attributes:
        error: what the iterable has raised.
    """

    def __init__(self, iterator: AsyncIterator[Any], bell: _Bell) -> None:
        self._iterator: AsyncIterator[Any] | None = iterator
        self._bell = bell
        self._items: deque[Any] = deque()
        self._wanted = 0
        self._has_ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self.error: BaseException | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._items.popleft()

    @property
    def count(self) -> int:
        """How many items can be had at once."""
        return len(self._items)

    @property
    def has_ended(self) -> bool:
        """Whether all items have been had."""
        # In this order: the last item comes before the end.
        return self._has_ended and not self._items

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop: begins to take items."""
        self._loop = loop
        self._task = loop.create_task(self._pump())

    def want(self, count: int) -> None:
        """In the thread: there are to be so many items."""
        self._wanted = count
        if count > len(self._items) and not self._has_ended:
            self._call(self._more.set)

    def stop(self) -> None:
        """In any thread: no more items are taken. The task that takes them is cancelled."""
        self._wanted = 0
        if self._task is None:
            self._iterator = None
        elif not self._has_ended:
            self._call(self._task.cancel)

    async def stopped(self) -> None:
        """On the loop: waits until nothing is taken any more."""
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait([self._task])

    def _call(self, what: Callable[[], object]) -> None:
        assert self._loop is not None
        # A loop that was closed gives nothing more.
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError as error:
            self.error = error
            self._has_ended = True

    async def _pump(self) -> None:
        iterator, self._iterator = self._iterator, None
        assert iterator is not None
        try:
            while True:
                await self._room()
                self._items.append(await anext(iterator))
                self._bell.ring()
        except StopAsyncIteration:
            pass
        except asyncio.CancelledError as error:
            self.error = error
            raise
        except BaseException as error:
            self.error = error
        finally:
            self._has_ended = True
            self._bell.ring()

    async def _room(self) -> None:
        """Waits until another item is wanted; now and then, lets others have their turn."""
        while len(self._items) >= self._wanted:
            self._more.clear()
            # What the thread wants meanwhile is not to be missed.
            if len(self._items) >= self._wanted:
                await self._more.wait()
        if len(self._items) % _MOST_IN_A_ROW == _MOST_IN_A_ROW - 1:
            await asyncio.sleep(0)


class _Arriving:
    """An input with items that are not all there at once.

    Args:
        source: gives items, as far as all parts of them have arrived.
        arrivals: the iterators of the source that a loop drives.
        bell: rings when something has arrived.
    """

    def __init__(self, source: Iterated, arrivals: list[Arrivals], bell: _Bell) -> None:
        self._source = source
        self._arrivals = arrivals
        self._bell = bell
        self.may_wait = source.may_wait

    @property
    def ended(self) -> bool:
        """Whether there are no more."""
        return self._source.ended

    @property
    def is_awaited(self) -> bool:
        """Whether there may be more, but none can be had yet."""
        if self.ended or any(each.has_ended for each in self._arrivals):
            return False
        return any(not each.count for each in self._arrivals)

    def remaining(self) -> int | None:
        """How many items are left; None if that is not known."""
        return self._source.remaining()

    def take(self, most: int, into: Callable[[Items], None]) -> None:
        """See `pp._map.inputs.Input`. Gives none if none has arrived."""
        there = min(most, *(each.count for each in self._arrivals))
        if there:
            self._source.take(there, into)
        elif ended := [each for each in self._arrivals if each.has_ended]:
            self.drop()
            if ended[0].error is not None:
                raise ended[0].error
        if self._source.ended:
            self._stop()
        else:
            for each in self._arrivals:
                each.want(most - there)

    def wait(self, seconds: float) -> None:
        """Waits as long as `is_awaited`, but no longer than this."""
        self._bell.wait(lambda: not self.is_awaited, seconds)

    def drop(self) -> None:
        """Ends it, and refers to nothing of the user's any more."""
        self._source.drop()
        self._stop()

    def _stop(self) -> None:
        for each in self._arrivals:
            each.stop()
