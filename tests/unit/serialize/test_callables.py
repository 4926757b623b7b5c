"""Every kind of callable, in a script, with -c, and typed in."""

from __future__ import annotations

from typing import Any

import pytest

# By what they show. Each is a program of its own that knows `call`.
PROGRAMS = {
    "function": """
        def f(x, y=2):
            return x + y
        assert call(f, 1) == 3
        """,
    "lambda": """
        assert call(lambda x: x * 2, 4) == 8
        """,
    "closure": """
        def outer(n):
            def inner(x):
                return x + n
            return inner
        assert call(outer(5), 1) == 6
        """,
    "closures that share a variable": """
        def counter():
            n = 0
            def inc():
                nonlocal n
                n += 1
                return n
            def get():
                return n
            return inc, get
        inc, get = counter()
        assert call(lambda: (inc(), inc(), get())) == (1, 2, 2)
        assert call(get) == 0
        """,
    "recursive": """
        def factorial(n):
            return 1 if n < 2 else n * factorial(n - 1)
        assert call(factorial, 5) == 120
        """,
    "recursive closure": """
        def make(base):
            def down(n):
                return base if n == 0 else down(n - 1)
            return down
        assert call(make(7), 3) == 7
        """,
    "mutually recursive": """
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n != 0 and even(n - 1)
        assert call(even, 10) is True
        """,
    "partial": """
        import functools
        def f(x, y, *, z=0):
            return (x, y, z)
        assert call(functools.partial(f, 1, z=3), 2) == (1, 2, 3)
        assert call(functools.partial(functools.partial(f, 1), 2)) == (1, 2, 0)
        """,
    "methods": """
        class Service:
            factor = 3
            def __init__(self, a):
                self.a = a
            def run(self, x):
                return self.a * x * self.factor
            @classmethod
            def make(cls, a):
                return cls(a)
            @staticmethod
            def plus_one(a):
                return a + 1
            def __call__(self, y):
                return self.a + y
        assert call(Service(2).run, 4) == 24
        assert call(Service(2), 4) == 6
        assert call(Service.plus_one, 4) == 5
        made = call(Service.make, 9)
        assert type(made) is Service and made.a == 9
        assert type(call(Service, 1)) is Service
        assert call(Service.run, Service(1), 1) == 3
        """,
    "builtins and C functions": """
        import math, operator
        assert call(abs, -3) == 3
        assert call(math.sqrt, 4) == 2
        assert call(str.upper, "a") == "A"
        assert call("a,b".split, ",") == ["a", "b"]
        assert call([1, 2].__len__) == 2
        assert call(dict.fromkeys, "a") == {"a": None}
        assert call(operator.itemgetter(1), "ab") == "b"
        assert call(int, "7") == 7
        """,
    "random numbers": """
        import random
        from random import randint, random as draw
        def f():
            return draw(), randint(0, 10**9)
        assert len({call(f) for _ in range(3)}) == 3
        assert len({call(draw) for _ in range(3)}) == 3
        own = random.Random(1)
        def g():
            return own.random()
        assert {call(g) for _ in range(3)} == {random.Random(1).random()}
        """,
    "lru_cache": """
        import functools
        @functools.cache
        def fib(n):
            return n if n < 2 else fib(n - 1) + fib(n - 2)
        @functools.lru_cache(maxsize=3, typed=True)
        def one(x):
            "About one."
            return x
        assert call(fib, 50) == 12586269025
        assert call(lambda: (one(4), one.cache_info().maxsize, one.__doc__)) == (4, 3, "About one.")
        assert call(lambda: one.cache_parameters()) == {"maxsize": 3, "typed": True}
        """,
    "wraps": """
        import functools
        def twice(f):
            @functools.wraps(f)
            def wrapper(*args):
                return [f(*args), f(*args)]
            return wrapper
        @twice
        def f(x):
            return x
        assert call(f, 4) == [4, 4]
        assert call(lambda: (f.__name__, f.__wrapped__(1))) == ("f", 1)
        """,
    "contextmanager": """
        import contextlib
        @contextlib.contextmanager
        def four():
            yield 4
        def use():
            with four() as value:
                return value
        assert call(use) == 4
        """,
    "singledispatch": """
        import functools
        @functools.singledispatch
        def kind(x):
            return "object"
        @kind.register
        def _(x: int):
            return "int"
        @kind.register(list)
        def _(x):
            return [kind(item) for item in x]
        assert call(kind, [1, "a"]) == ["int", "object"]
        assert call(lambda: kind.__name__) == "kind"
        """,
    "generators": """
        def numbers(n):
            yield from range(n)
        def total(n):
            return sum(numbers(n))
        assert call(total, 4) == 6
        """,
    "globals in the body of a class": """
        LIMIT = 5
        def f():
            class Inner:
                limit = LIMIT
            return Inner.limit
        assert call(f) == 5
        """,
    "submodules": """
        import os.path
        import xml.dom.minidom
        def f():
            return xml.dom.minidom.__name__
        assert call(f) == "xml.dom.minidom"
        """,
    "attributes of functions": """
        def f():
            return f.factor
        f.factor = 3
        assert call(f) == 3
        """,
    "keyword-only defaults": """
        def f(*, a=1, b):
            return (a, b)
        assert call(lambda: f(b=2)) == (1, 2)
        """,
}


