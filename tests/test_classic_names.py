"""What a job finds by name: `depfuncs`, `modules` and `globals`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import pp
from tests.support import RunScript, define

FORMS = [
    ("math", "math.sqrt(16)", 4.0),
    ("os.path", "os.path.basename('a/b')", "b"),
    ("xml.dom.minidom", "xml.dom.minidom.parseString('<a/>').documentElement.tagName", "a"),
    ("from math import sqrt", "sqrt(16)", 4.0),
    ("from math import sqrt as root", "root(16)", 4.0),
    ("from math import sqrt, floor", "floor(sqrt(17))", 4),
    ("from os import path", "path.basename('a/b')", "b"),
    ("from os.path import basename", "basename('a/b')", "b"),
    ("from math import *", "sqrt(16)", 4.0),
    ("import math", "math.sqrt(16)", 4.0),
    ("import math as m", "m.sqrt(16)", 4.0),
    ("import os.path as p", "p.basename('a/b')", "b"),
    ("import math, os", "os.path.basename(str(int(math.sqrt(16))))", "4"),
]


@pytest.mark.parametrize(("module", "expression", "expected"), FORMS, ids=[f[0] for f in FORMS])
def test_modules_in_all_forms(
    shared: pp.Server, module: str, expression: str, expected: object
) -> None:
    function = define(f"def function(): return {expression}")["function"]
    with pytest.raises(NameError):
        shared.submit(function)()
    assert shared.submit(function, (), (), (module,))() == expected


def test_several_modules(shared: pp.Server) -> None:
    function = define("def function(): return m.floor(sqrt(int(json.loads('17'))))")["function"]
    modules = ("json", "import math as m", "from math import sqrt")
    assert shared.submit(function, modules=modules)() == 4


def test_modules_are_there_for_depfuncs_too(shared: pp.Server) -> None:
    program = define("def outer(x): return inner(x)")
    helper = define("def inner(x): return math.sqrt(x)")
    job = shared.submit(program["outer"], (16,), (helper["inner"],), ("math",))
    assert job() == 4.0


def test_a_module_that_is_not_there_is_named(shared: pp.Server) -> None:
    function = define("def function(): return 1")["function"]
    with pytest.raises(ImportError, match="no_such_module_anywhere"):
        shared.submit(function, modules=("no_such_module_anywhere",))()


def test_a_name_that_a_module_lacks_is_named(shared: pp.Server) -> None:
    function = define("def function(): return 1")["function"]
    with pytest.raises(ImportError, match="no_such_name"):
        shared.submit(function, modules=("from math import no_such_name",))()


@pytest.mark.parametrize("module", ["", "import", "from math", "1x", "math; os", "import os as"])
def test_what_names_no_module_is_refused(shared: pp.Server, module: str) -> None:
    function = define("def function(): return 1")["function"]
    with pytest.raises((ValueError, SyntaxError, ImportError)):
        shared.submit(function, modules=(module,))()


def test_modules_beside_the_program_are_found(
    shared: pp.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_server: Any
) -> None:
    (tmp_path / "beside_the_program.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    function = define("def function(): return beside_the_program.ANSWER")["function"]
    fresh = make_server(1)
    assert fresh.submit(function, modules=("beside_the_program",))() == 42
    assert "beside_the_program" not in sys.modules


DEPFUNCS = {
    "a function": ("def f(): return g(1)", "def g(x): return x + 1", ["g"], 2),
    "two functions": (
        "def f(): return g(1) + h(1)",
        "def g(x): return x + 1\ndef h(x): return x + 2",
        ["g", "h"],
        5,
    ),
    "one that calls another": (
        "def f(): return g(1)",
        "def g(x): return h(x) * 2\ndef h(x): return x + 1",
        ["g", "h"],
        4,
    ),
    "one that calls back": (
        "def f(n): return n if n == 0 else g(n)",
        "def g(n): return 1 + f(n - 1)",
        ["g"],
        6,
    ),
    "a recursive one": (
        "def f(n): return g(n)",
        "def g(n): return 1 if n < 2 else n * g(n - 1)",
        ["g"],
        720,
    ),
    "a class": (
        "def f(): return C(3).double()",
        "class C:\n def __init__(self, x): self.x = x\n def double(self): return 2 * self.x",
        ["C"],
        6,
    ),
    "a class with a base": (
        "def f(): return D().name()",
        """
        class C:
            def name(self): return "C"
        class D(C):
            def name(self): return super().name() + "D"
        """,
        ["C", "D"],
        "CD",
    ),
    "a class that calls a function": (
        "def f(): return C().run()",
        "class C:\n def run(self): return g(4)\ndef g(x): return x * x",
        ["C", "g"],
        16,
    ),
    "a builtin": ("def f(): return sqrt(16)", "from math import sqrt", ["sqrt"], 4.0),
}


@pytest.mark.parametrize("case", DEPFUNCS)
def test_depfuncs(shared: pp.Server, case: str) -> None:
    source, helpers, names, expected = DEPFUNCS[case]
    function = define(source)["f"]
    namespace = define(helpers)
    args = (6,) if function.__code__.co_argcount else ()
    with pytest.raises(NameError):
        shared.submit(function, args)()
    job = shared.submit(function, args, [namespace[name] for name in names])
    assert job() == expected


def test_depfuncs_of_one_submit_are_not_there_for_the_next(shared: pp.Server) -> None:
    function = define("def f(): return g()")["f"]
    first = define("def g(): return 1")["g"]
    second = define("def g(): return 2")["g"]
    assert shared.submit(function, (), (first,))() == 1
    assert shared.submit(function, (), (second,))() == 2
    assert shared.submit(function, (), (first,))() == 1
    with pytest.raises(NameError):
        shared.submit(function)()


GLOBALS = """
import math
import os.path as paths
from math import floor

