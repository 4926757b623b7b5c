"""Callbacks of jobs: run once each, in the client."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any

from pp._errors import DestroyedServerError, JobCancelled

if TYPE_CHECKING:
    from pp._core import Engine, Function, Group, Job, Terms

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
        except (DestroyedServerError, JobCancelled):
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


class _Entry:
    """A job, and what is to be done when it has ended.

    Attributes:
        job: the job.
        callback: what was given to `submit`; None if nothing was.
        functions: what `add_done_callback` was given, in order.
    """

    __slots__ = ("callback", "functions", "job")

    def __init__(self, job: Job[Any], callback: Callback | None) -> None:
        self.job = job
        self.callback = callback
        self.functions: list[Callable[[Job[Any]], object]] = []


def run_now(job: Job[Any], function: Callable[[Job[Any]], object]) -> None:
    """Calls what is to be called at the end of `job`: now if it has ended. If not, it has
    outlived every reference to its server.
    """
    if not job.done():
        from pp._futures.dropped import call_at_end  # noqa: PLC0415 - hardly ever needed

        if call_at_end(job, function):
            return
    try:
        function(job)
    except Exception:
        _logger.exception("a done callback of job %d raised", job.tid)


def run_safely(job: Job[Any], function: Callable[[Job[Any]], object]) -> None:
    """Calls a done callback in a thread that is to go on, whatever is raised."""
    try:
        function(job)
    except BaseException:
        _logger.exception("a done callback of job %d raised", job.tid)


class CallbackRunner:
    """Runs the callbacks of one server's jobs as the jobs end, in a thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # For the callbacks: one that waits for a job may run that job's callback within.
        self.turn = threading.RLock()
        self._lock = threading.Lock()
        self._jobs: dict[int, _Entry] = {}
        self._abandoned = False
        self._thread: threading.Thread | None = None
        engine.set_callbacks(self)

    @property
    def ended(self) -> bool:
        """Whether the server has been destroyed."""
        return self._engine.destroyed

    def submit(
        self,
        function: Function,
        args: tuple[Any, ...],
        group: Group,
        terms: Terms | None,
        callback: Callback,
    ) -> Job[Any]:
        """Submits a job whose callback this runner is to run."""
        # Not under the lock: it pickles, and so may run any code.
        job: Job[Any] = self._engine.submit(function, args, group, terms)
        with self._lock:
            self._jobs[job.tid] = _Entry(job, callback)
            self._begin()
        if not job._announce():
            # It has ended already. The callback is not for this thread, which may hold locks
            # of the user's.
            self._engine.post_notice(job.tid)
        return job

    def add(self, job: Job[Any], function: Callable[[Job[Any]], object]) -> None:
        """Calls `function(job)` when the job has ended; at once if it has."""
        with self._lock:
            entry = self._jobs.get(job.tid)
            if entry is not None:
                entry.functions.append(function)
                return
            if not job.done():
                self._engine.check_process()
                entry = self._jobs[job.tid] = _Entry(job, None)
                entry.functions.append(function)
                self._begin()
        if entry is None:
            run_now(job, function)
        elif not job._announce():
            self._run_one(job.tid)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pp-callbacks", daemon=True)
            self._thread.start()

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
            entries = list(self._jobs.values())
        return (
            entry.job
            for entry in entries
            if entry.callback is not None
            and entry.callback.is_awaited()
            and group in (None, entry.job.group)
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

    def enter_child(self) -> None:
        """In a forked child: callbacks are for the parent to run, and its thread may have held
        the locks.
        """
        self._lock = threading.Lock()
        self.turn = threading.RLock()
        self._jobs = {}

    def _callback_of(self, job: Job[Any]) -> Callback | None:
        """None once it has run."""
        with self._lock:
            entry = self._jobs.get(job.tid)
        return None if entry is None else entry.callback

    def _run(self) -> None:
        while not (self._abandoned and not self._jobs):
            try:
                number = self._engine.next_notice(_LOOK)
            except StopIteration:
                return
            if number is not None:
                self._run_one(number)

    def _run_one(self, number: int) -> None:
        with self._lock:
            entry = self._jobs[number]
        try:
            if entry.callback is not None:
                entry.callback.run(entry.job)
        except BaseException:
            # SystemExit and the like end neither this thread nor the client.
            _logger.exception("the callback of job %d raised", number)
        self._run_functions(entry)

    def _run_functions(self, entry: _Entry) -> None:
        """Calls what was added, also meanwhile; after it, nothing is added any more."""
        while True:
            with self._lock:
                functions, entry.functions = entry.functions, []
                if not functions:
                    del self._jobs[entry.job.tid]
                    return
            for function in functions:
                run_safely(entry.job, function)
