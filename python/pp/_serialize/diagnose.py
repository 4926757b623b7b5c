"""Finds what cannot be serialized, and says where it sits and what to do about it."""

from __future__ import annotations

import functools
import io
import pickle
import time
import types
from typing import Any

from pp._errors import SerializationError
from pp._serialize.parts import Place, parts_of, readable
from pp._serialize.pickler import Pickler
from pp._serialize.rebuild_classes import renew_class
from pp._serialize.remedies import remedy_for

# How long to look, in seconds, and how deep. What was found by then is told.
_PATIENCE = 2.0
_DEPTH = 200


def explain_args(
    args: tuple[Any, ...], error: BaseException, func_name: str | None
) -> SerializationError:
    """The error for arguments that `error` kept from being serialized."""
    of = f" of {func_name!r}" if func_name else ""
    search = _Search(error)
    for index, value in enumerate(args):
        place = Place((), "", f"args[{index}]")
        if search.fails(value):
            return search.explain(f"argument {index + 1}{of}", value, place)
    return search.explain(f"the arguments{of}", args, Place((), "", "args"))


def explain_result(result: object, error: BaseException) -> SerializationError:
    """The error for a result that `error` kept from being serialized."""
    search = _Search(error, returned=True)
    return search.explain("the result of the job", result, Place((), "", "result"))


def explain_function(function: object, error: BaseException, where: str = "") -> SerializationError:
    """The error for a callable that `error` kept from being serialized.

    Args:
        function: the callable, or a class or module that was to travel with one.
        error: what the pickler raised.
        where: what to say before its name.
    """
    return _Search(error).explain(where + name_of(function), function, Place((), "", ""))


def name_of(function: Any) -> str:
    """What to call a callable in a message."""
    if isinstance(function, functools.partial):
        return f"a partial of {name_of(function.func)}"
    if isinstance(function, types.ModuleType):
        return f"module {function.__name__!r}"
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str):
        return f"the callable object {readable(function)}"
    if isinstance(function, type):
        return f"class {name!r}"
    if isinstance(function, types.MethodType):
        return f"method {name!r}"
    return f"function {name!r}"


class _Search:
    """Descends to the object that cannot be serialized."""

    def __init__(self, error: BaseException, *, returned: bool = False) -> None:
        self._deadline = time.monotonic() + _PATIENCE
        self._error = error
        self._returned = returned

    def explain(self, subject: str, value: object, place: Place) -> SerializationError:
        start = f"cannot serialize {subject}"
        if isinstance(self._error, RecursionError):
            return SerializationError(
                f"{start}: it is nested too deeply. Use a flatter form, such as a list of "
                "its parts that refer to each other by index."
            )
        if isinstance(self._error, MemoryError):
            return SerializationError(
                f"{start}: there is not enough memory for another copy of it. Use smaller "
                "pieces, or let the job read and write the data by itself."
            )
        root = place
        value, place = self._descend(value, place)
        thing = f"{_kind(value)} ({readable(value)})"
        if place != root:
            thing = f"{place} {thing}"
        elif place.expression:
            thing = f"{place.expression} is {thing}"
        else:
            thing = f"it is {thing}"
        remedy = remedy_for(value, returned=self._returned)
        return SerializationError(f"{start}: {thing}; {_cause(self._error)}. {remedy}.")

    def fails(self, value: object) -> bool:
        """Whether `value` by itself cannot be serialized; remembers why."""
        if type(value) in (int, str, float, bytes, bool, types.NoneType):
            return False
        try:
            Pickler(io.BytesIO(), pickle.HIGHEST_PROTOCOL, renew_class).dump(value)
        except Exception as error:
            self._error = error
            return True
        return False

    def _descend(self, value: object, place: Place) -> tuple[object, Place]:
        passed: set[int] = set()
        for _ in range(_DEPTH):
            passed.add(id(value))
            for child, child_place in parts_of(value, place):
                if time.monotonic() > self._deadline:
                    return value, place
                if id(child) not in passed and self.fails(child):
                    value, place = child, child_place
                    break
            else:
                break
        return value, place


def _kind(value: object) -> str:
    cls = type(value)
    if cls.__module__ in {"builtins", "__main__"}:
        return f"a {cls.__qualname__!r} object"
    return f"a '{cls.__module__}.{cls.__qualname__}' object"


def _cause(error: BaseException) -> str:
    try:
        text = str(error).strip().rstrip(".")
    except Exception:
        text = ""
    if not text:
        return f"pickling it raised {type(error).__name__}"
    if isinstance(error, (TypeError, SerializationError)) or "pickle" in text:
        return text
    return f"pickling it raised {type(error).__name__}: {text}"
