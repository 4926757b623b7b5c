"""The asynchronous iterator that `Server.amap` returns.

The map runs in a thread of its own, since its waits, and iterables of the user, block. It
does nothing but what the loop asks of it: to come with the next results.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from pp._map.arrivals import Arrivals
    from pp._map.progress import Shows
    from pp._map.run import Run

__all__ = ["AsyncResults", "Drive", "OnLoop"]

T = TypeVar("T")

# The most results that are handed over at once are these, and those of one job.
_MOST_AT_ONCE = 1024

# What a request comes to: results, what is raised, or neither at the end.
Answer: TypeAlias = tuple[list[Any], BaseException | None]
Request: TypeAlias = "asyncio.Future[Answer]"

_END: Answer = ([], None)


class AsyncResults(AsyncIterator[T], Generic[T]):
    """Results of a map, for `async for`."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._block: Iterator[T] = iter(())
        self._turn = asyncio.Lock()
        # An asynchronous generator, since those are what loops end when they end.
        self._anchor: AsyncGenerator[None, None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        for result in self._block:
            return result
        # Several tasks may ask.
        async with self._turn:
            while True:
                for result in self._block:
                    return result
                await self._next_block()

    async def aclose(self) -> None:
        """Ends the map: what has not begun is not run, and what runs is not waited for.

        Of asynchronous iterables, nothing is taken any more when this returns.
        """
        self._block = iter(())
        self._end()
        await self._drive.settled()

    def __del__(self) -> None:
        self._end()

    def __reduce__(self) -> NoReturn:
        raise TypeError("the results of a map cannot be copied or pickled")

    async def _next_block(self) -> None:
        drive = self._drive
        if drive.has_ended():
            raise StopAsyncIteration
        if self._anchor is None:
            self._anchor = _anchor(drive)
            await anext(self._anchor)
        try:
            block, error = await drive.ask()
        except BaseException:
            # Whoever cancels the task has no use for the rest.
            self._end()
            raise
        self._block = iter(block)
        if block:
            return
        if drive.has_ended():
            await self.aclose()
        if error is not None:
            raise error
        raise StopAsyncIteration

    def _end(self) -> None:
        self._drive.close()
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            # It waits for nothing, so no loop is needed for that.
            with suppress(StopIteration):
                anchor.aclose().send(None)


async def _anchor(drive: Drive) -> AsyncGenerator[None, None]:
    """Ends the map when it is closed itself."""
    try:
        yield
    finally:
        drive.close()


class Drive:
    """A map in a thread of its own, as the loop sees it.

    Args:
        run: the map.
        arrivals: those of its iterables whose items come by the loop.
        progress: what is told of its progress on the loop, if anything is.
    """

    def __init__(self, run: Run, arrivals: list[Arrivals], progress: OnLoop | None) -> None:
        self._run = run
        self._arrivals = arrivals
        self._progress = progress
        self._requests: SimpleQueue[Request | None] = SimpleQueue()
        self._pending: Request | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def has_ended(self) -> bool:
        """Whether no more results will come."""
        return self._run.closed

    async def ask(self) -> Answer:
        """The next results; if there are none, what is to be raised, if anything."""
        self._run.check_process()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._start(loop)
        elif self._loop is not loop:
            raise RuntimeError("a map cannot be asked for results by two event loops")
        self._pending = loop.create_future()
        try:
            self._requests.put(self._pending)
            return await self._pending
        finally:
            self._pending = None

    def close(self) -> None:
        """In any thread: ends the map, and answers who asks for results."""
        self._run.close()
        self._requests.put(None)
        for each in self._arrivals:
            each.stop()
        if (pending := self._pending) is not None:
            self._answer(pending, _END)

    async def settled(self) -> None:
        """Waits until nothing is taken from iterables on the loop any more."""
        for each in self._arrivals:
            await each.stopped()

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        context = contextvars.copy_context()
        # What the user's iterables do is nothing that the end of the program waits for.
        thread = threading.Thread(
            target=context.run, args=(self._work,), name="pp-amap", daemon=True
        )
        thread.start()
        self._loop = loop
        if self._progress is not None:
            self._progress.start(loop)
        for each in self._arrivals:
            each.start(loop)

    def _work(self) -> None:
        """In the thread: answers requests until the end."""
        try:
            while self._serve() and not self._run.closed:
                pass
        finally:
            self._run.close()

    def _serve(self) -> bool:
        """Answers the next request; whether there was any."""
        request = self._requests.get()
        return request is not None and self._answer(request, self._next())

    def _next(self) -> Answer:
        run = self._run
        try:
            block = run.next_block()
        except StopIteration:
            return _END
        except StopAsyncIteration as error:
            # To whoever collects results, it would look like the end.
            told = RuntimeError("the function raised StopAsyncIteration")
            told.__cause__ = error
            return [], told
        except BaseException as error:
            return [], error
        # What raises here raises again when it is asked for.
        with suppress(Exception):
            while len(block) < _MOST_AT_ONCE and (more := run.ready_block()):
                block += more
        return block, None

    def _answer(self, request: Request, answer: Answer) -> bool:
        """Whether the loop still runs."""
        try:
            request.get_loop().call_soon_threadsafe(_set, request, answer)
        except RuntimeError:
            return False
        return True


def _set(request: Request, answer: Answer) -> None:
    if not request.done():
        request.set_result(answer)


class OnLoop:
    """Shows, on an event loop, how far a map has come that runs in a thread."""

    def __init__(self, progress: Shows) -> None:
        self._progress = progress
        self._latest = -1, 0
        self._is_posted = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop: this is the one."""
        self._loop = loop
        self._thread = threading.get_ident()

    def show(self, finished: int, failed: int) -> None:
        """So many items have ended, and so many of these have failed."""
        if (finished, failed) != self._latest:
            self._latest = finished, failed
            if not self._is_posted:
                self._is_posted = True
                self._post(self._show)

    def close(self, finished: int, failed: int) -> None:
        """That was all."""
        self._post(lambda: self._progress.close(finished, failed))

    def _show(self) -> None:
        self._is_posted = False
        self._progress.show(*self._latest)

    def _post(self, what: Callable[[], None]) -> None:
        if self._loop is not None and threading.get_ident() != self._thread:
            # A loop that was closed has no use for it any more, but the bar has.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(what)
                return
        what()
