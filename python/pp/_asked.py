"""What can be asked for a job beyond the plain: the keywords of `Server.submit`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pp import _core
from pp._arguments import as_tuple

__all__ = ["PLAIN", "Asked", "asked"]


class Asked(NamedTuple):
    """See `Server.submit`.

    Attributes:
        kwargs: the keyword arguments; empty if there are none.
        name: what to call the job; None for the name of its function.
        terms: what the scheduler is told; None if that is nothing.
    """

    kwargs: dict[str, Any]
    name: str | None
    terms: _core.Terms | None


PLAIN = Asked({}, None, None)


def asked(given: Mapping[str, Any]) -> Asked:
    """The keywords that were given to `submit`, checked.

    Raises:
        TypeError, ValueError: one of them has the wrong type or value.
    """
    if not given:
        return PLAIN
    checked = {name: _CHECKS[name](value) for name, value in given.items()}
    kwargs: dict[str, Any] = checked.pop("kwargs", {})
    name: str | None = checked.pop("name", None)
    after: tuple[_core.Job[Any], ...] = checked.get("after", ())
    timeout: float | None = checked.get("timeout")
    if not after and timeout is None:
        return Asked(kwargs, name, None)
    return Asked(kwargs, name, _core.Terms(time_limit=timeout, after=after))


def _kwargs(kwargs: object) -> dict[str, Any]:
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a dictionary, not {type(kwargs).__name__!r}")
    for key in kwargs:
        if not isinstance(key, str):
            raise TypeError(f"kwargs must have strings as keys, not {key!r:.100}")
    return dict(kwargs)


def _name(name: object) -> str | None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string or None, not {type(name).__name__!r}")
    return name


def _after(after: object) -> tuple[_core.Job[Any], ...]:
    if isinstance(after, _core.Job):
        return (after,)
    jobs = as_tuple("after", after)
    for job in jobs:
        if not isinstance(job, _core.Job):
            raise TypeError(f"after must hold jobs, not {type(job).__name__!r}: {job!r:.100}")
    return jobs


def _timeout(timeout: object) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(
            f"timeout must be a number of seconds or None, not {type(timeout).__name__!r}"
        )
    if not timeout > 0 or math.isnan(timeout):
        raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
    return float(timeout)


_CHECKS: dict[str, Callable[[object], Any]] = {
    "kwargs": _kwargs,
    "name": _name,
    "after": _after,
    "timeout": _timeout,
}
