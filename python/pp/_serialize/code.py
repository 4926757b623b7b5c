"""What compiled code says about the names that it uses."""

from __future__ import annotations

import dis
import types
from typing import NamedTuple
from weakref import WeakKeyDictionary

# The flag of code whose local variables are known when it is compiled: functions.
_OPTIMIZED = 1

# With these, code can reach and change what its instructions do not show.
_REFLECTION = frozenset(
    {
        "__closure__",
        "__code__",
        "__defaults__",
        "__delattr__",
        "__dict__",
        "__globals__",
        "__kwdefaults__",
        "__setattr__",
        "cell_contents",
        "delattr",
        "eval",
        "exec",
        "globals",
        "keywords",
        "setattr",
        "vars",
    }
)

_STORES_TO_GLOBALS = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})
_STORES_TO_CELLS = frozenset({"STORE_DEREF", "DELETE_DEREF"})
_STORES_TO_ATTRIBUTES = frozenset({"STORE_ATTR", "DELETE_ATTR"})
# In the body of a class, a name that is not local to it is a global.
_LOOKUPS_IN_CLASS = frozenset({"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})


class CodeFacts(NamedTuple):
    """What a code object does, with all the code inside it.

    Attributes:
        names: the global names that it reads or writes; some may be builtins.
        attributes: all names that appear in it, of globals and attributes.
        free_stores: those of its free variables that it writes.
        stores_globals: whether it writes or deletes globals.
        stores_attributes: whether it writes or deletes attributes of anything.
        reflects: whether it mentions a way to reach variables by other means.
    """

    names: tuple[str, ...]
    attributes: frozenset[str]
    free_stores: frozenset[str]
    stores_globals: bool
    stores_attributes: bool
    reflects: bool

    @property
    def may_write_variables(self) -> bool:
        """Whether running it may change a global or a variable of its closure."""
        return self.stores_globals or self.reflects or bool(self.free_stores)


_known: WeakKeyDictionary[types.CodeType, CodeFacts] = WeakKeyDictionary()


def facts_about(code: types.CodeType) -> CodeFacts:
    """The facts about `code`; found once for each code object."""
    facts = _known.get(code)
    if facts is None:
        facts = _known[code] = _inspect(code)
    return facts


def _inspect(code: types.CodeType) -> CodeFacts:
    # A dictionary keeps the order, so that equal functions give equal bytes.
    names: dict[str, None] = {}
    kinds: set[str] = set()
    free_stores: set[str] = set()
    in_class = not code.co_flags & _OPTIMIZED
    own: set[str] = set()
    for instruction in dis.get_instructions(code):
        kind = instruction.opname
        kinds.add(kind)
        if kind == "LOAD_GLOBAL" or kind in _STORES_TO_GLOBALS:
            names[instruction.argval] = None
        elif in_class and kind == "STORE_NAME":
            own.add(instruction.argval)
        elif in_class and kind in _LOOKUPS_IN_CLASS and instruction.argval not in own:
            names[instruction.argval] = None
        elif kind in _STORES_TO_CELLS:
            free_stores.add(instruction.argval)
    inner = [facts_about(const) for const in code.co_consts if type(const) is types.CodeType]
    for facts in inner:
        names.update(dict.fromkeys(facts.names))
        free_stores |= facts.free_stores
    attributes = frozenset(code.co_names).union(*(facts.attributes for facts in inner))
    return CodeFacts(
        names=tuple(names),
        attributes=attributes,
        # What is not free here is a variable of this very code: new in each call.
        free_stores=frozenset(free_stores).intersection(code.co_freevars),
        stores_globals=not kinds.isdisjoint(_STORES_TO_GLOBALS)
        or any(facts.stores_globals for facts in inner),
        stores_attributes=not kinds.isdisjoint(_STORES_TO_ATTRIBUTES)
        or any(facts.stores_attributes for facts in inner),
        reflects=not _REFLECTION.isdisjoint(attributes),
    )
