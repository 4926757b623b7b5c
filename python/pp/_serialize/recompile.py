"""Code of another version of Python, compiled again from its source."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pp._errors import SerializationError
from pp._serialize.at_node import NODE
from pp._serialize.sources import Source

if TYPE_CHECKING:
    import ast

    from pp._serialize.sources import FunctionNode

# Names that no program can mention.
_AROUND = "<around>"
_FUNCTION = "<function>"

# The file name of what stands in for generated methods until their class makes them again.
_STAND_IN = "<stands in for a generated method>"

# The flag of code whose local variables are known when it is compiled: functions.
_OPTIMIZED = 1

# What other versions have compiled, and what it was: it goes back as it came.
_came_as: WeakKeyDictionary[types.CodeType, tuple[Any, ...]] = WeakKeyDictionary()


def came_as(code: types.CodeType) -> tuple[Any, ...] | None:
    """The arguments of `make_code` that gave this code; None if it was compiled here."""
    return _came_as.get(code)


def code_of_another_python(
    data: bytes, python: tuple[int, int], source: Source | None
) -> types.CodeType:
    """Code that another version of Python has compiled, compiled again.

    Raises:
        SerializationError: its source is not there, or this version cannot make use of it.
    """
    if source is None:
        raise unusable(python, "a function", "its source was not sent")
    what = f"function {source.name!r} of {source.file!r}"
    if source.generated:
        code = _stand_in(source, str(unusable(python, what, source.why)))
    elif source.text is None:
        raise unusable(python, what, source.why)
    else:
        try:
            code = compile_source(source)
        except (SyntaxError, ValueError, LookupError, RecursionError) as error:
            why = f"its source cannot be compiled there: {error}"
            raise unusable(python, what, why) from None
    _came_as[code] = (data, python, tuple(source))
    return code


def unusable(python: tuple[int, int], what: str, why: str) -> SerializationError:
    """The error for what cannot be sent from one version of Python to another."""
    theirs, ours = (".".join(map(str, version)) for version in (python, sys.version_info[:2]))
    here = "this program" if NODE is None else f"node {NODE!r}"
    return SerializationError(
        f"{here} runs Python {ours}, and the other side Python {theirs}: {what} can be sent "
        f"between equal versions only, since {why}. Use the same minor version on all machines, "
        "or put it into a module"
    )


def compile_source(source: Source, imported: Iterable[str] = ()) -> types.CodeType:
    """The code of a function, from its text.

    Args:
        source: the text and what belongs to it.
        imported: the global names that its module imports. Code that looks up methods in them
            is another, and does the same.

    Raises:
        SyntaxError, ValueError: this Python does not understand it.
        LookupError: it uses other variables than it did.
    """
    import __future__  # noqa: PLC0415

    import ast  # noqa: PLC0415 - most workers never need it

    function = _parsed(source)
    name = getattr(function, "name", "<lambda>")
    _strip(function, source.line)
    statement: ast.stmt
    if isinstance(function, ast.Lambda):
        statement = ast.copy_location(ast.Expr(function), function)
    else:
        function.name = _FUNCTION
        statement = function
    whole = ast.fix_missing_locations(_with_surroundings(statement, source, imported))
    flags = 0
    for feature in source.futures:
        flags |= getattr(__future__, feature).compiler_flag
    code = compile(whole, source.file, "exec", flags, True, source.optimize)
    for _ in range(2 if source.owner is None else 3):
        code = next(const for const in code.co_consts if isinstance(const, types.CodeType))
    if code.co_freevars != source.free:
        raise LookupError(f"it uses the variables {code.co_freevars}, not {source.free}")
    return _renamed(code, code.co_qualname, source.name).replace(co_name=name)


def _parsed(source: Source) -> FunctionNode:
    import ast  # noqa: PLC0415 - as above

    assert source.text is not None
    # In each case with one line above it.
    if source.text.lstrip().startswith("lambda"):
        text = f"(\n{source.text}\n)"
    elif source.text[0].isspace():
        text = f"if True:\n{source.text}\n"
    else:
        text = f"\n{source.text}\n"
    statement: Any = ast.parse(text).body[0]
    if isinstance(statement, ast.If):
        statement = statement.body[0]
    node: Any = statement.value if isinstance(statement, ast.Expr) else statement
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        raise LookupError("it is no function")  # noqa: TRY004 - of the text, not of an argument
    ast.increment_lineno(node, source.begins - 2)
    return node


def _strip(function: FunctionNode, line: int) -> None:
    """Takes away what is not the function's own code: it is run where it is defined."""
    import ast  # noqa: PLC0415 - as above

    arguments = function.args
    arguments.defaults = [ast.copy_location(ast.Constant(None), d) for d in arguments.defaults]
    arguments.kw_defaults = [
        d and ast.copy_location(ast.Constant(None), d) for d in arguments.kw_defaults
    ]
    if isinstance(function, ast.Lambda):
        return
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        each.annotation = None
    for many in (arguments.vararg, arguments.kwarg):
        if many is not None:
            many.annotation = None
    function.returns = None
    function.decorator_list = []
    if line != function.lineno:
        # It begins with its first decorator.
        first = ast.Constant(None, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)
        function.decorator_list.append(first)
    if hasattr(function, "type_params"):
        # Those that it uses are free variables.
        function.type_params = []


def _with_surroundings(statement: ast.stmt, source: Source, imported: Iterable[str]) -> ast.Module:
    """Puts it into its class, and that into a function that has the free variables."""
    import ast  # noqa: PLC0415 - as above

    # Which fields such a statement has, each version knows by itself.
    around: Any = ast.parse("def around(): pass")
    body: list[ast.stmt] = [
        ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in source.free
    ]
    if source.owner is not None:
        owner: Any = ast.parse("class Owner: pass").body[0]
        owner.name = source.owner
        owner.body = [statement]
        if source.owner not in source.free:
            # Or its methods would find this class, instead of a global, under the name.
            body.append(ast.Global([source.owner]))
        statement = owner
    around.body[0].name = _AROUND
    around.body[0].body = [*body, statement]
    around.body += [ast.Import([ast.alias(name)]) for name in imported]
    module: ast.Module = around
    return module


def _renamed(code: types.CodeType, old: str, new: str) -> types.CodeType:
    """Code, and all that is in it, with qualified names that begin otherwise."""
    name = code.co_qualname
    if name == old or name.startswith(f"{old}."):
        name = new + name.removeprefix(old)
    constants: list[Any] = []
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            constants.append(_renamed(const, old, new))
        elif const == code.co_qualname and not code.co_flags & _OPTIMIZED:
            # The body of a class gives the class its name.
            constants.append(name)
        else:
            constants.append(const)
    return code.replace(co_qualname=name, co_consts=tuple(constants))


def _stand_in(source: Source, message: str) -> types.CodeType:
    """Code that says that it is not there."""
    name = source.name.rpartition(".")[2]
    text = (
        f"def around({', '.join(source.free)}):\n"
        f"  def {name}(*args, **kwargs):\n"
        "    from pp._errors import SerializationError\n"
        f"    raise SerializationError({message!r})\n"
        # So that it has as many variables of functions around it.
        f"    ({''.join(f'{each}, ' for each in source.free)})\n"
    )
    code = compile(text, _STAND_IN, "exec", dont_inherit=True)
    for _ in range(2):
        code = next(const for const in code.co_consts if isinstance(const, types.CodeType))
    return code
