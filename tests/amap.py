"""Maps for `async for`: what the tests of them share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from tests.support import eventually

T = TypeVar("T")


def run(main: Awaitable[T]) -> T:
    """Runs it in a loop that warns of all that is not done right, and leaves no thread."""

    async def checked() -> T:
        result = await main
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    result = asyncio.run(checked(), debug=True)
    eventually(lambda: not map_threads(), "the map's thread ends")
    return result


def map_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pp-amap"]


async def arriving(items: Iterable[T]) -> AsyncIterator[T]:
    """Items, some at once, some after others on the loop had their turn."""
    for place, item in enumerate(items):
        if place % 7 == 3:
            await asyncio.sleep(0)
        yield item


async def collected(results: AsyncIterator[T]) -> list[T]:
    return [result async for result in results]


async def first_error(results: AsyncIterator[Any]) -> tuple[list[Any], BaseException]:
    """What comes before an error, and the error."""
    found = []
    try:
        async for result in results:
            found.append(result)
    except BaseException as error:
        return found, error
    raise AssertionError(f"nothing was raised after {found}")


async def within(condition: Callable[[], object]) -> None:
    """Waits, on the loop, until it is true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing tells when other processes have begun
            await asyncio.sleep(0.005)


class Counted:
    """An asynchronous iterator that knows how many items were taken from it."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self.taken = 0
        self.threads: set[int] = set()

    def __aiter__(self) -> Counted:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            self.taken += 1
            self.threads.add(threading.get_ident())
            return item
        raise StopAsyncIteration
