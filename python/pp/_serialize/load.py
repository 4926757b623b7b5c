"""Callables from bytes, in a worker."""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import types
from collections.abc import Callable
from typing import Any

from pp._serialize.at_node import NODE, know_python, usable_path
from pp._serialize.form import Form

__all__ = ["LoadedFunction", "load_function"]

# The file name of import statements, for tracebacks.
_MODULES_ARGUMENT = "<modules>"

# What functions have besides code, globals, defaults and closure.
_COPIED = (
    "__name__",
    "__qualname__",
    "__module__",
    "__doc__",
    "__kwdefaults__",
    "__annotate__" if sys.version_info >= (3, 14) else "__annotations__",
)

# What was last put into `sys.path`.
_path: tuple[str, ...] = ()

# What is known of code that is on no disk: file names and texts.
_sources: dict[str, str] = {}


class LoadedFunction:
    """A callable that a client has sent.

    Attributes:
        target: the callable.
        reusable: whether it may run many jobs. If not, each job needs it loaded again,
            so that no job sees what another one has changed.
        retry_on: the exceptions after which its jobs may be tried again; None if there are none.
    """

    __slots__ = ("retry_on", "reusable", "target")

    def __init__(
        self,
        target: Callable[..., Any],
        reusable: bool,
        retry_on: tuple[type[BaseException], ...] | None = None,
    ) -> None:
        self.target = target
        self.reusable = reusable
        self.retry_on = retry_on

    def __call__(self, *args: Any) -> Any:
        """Calls the target."""
        return self.target(*args)


def load_function(blob: bytes) -> LoadedFunction:
    """Makes a callable of what `pp._serialize.functions.FunctionPacker` has made of it.

    Sets `sys.path` as the client has it, and imports what the job asked for.

    Raises:
        ImportError: a module cannot be imported.
        SerializationError: the client runs another version of Python, and a function's
            source is not there, or this one cannot make use of it.
        Exception: whatever the user's code raises that runs on the way.
    """
    form = Form(*pickle.loads(blob))
    know_python(form.python)
    _set_path(form.path)
    if form.modules and NODE is not None:
        from pp._serialize.shipped import install  # noqa: PLC0415 - only at nodes

        install(form.modules)
    for file, text in form.sources:
        _know_source(file, text)
    try:
        target = _load(form)
    except ModuleNotFoundError:
        # Importers remember what directories hold; the module may be newer.
        importlib.invalidate_caches()
        target = _load(form)
    if form.mapped:
        from pp._map.chunk import run_chunk  # noqa: PLC0415 - many workers never need it

        target = functools.partial(run_chunk, target)
    if form.keywords:
        target = functools.partial(_call, target)
    retry_on = pickle.loads(form.retry_on) if form.retry_on else None
    return LoadedFunction(target, form.reusable, retry_on)


def _call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


def _set_path(path: tuple[str, ...]) -> None:
    """Makes `sys.path` the client's, and keeps what jobs have added to it."""
    global _path
    if NODE is not None:
        sys.path[:] = usable_path(path)
    elif path != _path:
        added = [entry for entry in sys.path if entry not in path and entry not in _path]
        sys.path[:] = [*path, *added]
        _path = path


def _know_source(file: str, text: str) -> None:
    """Lets tracebacks show lines of code that is on no disk."""
    if _sources.get(file) != text:
        import linecache  # noqa: PLC0415 - few functions need it

        _sources[file] = text
        # Without a time, it is never looked for on a disk.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _load(form: Form) -> Callable[..., Any]:
    imported = _imported(form.statements)
    try:
        loaded = pickle.loads(form.payload)
    except Exception as error:
        error.add_note("(raised while a worker loaded the function of the job)")
        raise
    if not form.bundled:
        alone: Callable[..., Any] = loaded
        return alone
    function, names, depfuncs, namespaces = loaded
    visible = {**names, **imported, **depfuncs}
    target: Callable[..., Any] = _Visibility(visible, depfuncs, namespaces).apply(function)
    return target


def _imported(statements: tuple[str, ...]) -> dict[str, Any]:
    """The names that import statements give."""
    names: dict[str, Any] = {}
    for statement in statements:
        try:
            exec(_compiled(statement), names)  # noqa: S102 - nothing but imports
        except Exception as error:
            error.add_note(f"(raised by {statement!r}, which a worker ran for the job's modules)")
            raise
    names.pop("__builtins__", None)
    return names


@functools.lru_cache(256)
def _compiled(statement: str) -> types.CodeType:
    code: types.CodeType = compile(statement, _MODULES_ARGUMENT, "exec")
    return code


class _Visibility:
    """Lets functions see names that their modules lack.

    Args:
        visible: the names and what they mean.
        depfuncs: those of them that are to see the names, too.
        namespaces: the namespaces of functions that were sent by value.
    """

    def __init__(
        self,
        visible: dict[str, Any],
        depfuncs: dict[str, Any],
        namespaces: list[dict[str, Any]],
    ) -> None:
        self._visible = visible
        self._depfuncs = depfuncs
        self._own = namespaces
        self._merged: dict[int, dict[str, Any]] = {}
        self._copies: dict[int, Any] = {}

    def apply(self, function: Any) -> Any:
        """The function, or what takes its place, with all names visible to it."""
        for name, depfunc in self._depfuncs.items():
            self._visible[name] = self._seeing(depfunc)
        target = self._seeing(function)
        for namespace in self._own:
            self._add_to(namespace)
        for merged in self._merged.values():
            self._add_to(merged)
            for name, value in merged.items():
                merged[name] = self._copies.get(id(value), value)
        return target

    def _add_to(self, namespace: dict[str, Any]) -> None:
        for name, value in self._visible.items():
            namespace.setdefault(name, value)

    def _seeing(self, function: Any) -> Any:
        if isinstance(function, types.MethodType):
            return types.MethodType(self._seeing(function.__func__), function.__self__)
        if type(function) is functools.partial:
            inner = self._seeing(function.func)
            return functools.partial(inner, *function.args, **function.keywords)
        if type(function) is types.FunctionType and not self._is_own(function):
            return self._copy(function)
        return function

    def _is_own(self, function: types.FunctionType) -> bool:
        return any(function.__globals__ is namespace for namespace in self._own)

    def _copy(self, function: types.FunctionType) -> types.FunctionType:
        """A copy of a function of a module, which itself stays as it is."""
        module = function.__globals__
        if self._visible.keys() <= module.keys():
            return function
        known: types.FunctionType | None = self._copies.get(id(function))
        if known is not None:
            return known
        merged = self._merged.setdefault(id(module), dict(module))
        copy = types.FunctionType(
            function.__code__, merged, None, function.__defaults__, function.__closure__
        )
        for name in _COPIED:
            setattr(copy, name, getattr(function, name))
        vars(copy).update(vars(function))
        self._copies[id(function)] = copy
        return copy
