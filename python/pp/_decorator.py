"""Functions that can be submitted as they are: `@server.job` and `@pp.job`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from pp._asked import KEYWORDS
from pp._forks import in_child

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pp._core import Job
    from pp._server import Server

__all__ = ["JobFunction", "job"]

# Keywords of `Server.submit` that are the same for all calls of a function.
_OPTIONS = (KEYWORDS - {"kwargs"}) | {
    "callback",
    "callbackargs",
    "depfuncs",
    "globals",
    "group",
    "modules",
}

P = ParamSpec("P")
T = TypeVar("T")

# Those of them that mean something in the client only.
_CLIENTS = frozenset({"after", "callback", "callbackargs", "globals"})


class JobFunction(Generic[P, T]):
    """A function that is called as before, and that a server runs by `submit`.

    Args:
        func: the function.
        server: the server that runs it; None for one of the program's own, which is made when
            it is needed first.
        options: keywords for `Server.submit`.

    Attributes:
        options: the keywords.
    """

    def __init__(
        self,
        func: Callable[P, T],
        server: Server | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        functools.update_wrapper(self, func)
        self._func = func
        self._server = server
        self.options = dict(options or {})

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function here and now."""
        return self._func(*args, **kwargs)

    def submit(self, /, *args: Any, **kwargs: Any) -> Job[T]:
        """Submits a call of the function with these arguments; see `Server.submit`. Jobs among
        them stand for their results.
        """
        options = {**self.options, "kwargs": kwargs} if kwargs else self.options
        server = self._server or _own_server()
        return server.submit(self._func, args, **options)

    def map(self, *iterables: Iterable[Any], **options: Any) -> Any:
        """Maps the function over items; see `Server.map`."""
        server = self._server or _own_server()
        return server.map(self._func, *iterables, **options)

    def using(self, **options: Any) -> JobFunction[P, T]:
        """The same function with other keywords for `Server.submit`; those that are not given
        stay as they are.
        """
        _check(options)
        return JobFunction(self._func, self._server, {**self.options, **options})

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """As a method, it is called and submitted with its object."""
        if instance is None:
            return self
        bound = self._func.__get__(instance, owner)
        return JobFunction(bound, self._server, self.options)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker knows nothing of servers: there, it is called. A function that calls itself
        # refers to this: what is for its client alone must not hinder it.
        options = {name: self.options[name] for name in self.options.keys() - _CLIENTS}
        return JobFunction, (self._func, None, options)

    def __repr__(self) -> str:
        return f"<pp job {getattr(self._func, '__qualname__', self._func)}>"


@overload
def job(func: Callable[P, T], /) -> JobFunction[P, T]: ...


@overload
def job(
    *, server: Server | None = None, **options: Any
) -> Callable[[Callable[P, T]], JobFunction[P, T]]: ...


def job(
    func: Callable[..., Any] | None = None, /, *, server: Server | None = None, **options: Any
) -> Any:
    """Makes a function one that is submitted by `func.submit(...)`, and called as before.

    As a decorator, with or without arguments:

        @pp.job
        def area(radius): ...

        @pp.job(timeout=60, name="area")
        def area(radius): ...

        area.submit(2.0)    # a job
        area(2.0)           # a plain call

    Args:
        func: the function.
        server: the server that runs it. None: one of the program's own, with a worker for each
            processor, which is made when it is needed first.
        options: keywords for `Server.submit`, such as `timeout`.

    Returns:
        The function, or a decorator.
    """
    if func is None:
        return functools.partial(_decorated, server=server, options=options)
    return _decorated(func, server=server, options=options)


def _decorated(
    func: Callable[P, T], *, server: Server | None, options: dict[str, Any]
) -> JobFunction[P, T]:
    if not callable(func):
        raise TypeError(f"only what can be called can be a job, not {type(func).__name__!r}")
    _check(options)
    return JobFunction(func, server, options)


def _check(options: dict[str, Any]) -> None:
    if given := {"func", "args", "kwargs"} & options.keys():
        raise TypeError(f"{', '.join(sorted(given))} cannot be given to a decorator")
    if unknown := options.keys() - _OPTIONS:
        raise TypeError(f"unknown option {', '.join(sorted(unknown))}: see Server.submit")


_lock = threading.Lock()
_own: Server | None = None


def _enter_child() -> None:
    """In a forked child: a thread that is not there may have held it."""
    global _lock
    _lock = threading.Lock()


in_child(_enter_child)


def _own_server() -> Server:
    """The program's own server."""
    from pp._server import Server  # noqa: PLC0415 - it imports this module

    global _own
    with _lock:
        if _own is None or not _is_usable(_own):
            _own = Server()
        return _own


def _is_usable(server: Server) -> bool:
    # In a forked child, it is the parent's.
    return not server._engine.destroyed and _made_here(server)


def _made_here(server: Server) -> bool:
    from pp._errors import PPError  # noqa: PLC0415 - as above

    try:
        server._engine.check_process()
    except PPError:
        return False
    return True
