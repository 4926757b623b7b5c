"""The classic Parallel Python and its fork: one interface, two modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, ClassVar

from benches.suite.contestants.base import Contestant


class Classic(Contestant):
    """pp 1.7.0, the last of the classic line, in an environment of its own."""

    key = "classic"
    title = "pp 1.7.0 (classic)"
    imports = "import pp"
    program = "pp.Server({workers}).submit(noop, (1,))()"
    version = "from importlib.metadata import version; print(version('pp'))"
    module: ClassVar[str] = "pp"

    def __init__(self, workers: int) -> None:
        self._server: Any = import_module(self.module).Server(workers)

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

    def end(self) -> None:
        self._server.destroy()


class Ppft(Classic):
    """ppft, the fork that pathos uses."""

    key = "ppft"
    title = "ppft"
    imports = "import ppft"
    program = "ppft.Server({workers}).submit(noop, (1,))()"
    version = "from importlib.metadata import version; print(version('ppft'))"
    module = "ppft"
