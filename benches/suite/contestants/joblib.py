"""joblib."""

# ruff: noqa: ARG002

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant, UnsupportedError


class Joblib(Contestant):
    """`joblib.Parallel`, kept open between calls.

    It has no call that submits one job. "One by one" is `batch_size=1`, so that each job
    is a message of its own, as with the others.
    """

    key = "joblib"
    title = "joblib"
    imports = "from joblib import Parallel, delayed"
    program = "Parallel(n_jobs={workers})([delayed(noop)(1)])[0]"
    version = "from importlib.metadata import version; print(version('joblib'))"
    note = "`batch_size=1` stands for jobs one by one; `map` is `Parallel` with automatic batches"

    def __init__(self, workers: int) -> None:
        if workers == 1:
            raise UnsupportedError("with one worker it runs jobs in the caller itself")
        joblib: Any = import_module("joblib")
        self._delayed = joblib.delayed
        self._single = joblib.Parallel(n_jobs=workers, batch_size=1).__enter__()
        self._batched = joblib.Parallel(n_jobs=workers).__enter__()

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        raise UnsupportedError("it has no call that submits a job and returns")

    def result(self, handle: Any) -> Any:
        raise UnsupportedError("it has no call that submits a job and returns")

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._single([self._delayed(function)(*args)])[0]

    def run_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        if threading.current_thread() is not threading.main_thread():
            raise UnsupportedError("threads cannot use one `Parallel` at the same time")
        job = self._delayed(function)
        results: list[Any] = self._single(job(*args) for args in arguments)
        return results

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        job = self._delayed(function)
        results: list[Any] = self._batched(job(item) for item in items)
        return results

    def share(self, data: Any) -> Any:
        # By itself: an array that comes again is found in the file that it was written to.
        return data

    def end(self) -> None:
        self._batched.__exit__(None, None, None)
        self._single.__exit__(None, None, None)
