"""A job as a future of the standard library."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import _base as states
from typing import TYPE_CHECKING, Any, TypeVar

from pp._errors import DestroyedServerError, InitializerError, JobCancelled, PPError
from pp._outcome import print_output

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["JobFuture"]

T = TypeVar("T")

_NOT_DONE = (states.PENDING, states.RUNNING)


class JobFuture(Future[T]):
    """What `Executor.submit` returns: the future of one job.

    Whoever sees first that the job has ended takes its outcome in: the server's thread that
    tells of ends, or a thread that waits for the result. Callbacks are called by the former
    only: the latter may hold locks that they need.
    """

    # The base class has it.
    _done_callbacks: list[Callable[[Future[T]], object]]

    def __init__(self) -> None:
        super().__init__()
        # None before it is submitted, and once its outcome was taken in.
        self._job: Job[T] | None = None
        self._on_broken: Callable[[InitializerError], None] | None = None
        self._failure: BaseException | None = None
        self._is_printed = False
        self._was_told = False

    def begin(self, job: Job[T], on_broken: Callable[[InitializerError], None] | None) -> None:
        """Tells it its job.

        Args:
            job: the job.
            on_broken: called if an initializer has failed, before anybody else sees that.
        """
        self._on_broken = on_broken
        self._job = job

    def cancel(self) -> bool:
        """Cancels the call unless it runs or has ended: then it goes on, and this is False.

        What was sent to a node counts as running.
        """
        job = self._job
        if job is None:
            return super().cancel()
        job._withdraw()
        if not job.done():
            # Nor can it be later, whoever runs the job in the end.
            self._note_running()
            return False
        self._take_in(job)
        if not self.cancelled():
            return False
        self._tell()
        return True

    def fail(self, error: BaseException) -> None:
        """Lets it end with `error` if its job has not begun."""
        job = self._job
        if job is not None:
            self._failure = error
            job._withdraw()

    def running(self) -> bool:
        """Whether the call runs at the moment, as far as is known."""
        job = self._job
        if job is not None and self._state == states.PENDING and job.running():
            self._note_running()
        return super().running()

    def result(self, timeout: float | None = None) -> T:
        """As that of every future."""
        if timeout is None:
            self._wait()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As that of every future."""
        if timeout is None:
            self._wait()
        return super().exception(timeout)

    def end(self, job: Job[T]) -> None:
        """Called once when the job has ended."""
        try:
            self._take_in(job)
        except KeyboardInterrupt as error:
            # Not of the user's: that comes to the main thread.
            self._settle("raised", error)
        self._tell()

    def renew_lock(self) -> None:
        """In a forked child: a thread that is not there may have held it."""
        self._condition = threading.Condition()

    def _wait(self) -> None:
        """Waits for the job itself: to be woken by another thread takes longer."""
        job = self._job
        if job is not None:
            with contextlib.suppress(DestroyedServerError):
                job.wait()
            self._take_in(job)

    def _note_running(self) -> None:
        with self._condition:
            if self._state == states.PENDING:
                self.set_running_or_notify_cancel()

    def _take_in(self, job: Job[T]) -> None:
        """Makes the outcome of the job, which has ended, that of the future."""
        if self._state not in _NOT_DONE:
            return
        try:
            how, value, printed, _ = job._report()
        except KeyboardInterrupt:
            # It may be the user's, and no fault of the result.
            raise
        except BaseException as error:
            # Such as `SystemExit`, by what reads the result.
            how, value, printed = "raised", error, b""
        if printed:
            with self._condition:
                is_first, self._is_printed = not self._is_printed, True
            if is_first:
                print_output(printed)
        on_broken = self._on_broken
        if on_broken is not None and isinstance(value, InitializerError):
            on_broken(value)
        self._settle(how, value)

    def _settle(self, how: str, value: Any) -> None:
        with self._condition:
            if self._state not in _NOT_DONE:
                return
            # They are for `_tell` to call.
            callbacks, self._done_callbacks = self._done_callbacks, []
            was_cancelled = how == "failed" and isinstance(value, JobCancelled)
            if how == "value":
                self.set_result(value)
            elif was_cancelled and self._failure is None and self._state == states.PENDING:
                super().cancel()
                self.set_running_or_notify_cancel()
            else:
                self.set_exception(self._failure if was_cancelled and self._failure else value)
            self._done_callbacks = callbacks
            self._job = self._on_broken = self._failure = None

    def _tell(self) -> None:
        with self._condition:
            if self._was_told:
                return
            self._was_told = True
        self._invoke_callbacks()  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        # In a forked child nobody knows.
        with contextlib.suppress(PPError):
            self.running()
        return super().__repr__()
