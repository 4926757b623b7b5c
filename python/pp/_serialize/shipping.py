"""Modules of the user's own project, as nodes get them: by their source.

What is installed is a node's own business. What is not, the working directory and below, a
node cannot have, so it travels with each function: the modules that are loaded, and those
that their code may still import.
"""

from __future__ import annotations

import ast
import os
import pickle
import sys
import sysconfig
import types
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pp._logging import logger

# A module with a longer source is data, and a project with more is no project.
_LONGEST = 4 * 2**20
_MOST = 64 * 2**20

# Directories that hold what was installed.
_INSTALLED = frozenset({"site-packages", "dist-packages"})

# The source of this project: 1.17 MB become 0.32 in 12 ms; the most that is had is 0.28, in 76.
_COMPRESSION = 3

# Never the client's: the script itself, and this package.
_NEVER = frozenset({"__main__", "__mp_main__", "pp"})


class Module(NamedTuple):
    """A module as it travels.

    Attributes:
        name: its full name.
        is_package: whether it may have submodules.
        file: where the client has it, for tracebacks.
        source: its text.
    """

    name: str
    is_package: bool
    file: str
    source: str


class _Read(NamedTuple):
    """A file that was read, and what it may import."""

    stamp: tuple[int, int]
    source: str
    imports: tuple[str, ...]


class Shipper:
    """Finds the modules that are to travel.

    Args:
        root: the directory of the project.
        names: modules and packages that are to travel wherever they are; of packages,
            all that is in them. Those that have no source here are warned of.
    """

    def __init__(self, root: str, names: Iterable[str] = ()) -> None:
        self._root = os.path.join(os.path.realpath(root), "")
        self._names = tuple(names)
        self._read: dict[str, _Read] = {}
        self._packed: tuple[tuple[Module, ...], bytes] = ((), b"")
        self._complained = False
        paths = sysconfig.get_paths()
        self._foreign = tuple(
            os.path.join(os.path.realpath(paths[key]), "")
            for key in ("stdlib", "platstdlib", "purelib", "platlib")
        )
        for name in self._names:
            is_split = hasattr(sys.modules.get(name), "__path__")
            if self._find(name) is None and not is_split:
                # It may come to be found: `sys.path` may change.
                logger.warning(
                    "ship: no module %r is found here as yet whose source in Python could travel",
                    name,
                )

    def packed(self) -> bytes:
        """The same modules as they travel, for `pp._serialize.shipped.install`; empty if there
        are none. It is the same object while they are the same.
        """
        modules = self.modules()
        known, packed = self._packed
        if modules != known:
            plain = pickle.dumps([*map(tuple, modules)], pickle.HIGHEST_PROTOCOL)
            packed = zlib.compress(plain, _COMPRESSION) if modules else b""
            # In one step: any thread may come for it.
            self._packed = modules, packed
        return packed

    def modules(self) -> tuple[Module, ...]:
        """The modules that are to travel at the moment, by name."""
        found: dict[str, Module] = {}
        waiting = list(self._loaded())
        waiting += [name for name in self._named() if name not in waiting]
        seen = set(waiting)
        size = 0
        while waiting:
            name = waiting.pop()
            module, imports = self._take(name)
            if module is None:
                continue
            size += len(module.source)
            if size > _MOST:
                self._complain()
                break
            found[name] = module
            for other in (*_parents(name), *imports):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return tuple(found[name] for name in sorted(found))

    def _loaded(self) -> Iterator[str]:
        """The modules of the project that are loaded."""
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in _NEVER:
                continue
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.endswith(".py") and self._is_own(file):
                yield name

    def _named(self) -> Iterator[str]:
        """All that is in what the user has named."""
        for name in self._names:
            yield name
            place = self._find(name)
            if place is None or not place[1]:
                continue
            top = os.path.dirname(place[0])
            for directory, _, files in os.walk(top):
                inner = os.path.relpath(directory, top).split(os.sep)
                package = [name, *(part for part in inner if part != os.curdir)]
                if not all(part.isidentifier() for part in package[1:]):
                    continue
                for file in files:
                    stem, dot, ending = file.rpartition(".")
                    if dot and ending == "py" and stem.isidentifier():
                        yield ".".join(package if stem == "__init__" else [*package, stem])

    def _is_own(self, file: str) -> bool:
        real = os.path.realpath(file)
        return (
            real.startswith(self._root)
            and not real.startswith(self._foreign)
            and _INSTALLED.isdisjoint(real.split(os.sep))
        )

    def _take(self, name: str) -> tuple[Module | None, tuple[str, ...]]:
        place = self._find(name)
        if place is None:
            return None, ()
        file, is_package = place
        read = self._read_file(file, name, is_package)
        if read is None:
            return None, ()
        return Module(name, is_package, file, read.source), read.imports

    def _find(self, name: str) -> tuple[str, bool] | None:
        """The file of a module that is to travel, and whether it is a package."""
        if name.partition(".")[0] in _NEVER:
            return None
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py"):
            is_meant = self._is_own(file) or self._is_named(name)
            return (file, hasattr(module, "__path__")) if is_meant else None
        if module is not None:
            return None
        return self._search(name)

    def _is_named(self, name: str) -> bool:
        return any(name == own or name.startswith(own + ".") for own in self._names)

    def _search(self, name: str) -> tuple[str, bool] | None:
        """The file of a module that is not loaded. Nothing is imported for it."""
        parts = name.split(".")
        entries: list[object] = [*sys.path]
        for entry in entries:
            if not isinstance(entry, str):
                continue
            base = os.path.join(entry or os.getcwd(), *parts)
            for file, is_package in (
                (os.path.join(base, "__init__.py"), True),
                (base + ".py", False),
            ):
                if os.path.isfile(file) and (self._is_own(file) or self._is_named(name)):
                    return file, is_package
        return None

    def _read_file(self, file: str, name: str, is_package: bool) -> _Read | None:
        try:
            status = os.stat(file)
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._read.get(file)
            if known is not None and known.stamp == stamp:
                return known
            if status.st_size > _LONGEST:
                return None
            with open(file, "rb") as stream:
                data = stream.read()
            tree = ast.parse(data, file)
            source = _decoded(data)
        except (OSError, SyntaxError, ValueError):
            # What cannot be read cannot be imported, here or there.
            return None
        package = name if is_package else name.rpartition(".")[0]
        read = _Read(stamp, source, tuple(_imports(tree, package)))
        self._read[file] = read
        return read

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            logger.warning(
                "the modules below %s are too many to travel to nodes; some jobs may not find "
                "theirs. Run the program in a directory of its own, or install the modules",
                self._root,
            )


def names_of(ship: Iterable[object]) -> tuple[str, ...]:
    """`ship=` as names.

    Raises:
        TypeError, ValueError: an entry is no module and no name of one.
    """
    if isinstance(ship, str | types.ModuleType):
        raise TypeError(f"ship must be a list of modules or their names, not {ship!r:.100}")
    names = []
    for entry in ship:
        name = entry.__name__ if isinstance(entry, types.ModuleType) else entry
        if not isinstance(name, str):
            raise TypeError(f"ship must hold modules or their names, not {entry!r:.100}")
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"ship: {name!r} is no name of a module")
        names.append(name)
    return tuple(names)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """The names of modules that the code may import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            if base:
                yield base
                for alias in node.names:
                    yield f"{base}.{alias.name}"


def _decoded(data: bytes) -> str:
    import io  # noqa: PLC0415 - only who has nodes needs it
    import tokenize  # noqa: PLC0415

    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return io.TextIOWrapper(io.BytesIO(data), encoding, newline=None).read()
