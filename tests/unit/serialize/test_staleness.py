"""A job sees its function as it was at the submit: reuse never makes it stale."""

from __future__ import annotations

from typing import Any

import pytest

# Each step that changes something, and what the function f returns before and after.
CHANGES: dict[str, tuple[str, str, object, object]] = {
    "a global": ("X = 1\ndef f(): return X", "X = 2", 1, 2),
    "a global that was missing": (
        "def f():\n    try:\n        return LATE\n    except NameError:\n        return None",
        "LATE = 4",
        None,
        4,
    ),
    "a global that goes": (
        "X = 1\ndef f(): return 'X' in globals() and X",
        "del X",
        1,
        False,
    ),
    "a builtin that is hidden": ("def f(): return len([])", "len = lambda x: 7", 0, 7),
    "an equal value of another type": ("X = 1\ndef f(): return repr(X)", "X = 1.0", "1", "1.0"),
    "a list": ("L = [1]\ndef f(): return list(L)", "L.append(2)", [1], [1, 2]),
    "a dictionary": ("D = {}\ndef f(): return dict(D)", "D['a'] = 1", {}, {"a": 1}),
    "a list in a tuple": ("T = ([],)\ndef f(): return T[0]", "T[0].append(1)", [], [1]),
    "an instance": (
        "class C: pass\nc = C(); c.x = 1\ndef f(): return c.x",
        "c.x = 2",
        1,
        2,
    ),
    "a helper": ("def g(): return 1\ndef f(): return g()", "def g(): return 2", 1, 2),
    "the code of a helper": (
        "def g(): return 1\ndef h(): return 2\ndef f(): return g()",
        "g.__code__ = h.__code__",
        1,
        2,
    ),
    "the code": ("def g(): return 2\ndef f(): return 1", "f.__code__ = g.__code__", 1, 2),
    "a global of a helper": ("X = 1\ndef g(): return X\ndef f(): return g()", "X = 2", 1, 2),
    "the defaults": ("def f(a=1): return a", "f.__defaults__ = (2,)", 1, 2),
    "the defaults of a helper": (
        "def g(a=1): return a\ndef f(): return g()",
        "g.__defaults__ = (2,)",
        1,
        2,
    ),
    "a keyword default": ("def f(*, a=1): return a", "f.__kwdefaults__['a'] = 2", 1, 2),
    "a default in place": ("def f(a=[]): return a", "f.__defaults__[0].append(1)", [], [1]),
    "a closure cell": (
        (
            "def make():\n    n = 1\n    def f(): return n\n    def change():\n        nonlocal n\n"
            "        n = 2\n    return f, change\nf, change = make()"
        ),
        "change()",
        1,
        2,
    ),
    "an object in a closure": (
        "def make():\n    n = []\n    return lambda: n, n\nf, n = make()",
        "n.append(1)",
        [],
        [1],
    ),
    "an attribute of the function": ("def f(): return f.x\nf.x = 1", "f.x = 2", 1, 2),
    "an attribute that the function lacked": (
        "def f(): return getattr(f, 'x', None)",
        "f.x = 2",
        None,
        2,
    ),
    "an attribute of a helper": ("def g(): pass\ng.x = 1\ndef f(): return g.x", "g.x = 2", 1, 2),
    "a class attribute": ("class C: x = 1\ndef f(): return C.x", "C.x = 2", 1, 2),
    "a class attribute that is new": (
        "class C: pass\ndef f(): return getattr(C, 'x', None)",
        "C.x = 2",
        None,
        2,
    ),
    "a class attribute that goes": (
        "class C: x = 1\ndef f(): return getattr(C, 'x', None)",
        "del C.x",
        1,
        None,
    ),
    "a list in a class": ("class C: x = []\ndef f(): return C.x", "C.x.append(1)", [], [1]),
    "a method": (
        "class C:\n    def m(self): return 1\ndef f(): return C().m()",
        "C.m = lambda self: 2",
        1,
        2,
    ),
    "an attribute of a base": (
        "class B: x = 1\nclass C(B): pass\ndef f(): return C.x",
        "B.x = 2",
        1,
        2,
    ),
    "a global of a method": (
        "X = 1\nclass C:\n    def m(self): return X\ndef f(): return C().m()",
        "X = 2",
        1,
        2,
    ),
    "a class that is defined anew": (
        "class C: x = 1\ndef f(): return C.x",
        "class C: x = 2",
        1,
        2,
    ),
    "a partial's function": (
        "import functools\ndef g(): return 1\np = functools.partial(g)\ndef f(): return p()",
        "g.__code__ = (lambda: 2).__code__",
        1,
        2,
    ),
    "a partial's keywords": (
        "import functools\np = functools.partial(dict, a=1)\ndef f(): return p()",
        "p.keywords['a'] = 2",
        {"a": 1},
        {"a": 2},
    ),
    "a cached function": (
        "import functools\nX = 1\n@functools.cache\ndef g(): return X\ndef f(): return g()",
        "X = 2; g.cache_clear()",
        1,
        2,
    ),
    "what a builtin method is bound to": ("L = [1]\nf = L.copy", "L.append(2)", [1], [1, 2]),
    "what a slot wrapper is bound to": ("L = [1]\nf = L.__len__", "L.append(2)", 1, 2),
    "a registration with an abstract class": (
        "import abc\nclass A(abc.ABC): pass\ndef f(): return issubclass(list, A)",
        "A.register(list)",
        False,
        True,
    ),
    "an enum": (
        "import enum\nclass E(enum.Enum):\n    A = 1\ndef f(): return E.A.value",
        "class E(enum.Enum):\n    A = 2",
        1,
        2,
    ),
    "a submodule that is imported later": (
        (
            "import sys, xml\n"
            "for name in [n for n in sys.modules if n.startswith('xml.')]:\n"
            "    del sys.modules[name]\nfor name in [n for n in vars(xml) if n[0] != '_']:\n"
            "    delattr(xml, name)\n"
            "def f():\n    try:\n        return xml.sax.__name__\n    except AttributeError:\n"
            "        return None"
        ),
        "import xml.sax",
        None,
        "xml.sax",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_between_submits_is_seen(worker: Any, define: Any, change: str) -> None:
    before, step, first, second = CHANGES[change]
    program = define(before)
    assert worker.call(program["f"]) == first
    assert worker.call(program["f"]) == first
    exec(step, program)
    assert worker.call(program["f"]) == second


def test_the_state_of_the_submit_travels_not_that_of_the_run(worker: Any, define: Any) -> None:
    program = define("L = [1]\nX = 1\ndef f(): return L, X")
    packed = worker.packer.pack(program["f"])
    exec("L.append(2); X = 2", program)
    assert worker.run(packed.blob, worker_args()) == ([1], 1)


def worker_args() -> bytes:
    from pp._serialize.values import dumps_args

    return dumps_args(())


# What a job may change: a program with the function f, and what each of three runs
# has to return.
MUTATIONS: dict[str, tuple[str, object]] = {
    "a global": ("n = 0\ndef f():\n    global n\n    n += 1\n    return n", 1),
    "a global that it deletes": (
        "n = 0\ndef f():\n    global n\n    del n",
        None,
    ),
    "a global that it makes": (
        (
            "def f():\n    global made\n    try:\n        return made\n"
            "    except NameError:\n        made = 1"
        ),
        None,
    ),
    "a variable of its closure": (
        (
            "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n"
            "        return n\n    return f\nf = make()"
        ),
        1,
    ),
    "a variable of its closure, from deeper": (
        (
            "def make():\n    n = 0\n    def f():\n        def g():\n            nonlocal n\n"
            "            n += 1\n        g()\n        return n\n    return f\nf = make()"
        ),
        1,
    ),
    "a list": ("L = []\ndef f():\n    L.append(1)\n    return L", [1]),
    "a default": ("def f(L=[]):\n    L.append(1)\n    return L", [1]),
    "a global of a helper": (
        "n = 0\ndef g():\n    global n\n    n += 1\ndef f():\n    g()\n    return n",
        1,
    ),
    "its own attribute": (
        "def f():\n    f.n = getattr(f, 'n', 0) + 1\n    return f.n",
        1,
    ),
    "an attribute of a helper": (
        "def g(): pass\ng.n = 0\ndef f():\n    g.n += 1\n    return g.n",
        1,
    ),
    "by globals()": ("def f():\n    globals()['n'] = globals().get('n', 0) + 1\n    return n", 1),
    "by setattr": (
        "def g(): pass\ndef f():\n    setattr(g, 'n', getattr(g, 'n', 0) + 1)\n    return g.n",
        1,
    ),
    "by exec": ("n = 0\ndef f():\n    exec('n = n + 1', globals())\n    return n", 1),
    "a class attribute": (
        "class C: n = 0\ndef f():\n    C.n += 1\n    return C.n",
        1,
    ),
    "a class attribute that it makes": (
        "class C: pass\ndef f():\n    there = hasattr(C, 'n')\n    C.n = 1\n    return there",
        False,
    ),
    "a class attribute by an instance": (
        (
            "class C:\n    n = 0\n"
            "    def m(self):\n        type(self).n += 1\n        return self.n\n"
            "def f(): return C().m()"
        ),
        1,
    ),
    "a method": (
        (
            "class C:\n    def m(self): return 1\n"
            "def f():\n    got = C().m()\n    C.m = lambda self: 2\n    return got"
        ),
        1,
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_a_job_changes_is_not_seen_by_the_next(
    worker: Any, define: Any, mutation: str
) -> None:
    program, expected = MUTATIONS[mutation]
    f = define(program)["f"]
    assert [worker.call(f) for _ in range(3)] == [expected] * 3


def test_a_class_that_comes_with_the_arguments_is_fresh_too(worker: Any, define: Any) -> None:
    program = define("""
        class C:
            pass
        def f(c):
            there = hasattr(C, "memo"), hasattr(type(c), "memo")
            type(c).memo = 1
            return there
        def g(c):
            there = hasattr(type(c), "memo")
            type(c).memo = 1
            return there
        """)
    for _ in range(3):
        assert worker.call(program["f"], program["C"]()) == (False, False)
        assert worker.call(program["g"], program["C"]()) is False


def test_arguments_and_functions_agree_on_classes(worker: Any, define: Any) -> None:
    program = define("""
        class C:
            pass
        class D(C):
            pass
        def f(x):
            return isinstance(x, C), type(x) is D
        """)
    for _ in range(2):
        assert worker.call(program["f"], program["D"]()) == (True, True)
        program["C"].changed = 1


def test_caches_may_stay(worker: Any, define: Any) -> None:
    program = define("""
        import functools
        @functools.lru_cache
        def f(x):
            return object() is None
        def info():
            return f.cache_info().currsize
        """)
    worker.call(program["f"], 1)
    assert worker.last is worker.packer.pack(program["f"])
