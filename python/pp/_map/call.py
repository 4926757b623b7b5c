"""The call of `Server.map`: checks what it is given, and begins."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pp._errors import DestroyedServerError
from pp._map.inputs import input_of
from pp._map.results import Results, results_of
from pp._map.run import Options, Run
from pp._map.sizes import FittingSize, FixedSize
from pp._serialize.form import Form

if TYPE_CHECKING:
    from pp._core import Engine, Function
    from pp._map.sender import Server
    from pp._serialize.functions import FunctionPacker

__all__ = ["begin", "check", "mapped", "name_of"]


def check(
    func: object,
    iterables: tuple[object, ...],
    chunksize: object,
    buffersize: object,
    timeout: object,
) -> None:
    """Raises `TypeError` or `ValueError` for arguments of `Server.map` that cannot be."""
    if not callable(func):
        raise TypeError(f"func must be callable, not {type(func).__name__!r}: {func!r:.100}")
    if not iterables:
        raise TypeError("map() needs at least one iterable after the function")
    if chunksize != "auto":
        _check_count("chunksize", chunksize, 'an int or "auto"')
    if buffersize is not None:
        _check_count("buffersize", buffersize, "an int or None")
    if timeout is not None:
        if not isinstance(timeout, (int, float)):
            raise TypeError(f"timeout must be a number or None, not {timeout!r:.100}")
        if math.isnan(timeout) or timeout < 0:
            raise ValueError(f"timeout must not be less than 0, not {timeout}")


def _check_count(name: str, value: object, kinds: str) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be {kinds}, not {value!r:.100}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")


def mapped(
    func: Callable[..., Any], engine: Engine, packer: FunctionPacker, proto: int
) -> Function:
    """What jobs name to have `func`, as it is now, called with many items.

    Raises:
        SerializationError: it cannot be serialized.
        DestroyedServerError: the server has been destroyed.
    """
    if engine.destroyed:
        raise DestroyedServerError("cannot map: the server has been destroyed")
    packed = packer.pack(func, proto=proto)
    function: Function | None = packed.mapped
    if function is None:
        form = Form(*pickle.loads(packed.blob))._replace(mapped=True)
        blob = pickle.dumps(tuple(form), pickle.HIGHEST_PROTOCOL)
        function = packed.mapped = engine.function(blob, name_of(func))
    return function


def name_of(func: Callable[..., Any]) -> str:
    """What to call it in messages."""
    return str(getattr(func, "__qualname__", None) or type(func).__qualname__)


def begin(
    server: Server,
    iterables: tuple[Iterable[Any], ...],
    chunksize: int | str,
    options: Options,
) -> Results[Any]:
    """Begins a map, whose arguments have been checked."""
    sizes = FixedSize(chunksize) if isinstance(chunksize, int) else FittingSize()
    return results_of(Run(server, options, input_of(iterables), sizes))
