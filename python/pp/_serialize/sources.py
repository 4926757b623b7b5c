"""The text of functions, for nodes that run another version of Python.

Compiled code is of use to one version only. Where the text of a function can be had, another
version compiles that instead: of that function alone, and it is never run as a whole. What is
sent is known to be the right text, since it was compiled here and gave the very same code.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import ast

    FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Source(NamedTuple):
    """What another version of Python makes a function's code of.

    Attributes:
        name: the qualified name, as code has it.
        file: the name of the file, for tracebacks.
        line: the number of the first line, with decorators.
        text: the definition alone, from the first column of its first line on, without
            decorators; None if it cannot be had.
        begins: the number of the text's first line.
        owner: the class around the function, which decides about names like `__x`.
        free: the variables of functions around it that it uses.
        futures: the features of `__future__` that it was compiled with.
        optimize: the level of optimization: whether there are asserts and docstrings.
        why: why there is no text.
        generated: whether no text is needed: the class of the function makes it again.
    """

    name: str
    file: str
    line: int
    text: str | None = None
    begins: int = 0
    owner: str | None = None
    free: tuple[str, ...] = ()
    futures: tuple[str, ...] = ()
    optimize: int = 0
    why: str = ""
    generated: bool = False


# Code objects are equal where files and names differ, so these are compared besides.
_known: WeakKeyDictionary[types.CodeType, tuple[str, str, Source]] = WeakKeyDictionary()


def source_of(code: types.CodeType) -> Source:
    """The source of a function, as far as it can be had."""
    known = _known.get(code)
    if known is None or known[:2] != (code.co_filename, code.co_qualname):
        known = (code.co_filename, code.co_qualname, _find(code))
        _known[code] = known
    return known[2]


def is_generated(code: types.CodeType) -> bool:
    """Whether `dataclasses` has made it, of a text that it keeps nowhere."""
    made = code.co_qualname.startswith("__create_fn__.<locals>.")
    return made and code.co_filename == "<string>"


def _find(code: types.CodeType) -> Source:
    from pp._serialize.fingerprints import fingerprint  # noqa: PLC0415 - only who has nodes
    from pp._serialize.recompile import compile_source  # noqa: PLC0415

    if is_generated(code):
        return _without_text(
            code, "it is generated, and called other than through its class", generated=True
        )
    text = _text_around(code)
    imported = () if text is None else _imports_of(text)
    wanted = fingerprint(code)
    for source in (*_of_named_tuple(code), *_candidates(code, text)):
        try:
            if fingerprint(compile_source(source, imported)) == wanted:
                return source
        except (SyntaxError, ValueError, LookupError, RecursionError):
            continue
    if text is None:
        return _without_text(code, "its source cannot be found")
    return _without_text(code, "its source is not, or no longer, what it was compiled from")


def _without_text(code: types.CodeType, why: str, *, generated: bool = False) -> Source:
    return Source(
        code.co_qualname,
        code.co_filename,
        code.co_firstlineno,
        free=code.co_freevars,
        why=why,
        generated=generated,
    )


def _text_around(code: types.CodeType) -> str | None:
    """The text of the whole file, as it is now."""
    import inspect  # noqa: PLC0415 - only who has nodes needs it

    try:
        lines, _ = inspect.findsource(code)
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    return "".join(lines)


def _candidates(code: types.CodeType, text: str | None) -> Iterator[Source]:
    """The functions of this name: first those in the right place, then those that are
    elsewhere, since the file may have got another line above.
    """
    if text is None:
        return
    found = [
        (node, owner)
        for node, owner in _functions_in(text)
        if getattr(node, "name", "<lambda>") == code.co_name
    ]
    lines = text.split("\n")
    for node, owner in sorted(found, key=lambda each: _first_line(each[0]) != code.co_firstlineno):
        piece = _piece(lines, node)
        if piece is not None:
            yield _source(code, piece, _first_line(node), node.lineno, owner)


def _source(
    code: types.CodeType, text: str, line: int, begins: int, owner: str | None = None
) -> Source:
    return Source(
        name=code.co_qualname,
        file=code.co_filename,
        line=line,
        text=text,
        begins=begins,
        owner=owner,
        free=code.co_freevars,
        futures=_futures(code),
        optimize=sys.flags.optimize,
    )


def _futures(code: types.CodeType) -> tuple[str, ...]:
    import __future__  # noqa: PLC0415 - only who has nodes needs it

    return tuple(
        name
        for name in __future__.all_feature_names
        if code.co_flags & getattr(__future__, name).compiler_flag
    )


@functools.lru_cache(8)
def _imports_of(text: str) -> tuple[str, ...]:
    """The global names of a file that it imports: calls of these compile to other code."""
    import symtable  # noqa: PLC0415 - only who has nodes needs it

    try:
        symbols = symtable.symtable(text, "<file>", "exec").get_symbols()
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(sorted(symbol.get_name() for symbol in symbols if symbol.is_imported()))


@functools.lru_cache(8)
def _functions_in(text: str) -> tuple[tuple[FunctionNode, str | None], ...]:
    """All functions of a file, in order, with the innermost class that each is in."""
    import ast  # noqa: PLC0415 - only who has nodes needs it

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    found: list[tuple[FunctionNode, str | None]] = []
    waiting: list[tuple[ast.AST, str | None]] = [(tree, None)]
    while waiting:
        node, owner = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found.append((node, owner))
        children = [(child, owner) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.ClassDef):
            # Its decorators and bases are outside of it.
            inside = set(map(id, node.body))
            children = [(c, node.name if id(c) in inside else owner) for c, _ in children]
        waiting += reversed(children)
    return tuple(found)


def _first_line(node: FunctionNode) -> int:
    decorators: Iterable[ast.expr] = getattr(node, "decorator_list", ())
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _piece(lines: list[str], node: FunctionNode) -> str | None:
    """The text of a function, with what stands before it replaced by as many blanks."""
    import ast  # noqa: PLC0415 - only who has nodes needs it

    assert node.end_lineno is not None
    piece = lines[node.lineno - 1 : node.end_lineno]
    if not piece:
        return None
    # Columns are counted in bytes.
    piece[-1] = piece[-1].encode()[: node.end_col_offset].decode(errors="replace")
    before, first = piece[0].encode()[: node.col_offset], piece[0].encode()[node.col_offset :]
    if isinstance(node, ast.Lambda):
        before = b" " * len(before)
    elif before.strip():
        return None
    piece[0] = (before + first).decode(errors="replace")
    return "\n".join(piece)


def _of_named_tuple(code: types.CodeType) -> Iterator[Source]:
    """The `__new__` of a named tuple, whose text `collections` makes and keeps nowhere."""
    if code.co_name == "<lambda>" and code.co_varnames[:1] == ("_cls",):
        fields = ", ".join(code.co_varnames[1:]) + ("," if len(code.co_varnames) == 2 else "")
        text = f"lambda _cls, {fields}: _tuple_new(_cls, ({fields}))"
        yield _source(code, text, 1, 1)
