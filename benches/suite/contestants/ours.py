"""This project."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant


class Ours(Contestant):
    """`pp.Server`."""

    key = "pp"
    title = "pp (this project)"
    imports = "import pp"
    program = "pp.Server({workers}).submit(noop, (1,))()"
    version = "import pp; print(pp.__version__)"

    def __init__(self, workers: int) -> None:
        self._server: Any = import_module("pp").Server(workers)

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._server.submit(function, args)

    def result(self, handle: Any) -> Any:
        return handle()

    def submit_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        submit = self._server.submit
        return [submit(function, args) for args in arguments]

    def results(self, handles: list[Any]) -> list[Any]:
        return [job() for job in handles]

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return list(self._server.map(function, items))

    def share(self, data: Any) -> Any:
        return self._server.put(data)

    def end(self) -> None:
        self._server.destroy()
