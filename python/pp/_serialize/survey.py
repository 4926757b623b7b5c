"""The walk through all that callables refer to, for `guards`."""

from __future__ import annotations

import abc
import copyreg
import enum
import functools
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pp._serialize.classes import MADE_BY_TYPE
from pp._serialize.code import facts_about
from pp._serialize.pickler import LRU_CACHE, is_package, used_submodules
from pp._serialize.references import (
    home_of_method,
    is_importable,
    is_importable_module,
    is_python_class,
)

# Stands for what is not there.
MISSING: Any = object()

# Beyond this many things to look at, the look takes as long as serializing.
_LIMIT = 2000

_ATOMS = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        slice,
        type(Ellipsis),
        type(NotImplemented),
        types.CodeType,
    }
)

# Immutable types of modules that need not be imported here, by module and name.
_IMMUTABLE = {
    "_collections": {"_tuplegetter"},
    "collections": {"_tuplegetter"},
    "dataclasses": {"_DataclassParams", "_HAS_DEFAULT_FACTORY_CLASS", "_MISSING_TYPE"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "logging": {"Logger", "RootLogger"},
    "pathlib": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "pathlib._local": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "re": {"Pattern"},
    "types": {"GenericAlias", "UnionType"},
    "typing": {"NewType", "ParamSpec", "TypeVar", "Union", "_GenericAlias", "_UnionGenericAlias"},
    "uuid": {"UUID"},
    "zoneinfo": {"ZoneInfo"},
}

# What decorators and metaclasses put into classes, and nobody changes in place.
_MADE_IN_CLASSES = MADE_BY_TYPE | {
    "__abstractmethods__",
    "__annotations__",
    "__dataclass_fields__",
    "__dict__",
    "__non_callable_proto_members__",
    "__protocol_attrs__",
    "__slots__",
    "__weakref__",
    "_field_defaults",
    "_member_map_",
    "_member_names_",
    "_unhashable_values_",
    "_unhashable_values_map_",
    "_hashable_values_",
    "_value2member_map_",
}

# Variables by which decorators of the standard library tell recursive calls: always
# empty when nothing runs. By module and name.
_PRIVATE_STATE = frozenset({("dataclasses", "repr_running"), ("reprlib", "repr_running")})

_DESCRIPTORS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)


class _Unsettled(Exception):  # noqa: N818 - no error: it ends the survey
    """Something was met that can be changed in place."""


