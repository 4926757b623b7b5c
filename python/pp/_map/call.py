"""The calls of `Server.map` and its kin: check what they are given, and begin."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from pp._errors import DestroyedServerError
from pp._map.inputs import input_of
from pp._map.progress import check_progress, progress_of
from pp._map.results import Results, results_of
from pp._map.rows import Rows
from pp._map.run import Run
from pp._map.sender import Server
from pp._map.sizes import FittingSize, FixedSize
from pp._serialize.form import reformed

if TYPE_CHECKING:
    from pp._core import Function
    from pp._map.arun import AsyncResults
    from pp._map.face import MapsItems
    from pp._map.inputs import Input
    from pp._map.options import Options
    from pp._map.progress import MakeBar, Shows

__all__ = ["Call"]


class Call:
    """A call whose arguments have been checked, but for the iterables.

    Args:
        server: whose method was called.
        func: what is to be called for each item.
        chunksize: see `pp.Server.map`.
        options: the same.
        progress: the same.

    Raises:
        TypeError, ValueError: an argument cannot be.
    """

    def __init__(
        self,
        server: MapsItems,
        func: Callable[..., Any],
        chunksize: object,
        options: Options,
        progress: bool | MakeBar,
    ) -> None:
        if not callable(func):
            raise TypeError(f"func must be callable, not {type(func).__name__!r}: {func!r:.100}")
        if chunksize != "auto":
            _check_count("chunksize", chunksize, 'an int or "auto"')
        if options.buffersize is not None:
            _check_count("buffersize", options.buffersize, "an int or None")
        if options.timeout is not None:
            _check_timeout(options.timeout)
        check_progress(progress)
        self._server = server
        self._func = func
        self._name = str(getattr(func, "__qualname__", None) or type(func).__qualname__)
        self._chunksize = chunksize
        self._options = options
        self._progress = progress

    def map(self, iterables: tuple[Iterable[Any], ...]) -> Results[Any]:
        """Begins `Server.map`."""
        self._check_any(iterables)
        function = self._mapped()
        source = input_of(iterables, self._options.caller)
        return results_of(self._run(function, source, self._shown(source)))

    def starmap(self, items: Iterable[Iterable[Any]]) -> Results[Any]:
        """Begins `Server.starmap`."""
        function = self._mapped()
        source = Rows(input_of((items,), self._options.caller), self._options.caller)
        return results_of(self._run(function, source, self._shown(source)))

    def amap(self, iterables: tuple[Iterable[Any] | AsyncIterable[Any], ...]) -> AsyncResults[Any]:
        """Begins `Server.amap`."""
        # Few programs need it, and asyncio takes long to import.
        from pp._map.arrivals import arriving_input_of  # noqa: PLC0415
        from pp._map.arun import AsyncResults, Drive, OnLoop  # noqa: PLC0415

        self._check_any(iterables)
        function = self._mapped()
        source, arrivals = arriving_input_of(iterables, self._options.caller)
        shown = self._shown(source)
        progress = None if shown is None else OnLoop(shown)
        return AsyncResults(Drive(self._run(function, source, progress), arrivals, progress))

    def _check_any(self, iterables: tuple[object, ...]) -> None:
        if not iterables:
            raise TypeError(
                f"{self._options.caller}() needs at least one iterable after the function"
            )

    def _mapped(self) -> Function:
        """What jobs name to have the function, as it is now, called with many items.

        Raises:
            SerializationError: it cannot be serialized.
            DestroyedServerError: the server has been destroyed.
        """
        engine = self._server._engine
        if engine.destroyed:
            raise DestroyedServerError("cannot map: the server has been destroyed")
        packed = self._server._packer.pack(self._func, proto=self._server._proto)
        function: Function | None = packed.mapped
        if function is None:
            blob = reformed(packed.blob, mapped=True)
            function = packed.mapped = engine.function(blob, self._name)
        return function

    def _shown(self, source: Input) -> Shows | None:
        return progress_of(self._progress, source.remaining(), self._name)

    def _run(self, function: Function, source: Input, progress: Shows | None) -> Run:
        server = Server(
            engine=self._server._engine,
            function=function,
            name=self._name,
            proto=self._server._proto,
            workers=self._server.get_ncpus,
            prints_errors=self._server._print_errors,
        )
        size = self._chunksize
        sizes = FixedSize(size) if isinstance(size, int) else FittingSize()
        return Run(server, self._options, source, sizes, progress)


def _check_count(name: str, value: object, kinds: str) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be {kinds}, not {value!r:.100}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def _check_timeout(timeout: object) -> None:
    if not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number or None, not {timeout!r:.100}")
    if math.isnan(timeout) or timeout < 0:
        raise ValueError(f"timeout must not be less than 0, not {timeout}")
