"""The parts of objects that the pickler pickles, and where they sit."""

from __future__ import annotations

import copyreg
import functools
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pp._serialize.pickler import LRU_CACHE, cell_contents, function_state, reducer_of
from pp._serialize.references import is_importable, is_importable_module


class Place(NamedTuple):
    """Where an object sits.

    Attributes:
        within: what to pass through to get there, in words.
        variable: what holds the object, in words; empty if the expression says it all.
        expression: how Python would reach it, from the last variable.
    """

    within: tuple[str, ...]
    variable: str
    expression: str

    def item(self, accessor: str) -> Place:
        """The place that `accessor`, such as "[0]" or ".name", leads to from here."""
        within = (*self.within, self.variable) if self.variable else self.within
        return Place(within, "", self.expression + accessor)

    def inside(self, variable: str, expression: str) -> Place:
        """The place of a variable of what sits here."""
        here = self.variable or self.expression
        return Place((*self.within, here) if here else self.within, variable, expression)

    def part(self, words: str, expression: str) -> Place:
        """The place of what no expression leads to, such as a key of what sits here."""
        if not self.expression:
            return self.inside(words, expression)
        within = (*self.within, self.variable) if self.variable else self.within
        return Place(within, f"{words} of {shortened(self.expression)}", expression)

    def __str__(self) -> str:
        words = [f"in {shortened(step)}, " for step in self.within]
        if self.variable:
            words.append(f"{self.variable} is")
        else:
            words.append(f"at {shortened(self.expression)} there is")
        return "".join(words)


Parts = Iterator[tuple[object, Place]]


def parts_of(value: Any, place: Place) -> Parts:
    """What the pickler would pickle of `value`, which sits at `place`."""
    find = _PARTS.get(type(value))
    if find is None:
        find = _parts_of_class if isinstance(value, type) else _parts_of_object
    return find(value, place)


def _parts_of_dict(value: dict[Any, Any], place: Place) -> Parts:
    for key, item in value.items():
        yield item, place.item(f"[{readable(key, 40)}]")
        yield key, place.part("a key", "key")


def _parts_of_sequence(value: Any, place: Place) -> Parts:
    for index, item in enumerate(value):
        yield item, place.item(f"[{index}]")


def _parts_of_set(value: Any, place: Place) -> Parts:
    for item in value:
        yield item, place.part("an element", "element")


def _parts_of_function(function: types.FunctionType, place: Place) -> Parts:
    if is_importable(function):
        return
    of = f"of function {function.__qualname__!r}"
    for kind, name, item in _variables_of(function):
        yield item, place.inside(f"{kind} {name!r} {of}", name)


def _variables_of(function: types.FunctionType) -> Iterator[tuple[str, str, object]]:
    code = function.__code__
    state = function_state(function)
    for name, item in state["globals"].items():
        yield "global", name, item
    for index, item in cell_contents(function).items():
        yield "closure variable", code.co_freevars[index], item
    defaults = function.__defaults__ or ()
    positional = code.co_varnames[: code.co_argcount]
    for name, item in zip(reversed(positional), reversed(defaults), strict=False):
        yield "default argument", name, item
    for name, item in (function.__kwdefaults__ or {}).items():
        yield "default argument", name, item
    for name, item in vars(function).items():
        yield "attribute", name, item
    for name, item in state.get("__annotations__", {}).items():
        yield "annotation", name, item


def _parts_of_class(cls: type, place: Place) -> Parts:
    if is_importable(cls):
        return
    of = f"of class {cls.__qualname__!r}"
    for base in cls.__bases__:
        yield base, place.inside(f"base {base.__qualname__!r} {of}", base.__qualname__)
    if type(cls) is not type:
        yield type(cls), place.inside(f"the metaclass {of}", "metaclass")
    for name, item in list(vars(cls).items()):
        if name not in {"__dict__", "__weakref__", "_abc_impl"}:
            yield item, place.inside(f"attribute {name!r} {of}", f"{cls.__name__}.{name}")