class Survey:
    """A walk through all that callables refer to.

    Attributes:
        root_parts: code, defaults and keyword defaults of the callable itself, if it
            is a function that is sent by value.
        functions: the same of all other such functions, each with its function.
        names: globals, one name in them, and its value or `MISSING`.
        cells: variables of closures and what is in them.
        mappings: attributes and the like: each mapping, with its keys and then its values.
        submodules: submodules that are not loaded and that the code would find.
        registered: counts registrations with abstract classes; None if none are met.
    """

    def __init__(self) -> None:
        self.root_parts: tuple[Any, Any, Any] | None = None
        self.functions: list[tuple[types.FunctionType, tuple[Any, Any, Any]]] = []
        self.names: list[tuple[dict[str, Any], str, Any]] = []
        self.cells: list[tuple[types.CellType, Any]] = []
        self.mappings: list[tuple[Mapping[str, Any], tuple[Any, ...]]] = []
        self.submodules: set[str] = set()
        self.registered: object = None
        self._root: Any = None
        self._found: list[Any] = []
        self._seen: set[int] = set()
        # Functions that code can get hold of, so that it can change their attributes.
        self._reachable: set[int] = set()
        self._writes_variables = False
        self._writes_attributes = False
        self._has_classes = False

    def is_pure(self) -> bool:
        """See `Guards.pure`."""
        if self._writes_variables or self._has_classes:
            return False
        return not (self._writes_attributes and self._reachable)

    def run(self, root: Any, others: Iterable[Any]) -> None:
        self._root = root
        self._visit(root)
        self._found.extend(others)
        count = 0
        while self._found:
            count += 1
            if count > _LIMIT:
                raise _Unsettled
            obj = self._found.pop()
            kind = type(obj)
            if kind in _ATOMS:
                continue
            if kind is types.FunctionType or kind is LRU_CACHE or kind is functools.partial:
                self._reach(obj)
            if id(obj) not in self._seen:
                self._visit(obj)

    def _visit(self, obj: Any) -> None:
        self._seen.add(id(obj))
        visit = _VISITORS.get(type(obj))
        if visit is not None:
            visit(self, obj)
        elif isinstance(obj, type):
            self._visit_class(obj)
        elif isinstance(obj, enum.Enum):
            self._found.append(type(obj))
            self._found.extend(vars(obj).values())
        elif isinstance(obj, tuple) and not hasattr(obj, "__dict__"):
            self._found.append(type(obj))
            self._found.extend(obj)
        elif not (_is_immutable(type(obj)) or _travels_by_name(obj)):
            raise _Unsettled

    def _reach(self, obj: Any) -> None:
        """Code can get hold of `obj`, and so read its attributes."""
        if id(obj) in self._reachable or is_importable(obj):
            return
        self._reachable.add(id(obj))
        # `lru_cache` makes this one, and makes it again at the worker.
        values = [value for name, value in vars(obj).items() if name != "cache_parameters"]
        self._watch(vars(obj), values)

    def _watch(self, mapping: Mapping[str, Any], values: Iterable[Any]) -> None:
        self.mappings.append((mapping, (*mapping, *mapping.values())))
        self._found.extend(values)

    def _visit_function(self, function: types.FunctionType) -> None:
        if is_importable(function):
            return
        parts = (function.__code__, function.__defaults__, function.__kwdefaults__)
        if function is self._root:
            self.root_parts = parts
        else:
            self.functions.append((function, parts))
        if function.__defaults__:
            self._found.append(function.__defaults__)
        if function.__kwdefaults__:
            self._watch(function.__kwdefaults__, function.__kwdefaults__.values())
        self._visit_variables(function)

    def _visit_variables(self, function: types.FunctionType) -> None:
        facts = facts_about(function.__code__)
        self._writes_variables |= facts.may_write_variables
        self._writes_attributes |= facts.stores_attributes
        values = []
        names = function.__globals__
        if type(names) is not dict:
            # Its own look-up may find anything.
            raise _Unsettled
        for name in facts.names:
            value = names.get(name, MISSING)
            self.names.append((names, name, value))
            if value is not MISSING:
                values.append(value)
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                value = cell.cell_contents
            except ValueError:
                # It may be filled before the next submit, so it has to be looked at.
                raise _Unsettled from None
            self.cells.append((cell, value))
            if (names.get("__name__"), name) not in _PRIVATE_STATE:
                values.append(value)
        self._found.extend(values)
        self.submodules |= missing_submodules(values, facts.attributes)

    def _visit_class(self, cls: type) -> None:
        if not is_python_class(cls) or is_importable(cls):
            return
        self._has_classes = True
        if isinstance(cls, abc.ABCMeta):
            self.registered = abc.get_cache_token()
        attributes = vars(cls)
        self._found.extend((*cls.__bases__, type(cls)))
        self._watch(
            attributes,
            [value for name, value in attributes.items() if name not in _MADE_IN_CLASSES],
        )

    def _visit_cached(self, function: Any) -> None:
        if not is_importable(function):
            self._found.append(function.__wrapped__)

    def _visit_partial(self, partial: functools.partial[Any]) -> None:
        self._found.extend((partial.func, partial.args))
        self._watch(partial.keywords, partial.keywords.values())

    def _visit_builtin(self, function: types.BuiltinFunctionType) -> None:
        owner = function.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            return
        if home_of_method(function) is None:
            self._found.append(owner)

    def _visit_bound(self, wrapper: types.MethodWrapperType) -> None:
        self._found.append(wrapper.__self__)

    def _visit_method(self, method: types.MethodType) -> None:
        if home_of_method(method) is None:
            self._found.extend((method.__func__, method.__self__))

    def _visit_items(self, items: Iterable[Any]) -> None:
        self._found.extend(items)

    def _visit_wrapped(self, descriptor: Any) -> None:
        if not is_importable(descriptor):
            self._found.append(descriptor.__func__)

    def _visit_property(self, descriptor: property) -> None:
        self._found.extend((descriptor.fget, descriptor.fset, descriptor.fdel))

    def _visit_cached_property(self, descriptor: functools.cached_property[Any]) -> None:
        self._found.append(descriptor.func)

    def _visit_module(self, module: types.ModuleType) -> None:
        if not is_importable_module(module):
            raise _Unsettled


_VISITORS: dict[type, Callable[[Survey, Any], None]] = {
    LRU_CACHE: Survey._visit_cached,
    classmethod: Survey._visit_wrapped,
    frozenset: Survey._visit_items,
    functools.cached_property: Survey._visit_cached_property,
    functools.partial: Survey._visit_partial,
    property: Survey._visit_property,
    staticmethod: Survey._visit_wrapped,
    tuple: Survey._visit_items,
    types.BuiltinFunctionType: Survey._visit_builtin,
    types.FunctionType: Survey._visit_function,
    types.MethodType: Survey._visit_method,
    types.MethodWrapperType: Survey._visit_bound,
    types.ModuleType: Survey._visit_module,
}


def missing_submodules(values: Iterable[Any], attributes: frozenset[str]) -> set[str]:
    """Submodules that are not loaded, and that the code would find if they were."""
    packages = [value for value in values if is_package(value)]
    packages += [sys.modules[name] for name in used_submodules(packages, attributes)]
    return {
        f"{package.__name__}.{name}"
        for package in packages
        if is_package(package)
        for name in attributes.difference(vars(package))
    }


def _is_immutable(kind: type) -> bool:
    return kind in _DESCRIPTORS or kind.__qualname__ in _IMMUTABLE.get(str(kind.__module__), ())


def _travels_by_name(obj: Any) -> bool:
    """Whether pickles hold no more of `obj` than where to import it from."""
    if not (callable(obj) and is_importable(obj)):
        return False
    reducer = copyreg.dispatch_table.get(type(obj))
    try:
        reduced = reducer(obj) if reducer else obj.__reduce_ex__(4)
    except Exception:
        return False
    return isinstance(reduced, str)
