"""Makes classes again that were sent by value, and keeps them the same classes.

A class has an identity that travels with it. Where a class of that identity is alive,
what arrives is that class: an instance that comes back to the client is an instance of
the client's own class, and all that a worker loads agrees on what a class is.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import types
import weakref
from collections.abc import Iterable
from typing import Any

from pp._forks import in_child

_lock = threading.RLock()


def _enter_child() -> None:
    """In a forked child: a thread that is not there may have held it."""
    global _lock
    _lock = threading.RLock()


in_child(_enter_child)
# Classes by identity, while they live.
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()


class _Record:
    """What is known about one class.

    Attributes:
        reference: the class; weak.
        identity: what it is called in all processes.
        frame: the names that it had when it was made here and empty; None if it was
            defined here.
        empty: whether it was made here and has not been filled yet.
    """

    __slots__ = ("empty", "frame", "identity", "reference")

    def __init__(self, cls: type, identity: str, frame: frozenset[str] | None) -> None:
        key = id(cls)
        self.reference = weakref.ref(cls, lambda _: _records.pop(key, None))
        self.identity = identity
        self.frame = frame
        self.empty = frame is not None


# By `id`, since a metaclass may make its classes unhashable or equal to others.
_records: dict[int, _Record] = {}


def identity_of(cls: type) -> str:
    """The identity of a class, given to it when first asked for."""
    with _lock:
        record = _record_of(cls)
        if record is None:
            record = _Record(cls, os.urandom(16).hex(), frame=None)
            _records[id(cls)] = record
            _classes[record.identity] = cls
        return record.identity


def _record_of(cls: type) -> _Record | None:
    record = _records.get(id(cls))
    return record if record is not None and record.reference() is cls else None


def _adopt(cls: type, identity: str) -> type:
    """Makes a new, empty class the one of this identity, unless there is one."""
    with _lock:
        known = _classes.get(identity)
        if known is not None:
            return known
        _records[id(cls)] = _Record(cls, identity, frozenset(vars(cls)))
        _classes[identity] = cls
        return cls


def make_class(
    identity: str, metaclass: type, name: str, bases: tuple[Any, ...], body: dict[str, Any]
) -> type:
    """The class of this identity, or a new one without its attributes."""
    known = _classes.get(identity)
    if known is not None:
        return known
    made = types.new_class(name, bases, {"metaclass": metaclass}, lambda space: space.update(body))
    return _adopt(made, identity)


def make_enum(
    identity: str,
    metaclass: Any,
    name: str,
    bases: tuple[type, ...],
    body: dict[str, Any],
    members: dict[str, Any],
    options: dict[str, Any],
) -> type:
    """The enumeration of this identity, or a new one with members only."""
    known = _classes.get(identity)
    if known is not None:
        return known
    space = metaclass.__prepare__(name, bases)
    for key, value in (*body.items(), *members.items()):
        space[key] = value
    return _adopt(metaclass.__new__(metaclass, name, bases, space, **options), identity)


def fill_new_class(cls: type, state: dict[str, Any]) -> None:
    """Gives a class its attributes if it was just made, for what comes to the client.

    The client's own classes stay as they are, whatever a job did to its copy.
    """
    with _lock:
        record = _record_of(cls)
        if record is not None and record.empty:
            record.empty = False
            _fill(cls, state)


def renew_class(cls: type, state: dict[str, Any]) -> None:
    """Gives a class exactly these attributes, for what comes to a worker.

    So a job sees the class as it was when the job was submitted, without what jobs
    before it have changed. Classes that were defined in this process stay as they are.
    """
    with _lock:
        record = _record_of(cls)
        if record is None or record.frame is None:
            return
        if not record.empty:
            for name in set(vars(cls)).difference(record.frame, state["attributes"]):
                _delete(cls, name)
        record.empty = False
        _fill(cls, state)


def _delete(cls: type, name: str) -> None:
    # Some are caches that the interpreter or a metaclass keeps there.
    with contextlib.suppress(AttributeError, TypeError):
        delattr(cls, name)


def _fill(cls: type, state: dict[str, Any]) -> None:
    attributes = state["attributes"]
    recipe = state.get("generated")
    if recipe is not None and recipe["python"] != sys.version_info[:2]:
        from pp._serialize.generated import generate_again  # noqa: PLC0415 - rare

        attributes = generate_again(cls, attributes, recipe)
    for name, value in attributes.items():
        setattr(cls, name, value)
    if "__firstlineno__" in attributes and sys.version_info >= (3, 13):
        # Setting `__module__` and the like has removed it.
        setattr(cls, "__firstlineno__", attributes["__firstlineno__"])  # noqa: B010
    for name, values in state.get("members", {}).items():
        vars(getattr(cls, name)).update(values)
    _register(cls, state.get("registered", ()))


def _register(cls: Any, subclasses: Iterable[type]) -> None:
    for subclass in subclasses:
        cls.register(subclass)
