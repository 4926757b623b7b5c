"""What was serialized is used again, within bounds."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import pytest

from pp._serialize import functions
from pp._serialize.functions import FunctionPacker
from pp._serialize.load import load_function

SAME = {
    "plain": "def f(): return 1",
    "global": "X = (1, 'a', frozenset({2}))\ndef f(): return X",
    "module": "import math\ndef f(): return math.pi",
    "helper": "def g(): return f\ndef f(): return g",
    "closure": "def make(n):\n    return lambda: n\nf = make(3)",
    "default": "def f(a=1, *, b=(2,)): return a",
    "class": "class C:\n    x = 1\n    def m(self): return super().m()\ndef f(): return C",
    "dataclass": "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass C:\n"
    "    x: int\n    y: list = dataclasses.field(default_factory=list)\ndef f(): return C",
    "enum": "import enum\nclass E(enum.Flag):\n    A = 1\ndef f(): return E.A",
    "namedtuple": "import collections\nC = collections.namedtuple('C', 'a')\nc = C(1)\n"
    "def f(): return c",
    "partial": "import functools\ndef g(a, b): pass\nf = functools.partial(g, 1, b=2)",
    "cached": "import functools\n@functools.cache\ndef f(n): return f",
    "logger": "import logging\nlog = logging.getLogger('x')\ndef f(): return log",
    "pattern": "import re\nP = re.compile('a')\ndef f(): return P",
    "date": "import datetime, decimal, fractions, pathlib, uuid\n"
    "D = (datetime.date(2020, 1, 1), decimal.Decimal(1), fractions.Fraction(1, 2),\n"
    "     pathlib.Path('a'), uuid.UUID(int=0))\ndef f(): return D",
    "numpy function": "import numpy\nsin = numpy.sin\nsum = numpy.sum\ndef f(): return sin, sum",
    "decorated": "import functools\ndef d(g):\n    @functools.wraps(g)\n    def w(): return g()\n"
    "    return w\n@d\ndef f(): return 1",
    "classmethod": "class C:\n    @classmethod\n    def m(cls): pass\nf = C.m",
    "builtin": "f = len",
    "class itself": "class f: pass",
}

# Not `f.m`: it is another object each time.
METHODS = {"classmethod"}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_gives_the_same(define: Any, kind: str) -> None:
    program = define(SAME[kind])
    packer = FunctionPacker()
    first = packer.pack(program["f"])
    # Looking may have filled caches of Python's own.
    first = packer.pack(program["f"])
    assert packer.pack(program["f"]) is first
    if kind in METHODS:
        assert packer.pack(program["C"].m) is first


def test_what_can_change_is_serialized_again_but_counts_as_the_same(define: Any) -> None:
    program = define("L = []\ndef f(): return L")
    packer = FunctionPacker()
    first = packer.pack(program["f"])
    assert packer.pack(program["f"]) is first
    program["L"].append(1)
    second = packer.pack(program["f"])
    assert second is not first
    assert second.blob != first.blob


def test_a_change_and_back_gives_the_right_bytes(define: Any) -> None:
    program = define("X = 1\ndef f(): return X")
    packer = FunctionPacker()
    packer.pack(program["f"])
    program["X"] = 2
    two = packer.pack(program["f"])
    program["X"] = 1
    assert load_function(packer.pack(program["f"]).blob)() == 1
    assert load_function(two.blob)() == 2


REUSABLE = {
    "plain": ("def f(x): return x + 1", True),
    "own variable": (
        "def f():\n    x = 0\n    def g():\n        nonlocal x\n        x += 1\n    g()",
        True,
    ),
    "attribute of an argument": ("def f(o): o.x = 1", True),
    "module": ("import math\ndef f(): return math.pi", True),
    "helper": ("def g(): return 1\ndef f(): return g()", True),
    "recursion": ("def f(n): return n and f(n - 1)", True),
    "closure": ("def make(n):\n    return lambda: n\nf = make(1)", True),
    "builtin": ("f = len", True),
    "nonlocal": (
        (
            "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n = 1\n"
            "    return f\nf = make()"
        ),
        False,
    ),
    "global": ("n = 0\ndef f():\n    global n\n    n += 1", False),
    "global, from deeper": (
        "n = 0\ndef f():\n    def g():\n        global n\n        n += 1\n    g()",
        False,
    ),
    "attribute of a helper": ("def g(): pass\ndef f(): g.x = 1", False),
    "attribute of a helper goes": ("def g(): pass\ndef f(): del g.x", False),
    "eval": ("def f(): return eval('1')", False),
    "list": ("L = []\ndef f(): return L", False),
    "class": ("class C: pass\ndef f(): return C", False),
}


@pytest.mark.parametrize("kind", REUSABLE)
def test_reusable_is_what_no_job_can_change(define: Any, kind: str) -> None:
    source, reusable = REUSABLE[kind]
    packed = FunctionPacker().pack(define(source)["f"])
    assert load_function(packed.blob).reusable is reusable


def test_lambdas_go_when_nobody_has_them() -> None:
    packer = FunctionPacker()

    def pack_one(number: int) -> weakref.ref[Any]:
        function = lambda: number  # noqa: E731
        packer.pack(function)
        return weakref.ref(function)

    made = [pack_one(number) for number in range(50)]
    gc.collect()
    assert [reference() for reference in made] == [None] * 50
    assert not packer._entries


def test_the_cache_is_bounded(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_MOST_FUNCTIONS", 10)
    packer = FunctionPacker()
    kept = [define("def f(): return f")["f"] for _ in range(40)]
    for function in kept:
        packer.pack(function)
        assert len(packer._entries) <= 10
    # The ones that refer to themselves are let go too.
    first = weakref.ref(kept[0])
    del function
    kept.clear()
    gc.collect()
    assert first() is None


def test_what_is_used_stays_in_the_cache(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_MOST_FUNCTIONS", 10)
    packer = FunctionPacker()
    used = define("def f(): return 1")["f"]
    first = packer.pack(used)
    others = [define("def f(): return 1")["f"] for _ in range(60)]
    for function in others:
        packer.pack(function)
        assert packer.pack(used) is first


def test_large_functions_do_not_pile_up(define: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_MOST_BYTES", 100_000)
    packer = FunctionPacker()
    large = [define(f"X = {'x' * 60_000!r}\ndef f(): return X")["f"] for _ in range(5)]
    for function in large:
        packed = packer.pack(function)
        assert packer.pack(function) is packed
    assert len(packer._entries) <= 2


def test_one_protocol_is_not_taken_for_another(define: Any) -> None:
    f = define("def f(): return (1, 'a', b'b', {2})")["f"]
    packer = FunctionPacker()
    blobs = {packer.pack(f, proto=proto).blob for proto in range(6)}
    assert len(blobs) > 1
    assert all(load_function(blob)() == (1, "a", b"b", {2}) for blob in blobs)


def test_a_path_that_is_added_later_is_sent(
    define: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    f = define("def f(): return 1")["f"]
    packer = FunctionPacker()
    first = packer.pack(f)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    second = packer.pack(f)
    assert second is not first
    assert str(tmp_path).encode() in second.blob


def test_many_threads_get_what_they_asked_for(define: Any) -> None:
    packer = FunctionPacker()
    wrong: list[object] = []

    def run(number: int) -> None:
        for turn in range(60):
            own = lambda number=number, turn=turn: (number, turn)  # noqa: E731
            if load_function(packer.pack(own).blob)() != (number, turn):
                wrong.append((number, turn))
            if load_function(packer.pack(shared).blob)(turn) != turn:
                wrong.append(turn)

    shared = define("def f(x): return x")["f"]
    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_handle_stays_with_its_bytes(define: Any) -> None:
    f = define("def f(): return 1")["f"]
    packer = FunctionPacker()
    packer.pack(f).handle = "mine"
    assert packer.pack(f).handle == "mine"
    assert weakref.ref(packer.pack(f))() is packer.pack(f)
