"""The pickler: what `pickle` cannot do is done here, or by cloudpickle."""

from __future__ import annotations

import functools
import io
import marshal
import pickle
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from pp._serialize import at_node, rebuild
from pp._serialize.classes import Reduced, reduce_class
from pp._serialize.references import (
    home_of_method,
    is_importable,
    is_importable_module,
    is_python_class,
    type_name,
)

# What tells a function about its module, for relative imports and for tracebacks.
_MODULE_NAMES = ("__name__", "__package__", "__path__", "__file__")

# Compiled code is of use to this version only.
_PYTHON = sys.version_info[:2]

# The type of what `functools.lru_cache` and `functools.cache` make.
LRU_CACHE = type(functools.lru_cache(lambda: None))

# Types that only cloudpickle knows how to take apart. It takes long to import, so it
# is asked only for them.
_FOR_CLOUDPICKLE = frozenset(
    {
        ("_weakrefset", "WeakSet"),
        ("abc", "abstractclassmethod"),
        ("abc", "abstractproperty"),
        ("abc", "abstractstaticmethod"),
        ("builtins", "dict_items"),
        ("builtins", "dict_keys"),
        ("builtins", "dict_values"),
        ("builtins", "getset_descriptor"),
        ("builtins", "memoryview"),
        ("builtins", "odict_items"),
        ("builtins", "odict_keys"),
        ("builtins", "odict_values"),
        ("typing", "TypeVar"),
    }
)


class Pickler(pickle.Pickler):
    """Pickles functions and classes by value where workers cannot import them.

    Args:
        file: what to write to.
        protocol: the pickle protocol.
        fill_class: what is to fill the classes that arrive: `fill_new_class` for the
            way to the client, `renew_class` for the way to a worker.
        buffer_callback: as for `pickle.Pickler`; from protocol 5 on.
        portable: whether functions are to be of use to other versions of Python, as far
            as their source can be had. They are besides wherever the other side is known
            to run one.

    Attributes:
        namespaces: the global namespaces of the functions met so far. If it is pickled
            last, the other side finds all namespaces in it.
        files: the file names of the code met so far.
    """

    def __init__(
        self,
        file: io.BytesIO,
        protocol: int,
        fill_class: Callable[[type, dict[str, Any]], None],
        buffer_callback: Callable[[pickle.PickleBuffer], bool] | None = None,
        *,
        portable: bool = False,
    ) -> None:
        super().__init__(file, protocol, buffer_callback=buffer_callback)
        self._portable = portable or at_node.is_other_python()
        self.namespaces: list[dict[str, Any]] = []
        self.files: dict[str, None] = {}
        self._fill_class = fill_class
        self._namespace_of: dict[int, dict[str, Any]] = {}
        self._cells: set[int] = set()
        self._names: dict[int, str] = {}

    def reducer_override(self, obj: Any) -> Any:
        """Called for all but the plainest objects, so it has to be quick."""
        kind = type(obj)
        try:
            route = _routes[kind]
        except KeyError:
            route = _find_route(kind)
        return NotImplemented if route is None else route(self, obj)

    def _reduce_class(self, cls: type) -> Any:
        name = type_name(cls)
        if name is not None:
            return rebuild.find_attribute, ("types", name)
        if not is_python_class(cls) or is_importable(cls):
            return NotImplemented
        return reduce_class(cls, self._fill_class, portable=self._portable)

    def _reduce_function(self, function: types.FunctionType) -> Any:
        if is_importable(function):
            if self._portable and function.__module__ == "dataclasses":
                return _reduce_function_of_dataclasses(function)
            return NotImplemented
        if _is_dispatcher(function):
            return _reduce_dispatcher(function)
        self.files[function.__code__.co_filename] = None
        if self._portable:
            self._names[id(function.__code__)] = function.__qualname__
        cells = function.__closure__
        self._cells.update(map(id, cells or ()))
        arguments = (function.__code__, self._namespace(function), cells)
        state = function_state(function)
        return rebuild.make_function, arguments, state, None, None, rebuild.fill_function

    def _reduce_code(self, code: types.CodeType) -> Reduced:
        try:
            data = marshal.dumps(code)
        except ValueError:
            # Tools that write code put constants into it that no compiler would.
            import cloudpickle  # noqa: PLC0415

            reducer: Callable[[Any], Any] = cloudpickle.Pickler.dispatch_table[types.CodeType]
            return reducer(code)  # type: ignore[no-any-return]
        if not self._portable:
            return rebuild.make_code, (data, _PYTHON)
        from pp._serialize.recompile import came_as  # noqa: PLC0415 - only for nodes
        from pp._serialize.sources import source_of  # noqa: PLC0415

        came = came_as(code)
        if came is not None:
            return rebuild.make_code, came
        source = source_of(code)
        if source.text is None:
            # Only for what it is called in a message: decorators may have given it its name.
            source = source._replace(name=self._names.get(id(code), source.name))
        return rebuild.make_code, (data, _PYTHON, tuple(source))

    def _reduce_forward(self, reference: Any) -> Any:
        if not self._portable:
            return NotImplemented
        # It keeps its text compiled.
        parts = ("arg", "is_argument", "module", "is_class")
        values = [getattr(reference, f"__forward_{part}__") for part in parts]
        return rebuild.make_forward_reference, tuple(values)

    def _namespace(self, function: types.FunctionType) -> dict[str, Any]:
        source = function.__globals__
        namespace = self._namespace_of.get(id(source))
        if namespace is None:
            namespace = {name: source[name] for name in _MODULE_NAMES if name in source}
            self._namespace_of[id(source)] = namespace
            self.namespaces.append(namespace)
        return namespace

    def _reduce_cell(self, cell: types.CellType) -> Reduced:
        # The functions that have it say what is in it: by then they can be referred to.
        if id(cell) in self._cells:
            return rebuild.make_cell, ()
        try:
            contents = cell.cell_contents
        except ValueError:
            return rebuild.make_cell, ()
        return rebuild.make_cell, (), contents, None, None, rebuild.fill_cell


