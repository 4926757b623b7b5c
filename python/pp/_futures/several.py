"""Waiting for several jobs."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from pp import _core

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", "Waited", "as_completed", "wait"]

T = TypeVar("T")

# As `concurrent.futures` calls them.
FIRST_COMPLETED: Literal["FIRST_COMPLETED"] = "FIRST_COMPLETED"
FIRST_EXCEPTION: Literal["FIRST_EXCEPTION"] = "FIRST_EXCEPTION"
ALL_COMPLETED: Literal["ALL_COMPLETED"] = "ALL_COMPLETED"
_CHOICES = (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED)


class Waited(NamedTuple):
    """What `wait` returns.

    Attributes:
        done: jobs that have ended.
        not_done: those that have not.
    """

    done: set[Job[Any]]
    not_done: set[Job[Any]]


def wait(
    jobs: Iterable[Job[Any]],
    timeout: float | None = None,
    return_when: Literal["FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED"] = ALL_COMPLETED,
) -> Waited:
    """Waits for jobs, of one server or of several.

    Args:
        jobs: the jobs; one that is given twice counts once.
        timeout: how many seconds to wait at the most; None for any time.
        return_when: "ALL_COMPLETED": when all have ended. "FIRST_COMPLETED": when any has.
            "FIRST_EXCEPTION": when any has failed or was cancelled, or all have ended.

    Returns:
        Two sets: `done`, those that have ended, and `not_done`, the others. Jobs that ended
        but raised are done.

    Raises:
        TypeError, ValueError: an argument has the wrong type or value.
    """
    pending = _distinct(jobs)
    if return_when not in _CHOICES:
        raise ValueError(f"return_when must be one of {', '.join(_CHOICES)}, not {return_when!r}")
    deadline = _deadline(timeout)
    done: set[Job[Any]] = set()
    if pending and not _is_over(_take_ended(pending, done), pending, return_when):
        for job in _ends(pending, deadline):
            pending.remove(job)
            done.add(job)
            if _is_over([job], pending, return_when):
                break
    # Others may have ended in the same moment.
    _take_ended(pending, done)
    return Waited(done, pending)


def as_completed(jobs: Iterable[Job[T]], timeout: float | None = None) -> Iterator[Job[T]]:
    """Yields jobs as they end, those first that have.

    Args:
        jobs: the jobs, of one server or of several; one that is given twice is yielded once.
        timeout: for how many seconds from the call on to wait; None for any time.

    Raises:
        TypeError, ValueError: something is no job, or the timeout no number.
        TimeoutError: raised by the iterator when the time is over and not all have ended.
    """
    pending = _distinct(jobs)
    return _as_completed(pending, len(pending), timeout, _deadline(timeout))


def _as_completed(
    pending: set[Job[Any]], total: int, timeout: float | None, deadline: float | None
) -> Iterator[Job[Any]]:
    # None is kept here longer than needed: one that the caller drops is to be freed.
    ended = _take_ended(pending, set())
    while ended:
        yield ended.pop()
    for job in _ends(pending, deadline):
        pending.remove(job)
        yield job
        del job
    if pending:
        raise TimeoutError(f"{len(pending)} of {total} jobs have not ended within {timeout} s")


def _ends(jobs: Collection[Job[Any]], deadline: float | None) -> Iterator[Job[Any]]:
    """Jobs as they end, until the deadline."""
    watch = _core.Watch()
    watched = dict(enumerate(jobs))
    for early in [number for number, job in watched.items() if not watch.add(job, number)]:
        yield watched.pop(early)
    while watched:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left < 0:
            left = 0
        number = watch.next(left)
        if number is None:
            return
        yield watched.pop(number)


def _distinct(jobs: Iterable[Any]) -> set[Job[Any]]:
    distinct = set(jobs)
    for job in distinct:
        if not isinstance(job, _core.Job):
            kind = type(job).__name__
            raise TypeError(f"only jobs can be waited for, not {kind!r}: {job!r:.100}")
    return distinct


def _deadline(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if math.isnan(timeout):
        raise ValueError("timeout must be a number of seconds")
    return time.monotonic() + timeout


def _take_ended(pending: set[Job[Any]], done: set[Job[Any]]) -> list[Job[Any]]:
    ended = [job for job in pending if job.done()]
    pending.difference_update(ended)
    done.update(ended)
    return ended


def _is_over(ended: list[Job[Any]], pending: set[Job[Any]], return_when: str) -> bool:
    if not pending:
        return True
    if return_when == FIRST_COMPLETED:
        return bool(ended)
    if return_when == FIRST_EXCEPTION:
        return any(not job._succeeded for job in ended)
    return False
