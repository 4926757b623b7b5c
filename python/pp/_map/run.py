"""A map in the client, as its iterator sees it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from pp._errors import DestroyedServerError, PPError
from pp._map.pieces import InOrder, OfAnyOrder
from pp._map.sender import Sender
from pp._outcome import print_failure, print_output, restore

if TYPE_CHECKING:
    from pp._map.inputs import Input
    from pp._map.options import Options
    from pp._map.pieces import Piece
    from pp._map.progress import Shows
    from pp._map.sender import Server
    from pp._map.sizes import FittingSize, FixedSize

__all__ = ["Run"]

# The longest that a lock can be waited for.
_LONGEST = threading.TIMEOUT_MAX

# How often to look whether another thread has closed the map, in seconds.
_LOOK = 0.25


class Run:
    """One map: gives blocks of results to `pp._map.results`."""

    # Until all is there that `close` needs.
    _closed = True

    def __init__(
        self,
        server: Server,
        options: Options,
        source: Input,
        sizes: FittingSize | FixedSize,
        progress: Shows | None,
    ) -> None:
        self._engine = server.engine
        self._prints_errors = server.prints_errors
        self._caller = options.caller
        self._timeout = options.timeout
        self._return_exceptions = options.return_exceptions
        self._order = InOrder() if options.ordered else OfAnyOrder()
        self._sender = Sender(server, source, sizes, self._order, options)
        self._progress = progress
        self._turn = threading.Lock()
        self._whose: int | None = None
        # What is to be raised next.
        self._error: BaseException | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no more results will come."""
        return self._closed

    def check_process(self) -> None:
        """Raises `PPError` in a forked child."""
        self._engine.check_process()

    def next_block(self) -> list[Any]:
        """The next results; at least one.

        Raises:
            StopIteration: there are none.
            TimeoutError: none came in time. More may come.
            BaseException: what an item or the input has raised. Nothing comes after it.
        """
        # First: in a forked child, nobody may be there to end a turn.
        self._engine.check_process()
        me = threading.get_ident()
        if self._whose == me:
            raise ValueError("this map is already being asked for results by the same thread")
        timeout = self._timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._turn.acquire(timeout=-1 if timeout is None else min(timeout, _LONGEST)):
            self._raise_timeout()
        try:
            self._whose = me
            return self._next_block(deadline)
        finally:
            self._whose = None
            self._turn.release()

    def ready_block(self) -> list[Any]:
        """More results, if there are any without waiting and asking for more."""
        if not self._turn.acquire(blocking=False):
            return []
        try:
            self._sender.collect()
            if self._closed or self._error is not None or not self._order.is_ready():
                return []
            return self._taken()
        finally:
            self._turn.release()

    def close(self) -> None:
        """Ends the map. What has not begun is not run; what runs is not waited for."""
        self._closed = True
        self._sender.withdraw()
        self._close_progress()
        # Who waits for a result forgets the rest.
        if self._turn.acquire(blocking=False):
            try:
                self._sender.forget()
            finally:
                self._turn.release()

    def __del__(self) -> None:
        if not self._closed:
            self.close()

    def _next_block(self, deadline: float | None) -> list[Any]:
        self._engine.check_process()
        order, sender = self._order, self._sender
        block: list[Any] = []
        while not (block or self._closed):
            if self._error is not None:
                self._raise(self._error)
            sender.collect()
            if self._progress is not None:
                self._progress.show(sender.finished, sender.failed)
            # What may take its time must not delay what is there.
            if not (sender.may_wait and order.is_ready()):
                sender.feed()
            if order.is_ready():
                block = self._taken()
            elif sender.is_busy:
                self._wait(deadline)
            else:
                self._finish()
        if self._closed:
            # Perhaps by another thread, while something was sent here.
            sender.withdraw()
            sender.forget()
        if not block:
            raise StopIteration
        return block

    def _taken(self) -> list[Any]:
        """The results of the next piece, which is ready."""
        # Unpickling exceptions may be interrupted: it is taken when that is done.
        block = self._handed_out(self._order.first())
        self._sender.delivered(self._order.take(), len(block))
        return block

    def _wait(self, deadline: float | None) -> None:
        """Waits until a job has ended, or for a while."""
        patience = _LOOK
        if deadline is not None:
            patience = min(patience, deadline - time.monotonic())
            if patience <= 0:
                self._raise_timeout()
        self._sender.wait(patience)

    def _raise_timeout(self) -> NoReturn:
        raise TimeoutError(
            f"{self._caller}() had no result within {self._timeout} s; more may come"
        )

    def _handed_out(self, piece: Piece) -> list[Any]:
        """The results of a piece, up to the first error that is to be raised."""
        if piece.printed:
            print_output(piece.printed)
            piece.printed = b""
        if piece.error is not None:
            results = self._in_place_of_all(piece.error, piece.count)
        else:
            results = piece.results or []
            errors = [(place, restore(data)) for place, data in piece.failures]
            for place, error in errors:
                results[place] = self._in_place_of_one(error)
            if self._error is not None:
                # It stands in the last place.
                results.pop()
        return results

    def _in_place_of_all(self, error: BaseException, count: int) -> list[Any]:
        if isinstance(error, DestroyedServerError):
            self._error = error
            return []
        value = self._in_place_of_one(error)
        return [] if self._error is not None else [value] * count

    def _in_place_of_one(self, error: BaseException) -> BaseException | None:
        """What stands in the place of a result. Sets `_error` if that is to be raised."""
        if self._return_exceptions:
            return error
        if self._prints_errors:
            print_failure(error)
        else:
            self._error = error
        return None

    def _finish(self) -> None:
        """All that was taken from the input has been returned."""
        self._error, self._sender.last_error = self._sender.last_error, None
        if self._error is None and self._sender.lost:
            self._error = PPError(
                f"an exception, such as Ctrl-C, came at a moment that cost {self._sender.lost} "
                "results of this map; begin a new one"
            )
        self._closed = self._error is None
        if self._closed:
            self._close_progress()

    def _close_progress(self) -> None:
        if self._progress is not None:
            self._progress.close(self._sender.finished, self._sender.failed)

    def _raise(self, error: BaseException) -> NoReturn:
        """Raises an error, after which nothing comes."""
        self._error = None
        self._closed = True
        self._sender.withdraw()
        self._sender.forget()
        self._close_progress()
        raise error
