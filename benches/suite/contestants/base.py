"""What each contestant offers to the measures."""

# What a library does not have is refused here, whatever the arguments.
# ruff: noqa: ARG002

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar


class UnsupportedError(Exception):
    """The library has no such call. No failure: the table has a dash."""


class Contestant(ABC):
    """A library with its workers running.

    A subclass imports its library when it is made, and passes each call on to the one
    that the library's documentation recommends, with as little around it as possible.

    Attributes:
        key: its name on the command line and in the results.
        title: its name in tables and plots.
        imports: the statement by which a program imports it.
        program: an expression for the first result: `{workers}` stands for their number,
            `noop` for the job; or what `joining` makes one of.
        version: a program that prints the version.
        note: how it is used where there is more than one way; for the report.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    imports: ClassVar[str]
    program: ClassVar[str]
    version: ClassVar[str]
    note: ClassVar[str] = ""

    @abstractmethod
    def __init__(self, workers: int) -> None: ...

    @abstractmethod
    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Submits one job; returns the library's own handle of it."""

    @abstractmethod
    def result(self, handle: Any) -> Any:
        """Waits for a job."""

    @abstractmethod
    def end(self) -> None:
        """Ends the workers."""

    def call(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """One job, there and back."""
        return self.result(self.submit(function, args))

    def submit_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        """Submits jobs one by one; returns their handles."""
        return [self.submit(function, args) for args in arguments]

    def results(self, handles: list[Any]) -> list[Any]:
        """Waits for jobs, in order."""
        return [self.result(handle) for handle in handles]

    def run_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        """Submits jobs one by one, then collects their results."""
        return self.results(self.submit_all(function, arguments))

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """The results for all items, by the library's own map."""
        raise UnsupportedError("it has no map")

    def joining(self) -> str:
        """An expression for the first result in another program, which uses these workers."""
        raise UnsupportedError("other programs cannot use its workers")

    def share(self, data: Any) -> Any:
        """Makes `data` known to all workers; what is returned is given to jobs instead."""
        raise UnsupportedError("it has nothing to share data with")
