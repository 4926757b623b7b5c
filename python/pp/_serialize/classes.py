"""Takes classes apart that no worker can import."""

from __future__ import annotations

import abc
import enum
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from pp._serialize.rebuild_classes import identity_of, make_class, make_enum

# What `EnumType` makes by itself from the members. Some appeared in later versions.
_MADE_BY_ENUM = frozenset(
    {
        "_all_bits_",
        "_boundary_",
        "_flag_mask_",
        "_generate_next_value_",
        "_hashable_values_",
        "_inverted_",
        "_member_map_",
        "_member_names_",
        "_member_type_",
        "_new_member_",
        "_singles_mask_",
        "_unhashable_values_",
        "_unhashable_values_map_",
        "_use_args_",
        "_value2member_map_",
        "__new__",
    }
)

# What `type` and `ABCMeta` make by themselves, and caches in classes.
MADE_BY_TYPE = frozenset(
    {
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__slotnames__",
        "_abc_impl",
    }
)

# These are given when the class is made.
_NOT_SENT = MADE_BY_TYPE | {"__dict__", "__module__"}

# Of the attributes of each member: what `__init__` has not set.
_MADE_BY_MEMBER = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})

Reduced = tuple[Any, ...]


def reduce_class(
    cls: type, fill: Callable[[type, dict[str, Any]], None], *, portable: bool = False
) -> Reduced:
    """A class as what makes it, its attributes, and `fill`, which sets them. If it is to be
    `portable`, also how another version of Python generates methods that have no source.
    """
    if isinstance(cls, enum.EnumMeta):
        make, arguments, state = make_enum, _enum_arguments(cls), _enum_state(cls)
        return make, arguments, state, None, None, fill
    state = _state(cls)
    if portable:
        from pp._serialize.generated import recipe_of  # noqa: PLC0415 - only for nodes

        recipe = recipe_of(cls)
        if recipe is not None:
            state["generated"] = recipe
    return make_class, _class_arguments(cls), state, None, None, fill


def _class_arguments(cls: type) -> Reduced:
    # Generic classes refuse to be made of their plain bases, `NamedTuple` makes its own.
    bases = tuple(
        tuple if base is typing.NamedTuple else base
        for base in vars(cls).get("__orig_bases__", cls.__bases__)
    )
    body: dict[str, Any] = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    slots = _slots(cls)
    if slots is not None:
        body["__slots__"] = slots
    if isinstance(vars(cls).get("__dict__"), property):
        body["__dict__"] = vars(cls)["__dict__"]
    return identity_of(cls), type(cls), cls.__name__, bases, body


def _slots(cls: type) -> tuple[str, ...] | None:
    """The names of the slots of the class itself, from which it can be made again."""
    if "__slots__" not in vars(cls):
        return None
    names = [name for name, value in vars(cls).items() if _is_slot(cls, name, value)]
    return tuple(names)


def _is_slot(cls: type, name: str, value: Any) -> bool:
    if name in {"__dict__", "__weakref__"}:
        return isinstance(value, types.GetSetDescriptorType)
    return isinstance(value, types.MemberDescriptorType) and value.__objclass__ is cls


def _state(cls: type) -> dict[str, Any]:
    attributes = {
        name: value
        for name, value in vars(cls).items()
        if name not in _NOT_SENT and not _is_slot(cls, name, value)
    }
    if sys.version_info >= (3, 14):
        _add_annotations(cls, attributes)
    state: dict[str, Any] = {"attributes": attributes}
    if isinstance(cls, abc.ABCMeta):
        registered = [reference() for reference in _registry(cls)]
        state["registered"] = [subclass for subclass in registered if subclass is not None]
    return state


def _registry(cls: abc.ABCMeta) -> Any:
    dump: Callable[[type], tuple[Any, ...]] = abc._get_dump  # type: ignore[attr-defined]
    return dump(cls)[0]


def _add_annotations(cls: type, attributes: dict[str, Any]) -> None:
    """Evaluates annotations that are kept as code, which refers to the class's scope."""
    if "__annotate_func__" in vars(cls):
        try:
            attributes["__annotations__"] = cls.__annotations__
        except Exception:
            # They mention names that are not defined yet.
            attributes["__annotations__"] = {}


def _enum_arguments(cls: Any) -> Reduced:
    # Aliases are among the members by name; their values tell what they stand for.
    members = {name: member._value_ for name, member in cls.__members__.items()}
    body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    options = {}
    if issubclass(cls, enum.Flag):
        options["boundary"] = cls._boundary_
    return identity_of(cls), type(cls), cls.__name__, cls.__bases__, body, members, options


def _enum_state(cls: Any) -> dict[str, Any]:
    state = _state(cls)
    attributes = state["attributes"]
    for name in _MADE_BY_ENUM.union(cls.__members__).intersection(attributes):
        del attributes[name]
    # What `__init__` of the enumeration has set in its members.
    state["members"] = {
        name: {key: value for key, value in vars(member).items() if key not in _MADE_BY_MEMBER}
        for name, member in cls.__members__.items()
    }
    return state
