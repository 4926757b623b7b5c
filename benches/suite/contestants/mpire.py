"""mpire."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant


class Mpire(Contestant):
    """`mpire.WorkerPool`."""

    key = "mpire"
    title = "mpire"
    imports = "from mpire import WorkerPool"
    program = "WorkerPool({workers}).apply_async(noop, (1,)).get()"
    version = "from importlib.metadata import version; print(version('mpire'))"
    note = "data is shared by `shared_objects`, which needs a new pool"

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._make: Any = import_module("mpire").WorkerPool
        self._pool = self._make(workers)
        self._mapping: Any = None

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        # Shared objects come as the first argument by themselves.
        return self._pool.apply_async(function, args[1:] if args and args[0] is self else args)

    def result(self, handle: Any) -> Any:
        return handle.get()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        # A pool of its own: one that had `apply_async` calls the function of `map` wrongly.
        self._mapping = self._mapping or self._make(self._workers)
        results: list[Any] = self._mapping.map(function, items)
        return results

    def share(self, data: Any) -> Any:
        self._pool.terminate()
        self._pool = self._make(self._workers, shared_objects=data)
        return self

    def end(self) -> None:
        self._pool.terminate()
        if self._mapping is not None:
            self._mapping.terminate()
