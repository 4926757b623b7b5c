"""`Executor.map`."""

from __future__ import annotations

import functools
import itertools
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

__all__ = ["map_calls"]


def map_calls(
    executor: Executor,
    fn: Callable[..., Any],
    iterables: tuple[Iterable[Any], ...],
    timeout: float | None,
    chunksize: int,
    buffersize: int | None,
) -> Iterator[Any]:
    """The results of `fn`, called with the items of `iterables`: see `Executor.map`."""
    _check("chunksize", chunksize)
    if buffersize is not None:
        _check("buffersize", buffersize)
    deadline = None if timeout is None else time.monotonic() + timeout
    calls: Iterator[tuple[Any, ...]] = zip(*iterables, strict=False)
    if chunksize > 1:
        fn = functools.partial(run_chunk, fn)
        calls = _chunks(calls, chunksize)
    futures: deque[Future[Any]] = deque()
    try:
        for args in itertools.islice(calls, buffersize):
            futures.append(executor.submit(fn, *args))
    except BaseException:
        _cancel(futures)
        raise
    # The results are not to keep the executor.
    submit = _submitter(weakref.ref(executor), fn, calls) if buffersize is not None else None
    results = _results(futures, submit, deadline)
    return results if chunksize == 1 else _flat(results)


def run_chunk(fn: Callable[..., Any], calls: list[tuple[Any, ...]]) -> list[Any]:
    """In a worker: some calls, one after another."""
    return list(itertools.starmap(fn, calls))


def _check(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r:.100}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def _chunks(calls: Iterator[tuple[Any, ...]], size: int) -> Iterator[tuple[list[tuple[Any, ...]]]]:
    while chunk := list(itertools.islice(calls, size)):
        yield (chunk,)


def _submitter(
    executor: weakref.ref[Executor], fn: Callable[..., Any], calls: Iterator[tuple[Any, ...]]
) -> Callable[[], Future[Any] | None]:
    """What submits the next call; None if there is none, or the executor was dropped."""

    def submit() -> Future[Any] | None:
        living = executor()
        args = None if living is None else next(calls, None)
        return None if living is None or args is None else living.submit(fn, *args)

    return submit


def _results(
    futures: deque[Future[Any]],
    submit: Callable[[], Future[Any] | None] | None,
    deadline: float | None,
) -> Iterator[Any]:
    try:
        while futures:
            following = None if submit is None else submit()
            if following is not None:
                futures.append(following)
            del following
            # A result that the caller drops is to be freed.
            yield _take(futures.popleft(), deadline)
    finally:
        _cancel(futures)


def _take(future: Future[Any], deadline: float | None) -> Any:
    try:
        left = None if deadline is None else deadline - time.monotonic()
        return future.result(left)
    except BaseException:
        # If it has not ended, nobody is going to ask for it.
        future.cancel()
        raise
    finally:
        # What it raised refers to this frame.
        del future


def _cancel(futures: deque[Future[Any]]) -> None:
    # The last ones first: those that wait are not to begin where others have left.
    for future in reversed(futures):
        future.cancel()


def _flat(chunks: Iterator[list[Any]]) -> Iterator[Any]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
