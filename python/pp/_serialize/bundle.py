"""A callable with what its submission gives it: depfuncs, modules, globals."""

from __future__ import annotations

import functools
import io
import os
import pickle
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from pp._errors import SerializationError
from pp._serialize.code import facts_about
from pp._serialize.form import Form
from pp._serialize.pickler import LRU_CACHE, Pickler
from pp._serialize.rebuild_classes import renew_class

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, LRU_CACHE)

_FOUND = (*_FUNCTIONS, type, types.ModuleType)

# Most of what a program has in its globals. To look whether a type is among these is
# quicker than to find out all that it is not.
_VALUES = frozenset({int, float, str, bytes, bool, list, dict, tuple, set, type(None)})

# Where the function is in what is wrapped around one.
_WRAPPED_BY = {
    LRU_CACHE: ("__wrapped__",),
    classmethod: ("__func__",),
    functools.partial: ("func",),
    staticmethod: ("__func__",),
    types.MethodType: ("__func__",),
}


class Bundle:
    """What is to travel for one submission.

    Args:
        func: the callable.
        depfuncs: functions and classes that it calls by name.
        statements: the import statements for the worker.
        globals: where to find more that it calls by name; None for nowhere.
        portable: whether it is to be of use to other versions of Python.

    Raises:
        TypeError: what is in `depfuncs` cannot be called by a name.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        depfuncs: tuple[Callable[..., Any], ...],
        statements: tuple[str, ...],
        globals: dict[str, Any] | None,
        *,
        portable: bool = False,
    ) -> None:
        self._func = func
        self._portable = portable
        self._depfuncs = dict(zip(map(_name_of, depfuncs), depfuncs, strict=True))
        self._statements = statements
        self.found = {} if globals is None else findings(globals)
        if self._is_bundled() and isinstance(func, (*_FUNCTIONS, type)):
            # What it calls may call it back.
            self._depfuncs.setdefault(str(getattr(func, "__name__", "")), func)

    def others(self) -> list[Any]:
        """What the callable can reach by name besides what it refers to by itself."""
        return [*self._depfuncs.values(), *self.found.values()]

    def serialize(
        self,
        path: tuple[str, ...],
        proto: int,
        reusable: bool,
        modules: bytes = b"",
    ) -> bytes:
        """The bytes for `pp._serialize.load.load_function`.

        Args:
            path: the `sys.path` that the worker is to have.
            proto: the pickle protocol.
            reusable: whether what is loaded once can serve many jobs.
            modules: modules that nodes are to get along with it, as in `Form`.

        Raises:
            SerializationError: something that is needed cannot be serialized.
        """
        try:
            payload, files = self._dump(self.found, proto)
        except Exception as error:
            if not self.found:
                self._explain(error)
            payload, files = self._dump_what_can_be(error, proto)
        form = Form(
            python=sys.version_info[:2],
            path=path,
            statements=self._statements,
            sources=_sources(files),
            reusable=reusable,
            bundled=self._is_bundled(),
            payload=payload,
            modules=modules,
        )
        return pickle.dumps(tuple(form), pickle.HIGHEST_PROTOCOL)

    def _is_bundled(self) -> bool:
        return bool(self._depfuncs or self._statements or self.found)

    def _dump(self, found: dict[str, Any], proto: int) -> tuple[bytes, Iterable[str]]:
        file = io.BytesIO()
        pickler = Pickler(file, proto, renew_class, portable=self._portable)
        if self._is_bundled():
            # The namespaces come last: by then the pickler has met them all.
            pickler.dump((self._func, found, self._depfuncs, pickler.namespaces))
        else:
            pickler.dump(self._func)
        return file.getvalue(), pickler.files

    def _dump_what_can_be(self, error: Exception, proto: int) -> tuple[bytes, Iterable[str]]:
        """Leaves out what cannot be serialized of what was found in `globals`.

        Programs have much in their globals that no job needs.
        """
        needed = self._needed_names()
        kept = {}
        for name, value in self.found.items():
            try:
                Pickler(io.BytesIO(), proto, renew_class).dump(value)
            except Exception as reason:
                if name in needed:
                    raise _explained(value, reason, f"{name!r} of globals: ") from reason
            else:
                kept[name] = value
        try:
            return self._dump(kept, proto)
        except Exception as second:
            second.__context__ = error
            self._explain(second)

    def _needed_names(self) -> set[str]:
        """The names that the callable, its depfuncs, and what these call may look up."""
        needed: set[str] = set()
        waiting = [self._func, *self._depfuncs.values()]
        while waiting:
            for name in _names_in(waiting.pop()):
                if name not in needed:
                    needed.add(name)
                    if name in self.found:
                        waiting.append(self.found[name])
        return needed

    def _explain(self, error: Exception) -> NoReturn:
        """Raises the error that says what cannot be serialized."""
        for name, value in self._depfuncs.items():
            if value is self._func:
                continue
            try:
                Pickler(io.BytesIO(), pickle.HIGHEST_PROTOCOL, renew_class).dump(value)
            except Exception as reason:
                raise _explained(value, reason, f"{name!r} of depfuncs: ") from reason
        raise _explained(self._func, error, "") from error


def findings(namespace: dict[str, Any]) -> dict[str, Any]:
    """The modules, functions and classes of a namespace that workers may need."""
    return {
        name: value
        for name, value in list(namespace.items())
        if type(value) not in _VALUES
        and isinstance(value, _FOUND)
        and not (name.startswith("__") and name.endswith("__"))
        and not _is_ours(value)
    }


def _is_ours(value: Any) -> bool:
    is_module = isinstance(value, types.ModuleType)
    module = value.__name__ if is_module else getattr(value, "__module__", None)
    return isinstance(module, str) and module.partition(".")[0] == "pp"


def _name_of(depfunc: Any) -> str:
    name = getattr(depfunc, "__name__", None)
    if not callable(depfunc) or isinstance(depfunc, types.ModuleType):
        raise TypeError(
            f"depfuncs must hold functions and classes, not {type(depfunc).__name__!r}: "
            f"{depfunc!r:.100}"
        )
    if not isinstance(name, str):
        raise TypeError(
            "depfuncs must hold functions and classes, which have names to call them by; "
            f"{depfunc!r:.100} has none"
        )
    return name


def _names_in(value: Any) -> set[str]:
    """The global names that running `value` looks up."""
    names: set[str] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, types.FunctionType):
            names.update(facts_about(each.__code__).names)
        elif isinstance(each, type):
            attributes = [v for cls in each.__mro__ for v in vars(cls).values()]
            waiting += [v for v in attributes if not isinstance(v, type)]
        elif isinstance(each, property):
            waiting += [each.fget, each.fset, each.fdel]
        else:
            # What is not wrapped around a function gives None.
            waiting += [getattr(each, name, None) for name in _WRAPPED_BY.get(type(each), ())]
    return names


def _sources(files: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The source text of code that was typed in, and so is on no disk."""
    sources = []
    for file in files:
        if not _is_file(file):
            import linecache  # noqa: PLC0415 - few functions need it

            lines = linecache.getlines(file)
            if lines:
                sources.append((file, "".join(lines)))
    return tuple(sources)


def _is_file(name: str) -> bool:
    try:
        return os.path.isfile(name)  # noqa: PTH113 - pathlib is slow to import
    except ValueError:
        return False


def _explained(value: Any, error: Exception, where: str) -> SerializationError:
    # It is long, and only those who make mistakes need it.
    from pp._serialize.diagnose import explain_function  # noqa: PLC0415

    return explain_function(value, error, where)
