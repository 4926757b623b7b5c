"""Callbacks of jobs: run once each, in the client."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any

from pp._errors import DestroyedServerError

if TYPE_CHECKING:
    from pp._core import Engine, Function, Group, Job

_logger = logging.getLogger("pp")

# Seconds between looks at whether the server is still wanted. Only a backstop:
# all that matters wakes the thread at once.
_LOOK = 3600.0
# Seconds between looks at whether a callback that another thread has claimed was
# given back, which an interrupt can make it do.
_CLAIM_LOOK = 0.1
# Seconds that the end of a server waits for a callback that runs.
_PATIENCE = 1.0


class _Inside(threading.local):
    """How many callbacks this thread is in."""

    depth = 0


_inside = _Inside()


class Callback:
    """One job's callback. Whoever comes first runs it; others wait for that.

    Callbacks of the same `runner` run one at a time.
    """

    def __init__(
        self,
        function: Callable[..., object],
        args: tuple[Any, ...],
        runner: CallbackRunner,
        on_failed_jobs: bool,
    ) -> None:
        self._function = function
        self._args = args
        self._on_failed_jobs = on_failed_jobs
        self._runner = runner
        self._lock = threading.Lock()
        self._claimed = False
        self._begun = False
        self._done = threading.Event()

    @property
    def done(self) -> bool:
        """Whether it has run, or will never run."""
        return self._done.is_set()

    def is_awaited(self) -> bool:
        """Whether this thread, if it waits for all callbacks, has to wait for it."""
        return not self.done and not (self._claimed and _inside.depth)

    def run(self, job: Job[Any]) -> None:
        """Runs the callback of the ended `job`, or waits until another thread has.

        Within a callback it waits for none: two that waited for each other's jobs
        would do so for ever.
        """
        if self._done.is_set():
            return
        with self._lock:
            is_first = not self._claimed
            self._claimed = True
        if is_first:
            _inside.depth += 1
            try:
                self._call(job)
                self._begun = True
            finally:
                _inside.depth -= 1
                # Interrupted before it began, it is for another to run.
                if self._begun:
                    self._done.set()
                else:
                    self._claimed = False
        elif not _inside.depth:
            while self._claimed and not self._done.wait(_CLAIM_LOOK):
                pass
            self.run(job)

    def _call(self, job: Job[Any]) -> None:
        try:
            result = job()
        except DestroyedServerError:
            _logger.debug("job %d did not end, its callback is not called", job.tid)
            return
        except Exception as error:
            # Nobody may ever ask the job, so at least the log tells.
            _logger.warning("job %d failed, its callback is not called: %r", job.tid, error)
            return
        if not (job._succeeded or self._on_failed_jobs):
            return
        try:
            with self._runner.turn:
                self._begun = True
                self._function(*self._args, result)
        except (Exception, SystemExit, GeneratorExit) as error:
            if isinstance(error, DestroyedServerError) and self._runner.ended:
                # What it did with the server was overtaken by the server's end.
                _logger.info("the callback of job %d was cut short: %s", job.tid, error)
                return
            _logger.exception("the callback of job %d raised; the job's result is kept", job.tid)


class CallbackRunner:
    """Runs the callbacks of one server's jobs as the jobs end, in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # For the callbacks: one that waits for a job may run that job's callback within.
        self.turn = threading.RLock()
        self._lock = threading.Lock()
        self._jobs: dict[int, tuple[Job[Any], Callback]] = {}
        # Jobs that ended before they were entered here, and those entered since.
        self._early: set[int] = set()
        self._ready: list[int] = []
        self._abandoned = False
        self._thread: threading.Thread | None = None
        engine.set_callbacks(self)

    @property
    def ended(self) -> bool:
        """Whether the server has been destroyed."""
        return self._engine.destroyed

    def submit(
        self, function: Function, args: tuple[Any, ...], group: Group, callback: Callback
    ) -> Job[Any]:
        """Submits a job whose callback this runner is to run."""
        # Not under the lock: it pickles, and so may run any code.
        job: Job[Any] = self._engine.submit(function, args, group, True)
        with self._lock:
            self._jobs[job.tid] = job, callback
            if job.tid in self._early:
                self._early.remove(job.tid)
                self._ready.append(job.tid)
                self._engine.wake_notices()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pp-callbacks", daemon=True)
                self._thread.start()
        return job

    def run(self, job: Job[Any]) -> None:
        """Runs the callback of the ended `job`, or waits until another thread has."""
        callback = self._callback_of(job)
        if callback is not None:
            callback.run(job)

    def is_done(self, job: Job[Any]) -> bool:
        """Whether the callback of `job` has run, or will never run."""
        callback = self._callback_of(job)
        return callback is None or callback.done

    def pending(self, group: Hashable | None) -> Iterator[Job[Any]]:
        """The jobs, of one group or of all, whose callbacks are to be waited for."""
        with self._lock:
            jobs = list(self._jobs.values())
        return (
            job for job, callback in jobs if callback.is_awaited() and group in (None, job.group)
        )

    def abandon(self) -> None:
        """The server is not referred to any more: stop when all is done."""
        self._abandoned = True
        if self._thread is not None:
            self._engine.wake_notices()

    def stop(self) -> None:
        """Ends the engine, and the thread unless a callback keeps it busy."""
        self._engine.destroy()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_PATIENCE)

    def _callback_of(self, job: Job[Any]) -> Callback | None:
        """None once it has run."""
        with self._lock:
            entry = self._jobs.get(job.tid)
        return None if entry is None else entry[1]

    def _run(self) -> None:
        while not (self._abandoned and not self._jobs):
            try:
                number = self._engine.next_notice(_LOOK)
            except StopIteration:
                number = None
                if not self._ready:
                    return
            for ended in self._entered(number):
                self._run_one(ended)

    def _entered(self, number: int | None) -> list[int]:
        """The jobs whose callbacks are due, now that job `number` has ended."""
        with self._lock:
            due, self._ready = self._ready, []
            if number in self._jobs:
                due.append(number)
            elif number is not None:
                self._early.add(number)
        return due

    def _run_one(self, number: int) -> None:
        with self._lock:
            job, callback = self._jobs[number]
        try:
            callback.run(job)
        except BaseException:
            # SystemExit and the like end neither this thread nor the client.
            _logger.exception("the callback of job %d raised", number)
        finally:
            with self._lock:
                del self._jobs[number]
