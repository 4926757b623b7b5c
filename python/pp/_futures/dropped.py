"""Done callbacks of jobs that have outlived every reference to their server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pp import _core
from pp._forks import in_child

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["call_at_end"]

_Function = Callable[["Job[Any]"], object]


class _Runner:
    """Calls functions at the ends of jobs, in a thread that is there while any is awaited."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watch = _core.Watch()
        self._awaited: dict[int, tuple[Job[Any], _Function]] = {}
        self._count = 0
        self._runs = False

    def add(self, job: Job[Any], function: _Function) -> bool:
        """Calls `function(job)` at the end of the job; false if that was before."""
        with self._lock:
            self._count += 1
            if not self._watch.add(job, self._count):
                return False
            self._awaited[self._count] = (job, function)
            if not self._runs:
                threading.Thread(target=self._run, name="pp-callbacks", daemon=True).start()
                self._runs = True
        return True

    def _run(self) -> None:
        while True:
            number = self._watch.next(None)
            if number is not None:
                self._run_one(number)
            with self._lock:
                if not self._awaited:
                    self._runs = False
                    return

    def _run_one(self, number: int) -> None:
        from pp._callbacks import run_safely  # noqa: PLC0415 - it imports this

        with self._lock:
            job, function = self._awaited.pop(number)
        run_safely(job, function)


_runner = _Runner()


def _enter_child() -> None:
    """In a forked child: the thread is not there."""
    global _runner
    _runner = _Runner()


in_child(_enter_child)


def call_at_end(job: Job[Any], function: _Function) -> bool:
    """Calls `function(job)` at the end of the job, in a thread; false if that was before."""
    return _runner.add(job, function)
