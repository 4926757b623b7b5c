"""Jobs in asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["wait_for"]

T = TypeVar("T")

# Seconds after which somebody looks whether a result is still awaited.
_PATIENCE = 0.5


def wait_for(job: Job[T]) -> Generator[Any, None, T]:
    """What `await job` runs: waits for the job without blocking the event loop.

    If the awaiting task is cancelled, so is the job.
    """
    # Also for its callback, which may need the loop.
    if not job.finished:
        yield from _end_of(job)
    if job._is_away():
        yield from _way_of(job)
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


def _way_of(job: Job[Any]) -> Generator[Any, None, None]:
    """Waits until the result is here that was left at a node, or will not come."""
    loop = asyncio.get_running_loop()
    come: asyncio.Future[None] = loop.create_future()

    def bring() -> None:
        while not come.done() and not _is_over(job):
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, come)

    # Not of the loop's executor: who ends the loop waits for those, and the result may never come.
    threading.Thread(target=bring, name="pp-bring", daemon=True).start()
    yield from come


def _is_over(job: Job[Any]) -> bool:
    """Brings the result of a job for a while; whether it is here, or will not come."""
    try:
        job._bring(_PATIENCE)
    except TimeoutError:
        return False
    except Exception:
        # Whoever asks for the result gets it again.
        return True
    return True


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
