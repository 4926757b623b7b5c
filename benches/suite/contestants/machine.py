"""The machine itself: what no library can do without."""

# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benches.suite.contestants.base import Contestant, UnsupportedError


class Machine(Contestant):
    """Only `measures/limits.py` measures it; it runs no jobs."""

    key = "machine"
    title = "bare machine"
    imports = "pass"
    program = "noop(1)"
    version = "import platform; print(platform.python_version())"

    def __init__(self, workers: int) -> None:
        raise UnsupportedError("the bare machine runs no jobs")

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        raise UnsupportedError("the bare machine runs no jobs")

    def result(self, handle: Any) -> Any:
        raise UnsupportedError("the bare machine runs no jobs")

    def end(self) -> None:
        """Nothing was started."""
