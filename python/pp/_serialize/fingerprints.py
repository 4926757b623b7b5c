"""Whether two code objects do the same, wherever they stand."""

from __future__ import annotations

import dis
import types
from typing import Any

# What the place of a function says about it, and what does not matter to a call: that it is
# inside of another function (CO_NESTED) or right in a class (CO_METHOD, from 3.14 on).
_OF_THE_PLACE = 0x10 | 0x8000000

# The flag of code whose local variables are known when it is compiled: functions.
_OPTIMIZED = 1


def fingerprint(code: types.CodeType) -> tuple[Any, ...]:
    """All that decides what code does: without file, lines and columns. Equal for equal code
    of one version of Python.
    """
    return (
        code.co_name,
        code.co_qualname,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & ~_OF_THE_PLACE,
        # Without what the interpreter has put into it to be quick.
        code.co_code,
        code.co_exceptiontable,
        code.co_names,
        code.co_varnames,
        code.co_cellvars,
        code.co_freevars,
        tuple(map(_of_constant, _constants(code))),
    )


def _constants(code: types.CodeType) -> list[Any]:
    constants = list(code.co_consts)
    if "__static_attributes__" in code.co_names and not code.co_flags & _OPTIMIZED:
        # Python 3.13 lists these in the order of a set, which is another in each process.
        last: Any = None
        for instruction in dis.get_instructions(code):
            is_kept = last is not None and instruction.argval == "__static_attributes__"
            if is_kept and isinstance(last.argval, tuple):
                constants[last.arg] = tuple(sorted(last.argval))
            last = instruction
    return constants


def _of_constant(value: Any) -> Any:
    """A constant and its type: 1, 1.0 and True are equal, and so are 0.0 and -0.0."""
    kind = type(value)
    if kind is types.CodeType:
        return fingerprint(value)
    if kind is tuple:
        return kind, tuple(map(_of_constant, value))
    if kind is frozenset:
        return kind, frozenset(map(_of_constant, value))
    if kind is float:
        return kind, repr(value)
    if kind is complex:
        return kind, repr(value.real), repr(value.imag)
    if kind is slice:
        return kind, tuple(map(_of_constant, (value.start, value.stop, value.step)))
    return kind, value
