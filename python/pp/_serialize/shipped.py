"""Modules that a client has sent along, imported from their source, at a node.

They travel as a compressed pickle of a list of entries: all functions of a program take them
along.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import linecache
import pickle
import sys
import types
import zlib
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec

# (name, whether it is a package, file name, source), as in `shipping.Module`.
_Entry = tuple[str, bool, str, str]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules among those that were sent."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def update(self, entries: Iterable[_Entry]) -> None:
        """Takes in modules. If one has changed, all are imported anew: they may refer to
        each other.
        """
        sent = {entry[0]: entry for entry in entries}
        if any(self._entries.get(name, entry) != entry for name, entry in sent.items()):
            for name, module in list(sys.modules.items()):
                if isinstance(getattr(module, "__loader__", None), _Loader):
                    del sys.modules[name]
        # Last: the job may be cancelled on the way, and the next one sees the change again.
        self._entries.update(sent)
        importlib.invalidate_caches()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The module of this name, if it was sent."""
        del path, target
        entry = self._entries.get(fullname)
        if entry is None:
            return None
        _, is_package, file, source = entry
        loader = _Loader(file, source)
        spec = importlib.util.spec_from_loader(fullname, loader, is_package=is_package)
        if spec is not None:
            spec.origin = file
            spec.has_location = True
        return spec


class _Loader(importlib.abc.InspectLoader):
    """Loads a module from its source."""

    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._source = source

    def get_source(self, fullname: str) -> str:
        """The source."""
        del fullname
        return self._source

    def get_code(self, fullname: str) -> types.CodeType:
        """The code of the module, with the client's name of the file for tracebacks."""
        del fullname
        lines = self._source.splitlines(keepends=True)
        # Without a time, it is never looked for on a disk.
        linecache.cache[self._file] = (len(self._source), None, lines, self._file)
        code: types.CodeType = compile(self._source, self._file, "exec", dont_inherit=True)
        return code


_finder = _Finder()


def install(packed: bytes) -> None:
    """Makes modules importable that a client has sent. They come before those that are
    installed here: a program means its own.
    """
    _finder.update(pickle.loads(zlib.decompress(packed)))
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
