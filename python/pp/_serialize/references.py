"""What a worker can import by itself, so that its name is enough."""

from __future__ import annotations

import os
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any

# A script, and the same one as multiprocessing renames it in its children.
_SCRIPTS = frozenset({"__main__", "__mp_main__"})

_HEAP_TYPE = 1 << 9

# Classes that the interpreter knows under no name of their own.
_TYPE_NAMES = {value: name for name, value in vars(types).items() if type(value) is type}

# By name: the module that was judged, and whether workers can import it.
_verdicts: dict[str, tuple[types.ModuleType, bool]] = {}


def type_name(cls: type) -> str | None:
    """The name of `cls` in the module `types`, or None if it has none there."""
    try:
        return _TYPE_NAMES.get(cls)
    except TypeError:
        # The metaclass has made its classes unhashable.
        return None


def is_importable(obj: Any) -> bool:
    """Whether a worker finds this very function or class by importing its module."""
    try:
        name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
        module_name = getattr(obj, "__module__", None)
    except Exception:
        # Proxies run code of their own to answer.
        return False
    if not (isinstance(name, str) and isinstance(module_name, str)):
        return False
    if module_name in _SCRIPTS or "<locals>" in name:
        return False
    module = sys.modules.get(module_name)
    if module is None or find(module, name) is not obj:
        return False
    return travels_by_name(module, module_name)


def find(module: types.ModuleType, qualname: str) -> Any:
    """What `qualname` names in `module`; None if there is nothing."""
    found: Any = module
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except Exception:
            # Modules may have a `__getattr__` that raises what it likes.
            return None
    return found


def home_of_method(method: Any) -> str | None:
    """The module in which a worker finds this very bound method under its name.

    `random.random` and its like are methods of an object that their module keeps. Workers
    have one of their own; a copy of the client's would give all jobs the same numbers.
    """
    owner = method.__self__
    if owner is None or isinstance(owner, (type, types.ModuleType)):
        return None
    module_name = type(owner).__module__
    module = sys.modules.get(module_name)
    if module is None or module_name in _SCRIPTS:
        return None
    if vars(module).get(method.__name__) is not method:
        return None
    return module_name if travels_by_name(module, module_name) else None


def is_python_class(cls: type) -> bool:
    """Whether the class came from a `class` statement, so that it can be taken apart."""
    return bool(cls.__flags__ & _HEAP_TYPE)


def is_importable_module(module: types.ModuleType) -> bool:
    """Whether a worker finds this module by importing its name."""
    name = module.__name__
    if name in _SCRIPTS or sys.modules.get(name) is not module:
        return False
    return travels_by_name(module, name)


def travels_by_name(module: types.ModuleType, name: str) -> bool:
    """Whether a worker can import the module that is loaded here under `name`.

    It cannot if the user has asked cloudpickle to send the module by value, or if no
    importer finds it: some test runners and plug-in systems load files that are not on
    `sys.path`, and modules can be made by hand.
    """
    if _is_registered(name):
        return False
    known = _verdicts.get(name)
    if known is not None and known[0] is module:
        return known[1]
    verdict = _can_be_found(module, name)
    _verdicts[name] = (module, verdict)
    return verdict


def _is_registered(name: str) -> bool:
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return False
    registered: set[str] = cloudpickle.list_registry_pickle_by_value()
    return any(name == entry or name.startswith(entry + ".") for entry in registered)


def _can_be_found(module: types.ModuleType, name: str) -> bool:
    source = _source(module)
    parts = name.split(".")
    path: list[str] | None = None
    for index in range(len(parts)):
        spec = _spec(".".join(parts[: index + 1]), path)
        if spec is None:
            # A package may make submodules while it is imported, but not of files.
            return index > 0 and source is None
        if index == len(parts) - 1:
            return not _is_elsewhere(source, spec.origin)
        if spec.submodule_search_locations is None:
            break
        path = list(spec.submodule_search_locations)
    return source is None


def _spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        try:
            spec = finder.find_spec(name, path)
        except Exception:  # noqa: S112 - a finder that fails has not found it
            continue
        if spec is not None:
            return spec
    return None


def _source(module: types.ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) and file.endswith(".py") else None


def _is_elsewhere(source: str | None, origin: str | None) -> bool:
    """Whether the importers would load another file than the one that is loaded."""
    if source is None or origin is None or source == origin or not origin.endswith(".py"):
        return False
    try:
        return not os.path.samefile(source, origin)  # noqa: PTH121 - pathlib is slow to import
    except OSError:
        return True
