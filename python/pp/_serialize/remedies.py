"""What to do about things that cannot be serialized."""

from __future__ import annotations

import types
from typing import Any

_OPEN_INSIDE = "Open it inside the job instead, from what names it"
_MAKE_INSIDE = "Make it inside the job instead"
_SEND = "Send"
_DRAIN = f"{_SEND} list(...) of it instead"
_ARGUMENTS_ONLY = "Only the arguments of jobs of its own server may hold it"

# By the full name of a class, or by the name of its module.
_REMEDIES = {
    "_asyncio": "Jobs run in other processes: await it here, and send what it gives",
    "_ctypes": "Addresses mean nothing in another process: send the data itself, as bytes",
    "_io": _OPEN_INSIDE,
    "_multiprocessing": _MAKE_INSIDE,
    "_socket": _OPEN_INSIDE,
    "_sqlite3": _OPEN_INSIDE,
    "_ssl": _MAKE_INSIDE,
    "_thread": "Locks work within one process: leave it out, or make one inside the job",
    "_tkinter": "Windows belong to the process that made them: send the data that they show",
    "_weakref": "Send the object itself instead of a weak reference to it",
    "builtins.async_generator": _DRAIN.replace("list(...)", "a list"),
    "builtins.coroutine": "Run it to its end, as asyncio.run() does, and send what it gives",
    "builtins.frame": "Send what you need of it, such as its line number",
    "builtins.generator": _DRAIN,
    "builtins.traceback": "Send its text instead, as traceback.format_tb() gives it",
    "builtins.weakref": "Send the object itself instead of a weak reference to it",
    "concurrent.futures": "Send its result() instead",
    "pp.Job": _ARGUMENTS_ONLY,
    "pp.Ref": _ARGUMENTS_ONLY,
    "pp": "A job that needs a Server makes one by itself",
    "queue": _MAKE_INSIDE,
    "selectors": _MAKE_INSIDE,
    "socket": _OPEN_INSIDE,
    "sqlite3": _OPEN_INSIDE,
    "ssl": _MAKE_INSIDE,
    "subprocess": "Start the program inside the job instead",
    "threading": "Threads and what they share stay in one process: make them inside the job",
}

_OF_ITERATORS = "Send the data that it runs over instead"
_OF_MODULES = "Import it inside the job instead, or list it in `modules`"


def remedy_for(value: Any, *, returned: bool) -> str:
    """What to do instead of sending or returning `value`: a sentence, without its stop."""
    remedy = _remedy_for(value)
    if not returned:
        return remedy
    if remedy.startswith(_SEND):
        return "Return" + remedy.removeprefix(_SEND)
    return "Return the data that is needed of it instead"


def _remedy_for(value: Any) -> str:
    cls = type(value)
    if isinstance(value, types.ModuleType):
        return _OF_MODULES
    module = str(cls.__module__)
    for key in (f"{module}.{cls.__qualname__}", module, module.partition(".")[0]):
        if key in _REMEDIES:
            return _REMEDIES[key]
    if cls.__qualname__.endswith("iterator"):
        return _OF_ITERATORS
    if module == "builtins":
        return _MAKE_INSIDE
    return (
        f"{_MAKE_INSIDE}, or let its class say how it is pickled "
        f"(__getstate__ or __reduce__ of {cls.__qualname__!r})"
    )