def function_state(function: types.FunctionType) -> dict[str, Any]:
    """All of a function but its code, for `rebuild.fill_function`."""
    # It takes long to import, and only functions that are sent by value need it.
    from pp._serialize.code import facts_about  # noqa: PLC0415

    facts = facts_about(function.__code__)
    namespace = function.__globals__
    used = {name: namespace[name] for name in facts.names if name in namespace}
    cells = cell_contents(function)
    state: dict[str, Any] = {
        "globals": used,
        "cells": cells,
        "__name__": function.__name__,
        "__qualname__": function.__qualname__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__annotations__": _annotations(function),
    }
    if function.__dict__:
        state["attributes"] = dict(function.__dict__)
    submodules = used_submodules([*used.values(), *cells.values()], facts.attributes)
    if submodules:
        state["submodules"] = [sys.modules[name] for name in submodules]
    return {name: value for name, value in state.items() if value or name == "globals"}


def cell_contents(function: types.FunctionType) -> dict[int, Any]:
    """What is in the cells of a function, by position, without the empty ones."""
    contents = {}
    for index, cell in enumerate(function.__closure__ or ()):
        try:
            contents[index] = cell.cell_contents
        except ValueError:
            # It has not been assigned to yet.
            continue
    return contents


def used_submodules(values: Iterable[Any], attributes: frozenset[str]) -> list[str]:
    """The loaded submodules that code with these `attributes` can reach from `values`.

    `import a.b` only names `a`, so a worker would import no more than that.
    """
    found: list[str] = []
    packages = [value for value in values if is_package(value)]
    while packages:
        package = packages.pop()
        for name in attributes.intersection(vars(package)):
            module = vars(package)[name]
            full_name = f"{package.__name__}.{name}"
            if isinstance(module, types.ModuleType) and sys.modules.get(full_name) is module:
                found.append(full_name)
                if is_package(module):
                    packages.append(module)
    return sorted(found)


def is_package(value: Any) -> bool:
    """Whether `value` is a module that may have submodules."""
    return type(value) is types.ModuleType and hasattr(value, "__path__")


def _annotations(function: types.FunctionType) -> dict[str, Any]:
    try:
        return function.__annotations__
    except Exception:
        # From 3.14 they are evaluated here, and may mention what is not defined.
        return {}


def _is_dispatcher(function: types.FunctionType) -> bool:
    return (
        function.__code__.co_qualname == "singledispatch.<locals>.wrapper"
        and function.__globals__ is vars(functools)
    )


def _reduce_dispatcher(function: Any) -> Reduced:
    made = {"registry", "dispatch", "register", "_clear_cache"}
    attributes = {name: value for name, value in vars(function).items() if name not in made}
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        attributes[name] = getattr(function, name)
    state = (list(function.registry.items()), attributes)
    return rebuild.make_dispatcher, (), state, None, None, rebuild.fill_dispatcher


def _reduce_module(module: types.ModuleType) -> Reduced:
    if is_importable_module(module):
        return rebuild.import_module, (module.__name__,)
    left_out = {"__builtins__", "__loader__", "__spec__", "__cached__"}
    state = {name: value for name, value in vars(module).items() if name not in left_out}
    return rebuild.make_module, (module.__name__,), state, None, None, rebuild.fill_module


def _reduce_builtin(function: types.BuiltinFunctionType) -> Any:
    module = home_of_method(function)
    if module is None:
        return NotImplemented
    return rebuild.find_attribute, (module, function.__name__)


def _reduce_method(method: types.MethodType) -> Reduced:
    module = home_of_method(method)
    if module is not None:
        return rebuild.find_attribute, (module, method.__name__)
    return rebuild.make_method, (method.__func__, method.__self__)


def _reduce_wrapped(descriptor: Any) -> Reduced:
    if is_importable(descriptor):
        return rebuild.find_attribute, (descriptor.__module__, descriptor.__qualname__)
    return type(descriptor), (descriptor.__func__,)


