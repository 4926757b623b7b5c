"""Makes again, where it is read, what the pickler has taken apart.

Pickles name these functions, so their names and parameters belong to the format.
Objects that may refer to themselves are made empty first and filled afterwards.
"""

from __future__ import annotations

import builtins
import functools
import marshal
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

# In workers: globals that the server's initializer has set, by name of the module. Functions
# that come by value find them in place of those that came with them.
initialized: dict[str, dict[str, Any]] = {}


def make_module(name: str) -> types.ModuleType:
    """An empty module that is in no table of modules."""
    return types.ModuleType(name)


def fill_module(module: types.ModuleType, state: dict[str, Any]) -> None:
    """Puts the contents into a made module."""
    vars(module).update(state)


def import_module(name: str) -> types.ModuleType:
    """Imports a module."""
    __import__(name)
    return sys.modules[name]


def find_attribute(module: str, qualname: str) -> Any:
    """Imports a module and takes what `qualname` names, of any type, from it."""
    return functools.reduce(getattr, qualname.split("."), import_module(module))


def make_code(
    data: bytes, python: tuple[int, int], source: tuple[Any, ...] | None = None
) -> types.CodeType:
    """Compiled code from its marshalled form; from its source where another version of
    Python, major and minor, has compiled it.
    """
    if python != sys.version_info[:2]:
        from pp._serialize.recompile import code_of_another_python  # noqa: PLC0415 - rare
        from pp._serialize.sources import Source  # noqa: PLC0415

        return code_of_another_python(data, python, None if source is None else Source(*source))
    code: types.CodeType = marshal.loads(data)  # noqa: S302 - from this very client
    return code


def make_cell() -> types.CellType:
    """An empty variable of a closure."""
    return types.CellType()


def fill_cell(cell: types.CellType, contents: Any) -> None:
    """Sets the variable."""
    cell.cell_contents = contents


def make_function(
    code: types.CodeType, namespace: dict[str, Any], cells: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    """A function without its state. Functions of one module share `namespace`."""
    namespace.setdefault("__builtins__", builtins)
    return types.FunctionType(code, namespace, None, None, cells)


def fill_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    """Gives a function its state.

    "attributes" are those set by the user, "globals" the globals that it uses,
    "cells" the contents of its cells by position; "submodules" are there to be imported.
    All other items are attributes that every function has.
    """
    state.pop("submodules", None)
    function.__dict__.update(state.pop("attributes", ()))
    namespace = function.__globals__
    namespace.update(state.pop("globals"))
    if initialized:
        namespace.update(initialized.get(namespace.get("__name__", ""), ()))
    cells = function.__closure__ or ()
    for index, contents in state.pop("cells", {}).items():
        cells[index].cell_contents = contents
    for name, value in state.items():
        setattr(function, name, value)


def make_method(function: Callable[..., Any], instance: Any) -> types.MethodType:
    """A bound method."""
    return types.MethodType(function, instance)


def make_cached(function: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    """A function with an empty `functools.lru_cache`."""
    return functools.lru_cache(maxsize, typed)(function)


def fill_attributes(target: Any, attributes: dict[str, Any]) -> None:
    """Sets the attributes of a made object, past what its class makes of it."""
    target.__dict__.update(attributes)


def make_dispatcher() -> Any:
    """A `functools.singledispatch` function that knows no types yet."""
    return functools.singledispatch(_undispatched)


def fill_dispatcher(
    dispatcher: Any, state: tuple[Iterable[tuple[type, Callable[..., Any]]], dict[str, Any]]
) -> None:
    """Registers the functions by type, and sets the dispatcher's attributes."""
    registrations, attributes = state
    for cls, function in registrations:
        dispatcher.register(cls, function)
    for name, value in attributes.items():
        setattr(dispatcher, name, value)


def _undispatched(*_args: Any) -> Any:
    raise NotImplementedError("the dispatcher was not filled")


def make_cached_property(function: Callable[..., Any], name: str | None) -> Any:
    """A `functools.cached_property`."""
    made: functools.cached_property[Any] = functools.cached_property(function)
    made.attrname = name
    return made


def make_proxy(mapping: dict[Any, Any]) -> types.MappingProxyType[Any, Any]:
    """A read-only view of a dictionary."""
    return types.MappingProxyType(mapping)


def make_dataclass_params(options: dict[str, bool]) -> Any:
    """The parameters that `dataclass` keeps in a class, as far as this Python knows them."""
    import dataclasses  # noqa: PLC0415 - it takes long to import

    kind: Any = dataclasses._DataclassParams  # type: ignore[attr-defined]
    made = kind.__new__(kind)
    for name in kind.__slots__:
        setattr(made, name, options.get(name, False))
    return made


def make_forward_reference(text: str, is_argument: bool, module: Any, is_class: bool) -> Any:
    """What `typing` makes of an annotation that is a text."""
    from typing import ForwardRef  # noqa: PLC0415 - it takes long to import

    return ForwardRef(text, is_argument=is_argument, module=module, is_class=is_class)


def find_dataclass_replace() -> Callable[..., Any]:
    """The method `__replace__` of dataclasses, which this Python may not have."""
    import dataclasses  # noqa: PLC0415 - it takes long to import

    return getattr(dataclasses, "_replace", replace_fields)


def replace_fields(self: Any, /, **changes: Any) -> Any:
    """A copy of a dataclass instance in which some fields are others."""
    import dataclasses  # noqa: PLC0415 - it takes long to import

    return dataclasses.replace(self, **changes)
