"""Pickles of single exceptions that may contain others of the same chain."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from pp._serialize.pickler import Pickler
from pp._serialize.rebuild_classes import fill_new_class
from pp._serialize.remote_text import message_of, type_name

# Attributes that these keep outside of `__dict__`, and that some versions do not pickle.
_HIDDEN = ("name",)


class _LinkPickler(Pickler):
    """Pickles one exception; others of the chain by their index."""

    def __init__(self, file: io.BytesIO, exc: BaseException, index_of: dict[int, int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL, fill_new_class)
        self._exc = exc
        self._index_of = index_of

    def persistent_id(self, obj: Any) -> int | None:
        if obj is self._exc or not isinstance(obj, BaseException):
            return None
        return self._index_of.get(id(obj))


class _LinkUnpickler(pickle.Unpickler):
    """Unpickles one exception."""

    def __init__(self, data: bytes, get: Callable[[int], BaseException]) -> None:
        super().__init__(io.BytesIO(data))
        self._get = get

    def persistent_load(self, index: int) -> BaseException:
        return self._get(index)


def dumps_link(exc: BaseException, index_of: dict[int, int]) -> tuple[bytes | None, str]:
    """An exception, its arguments and hidden attributes, pickled.

    Args:
        exc: the exception.
        index_of: the indices of all exceptions of the chain, by `id`.

    Returns:
        The bytes and "", or None and the reason why there are none.
    """
    try:
        return _dumped((exc, exc.args, _hidden(exc)), exc, index_of), ""
    except Exception:  # noqa: S110 - a class may leave out what cannot be pickled
        pass
    try:
        return _dumped((exc, None, {}), exc, index_of), ""
    except Exception as error:
        return None, f"it cannot be pickled: {type_name(error)}: {message_of(error)}"


def _dumped(value: object, exc: BaseException, index_of: dict[int, int]) -> bytes:
    file = io.BytesIO()
    _LinkPickler(file, exc, index_of).dump(value)
    return file.getvalue()


def _hidden(exc: BaseException) -> dict[str, Any]:
    if not isinstance(exc, (NameError, AttributeError)):
        return {}
    return {name: getattr(exc, name, None) for name in _HIDDEN}


def loads_link(data: bytes, get: Callable[[int], BaseException]) -> BaseException:
    """The exception that `dumps_link` has pickled.

    Args:
        data: the bytes.
        get: gives other exceptions of the chain by index.

    Raises:
        TypeError: it is no exception any more.
        Exception: whatever its class raises.
    """
    exc, args, hidden = _LinkUnpickler(data, get).load()
    if not isinstance(exc, BaseException):
        raise TypeError(f"it is unpickled as {type(exc).__name__!r}, which is no exception")
    if args is not None and exc.args != args:
        # Its `__init__` made the arguments of others, which it is not given here.
        exc.args = args
    for name, value in hidden.items():
        setattr(exc, name, value)
    return exc
