"""Code as text, for nodes that run another version of Python.

Compiled code is of use to one version only. Where the text of a function can be had, another
version compiles that instead, as it stands: it is never run as a whole.
"""

from __future__ import annotations

import sys
import textwrap
import types
from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from pp._errors import SerializationError
from pp._serialize.at_node import NODE


class Source(NamedTuple):
    """The text of a function, and what tells its code from other code in that text.

    Attributes:
        text: the statement in which the function is defined.
        file: the name of the file, for tracebacks.
        line: the number of the first line in it.
        name: the function's name, as code has it.
        arguments: the names of its arguments.
        free: the variables of functions around it that it uses.
    """

    text: str
    file: str
    line: int
    name: str
    arguments: tuple[str, ...]
    free: tuple[str, ...]


_known: WeakKeyDictionary[types.CodeType, Source | None] = WeakKeyDictionary()


def source_of(code: types.CodeType) -> Source | None:
    """The source of a function; None if it cannot be had, as of what was typed into `exec`."""
    if code not in _known:
        _known[code] = _find(code)
    return _known[code]


def _find(code: types.CodeType) -> Source | None:
    import inspect  # noqa: PLC0415 - only who has nodes needs it

    try:
        lines, line = inspect.getsourcelines(code)
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    text = textwrap.dedent("".join(lines))
    source = Source(
        text, code.co_filename, line, code.co_name, _arguments(code), tuple(code.co_freevars)
    )
    # What cannot be found again here cannot be found elsewhere.
    try:
        compile_source(source)
    except (SyntaxError, LookupError):
        return None
    return source


def _arguments(code: types.CodeType) -> tuple[str, ...]:
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def compile_source(source: Source) -> types.CodeType:
    """The code of a function, from its text.

    Raises:
        SyntaxError: this Python does not understand it.
        LookupError: the function is not in it.
    """
    text = source.text
    first = source.line
    if source.free:
        # Variables of functions around it are what they were only within a function.
        head = ["def _around():", *(f"    {name} = None" for name in source.free)]
        text = "\n".join([*head, textwrap.indent(text, "    ")])
        first -= len(head)
    # Where the text begins above the first line of its file, tracebacks are off by that.
    padded = "\n" * max(0, first - 1) + text
    whole = compile(padded, source.file, "exec", dont_inherit=True)
    for code in _inside(whole):
        is_it = code.co_name == source.name and _arguments(code) == source.arguments
        if is_it and set(code.co_freevars) == set(source.free):
            return code
    raise LookupError(source.name)


def _inside(code: types.CodeType) -> Iterator[types.CodeType]:
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield const
            yield from _inside(const)


def code_of_another_python(python: tuple[int, int], source: Source | None) -> types.CodeType:
    """Code that another version of Python has compiled, compiled again.

    Raises:
        SerializationError: its source is not there, or this version cannot make use of it.
    """
    theirs, ours = (".".join(map(str, version)) for version in (python, sys.version_info[:2]))
    here = "this program" if NODE is None else f"node {NODE!r}"
    what = f"{here} runs Python {ours}, and the other side Python {theirs}"
    remedy = "Use the same minor version on all machines, or put the function into a module"
    if source is None:
        raise SerializationError(
            f"{what}: functions whose source cannot be found can be sent between equal "
            f"versions only. {remedy}"
        )
    try:
        return compile_source(source)
    except (SyntaxError, LookupError) as error:
        raise SerializationError(
            f"{what}, and the source of {source.name!r} cannot be compiled there: {error}. {remedy}"
        ) from None
