"""The form in which callables travel: what is in the bytes, and in which order."""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple


class Form(NamedTuple):
    """A serialized callable. It travels as a pickled tuple of plain values.

    Attributes:
        python: the version of Python that wrote it, major and minor.
        path: the client's `sys.path`.
        statements: import statements whose names the callable is to see.
        sources: pairs of file name and text, of code that is on no disk.
        reusable: whether what is loaded once can serve many jobs.
        bundled: whether the payload is a pickled (callable, names, depfuncs,
            namespaces) and not the callable alone: `names` and `depfuncs` are
            dictionaries of what the callable is to see, `namespaces` is the list of the
            global namespaces of all functions in the payload.
        payload: the pickled callable.
        mapped: whether each job calls it with many items: see `pp._map.chunk`.
        keywords: whether each job's arguments are a tuple of them and a dictionary of those
            with names.
        retry_on: pickled, the exceptions after which its jobs may be tried again; empty if there
            are none.
        modules: modules of the client's project, for nodes: see `pp._serialize.shipped`.
            Empty if there are none.
    """

    python: tuple[int, int]
    path: tuple[str, ...]
    statements: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    reusable: bool
    bundled: bool
    payload: bytes
    mapped: bool = False
    modules: bytes = b""
    keywords: bool = False
    retry_on: bytes = b""


def reformed(blob: bytes, **changes: Any) -> bytes:
    """The same callable, with some attributes of its form changed."""
    form = Form(*pickle.loads(blob))._replace(**changes)
    return pickle.dumps(tuple(form), pickle.HIGHEST_PROTOCOL)