limit = 10

def square(x):
    return x * x

class Box:
    def __init__(self, x):
        self.x = square(x)
"""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("math.sqrt(16)", 4.0),
        ("paths.basename('a/b')", "b"),
        ("floor(1.5)", 1),
        ("square(3)", 9),
        ("Box(3).x", 9),
    ],
)
def test_globals_bring_modules_functions_and_classes(
    shared: pp.Server, expression: str, expected: object
) -> None:
    function = define(f"def function(): return {expression}")["function"]
    job = shared.submit(function, globals=define(GLOBALS))
    assert job() == expected


def test_globals_may_hold_what_cannot_be_sent(shared: pp.Server) -> None:
    program = define("def f(): return square(3)\ndef square(x): return x * x")
    program.update(lock=threading.Lock(), server=shared, stream=(n for n in range(3)))
    assert shared.submit(program["f"], globals=program)() == 9


def test_a_functions_own_names_come_before_others(shared: pp.Server) -> None:
    program = define("def f(): return g()\ndef g(): return 'own'")
    other = define("def g(): return 'other'")
    assert shared.submit(program["f"], globals=other)() == "own"


CLASSIC_PROGRAM = """
import math, sys, time
import pp

def isprime(n):
    if n < 2:
        return False
    top = int(math.ceil(math.sqrt(n)))
    return all(n % i for i in range(2, top + 1)) or n == 2

def sum_primes(n):
    return sum([x for x in range(2, n) if isprime(x)])

class Total:
    def __init__(self):
        self.value = 0
    def add(self, bound, value):
        self.value += value

total = Total()
ppservers = ()
job_server = pp.Server(2, ppservers=ppservers)
job = job_server.submit(sum_primes, (100,), (isprime,), ("math",))
print(job())
for bound in (10, 100, 1000):
    job_server.submit(
        sum_primes, (bound,), (isprime,), ("math",), total.add, (bound,), "sums", globals()
    )
job_server.wait("sums")
print(total.value)
template = pp.Template(job_server, sum_primes, (isprime,), ("math",))
print([job() for job in [template.submit(bound) for bound in (10, 20)]])
print(job_server.submit(sum_primes, (100,), globals=globals())())
job_server.print_stats()
job_server.destroy()
try:
    job_server.submit(sum_primes, (100,))
except pp.DestroyedServerError:
    print("destroyed")
"""


def test_a_whole_classic_program(run_script: RunScript) -> None:
    lines = run_script(CLASSIC_PROGRAM).out.splitlines()
    assert lines[:4] == ["1060", "77204", "[17, 77]", "1060"]
    assert "Job execution statistics:" in lines
    assert lines[-1] == "destroyed"
