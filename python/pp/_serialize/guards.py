"""Tells whether a callable is in the state in which it was serialized.

What is immutable, and what workers import, is recognised by identity: as long as the
same objects are found under the same names, the same bytes are right. What can be
changed in place cannot be recognised so; a callable that refers to any such thing has no
guards, and is serialized at each submit.
"""

from __future__ import annotations

import abc
import operator
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from pp._serialize.survey import MISSING, Survey


class Guards:
    """What has to be as it was, for a callable to be as it was.

    Attributes:
        pure: whether running the callable leaves all that it refers to as it was, so
            that what was loaded once can serve many jobs.
    """

    __slots__ = (
        "_cells",
        "_functions",
        "_mappings",
        "_names",
        "_registered",
        "_root",
        "_submodules",
        "pure",
    )

    def __init__(self, survey: Survey) -> None:
        # The callable itself is not kept alive: lambdas come and go.
        self._root = survey.root_parts
        self._functions = tuple(survey.functions)
        self._names = tuple(survey.names)
        self._cells = tuple(survey.cells)
        self._mappings = tuple(survey.mappings)
        self._submodules = frozenset(survey.submodules)
        self._registered = survey.registered
        self.pure = survey.is_pure()

    def hold(self, root: Any) -> bool:
        """Whether `root`, and all that it refers to, is as it was.

        Takes about a microsecond for a plain function.
        """
        if self._root is not None and not _is_made_of(root, *self._root):
            return False
        for function, code, defaults, kwdefaults in self._functions:
            if not _is_made_of(function, code, defaults, kwdefaults):
                return False
        missing = MISSING
        for get, name, value in self._names:
            if get(name, missing) is not value:
                return False
        return (
            (not self._cells or _cells_hold(self._cells))
            and (not self._mappings or _mappings_hold(self._mappings))
            and (self._registered is None or self._registered == abc.get_cache_token())
            and (not self._submodules or sys.modules.keys().isdisjoint(self._submodules))
        )


def _is_made_of(
    function: types.FunctionType, code: object, defaults: object, kwdefaults: object
) -> bool:
    return (
        function.__code__ is code
        and function.__defaults__ is defaults
        and function.__kwdefaults__ is kwdefaults
    )


def _cells_hold(cells: Iterable[tuple[types.CellType, Any]]) -> bool:
    try:
        return all(cell.cell_contents is value for cell, value in cells)
    except ValueError:
        # It was emptied.
        return False


def _mappings_hold(mappings: Iterable[tuple[Mapping[str, Any], tuple[Any, ...]]]) -> bool:
    for mapping, items in mappings:
        current = (*mapping, *mapping.values())
        if len(current) != len(items) or not all(map(operator.is_, current, items)):
            return False
    return True


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
    return Guards(found)
