"""`Server.amap` as callers see it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

from pp._map.face import MapsItems

if TYPE_CHECKING:
    from pp._map.arun import AsyncResults
    from pp._map.progress import MakeBar

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")

AnyIterable: TypeAlias = Iterable[T] | AsyncIterable[T]


class MapsItemsAsync(MapsItems):
    """The part of a server that maps functions over items for asyncio."""

    @overload
    def amap(
        self,
        func: Callable[[T1], T],
        first: AnyIterable[T1],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T]: ...

    @overload
    def amap(
        self,
        func: Callable[[T1, T2], T],
        first: AnyIterable[T1],
        second: AnyIterable[T2],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T]: ...

    @overload
    def amap(
        self,
        func: Callable[[T1, T2, T3], T],
        first: AnyIterable[T1],
        second: AnyIterable[T2],
        third: AnyIterable[T3],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T]: ...

    @overload
    def amap(
        self,
        func: Callable[[T1, T2, T3, T4], T],
        first: AnyIterable[T1],
        second: AnyIterable[T2],
        third: AnyIterable[T3],
        fourth: AnyIterable[T4],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T]: ...

    @overload
    def amap(
        self,
        func: Callable[[T1, T2, T3, T4, T5], T],
        first: AnyIterable[T1],
        second: AnyIterable[T2],
        third: AnyIterable[T3],
        fourth: AnyIterable[T4],
        fifth: AnyIterable[T5],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T]: ...

    @overload
    def amap(
        self,
        func: Callable[..., T],
        *iterables: AnyIterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T]: ...

    @overload
    def amap(
        self,
        func: Callable[..., T],
        *iterables: AnyIterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: bool,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[T | BaseException]: ...

    def amap(
        self,
        func: Callable[..., Any],
        *iterables: AnyIterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: bool = False,
        progress: bool | MakeBar = False,
    ) -> AsyncResults[Any]:
        """Calls `func` with each item of an iterable, in workers, for `async for`.

        As `map` in all else; the event loop goes on meanwhile.

        Args:
            func: any callable, as for `submit`. It is sent as it is now.
            iterables: its arguments, from each iterable one, which may be asynchronous.
                Items of those are taken on the event loop, ahead of their need, but never
                more than are to be sent. Items of others are taken in another thread.
            chunksize: see `map`.
            ordered: see `map`.
            buffersize: see `map`.
            timeout: see `map`.
            return_exceptions: see `map`.
            progress: see `map`.

        Returns:
            An asynchronous iterator of the results. `await aclose()` ends it early, as
            does dropping it, and cancelling a task that waits for it: jobs that have not
            begun are not run then.

        Raises:
            TypeError, ValueError, SerializationError, DestroyedServerError: see `map`.
        """
        from pp._map.call import Call  # noqa: PLC0415 - programs that do not map need none of it
        from pp._map.options import Options  # noqa: PLC0415

        options = Options("amap", ordered, buffersize, timeout, return_exceptions)
        return Call(self, func, chunksize, options, progress).amap(iterables)