@pytest.mark.parametrize("how", ["file", "command", "interactive"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_callables(run_program: Any, program: str, how: str) -> None:
    run_program(PROGRAMS[program], how)


def test_a_function_defined_anew_runs_in_its_new_form(run_program: Any) -> None:
    program = """
        def f():
            return helper()
        def helper():
            return 1
        assert call(f) == 1
        def helper():
            return 2
        assert call(f) == 2
        def f():
            return helper() * 10
        assert call(f) == 20
        """
    for how in ("file", "command", "interactive"):
        run_program(program, how)


def test_modules_that_workers_cannot_import_travel_by_value(
    run_program: Any, tmp_path: Any
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "plugin.py").write_text("FACTOR = 3\ndef scale(x):\n    return x * FACTOR\n")
    run_program(f"""
        import importlib.util, sys, types
        spec = importlib.util.spec_from_file_location("plugin", {str(hidden / "plugin.py")!r})
        plugin = sys.modules["plugin"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(plugin)
        assert call(plugin.scale, 2) == 6
        assert call(lambda x: plugin.scale(x), 2) == 6
        made = sys.modules["made"] = types.ModuleType("made")
        exec("def f(): return 7", made.__dict__)
        assert call(made.f) == 7
        """)


def test_the_users_wish_to_send_a_module_by_value_is_heard(run_program: Any, tmp_path: Any) -> None:
    (tmp_path / "library.py").write_text(
        "def where(): return __name__ in __import__('sys').modules\n"
    )
    run_program(
        """
        import cloudpickle, library
        cloudpickle.register_pickle_by_value(library)
        assert call(library.where) is False
        cloudpickle.unregister_pickle_by_value(library)
        assert call(lambda: library.where()) is True
        """,
        paths=(tmp_path,),
    )


def test_importable_functions_are_sent_by_name(run_program: Any, tmp_path: Any) -> None:
    (tmp_path / "library.py").write_text(
        "import functools\n@functools.cache\ndef f(): return 'library'\n"
    )
    run_program(
        """
        import library
        assert call(library.f) == "library"
        assert b"library" in worker.last.blob and len(worker.last.blob) < 1500
        """,
        paths=(tmp_path,),
    )


def test_workers_do_not_run_the_script(run_program: Any) -> None:
    printed = run_program("""
        import sys
        print("running")
        assert call(lambda: list(vars(sys.modules["__main__"]))) == call(
            lambda: list(vars(__import__("types").ModuleType("x"))))
        """)
    assert printed == "running"
