"""A job sees its function's state as it was at its submit, and no other job's traces."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, define

# A program that defines f(); then what changes; f() before and after.
CHANGES: dict[str, tuple[str, str, object, object]] = {
    "global rebound": (
        """
        x = 1
        def f(): return x
        """,
        "x = 2",
        1,
        2,
    ),
    "list changed": (
        """
        x = [1]
        def f(): return list(x)
        """,
        "x.append(2)",
        [1],
        [1, 2],
    ),
    "list item replaced": (
        """
        x = [1]
        def f(): return x[0]
        """,
        "x[0] = 2",
        1,
        2,
    ),
    "dict changed": (
        """
        x = {'a': 1}
        def f(): return x['a']
        """,
        "x['a'] = 2",
        1,
        2,
    ),
    "set changed": (
        """
        x = {1}
        def f(): return len(x)
        """,
        "x.add(2)",
        1,
        2,
    ),
    "bytearray changed": (
        """
        x = bytearray(b'a')
        def f(): return bytes(x)
        """,
        "x += b'b'",
        b"a",
        b"ab",
    ),
    "list in a tuple": (
        """
        x = ([1],)
        def f(): return x[0][0]
        """,
        "x[0][0] = 2",
        1,
        2,
    ),
    "list in a frozen dataclass": (
        """
        import dataclasses
        @dataclasses.dataclass(frozen=True)
        class C:
            v: list
        x = C([1])
        def f(): return x.v[0]
        """,
        "x.v[0] = 2",
        1,
        2,
    ),
    "attribute of an object": (
        """
        class C: pass
        x = C()
        x.v = 1
        def f(): return x.v
        """,
        "x.v = 2",
        1,
        2,
    ),
    "attribute of a class": (
        """
        class C: v = 1
        def f(): return C.v
        """,
        "C.v = 2",
        1,
        2,
    ),
    "method of a class": (
        """
        class C:
            def m(self): return 1
        def f(): return C().m()
        """,
        "C.m = lambda self: 2",
        1,
        2,
    ),
    "attribute of an int": (
        """
        class I(int): pass
        x = I(1)
        x.v = 1
        def f(): return x.v
        """,
        "x.v = 2",
        1,
        2,
    ),
    "helper redefined": (
        """
        def g(): return 1
        def f(): return g()
        """,
        "def g(): return 2",
        1,
        2,
    ),
    "helper of a helper redefined": (
        """
        def h(): return 1
        def g(): return h()
        def f(): return g()
        """,
        "def h(): return 2",
        1,
        2,
    ),
    "global of a helper": (
        """
        x = 1
        def g(): return x
        def f(): return g()
        """,
        "x = 2",
        1,
        2,
    ),
    "code of the function": (
        """
        def f(): return 1
        def g(): return 2
        """,
        "f.__code__ = g.__code__",
        1,
        2,
    ),
    "default rebound": (
        "def f(x=1): return x",
        "f.__defaults__ = (2,)",
        1,
        2,
    ),
    "default changed": (
        "def f(x=[1]): return x[0]",
        "f.__defaults__[0][0] = 2",
        1,
        2,
    ),
    "keyword default": (
        "def f(*, x=1): return x",
        "f.__kwdefaults__['x'] = 2",
        1,
        2,
    ),
    "attribute of the function": (
        """
        def f(): return f.x
        f.x = 1
        """,
        "f.x = 2",
        1,
        2,
    ),
    "closure cell": (
        """
        def make():
            x = 1
            def f(): return x
            def set_x(v):
                nonlocal x
                x = v
            return f, set_x
        f, set_x = make()
        """,
        "set_x(2)",
        1,
        2,
    ),
    "closure list": (
        """
        def make(x): return lambda: x[0]
        x = [1]
        f = make(x)
        """,
        "x[0] = 2",
        1,
        2,
    ),
    "cell of a helper": (
        """
        def make():
            x = 1
            def g(): return x
            def set_x(v):
                nonlocal x
                x = v
            return g, set_x
        g, set_x = make()
        def f(): return g()
        """,
        "set_x(2)",
        1,
        2,
    ),
    "argument of a partial": (
        """
        import functools
        x = [1]
        def g(v): return v[0]
        f = functools.partial(g, x)
        """,
        "x[0] = 2",
        1,
        2,
    ),
    "global of a partial": (
        """
        import functools
        x = 1
        def g(v): return x + v
        f = functools.partial(g, 0)
        """,
        "x = 2",
        1,
        2,
    ),
    "object of a bound method": (
        """
        class C:
            v = 1
            def m(self): return self.v
        o = C()
        f = o.m
        """,
        "o.v = 2",
        1,
        2,
    ),
    "callable object": (
        """
        class C:
            v = 1
            def __call__(self): return self.v
        f = C()
        """,
        "f.v = 2",
        1,
        2,
    ),
    "bound method of a list": (
        """
        x = [1]
        f = x.copy
        """,
        "x.append(2)",
        [1],
        [1, 2],
    ),
    "wrapped function": (
        """
        import functools
        x = 1
        def g(): return x
        @functools.wraps(g)
        def f(*a): return g(*a)
        """,
        "x = 2",
        1,
        2,
    ),
    "the same again": (
        """
        x = 1
        def f(): return x
        """,
        """
        x = 2
        x = 1
        """,
        1,
        1,
    ),
    "equal but another type": (
        """
        x = 1
        def f(): return repr(x)
        """,
        "x = True",
        "1",
        "True",
    ),
    "equal float": (
        """
        x = 0.0
        def f(): return str(x)
        """,
        "x = -0.0",
        "0.0",
        "-0.0",
    ),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Any:
    """A program's globals, what changes, and the results before and after."""
    source, statement, before, after = CHANGES[request.param]
    return define(source), statement, before, after


