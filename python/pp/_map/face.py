"""`Server.map` and `Server.starmap` as callers see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

if TYPE_CHECKING:
    from pp._core import Engine
    from pp._map.progress import MakeBar
    from pp._map.results import Results
    from pp._serialize.functions import FunctionPacker

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")


class MapsItems:
    """The part of a server that maps functions over items."""

    # What a server has.
    _engine: Engine
    _packer: FunctionPacker
    _proto: int
    _print_errors: bool
    get_ncpus: Callable[[], int]

    @overload
    def map(
        self,
        func: Callable[[T1], T],
        first: Iterable[T1],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def map(
        self,
        func: Callable[[T1, T2], T],
        first: Iterable[T1],
        second: Iterable[T2],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def map(
        self,
        func: Callable[[T1, T2, T3], T],
        first: Iterable[T1],
        second: Iterable[T2],
        third: Iterable[T3],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def map(
        self,
        func: Callable[[T1, T2, T3, T4], T],
        first: Iterable[T1],
        second: Iterable[T2],
        third: Iterable[T3],
        fourth: Iterable[T4],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def map(
        self,
        func: Callable[[T1, T2, T3, T4, T5], T],
        first: Iterable[T1],
        second: Iterable[T2],
        third: Iterable[T3],
        fourth: Iterable[T4],
        fifth: Iterable[T5],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def map(
        self,
        func: Callable[..., T],
        *iterables: Iterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def map(
        self,
        func: Callable[..., T],
        *iterables: Iterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: bool,
        progress: bool | MakeBar = False,
    ) -> Results[T | BaseException]: ...

    def map(
        self,
        func: Callable[..., Any],
        *iterables: Iterable[Any],
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: bool = False,
        progress: bool | MakeBar = False,
    ) -> Results[Any]:
        """Calls `func` with each item of an iterable, in workers; yields the results.

        Args:
            func: any callable, as for `submit`. It is sent as it is now.
            iterables: its arguments, from each iterable one. The shortest one ends
                the map. They may be endless; items are taken as they are needed.
            chunksize: how many items to send in one job. "auto" means as many as
                take about four milliseconds, and one if that is how long they take.
            ordered: whether results come in the order of the items. If not, they come as
                jobs end.
            buffersize: at most so many items are taken ahead of those whose results
                were returned. None means a few jobs for each worker, and more as long
                as the next result keeps the others waiting.
            timeout: how many seconds to wait for a result, from when it is asked for.
            return_exceptions: whether to return what items have raised in their places.
            progress: whether to show how many items have ended: by tqdm's bar if tqdm is
                installed, and else by a plain one. Or what makes such a bar, as
                `tqdm.tqdm` does.

        Returns:
            An iterator of the results. `close()` ends it early, as does dropping it:
            jobs that have not begun are not run then.

        Raises:
            TypeError, ValueError: an argument has the wrong type or value.
            SerializationError: `func` cannot be serialized.
            DestroyedServerError: the server has been destroyed.

        The iterator raises what the first item raised, in its place, and ends; with
        `timeout`, `TimeoutError`, and goes on when asked again. An item or a result that
        cannot be serialized raises `SerializationError` in its place.
        """
        # Programs that do not map need none of it.
        from pp._map.call import Call  # noqa: PLC0415
        from pp._map.options import Options  # noqa: PLC0415

        options = Options("map", ordered, buffersize, timeout, return_exceptions)
        return Call(self, func, chunksize, options, progress).map(iterables)

    @overload
    def starmap(
        self,
        func: Callable[..., T],
        items: Iterable[Iterable[Any]],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: Literal[False] = False,
        progress: bool | MakeBar = False,
    ) -> Results[T]: ...

    @overload
    def starmap(
        self,
        func: Callable[..., T],
        items: Iterable[Iterable[Any]],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: bool,
        progress: bool | MakeBar = False,
    ) -> Results[T | BaseException]: ...

    def starmap(
        self,
        func: Callable[..., Any],
        items: Iterable[Iterable[Any]],
        /,
        *,
        chunksize: int | Literal["auto"] = "auto",
        ordered: bool = True,
        buffersize: int | None = None,
        timeout: float | None = None,
        return_exceptions: bool = False,
        progress: bool | MakeBar = False,
    ) -> Results[Any]:
        """Calls `func` with the arguments in each item of an iterable; yields the results.

        As `map` in all else: `starmap(pow, [(2, 5), (3, 2)])` is
        `map(pow, [2, 3], [5, 2])`.

        Args:
            func: any callable, as for `submit`. It is sent as it is now.
            items: iterables, mostly tuples, of the arguments of one call each. One that is
                not iterable raises `TypeError` in its place.
            chunksize: see `map`.
            ordered: see `map`.
            buffersize: see `map`.
            timeout: see `map`.
            return_exceptions: see `map`.
            progress: see `map`.

        Returns, raises: see `map`.
        """
        from pp._map.call import Call  # noqa: PLC0415 - as above
        from pp._map.options import Options  # noqa: PLC0415

        options = Options("starmap", ordered, buffersize, timeout, return_exceptions)
        return Call(self, func, chunksize, options, progress).starmap(items)
