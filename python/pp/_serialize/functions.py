"""Callables as bytes, made once as long as they stay the same."""

from __future__ import annotations

import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pp._serialize.bundle import Bundle, findings
from pp._serialize.guards import Guards, survey
from pp._serialize.imports import import_statements

if TYPE_CHECKING:
    from pp._serialize.shipping import Shipper

__all__ = ["FunctionPacker", "PackedFunction"]

# How much the cache keeps. More than most programs have functions.
_MOST_FUNCTIONS = 256
_MOST_BYTES = 64 * 2**20
_MOST_UNSETTLED_BYTES = 2**20


class PackedFunction:
    """A callable as a worker gets it.

    Attributes:
        blob: the bytes, for `pp._serialize.load.load_function`.
        handle: for the caller, to keep what belongs to these bytes; None at first.
        guards: while they hold, and `path` is what `sys.path` has, packing the same
            again would give the same; None if that cannot be told.
        mapped: as `handle`, for these bytes as a function of many items.
        forms: the same for other forms, by what is changed in them.
        path: the entries of `sys.path`.
    """

    __slots__ = ("__weakref__", "blob", "forms", "guards", "handle", "mapped", "path")

    def __init__(self, blob: bytes) -> None:
        self.blob = blob
        self.handle: Any = None
        self.mapped: Any = None
        self.forms: dict[tuple[tuple[str, Any], ...], Any] = {}
        self.guards: Guards | None = None
        self.path: list[str] = []

    def __repr__(self) -> str:
        return f"<PackedFunction, {len(self.blob)} bytes>"


def name_of(func: Callable[..., Any]) -> str:
    """What to call it in messages."""
    return str(getattr(func, "__qualname__", None) or type(func).__qualname__)


class _Found:
    """What the `globals` of a submission had to offer."""

    def __init__(self, namespace: dict[str, Any], found: dict[str, Any]) -> None:
        self._namespace = namespace
        self._found = found

    def holds(self) -> bool:
        """Whether it still has the same."""
        found = findings(self._namespace)
        missing = object()
        return len(found) == len(self._found) and all(
            found.get(name, missing) is value for name, value in self._found.items()
        )


class _Entry:
    """What was packed for one callable, and when it is right.

    Args:
        packed: what was packed.
        path: the `sys.path` of then.
        proto: the pickle protocol of then.
        guards: whether the callable is as it was; None if that cannot be told.
        found: whether the `globals` are as they were; None if there are none.
        root: gives the callable; None if `strong` has it.
        strong: what the key names by `id`, kept alive so that it stays unique.
    """

    __slots__ = ("_found", "_guards", "_path", "_proto", "_root", "_strong", "packed", "recent")

    def __init__(
        self,
        packed: PackedFunction,
        path: tuple[str, ...],
        proto: int,
        guards: Guards | None,
        found: _Found | None,
        root: Callable[[], Any] | None,
        strong: tuple[Any, ...],
    ) -> None:
        self.packed = packed
        self.recent = False
        self._path = path
        self._proto = proto
        self._guards = guards
        self._found = found
        self._root = root
        self._strong = strong

    def fits(self, func: Any, path: tuple[str, ...], proto: int) -> bool:
        """Whether packing again would give the same."""
        guards = self._guards
        return (
            guards is not None
            and self._path is path
            and self._proto == proto
            and (self._root is None or self._root() is func)
            and guards.hold(func)
            and (self._found is None or self._found.holds())
        )


