"""Tells whether a callable is in the state in which it was serialized.

What is immutable, and what workers import, is recognised by identity: as long as the
same objects are found under the same names, the same bytes are right. What can be
changed in place cannot be recognised so; a callable that refers to any such thing has no
guards, and is serialized at each submit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pp._core import Guards
from pp._serialize.survey import MISSING, Survey

__all__ = ["Guards", "survey"]


def survey(root: Any, others: Iterable[Any] = ()) -> Guards | None:
    """The guards of a callable, and of `others` that it can call by name.

    Returns:
        None if any of them refers to something that can be changed in place.
    """
    found = Survey()
    try:
        found.run(root, others)
    except Exception:
        # Mostly `_Unsettled`; some objects run code of their own when looked at.
        return None
    return Guards(
        root=found.root_parts,
        functions=found.functions,
        names=found.names,
        missing=MISSING,
        cells=found.cells,
        mappings=found.mappings,
        submodules=list(found.submodules),
        registered=found.registered,
        pure=found.is_pure(),
    )