def _parts_of_module(module: types.ModuleType, place: Place) -> Parts:
    if not is_importable_module(module):
        for name, item in list(vars(module).items()):
            yield item, place.inside(f"{name!r} of module {module.__name__!r}", name)


def _parts_of_method(method: types.MethodType, place: Place) -> Parts:
    owner = method.__self__
    if isinstance(owner, type):
        words = f"class {owner.__qualname__!r}"
    else:
        words = f"the {type(owner).__qualname__!r} object that the method is bound to"
    yield owner, place.inside(words, "self")
    yield method.__func__, place


def _parts_of_partial(partial: functools.partial[Any], place: Place) -> Parts:
    yield partial.func, place.inside("the function of the partial", "func")
    for index, item in enumerate(partial.args):
        yield item, place.inside(f"args[{index}] of the partial", f"args[{index}]")
    for name, item in partial.keywords.items():
        yield item, place.inside(f"keyword {name!r} of the partial", name)


def _parts_of_wrapped(descriptor: Any, place: Place) -> Parts:
    yield descriptor.__wrapped__, place


def _parts_of_property(descriptor: property, place: Place) -> Parts:
    for accessor in (descriptor.fget, descriptor.fset, descriptor.fdel):
        yield accessor, place


def _parts_of_object(value: Any, place: Place) -> Parts:
    """The parts of anything else, as it takes itself apart for the pickler."""
    reduced = _reduced(value)
    if not isinstance(reduced, tuple):
        return
    whole = place if place.expression else Place(place.within, place.variable, "self")
    arguments, state, items, pairs = [*reduced[1:5], None, None, None][:4]
    yield from _parts_of_state(state, whole)
    for argument in arguments or ():
        # Nearly always these are the class and what its constructor takes.
        if isinstance(argument, type):
            yield argument, whole.inside(f"class {argument.__qualname__!r}", argument.__name__)
        else:
            yield argument, whole.part("a part", "part")
    for index, item in enumerate(items or ()):
        yield item, whole.item(f"[{index}]")
    for key, item in pairs or ():
        yield item, whole.item(f"[{readable(key, 40)}]")


def _reduced(value: Any) -> Any:
    try:
        reducer = reducer_of(type(value)) or copyreg.dispatch_table.get(type(value))
        reduced = NotImplemented if reducer is None else reducer(value)
        return value.__reduce_ex__(4) if reduced is NotImplemented else reduced
    except Exception:
        # So it has no parts: it is what fails by itself.
        return None


def _parts_of_state(state: Any, whole: Place) -> Parts:
    # With slots it is a pair of dictionaries.
    pieces = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    for piece in pieces:
        if isinstance(piece, dict) and all(type(name) is str for name in piece):
            for name, item in piece.items():
                yield item, whole.item(f".{name}")
        elif piece is not None:
            yield piece, whole.part("the state", "state")


_PARTS: dict[type, Callable[[Any, Place], Parts]] = {
    LRU_CACHE: _parts_of_wrapped,
    classmethod: _parts_of_wrapped,
    deque: _parts_of_sequence,
    dict: _parts_of_dict,
    frozenset: _parts_of_set,
    functools.partial: _parts_of_partial,
    list: _parts_of_sequence,
    property: _parts_of_property,
    set: _parts_of_set,
    staticmethod: _parts_of_wrapped,
    tuple: _parts_of_sequence,
    types.FunctionType: _parts_of_function,
    types.MethodType: _parts_of_method,
    types.ModuleType: _parts_of_module,
}


def readable(value: object, limit: int = 100) -> str:
    """`repr(value)`, whatever happens in it, of at most `limit` characters."""
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return shortened(text, limit)


def shortened(text: str, limit: int = 200) -> str:
    """`text`, of at most `limit` characters, with the middle left out."""
    if len(text) <= limit:
        return text
    half = limit // 2 - 2
    return f"{text[:half]} ... {text[-half:]}"
