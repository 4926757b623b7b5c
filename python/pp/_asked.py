"""What can be asked for a job beyond the plain: the keywords of `Server.submit`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from pp import _core
from pp._errors import JobTimeout
from pp._resources import Demand, demand

__all__ = ["KEYWORDS", "PLAIN", "Asked", "asked"]


class Asked(NamedTuple):
    """See `Server.submit`.

    Attributes:
        kwargs: the keyword arguments; empty if there are none.
        name: what to call the job; None for the name of its function.
        retry_on: the exceptions after which it is tried again; None if it is not.
        terms: what the scheduler is told; None if that is nothing.
    """

    kwargs: dict[str, Any]
    name: str | None
    retry_on: tuple[type[BaseException], ...] | None
    terms: _core.Terms | None


PLAIN = Asked({}, None, None, None)

# The longest pause before a retry, in seconds.
_MOST_BACKOFF = 60.0

# Of priorities and of retries.
_MOST = 2**31 - 1


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
    retries: int = checked.get("retries", 0)
    retry_on = checked.pop("retry_on", (Exception,)) if retries else None
    resources: Demand | None = checked.get("resources")
    if not checked and name is None:
        return Asked(kwargs, name, None, None)
    terms = _core.Terms(
        name=name,
        priority=checked.get("priority", 0),
        time_limit=checked.get("timeout"),
        retries=retries,
        pause=checked.get("backoff", 0.1),
        max_pause=_MOST_BACKOFF,
        retries_timeouts=retry_on is not None and issubclass(JobTimeout, retry_on),
        slots=resources.slots if resources else 1,
        amounts=resources.amounts if resources else [],
        after=list(checked.get("after", ())),
    )
    return Asked(kwargs, name, retry_on, terms)


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
    if not isinstance(after, Iterable):
        raise TypeError(f"after must be a job or hold jobs, not {type(after).__name__!r}")
    jobs = tuple(after)
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
    if not timeout > 0:
        raise ValueError(f"timeout must be more than 0 seconds, not {timeout}")
    return _seconds(timeout)


def _priority(priority: object) -> int:
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise TypeError(f"priority must be an int, not {type(priority).__name__!r}")
    if abs(priority) > _MOST:
        raise ValueError(f"priority must be from {-_MOST} to {_MOST}, not {priority}")
    return priority


def _retries(retries: object) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int):
        raise TypeError(f"retries must be an int, not {type(retries).__name__!r}")
    if not 0 <= retries <= _MOST:
        raise ValueError(f"retries must be from 0 to {_MOST}, not {retries}")
    return retries


def _retry_on(retry_on: object) -> tuple[type[BaseException], ...]:
    if retry_on is None:
        return (Exception,)
    types = retry_on if isinstance(retry_on, tuple) else (retry_on,)
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(
                f"retry_on must be a type of exceptions or a tuple of them, not {retry_on!r:.100}"
            )
    return types


def _backoff(backoff: object) -> float:
    if isinstance(backoff, bool) or not isinstance(backoff, (int, float)):
        raise TypeError(f"backoff must be a number of seconds, not {type(backoff).__name__!r}")
    if not 0 <= backoff < math.inf:
        raise ValueError(f"backoff must be at least 0 seconds, not {backoff}")
    return _seconds(backoff)


def _seconds(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        # An int that is too large for a float: so long that it makes no difference.
        return sys.float_info.max


_CHECKS: dict[str, Callable[[object], Any]] = {
    "kwargs": _kwargs,
    "name": _name,
    "after": _after,
    "priority": _priority,
    "timeout": _timeout,
    "retries": _retries,
    "retry_on": _retry_on,
    "backoff": _backoff,
    "resources": demand,
}

# What `asked` understands.
KEYWORDS = frozenset(_CHECKS)
