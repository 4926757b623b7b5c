"""`multiprocessing.Pool`, of the standard library."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant


class Pool(Contestant):
    """`Pool.apply_async` and `Pool.map`, with the platform's default start method."""

    key = "pool"
    title = "multiprocessing.Pool"
    imports = "from multiprocessing import Pool"
    program = "Pool({workers}).apply_async(noop, (1,)).get()"
    version = "import platform; print(platform.python_version())"
    note = "`map` with its default chunks"

    def __init__(self, workers: int) -> None:
        self._pool: Any = import_module("multiprocessing").Pool(workers)

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._pool.apply_async(function, args)

    def result(self, handle: Any) -> Any:
        return handle.get()

    def submit_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        submit = self._pool.apply_async
        return [submit(function, args) for args in arguments]

    def results(self, handles: list[Any]) -> list[Any]:
        return [handle.get() for handle in handles]

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        results: list[Any] = self._pool.map(function, items)
        return results

    def end(self) -> None:
        self._pool.terminate()
        self._pool.join()
