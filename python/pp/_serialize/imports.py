"""What the `modules` argument of a submission may say."""

from __future__ import annotations

import functools
import keyword
import types

_FORMS = "'math', 'os.path', 'from os import path' or 'import numpy as np'"


def import_statements(modules: tuple[object, ...]) -> tuple[str, ...]:
    """The statements that a worker runs for the entries of `modules`.

    Raises:
        TypeError: an entry is not a string.
        ValueError: an entry is neither the name of a module nor an import statement.
    """
    return tuple([_statement(_checked(entry)) for entry in modules])


def _checked(entry: object) -> str:
    if isinstance(entry, types.ModuleType):
        raise TypeError(f"modules must hold names: write {entry.__name__!r}, not {entry!r}")
    if not isinstance(entry, str):
        raise TypeError(f"modules must hold strings such as {_FORMS}, not {repr(entry)[:100]}")
    return entry


@functools.lru_cache(256)
def _statement(entry: str) -> str:
    text = entry.strip()
    parts = text.split(".")
    if all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        return f"import {text}"
    _check_statement(entry, text)
    return text


def _check_statement(entry: str, text: str) -> None:
    import ast  # noqa: PLC0415 - names alone are what most programs give

    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError):
        statements = []
    if not statements or not all(
        isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in statements
    ):
        raise ValueError(
            f"modules: {entry!r} is neither the name of a module nor an import statement; "
            f"write {_FORMS}"
        )
    for statement in statements:
        if isinstance(statement, ast.ImportFrom) and statement.level:
            raise ValueError(
                f"modules: {entry!r} is relative to a package that workers do not know; "
                "write the full name of the module"
            )
