"""Jobs in asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["wait_for"]

T = TypeVar("T")


def wait_for(job: Job[T]) -> Generator[Any, None, T]:
    """What `await job` runs: waits for the job without blocking the event loop.

    If the awaiting task is cancelled, so is the job.
    """
    # Also for its callback, which may need the loop.
    if not job.finished:
        yield from _end_of(job)
    return job.result()


def _end_of(job: Job[Any]) -> Generator[Any, None, None]:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(_job: Job[Any]) -> None:
        # Of a loop that was closed, nobody awaits anything any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, ended)

    job.add_done_callback(tell)
    try:
        yield from ended
    except asyncio.CancelledError:
        job.cancel()
        raise


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
