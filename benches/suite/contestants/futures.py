"""Executors with the interface of `concurrent.futures`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant

# Without it, each item is a message of its own, and a `map` no faster than `submit`.
CHUNK = 5_000


class Futures(Contestant):
    """`concurrent.futures.ProcessPoolExecutor`, of the standard library."""

    key = "futures"
    title = "ProcessPoolExecutor"
    imports = "from concurrent.futures import ProcessPoolExecutor"
    program = "ProcessPoolExecutor({workers}).submit(noop, 1).result()"
    version = "import platform; print(platform.python_version())"
    note = f"`map(chunksize={CHUNK})`: it has no automatic chunks, and the default is 1"

    def __init__(self, workers: int) -> None:
        self._executor = self._make(workers)

    def _make(self, workers: int) -> Any:
        return import_module("concurrent.futures").ProcessPoolExecutor(workers)

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._executor.submit(function, *args)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def submit_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        submit = self._executor.submit
        return [submit(function, *args) for args in arguments]

    def results(self, handles: list[Any]) -> list[Any]:
        return [future.result() for future in handles]

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self._executor.map(function, items, chunksize=CHUNK))

    def end(self) -> None:
        self._executor.shutdown(cancel_futures=True)


class Loky(Futures):
    """loky's reusable executor."""

    key = "loky"
    title = "loky"
    imports = "from loky import get_reusable_executor"
    program = "get_reusable_executor({workers}).submit(noop, 1).result()"
    version = "from importlib.metadata import version; print(version('loky'))"
    note = f"`get_reusable_executor`; `map(chunksize={CHUNK})`, for the same reason"

    def _make(self, workers: int) -> Any:
        return import_module("loky").get_reusable_executor(workers)

    def end(self) -> None:
        self._executor.shutdown(kill_workers=True)
