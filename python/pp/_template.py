"""A function prepared for many submissions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pp._core import Job
    from pp._server import Server

T = TypeVar("T")


class Template(Generic[T]):
    """A function together with all that `Server.submit` takes beside its arguments.

    The parameters after `job_server` have the meaning that they have there.
    """

    def __init__(
        self,
        job_server: Server,
        func: Callable[..., T],
        depfuncs: Iterable[Callable[..., Any]] = (),
        modules: Iterable[str] = (),
        callback: Callable[..., object] | None = None,
        callbackargs: Iterable[Any] = (),
        group: Hashable = "default",
        globals: dict[str, Any] | None = None,
    ) -> None:
        self.job_server = job_server
        self.func = func
        self.depfuncs = depfuncs
        self.modules = modules
        self.callback = callback
        self.callbackargs = callbackargs
        self.group = group
        self.globals = globals

    def submit(self, *args: Any) -> Job[T]:
        """Submits the function with these arguments; see `Server.submit`."""
        return self.job_server.submit(
            self.func,
            args,
            self.depfuncs,
            self.modules,
            self.callback,
            self.callbackargs,
            self.group,
            self.globals,
        )