def _reduce_property(descriptor: property) -> Reduced:
    return property, (descriptor.fget, descriptor.fset, descriptor.fdel, descriptor.__doc__)


def _reduce_proxy(proxy: types.MappingProxyType[Any, Any]) -> Reduced:
    return rebuild.make_proxy, (dict(proxy),)


def _reduce_cached(function: Any) -> Any:
    """A function with `functools.lru_cache` or `cache`; its cache stays here."""
    if is_importable(function):
        return function.__reduce__()
    parameters = function.cache_parameters()
    attributes = {
        name: value for name, value in vars(function).items() if name != "cache_parameters"
    }
    arguments = (function.__wrapped__, parameters["maxsize"], parameters["typed"])
    return rebuild.make_cached, arguments, attributes, None, None, rebuild.fill_attributes


def _reduce_cached_property(descriptor: functools.cached_property[Any]) -> Reduced:
    return rebuild.make_cached_property, (descriptor.func, descriptor.attrname)


def _reduce_text_file(file: io.TextIOWrapper) -> Reduced:
    for name in ("stdout", "stderr"):
        if file is getattr(sys, name) or file is getattr(sys, f"__{name}__"):
            return rebuild.find_attribute, ("sys", name)
    raise TypeError("cannot pickle an open file")


def _reduce_function_of_dataclasses(function: types.FunctionType) -> Any:
    # What Python 3.13 puts into each dataclass, and older versions do not know.
    if function.__name__ == "_replace":
        return rebuild.find_dataclass_replace, ()
    return NotImplemented


def _reduce_sentinel(value: Any) -> Any:
    """Private values of `dataclasses`; some are one of a kind, and told by identity."""
    if type(value).__name__ == "_DataclassParams":
        # Which there are depends on the version of Python.
        options = {name: getattr(value, name) for name in type(value).__slots__}
        return rebuild.make_dataclass_params, (options,)
    for name, known in vars(sys.modules["dataclasses"]).items():
        if known is value:
            return rebuild.find_attribute, ("dataclasses", name)
    return value.__reduce_ex__(2)


def _reduce_typing(obj: Any) -> Any:
    """What `typing` would pickle by its name alone, even in a script."""
    if is_importable(obj):
        return obj.__reduce__()
    kind = type(obj).__name__
    if kind == "NewType":
        return type(obj), (obj.__name__, obj.__supertype__)
    if kind == "TypeAliasType":
        return type(obj), (obj.__name__, obj.__value__)
    return type(obj), (obj.__name__,)


_REDUCERS: dict[type, Callable[[Any], Any]] = {
    LRU_CACHE: _reduce_cached,
    classmethod: _reduce_wrapped,
    functools.cached_property: _reduce_cached_property,
    io.TextIOWrapper: _reduce_text_file,
    property: _reduce_property,
    staticmethod: _reduce_wrapped,
    types.BuiltinFunctionType: _reduce_builtin,
    types.MappingProxyType: _reduce_proxy,
    types.MethodType: _reduce_method,
    types.ModuleType: _reduce_module,
}


def reducer_of(kind: type) -> Callable[[Any], Any] | None:
    """What takes apart the objects of a type, if they do not do so by themselves."""
    reducer = _REDUCERS.get(kind)
    if reducer is not None:
        return reducer
    if issubclass(kind, types.ModuleType):
        return _reduce_module
    module, name = kind.__module__, kind.__qualname__
    if module == "dataclasses" and name.startswith("_"):
        return _reduce_sentinel
    if module == "typing" and name in {"NewType", "ParamSpec", "TypeAliasType", "TypeVarTuple"}:
        return _reduce_typing
    if (module, name) in _FOR_CLOUDPICKLE:
        import cloudpickle  # noqa: PLC0415 - see above

        taken: Callable[[Any], Any] = cloudpickle.Pickler.dispatch_table[kind]
        return taken
    return None


_Route = Callable[[Pickler, Any], Any]

# By type; None for what pickle does by itself. Kept short, since it keeps types alive.
_routes: dict[type, _Route | None] = {}
_MOST_ROUTES = 500


def _find_route(kind: type) -> _Route | None:
    route: _Route | None
    if issubclass(kind, type):
        route = Pickler._reduce_class
    elif kind is types.FunctionType:
        route = Pickler._reduce_function
    elif kind is types.CellType:
        route = Pickler._reduce_cell
    elif kind is types.CodeType:
        route = Pickler._reduce_code
    elif kind.__qualname__ == "ForwardRef" and kind.__module__ in {"annotationlib", "typing"}:
        route = Pickler._reduce_forward
    else:
        reducer = reducer_of(kind)
        route = None if reducer is None else lambda _pickler, obj: reducer(obj)
    if len(_routes) >= _MOST_ROUTES:
        _routes.clear()
    _routes[kind] = route
    return route
