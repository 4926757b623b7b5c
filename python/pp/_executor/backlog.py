"""The futures of an executor that have not ended, and the end of the program."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pp._errors import InitializerError
from pp._forks import in_child

if TYPE_CHECKING:
    from pp._core import Job
    from pp._executor.future import JobFuture

__all__ = ["Backlog"]

_SHUT_DOWN = "cannot schedule new futures after shutdown"
_EXITING = "cannot schedule new futures after interpreter shutdown"


class _Telling(threading.local):
    """Whose futures this thread tells the ends of, at the moment."""

    tellers: tuple[int, ...] = ()


_telling = _Telling()


class Backlog:
    """The futures of one executor that have not ended.

    It does not refer to the executor: who drops that drops no work.

    Args:
        teller: names the thread that tells of the ends of the futures.
    """

    def __init__(self, teller: int) -> None:
        self._teller = teller
        self._condition = threading.Condition()
        self._futures: dict[JobFuture[Any], None] = {}
        self._broken: InitializerError | None = None
        self._refusal: str | None = None
        self._when_empty: Callable[[], object] | None = None
        _register(self)

    def enter(self, future: JobFuture[Any]) -> None:
        """Takes in a future that is going to be submitted.

        Raises:
            InitializerError: an initializer has failed.
            RuntimeError: nothing is taken any more.
        """
        with self._condition:
            if self._broken is not None:
                raise _copy(self._broken)
            if self._refusal is not None:
                raise RuntimeError(self._refusal)
            self._futures[future] = None

    def leave(self, future: JobFuture[Any]) -> None:
        """Forgets a future that has ended, and all of whose callbacks have run."""
        with self._condition:
            self._futures.pop(future, None)
            if self._futures:
                return
            self._condition.notify_all()
            when_empty, self._when_empty = self._when_empty, None
        if when_empty is not None:
            when_empty()

    def end(self, future: JobFuture[Any], job: Job[Any]) -> None:
        """Called once when the job of `future` has ended."""
        before = _telling.tellers
        _telling.tellers = (*before, self._teller)
        try:
            future.end(job)
        finally:
            _telling.tellers = before
            self.leave(future)

    def close(self, refusal: str = _SHUT_DOWN) -> None:
        """Takes no more futures."""
        with self._condition:
            self._refusal = self._refusal or refusal

    def close_for_exit(self) -> None:
        """Takes no more futures, since the program ends."""
        self.close(_EXITING)

    def cancel(self) -> None:
        """Cancels the futures that do not run."""
        with self._condition:
            futures = list(self._futures)
        # The last ones first: those that wait are not to begin where others have left.
        for future in reversed(futures):
            future.cancel()

    def wait(self) -> None:
        """Waits until there are no futures; not in callbacks that hold up the telling of their
        ends, which would be for ever.
        """
        if self._teller not in _telling.tellers:
            with self._condition:
                self._condition.wait_for(lambda: not self._futures)

    def when_empty(self, function: Callable[[], object]) -> None:
        """Calls a function when there are no futures: at once if there are none."""
        with self._condition:
            if self._futures:
                self._when_empty = function
                return
        function()

    def break_off(self, error: InitializerError) -> None:
        """An initializer has failed: so does what has not begun, and what comes later."""
        with self._condition:
            if self._broken is not None:
                return
            self._broken = error
            futures = list(self._futures)
        for future in reversed(futures):
            future.fail(_copy(error))

    def renew_locks(self) -> None:
        """In a forked child: threads that are not there may have held those of the futures. The
        executor's own one is of no use there.
        """
        for future in self._futures:
            future.renew_lock()


def _copy(error: InitializerError) -> InitializerError:
    """The same, for another to raise: tracebacks are not to be mixed."""
    copy = InitializerError(*error.args)
    copy.__cause__ = error.__cause__
    return copy


_lock = threading.Lock()
_backlogs: weakref.WeakSet[Backlog] = weakref.WeakSet()
_is_exiting = False


def _register(backlog: Backlog) -> None:
    with _lock:
        if _is_exiting:
            backlog.close_for_exit()
        _backlogs.add(backlog)


def _finish_all() -> None:
    """At the end of the program: what was submitted is finished, as the standard library
    does it. It is before servers are destroyed, and while threads still run.
    """
    global _is_exiting
    with _lock:
        _is_exiting = True
        backlogs = list(_backlogs)
    for backlog in backlogs:
        backlog.close_for_exit()
    for backlog in backlogs:
        backlog.wait()


def _enter_child() -> None:
    """In a forked child: what its parent has submitted is not its own, but can be looked at."""
    global _lock, _backlogs, _is_exiting
    for backlog in _backlogs:
        backlog.renew_locks()
    _lock = threading.Lock()
    _backlogs = weakref.WeakSet()
    _is_exiting = False


try:
    # Unlike `atexit`, it comes before the end of the threads that tell of ends.
    threading._register_atexit(_finish_all)  # type: ignore[attr-defined]
except RuntimeError:
    # The program ends already.
    _is_exiting = True
in_child(_enter_child)