def test_each_submit_sees_the_state_of_its_moment(shared: pp.Server, change: Any) -> None:
    program, statement, before, after = change
    assert shared.submit(program["f"])() == before
    assert shared.submit(program["f"])() == before
    exec(textwrap.dedent(statement), program)
    assert shared.submit(program["f"])() == after
    assert shared.submit(program["f"])() == after


def test_jobs_that_wait_see_the_state_of_their_submit(
    shared: pp.Server, gate: Gate, change: Any
) -> None:
    program, statement, before, after = change
    shared.submit(jobs.pass_gate, gate.args())
    gate.await_inside("job")
    early = [shared.submit(program["f"]) for _ in range(2)]
    exec(textwrap.dedent(statement), program)
    late = shared.submit(program["f"])
    gate.open()
    assert [job() for job in early] == [before, before]
    assert late() == after


def test_helpers_that_are_passed_may_change(shared: pp.Server) -> None:
    program = define("x = 1\ndef g(): return x")
    function = define("def f(): return g()")["f"]
    for way in ({"depfuncs": (program["g"],)}, {"globals": program}):
        program["x"] = 1
        assert shared.submit(function, **way)() == 1
        program["x"] = 2
        assert shared.submit(function, **way)() == 2


def test_globals_that_are_passed_may_change(shared: pp.Server) -> None:
    program = define("def g(): return 1")
    function = define("def f(): return g()")["f"]
    assert shared.submit(function, globals=program)() == 1
    exec("def g(): return 2", program)
    assert shared.submit(function, globals=program)() == 2


def test_arrays_may_change(shared: pp.Server) -> None:
    array = np.zeros(1000)

    def total() -> float:
        return float(array.sum())

    assert shared.submit(total)() == 0
    array[7] = 3
    assert shared.submit(total)() == 3


def test_arguments_may_change_after_submit(make_server: MakeServer) -> None:
    server = make_server(0)
    argument = [1]
    job = server.submit(jobs.echo, (argument,))
    argument.append(2)
    server.set_ncpus(1)
    assert job() == [1]


def test_a_loop_variable_has_its_value_of_each_turn(server: pp.Server) -> None:
    made = []
    for number in range(50):
        made.append(server.submit(lambda: number))  # noqa: B023 (this is the test)
    assert [job() for job in made] == list(range(50))


def test_templates_see_changes_too(shared: pp.Server) -> None:
    program = define("x = 1\ndef f(y): return x + y")
    template: pp.Template[int] = pp.Template(shared, program["f"])
    assert template.submit(10)() == 11
    program["x"] = 2
    assert template.submit(10)() == 12
