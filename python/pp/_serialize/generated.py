"""Methods that `dataclasses` generates, of which no other version of Python has the text.

Where the class arrives they are generated again, on a twin of it: a bare class with the same
fields and options. That this gives the same methods is tried where the class is sent from.
"""

from __future__ import annotations

import sys
import types
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary

from pp._serialize.fingerprints import fingerprint
from pp._serialize.sources import is_generated

_OPTIONS = (
    "init",
    "repr",
    "eq",
    "order",
    "unsafe_hash",
    "frozen",
    "match_args",
    "kw_only",
    "slots",
    "weakref_slot",
)

# By class: the code of its methods, found to be what its twin has.
_tried: WeakKeyDictionary[type, dict[str, types.CodeType]] = WeakKeyDictionary()


def recipe_of(cls: type) -> dict[str, Any] | None:
    """How to generate the methods of a class again; None if it has none of that kind.

    "names" are those of the methods, "python" is the version that has generated them,
    "options" are the parameters of the decorator, None if it would not give the same.
    """
    if "__dataclass_params__" not in vars(cls):
        return None
    methods = {name: value for name, value in vars(cls).items() if _is_generated(value)}
    if not methods:
        return None
    init = methods.get("__init__")
    recipe: dict[str, Any] = {
        "python": sys.version_info[:2],
        "names": tuple(methods),
        "post_init": init is not None and "__post_init__" in init.__code__.co_names,
    }
    for options in _possible_options(cls):
        recipe["options"] = options
        if _gives_the_same(cls, methods, recipe):
            return recipe
    recipe["options"] = None
    return recipe


def generate_again(cls: type, attributes: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a class that has come from another version of Python.

    Raises:
        SerializationError: this version cannot generate them.
    """
    from pp._serialize.recompile import unusable  # noqa: PLC0415 - it asks for this one

    what = f"class {cls.__qualname__!r} of module {cls.__module__!r}"
    if recipe["options"] is None:
        why = f"dataclass() would not generate its {', '.join(recipe['names'])} as they are"
        raise unusable(recipe["python"], what, why)
    try:
        twin = _twin_of(cls, attributes["__dataclass_fields__"], recipe)
        made = {name: vars(twin)[name] for name in recipe["names"]}
    except Exception as error:
        why = f"dataclass() does not generate its methods there: {error!r}"
        raise unusable(recipe["python"], what, why) from error
    for name, method in made.items():
        _adopt(method, attributes[name], cls)
    made["__dataclass_params__"] = vars(twin)["__dataclass_params__"]
    if "__replace__" in vars(twin):
        # Older versions than 3.13 have not sent it.
        made["__replace__"] = attributes.get("__replace__", vars(twin)["__replace__"])
    return {**attributes, **made}


def _is_generated(value: object) -> TypeGuard[types.FunctionType]:
    return isinstance(value, types.FunctionType) and is_generated(_inner(value).__code__)


def _inner(method: Any) -> types.FunctionType:
    """The function itself: `__repr__` is wrapped."""
    while isinstance(getattr(method, "__wrapped__", None), types.FunctionType):
        method = method.__wrapped__
    function: types.FunctionType = method
    return function


def _possible_options(cls: type) -> list[dict[str, bool]]:
    params = vars(cls)["__dataclass_params__"]
    known = {name: getattr(params, name) for name in _OPTIONS if hasattr(params, name)}
    if "slots" in known:
        return [known]
    # Python 3.11 does not keep it. The class without slots, of which one with slots has been
    # made, is still there: methods of frozen ones refer to it.
    has_slots = "__slots__" in vars(cls)
    return [{**known, "slots": has_slots}, {**known, "slots": not has_slots}]


def _twin_of(cls: type, fields: dict[str, Any], recipe: dict[str, Any]) -> type:
    """A class with the fields of this one and of all its bases, and with its options."""
    import dataclasses  # noqa: PLC0415 - it takes long to import

    annotations: dict[str, Any] = {}
    space: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": cls.__qualname__,
        "__annotations__": annotations,
    }
    for name, field in fields.items():
        kind = field._field_type.name
        if kind == "_FIELD_CLASSVAR":
            continue
        annotations[name] = dataclasses.InitVar[object] if kind == "_FIELD_INITVAR" else object
        given = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
        space[name] = dataclasses.field(**{each: getattr(field, each) for each in given})
    if recipe["post_init"]:
        space["__post_init__"] = None
    bare = type(cls.__name__, (), space)
    return dataclasses.dataclass(**recipe["options"])(bare)


def _gives_the_same(
    cls: type, methods: dict[str, types.FunctionType], recipe: dict[str, Any]
) -> bool:
    codes = {name: _inner(method).__code__ for name, method in methods.items()}
    try:
        if _tried.get(cls) == codes:
            return True
        twin = _twin_of(cls, vars(cls)["__dataclass_fields__"], recipe)
        for name, method in methods.items():
            if not _is_same(_inner(method), _inner(vars(twin)[name])):
                return False
        _tried[cls] = codes
    except Exception:
        # Who has changed the fields, or made the class unhashable, is told that it cannot be.
        return False
    return True


def _is_same(method: types.FunctionType, other: types.FunctionType) -> bool:
    if fingerprint(method.__code__) != fingerprint(other.__code__):
        return False
    pairs = [
        *zip(method.__defaults__ or (), other.__defaults__ or (), strict=True),
        *_pairs(method.__kwdefaults__ or {}, other.__kwdefaults__ or {}),
        *_pairs(_variables(method), _variables(other)),
    ]
    return all(mine is its for mine, its in pairs)


def _pairs(mine: dict[str, Any], its: dict[str, Any]) -> list[tuple[Any, Any]]:
    assert mine.keys() == its.keys()
    return [(mine[key], its[key]) for key in mine]


def _variables(function: types.FunctionType) -> dict[str, Any]:
    """The variables of functions around it; the class itself is another for each."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells if name != "cls"}


def _adopt(method: Any, sent: Any, cls: type) -> None:
    """Makes a method of the twin one of the class, as the other side has sent it."""
    for function in (method, _inner(method)):
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            if name == "cls":
                cell.cell_contents = cls
    for name in ("__module__", "__qualname__", "__annotations__"):
        setattr(method, name, getattr(sent, name))