class FunctionPacker:
    """Serializes callables for one server. Any number of threads may use it.

    Args:
        shipper: finds the modules that nodes get along with functions; None where there
            are no nodes.
    """

    def __init__(self, shipper: Shipper | None = None) -> None:
        self._shipper = shipper
        self._lock = threading.Lock()
        self._entries: dict[Any, _Entry] = {}
        # The bytes of all entries, or more.
        self._size = 0
        # As a list, to compare with, and as a tuple, to send.
        self._path: tuple[list[str], tuple[str, ...]] = ([], ())

    def pack(
        self,
        func: Callable[..., Any],
        depfuncs: tuple[Callable[..., Any], ...] = (),
        modules: tuple[str, ...] = (),
        globals: dict[str, Any] | None = None,
        proto: int = 5,
    ) -> PackedFunction:
        """Serializes a callable with all that it needs, as it is now.

        Args:
            func: the callable.
            depfuncs: functions and classes that it calls by name.
            modules: what workers are to import: names of modules, or import statements.
            globals: where to find more modules, functions and classes that `func` may
                call by name.
            proto: the pickle protocol.

        Returns:
            The same object as before, if nothing has changed since.

        Raises:
            SerializationError: something that is needed cannot be serialized.
            TypeError, ValueError: an argument is not as described.
        """
        key: Any = id(func)
        if type(func) is types.MethodType:
            # It is made anew at each look-up.
            key = (id(func.__func__), id(func.__self__))
        if depfuncs or modules or globals is not None:
            statements = import_statements(modules)
            key = (key, tuple(map(id, depfuncs)), statements, id(globals))
        known, path = self._path
        if sys.path != known:
            known, path = self._look_at_path()
        entry = self._entries.get(key)
        if entry is not None and entry.fits(func, path, proto):
            entry.recent = True
            return entry.packed
        portable = self._shipper is not None
        statements = import_statements(modules)
        bundle = Bundle(func, depfuncs, statements, globals, portable=portable)
        shipped = b"" if self._shipper is None else self._shipper.packed()
        guards, blob = _serialized(func, bundle, path, proto, shipped)
        if entry is not None and entry.packed.blob == blob:
            packed = entry.packed
        else:
            packed = PackedFunction(blob)
        # What `globals` has to offer is not among the guards.
        packed.guards = guards if globals is None else None
        packed.path = known
        found = None if globals is None else _Found(globals, bundle.found)
        self._keep(key, func, (*depfuncs, globals), packed, (path, proto, guards, found))
        return packed

    def _look_at_path(self) -> tuple[list[str], tuple[str, ...]]:
        seen = list(sys.path)
        self._path = (seen, tuple(filter(_is_str, seen)))
        return self._path

    def _keep(
        self,
        key: Any,
        func: Any,
        strong: tuple[Any, ...],
        packed: PackedFunction,
        state: tuple[tuple[str, ...], int, Guards | None, _Found | None],
    ) -> None:
        root: Callable[[], Any] | None = None
        is_method = type(func) is types.MethodType
        if state[2] is None and (is_method or len(packed.blob) > _MOST_UNSETTLED_BYTES):
            # It would keep much alive, and only save to send the same bytes again.
            self._entries.pop(key, None)
            return
        if is_method:
            strong = (*strong, func)
        else:
            entries = self._entries
            try:
                root = weakref.ref(func, lambda _: entries.pop(key, None))
            except TypeError:
                return
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(packed, *state, root, strong)
            self._size += len(packed.blob)
            self._evict(key)

    def _evict(self, newest: Any) -> None:
        """Drops what was not used since it was last looked at here, oldest first."""
        entries = self._entries
        if len(entries) <= _MOST_FUNCTIONS and self._size <= _MOST_BYTES:
            return
        # Entries go by themselves with their functions, so it has to be counted anew.
        size = sum(len(entry.packed.blob) for entry in list(entries.values()))
        waiting = deque(key for key in list(entries) if key != newest)
        while waiting and (len(entries) > _MOST_FUNCTIONS or size > _MOST_BYTES):
            key = waiting.popleft()
            entry = entries.pop(key, None)
            if entry is None:
                # Its function is gone.
                continue
            if entry.recent:
                entry.recent = False
                entries[key] = entry
                waiting.append(key)
            else:
                size -= len(entry.packed.blob)
        self._size = size


def _serialized(
    func: Any, bundle: Bundle, path: tuple[str, ...], proto: int, modules: bytes
) -> tuple[Guards | None, bytes]:
    guards = survey(func, bundle.others())
    reusable = guards is not None and guards.pure
    blob = bundle.serialize(path, proto, reusable, modules)
    if guards is not None and not guards.hold(func):
        # Another thread has changed something meanwhile, so the two may not agree.
        guards = None
        blob = bundle.serialize(path, proto, False, modules)
    return guards, blob


def _is_str(entry: object) -> bool:
    return isinstance(entry, str)
