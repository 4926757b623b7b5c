"""What a map sends to workers, and what it takes in from them."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pp._errors import DestroyedServerError, JobCancelled, SerializationError, WorkerStartError
from pp._map.pieces import Piece
from pp._serialize.values import dumps_args

if TYPE_CHECKING:
    from pp._core import Engine, Function
    from pp._map.inputs import Input, Items
    from pp._map.options import Options
    from pp._map.pieces import InOrder, OfAnyOrder
    from pp._map.sizes import FittingSize, FixedSize

__all__ = ["Sender", "Server"]

# So many jobs are sent for each worker: one that runs, one that waits behind it, and one
# to take that one's place while the caller is busy with results.
_SENT = 3

# How far workers may get ahead of an item that takes long, in jobs and in bytes of results.
_MOST_PIECES = 8192
_MOST_BYTES = 2**26

# How often to look for items while jobs are waited for, too, in seconds.
_LEAST_PAUSE = 0.0005
_MOST_PAUSE = 0.005

# What says nothing about single items.
_NOT_OF_ITEMS = (DestroyedServerError, JobCancelled, WorkerStartError)


@dataclass(frozen=True)
class Server:
    """What a map needs of its server.

    Attributes:
        engine: runs the jobs.
        function: what they run.
        name: what it is called in messages.
        proto: the pickle protocol.
        workers: gives the number of workers.
        prints_errors: whether failures are printed, and None is the result.
    """

    engine: Engine
    function: Function
    name: str
    proto: int
    workers: Callable[[], int]
    prints_errors: bool


class Sender:
    """Cuts the input of a map into pieces, and has them run as jobs.

    Attributes:
        last_error: what is to be raised when all that was sent has ended.
        finished: how many items have ended, as far as is known here.
        failed: how many of these have failed.
    """

    def __init__(
        self,
        server: Server,
        source: Input,
        sizes: FittingSize | FixedSize,
        order: InOrder | OfAnyOrder,
        options: Options,
    ) -> None:
        self._server = server
        self._input = source
        self._sizes = sizes
        self._order = order
        self._caller = options.caller
        self._buffersize = options.buffersize
        self._keep_going = options.return_exceptions or server.prints_errors
        self._group = server.engine.group(options.caller)
        self._unsent: deque[Piece] = deque()
        self._sent: list[Piece] = []
        self._taken = 0
        self._delivered = 0
        # Bytes of results that were not delivered yet.
        self._held = 0
        # Whether what is taken from the input now would come after an error.
        self._is_doomed = False
        # Whether workers could do with items that the input does not have yet.
        self._is_starved = False
        self.last_error: BaseException | None = None
        self.finished = 0
        self.failed = 0

    @property
    def may_wait(self) -> bool:
        """Whether `feed` may take any time."""
        return self._input.may_wait and not self._input.ended

    @property
    def is_busy(self) -> bool:
        """Whether more results will come by themselves."""
        return bool(self._sent) or self._is_starved

    @property
    def lost(self) -> int:
        """How many results were neither delivered nor will be, if it is not busy."""
        return self._taken - self._delivered

    def wait(self, seconds: float) -> None:
        """Waits until a job has ended or items that are needed have come, or for so long."""
        if not self._is_starved:
            self._group.wait_below(len(self._sent), seconds)
        elif not self._sent:
            self._input.wait(seconds)
        else:
            self._wait_for_either(seconds)

    def _wait_for_either(self, seconds: float) -> None:
        # Nothing but a job's end wakes who waits for jobs.
        until = time.monotonic() + seconds
        pause = _LEAST_PAUSE
        while self._input.is_awaited and not self._group.wait_below(len(self._sent), pause):
            if time.monotonic() > until:
                return
            pause = min(2 * pause, _MOST_PAUSE)

    def delivered(self, piece: Piece, count: int) -> None:
        """The caller gets so many results of a piece, and the piece is done with."""
        self._held -= piece.size
        self._delivered += count

    def withdraw(self) -> None:
        """Drops all jobs that have not begun."""
        self._group.withdraw()

    def forget(self) -> None:
        """Keeps nothing alive that is not needed any more."""
        self._sent.clear()
        self._unsent.clear()
        self._order.clear()
        self._input.drop()

    def collect(self) -> None:
        """Takes in what jobs that have ended came to."""
        if self._group.pending >= len(self._sent):
            return
        ended = [piece for piece in self._sent if piece.job is not None and piece.job.finished]
        for piece in ended:
            assert piece.job is not None
            # It unpickles, and so may run any code, or be interrupted.
            report = piece.job._report()
            self._sent.remove(piece)
            self._take_in(piece, *report)

    def _take_in(self, piece: Piece, how: str, value: Any, printed: bytes, size: int) -> None:
        self._sizes.weigh(piece.count, max(piece.size, size))
        piece.printed, piece.size = printed, size
        if how == "value":
            self._take_results(piece, *value)
        elif piece.count == 1 or how == "unreadable" or isinstance(value, _NOT_OF_ITEMS):
            self._fail(piece, value)
        else:
            # One of them has killed its worker, or cannot be unpickled there: which one?
            singles = [piece.part(place, place + 1) for place in range(piece.count)]
            piece.give_way(*singles)
            self._unsent.extend(singles)
        piece.job = None
        self._held += piece.size
        self._order.ended(piece)

    def _take_results(
        self,
        piece: Piece,
        results: list[Any],
        nanoseconds: int,
        failures: list[tuple[int, bytes]],
    ) -> None:
        self._sizes.observe(len(results), nanoseconds)
        self.finished += len(results)
        self.failed += len(failures)
        piece.failures = failures
        if failures and not self._keep_going:
            self._is_doomed = True
        elif len(results) < piece.count:
            # It took too long: what was not begun is for whoever comes first.
            rest = piece.part(len(results))
            piece.rest = (rest,)
            self._unsent.append(rest)
        piece.results = results
        piece.items = None

    def _fail(self, piece: Piece, error: BaseException) -> None:
        piece.end(error)
        self.finished += piece.count
        self.failed += piece.count
        self._is_doomed |= not self._keep_going

    def feed(self) -> None:
        """Sends as much as is good for the workers, as far as there is input."""
        workers = max(1, self._server.workers())
        most = _SENT * workers
        self._is_starved = False
        while True:
            self._send_unsent(most, workers)
            room = self._room(most)
            if len(self._sent) >= most or room < 1 or self._input.ended or self._is_doomed:
                return
            self._take_input(min(room, self._sizes.next(self._input.remaining(), workers)))
            if self._input.is_awaited and not self._unsent:
                self._is_starved = True
                return
            if self._input.may_wait:
                self.collect()
                if self._order.is_ready():
                    self._send_unsent(most, workers)
                    return

    def _send_unsent(self, most: int, workers: int) -> None:
        while self._unsent and len(self._sent) < most:
            self._send_first(workers)

    def _room(self, most: int) -> int:
        """How many items may be taken from the input now."""
        if self._buffersize is not None:
            return self._buffersize - (self._taken - self._delivered)
        # While workers wait for the caller, they need not get far ahead.
        limit = 4 * most if self._order.is_ready() else _MOST_PIECES
        return sys.maxsize if len(self._order) < limit and self._held < _MOST_BYTES else 0

    def _take_input(self, most: int) -> None:
        try:
            self._input.take(most, self._accept)
        except Exception as error:
            # Results of what came before it are to come before it.
            self.last_error = error
            self._input.drop()

    def _accept(self, items: Items) -> None:
        piece = Piece(self._taken, items)
        self._taken += piece.count
        self._unsent.append(piece)
        self._order.add(piece)

    def _send_first(self, workers: int) -> None:
        """Sends the first of what is to be sent, or a part of it."""
        piece = self._unsent[0]
        assert piece.items is not None
        left = piece.count + (self._input.remaining() or 0)
        size = self._sizes.next(left, workers)
        if piece.count > size:
            self._cut_first(size)
            return
        args = (
            self._caller,
            piece.first,
            self._sizes.budget,
            self._keep_going,
            piece.items.is_rows,
            piece.items.on_the_wire(),
        )
        try:
            piece.job = self._server.engine.submit(self._server.function, args, self._group)
        except SerializationError as error:
            self._refuse_first(error)
        except Exception as error:
            # The server is gone.
            self.last_error = error
            self._unsent.clear()
            self._input.drop()
        else:
            self._sent.append(piece)
            self._unsent.popleft()
            piece.size = piece.job._args_len

    def _cut_first(self, count: int) -> None:
        piece = self._unsent.popleft()
        head, tail = piece.part(0, count), piece.part(count)
        piece.give_way(head, tail)
        self._unsent.extendleft((tail, head))

    def _refuse_first(self, error: SerializationError) -> None:
        """Finds out which item it is that cannot be serialized."""
        piece = self._unsent[0]
        assert piece.items is not None
        if piece.count > 1:
            self._cut_first(piece.count // 2)
            return
        try:
            dumps_args(piece.items.arguments(0), self._server.proto, self._server.name)
        except SerializationError as its_own:
            error = its_own
        told = SerializationError(f"item {piece.first} of {self._caller}(): {error}")
        told.__cause__ = error.__cause__
        self._unsent.popleft()
        self._fail(piece, told)
        self._order.ended(piece)
