"""Any callable a person writes, wherever it was written."""

from __future__ import annotations

import functools
import json
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pp
from tests import jobs
from tests.support import RunPython, RunScript

# Every kind of callable, defined in `__main__`. No empty line within a definition, and
# one after each, so that the interactive interpreter takes it, too.
PROGRAM = """
import dataclasses, enum, functools, json, math, operator, typing
import pp

def triple(x):
    return 3 * x

def with_defaults(a, b=10, *rest, c=100, **more):
    return a + b + c + sum(rest)

def outer(x):
    return inner(x) + LIMIT

def inner(x):
    return triple(x) + 1

LIMIT = 1000

def is_even(n):
    return n == 0 or is_odd(n - 1)

def is_odd(n):
    return n != 0 and is_even(n - 1)

def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)

def make_adder(n):
    def adder(x):
        return x + n
    return adder

def make_counting(n):
    def countdown(k):
        return [k] if k == n else [k, *countdown(k - 1)]
    return countdown

def shouting(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return str(function(*args, **kwargs)).upper()
    return wrapper

@shouting
def greet(name):
    return "hello " + name

@functools.lru_cache(maxsize=None)
def cached(x):
    return x + 0.5

@functools.singledispatch
def kind(x):
    return "object"

@kind.register
def _(x: int):
    return "int"

def squares(n):
    return (x * x for x in range(n))

def sum_squares(n):
    return sum(squares(n))

def imports_inside(x):
    import statistics
    return statistics.mean([x, x + 2])

class Color(enum.Enum):
    RED = 1
    GREEN = 2
    def mixed(self, other):
        return self.name + other.name

class Weekday(enum.IntEnum):
    MONDAY = 1

@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    color: Color = Color.RED
    def shifted(self, by):
        return dataclasses.replace(self, x=self.x + by)

@dataclasses.dataclass(frozen=True)
class Key:
    name: str

class Named(typing.NamedTuple):
    a: int
    b: str = "b"

class Base:
    factor = 2
    def __init__(self, value):
        self.value = value
    def scaled(self, by):
        return self.value * by * self.factor
    @classmethod
    def of(cls, value):
        return cls(value)
    @staticmethod
    def plain(x):
        return x - 1
    @property
    def half(self):
        return self.value / 2
    def __eq__(self, other):
        return type(other) is type(self) and other.value == self.value
    def __hash__(self):
        return hash(self.value)

class Derived(Base):
    def scaled(self, by):
        return super().scaled(by) + 1
    def __call__(self, x):
        return self.value + x

class Slotted:
    __slots__ = ("a",)
    def __init__(self, a):
        self.a = a

def typed(x):
    return [isinstance(x, Point), x == Point(1), x.color is Color.RED]

results = {}
server = pp.Server(2)

def check(name, value, func, *args):
    try:
        results[name] = value(server.submit(func, args)())
    except Exception as error:
        results[name] = repr(error)

def same(value):
    return value

check("function", same, triple, 14)
check("defaults", same, with_defaults, 1)
check("all parameters", same, with_defaults, 1, 2, 3, 4)
check("calls others", same, outer, 5)
check("mutually recursive", same, is_even, 10)
check("recursive", same, factorial, 6)
check("lambda", same, lambda x: x + 1, 41)
check("lambda that calls", same, lambda x: triple(x) + LIMIT, 1)
check("closure", same, make_adder(2), 40)
check("recursive closure", same, make_counting(1), 3)
check("partial", same, functools.partial(with_defaults, 1, c=0), 2)
check("partial of partial", same, functools.partial(functools.partial(make_adder(1)), 2))
check("decorated", same, greet, "world")
check("cached", same, cached, 1)
check("singledispatch", same, lambda: [kind(1), kind("x")])
check("generator inside", same, sum_squares, 4)
check("imports inside", same, imports_inside, 1)
check("bound method", same, Base(3).scaled, 4)
check("bound method with super", same, Derived(3).scaled, 4)
check("classmethod", lambda r: [type(r) is Derived, r.value], Derived.of, 4)
check("staticmethod", same, Base.plain, 4)
check("function of a class", same, Base.scaled, Base(3), 4)
check("class", lambda r: [type(r) is Base, r == Base(9), r.half], Base, 9)
check("dataclass", lambda r: [type(r) is Point, r == Point(1, 2)], Point, 1, 2)
check("callable object", same, Derived(40), 2)
check("builtin", same, len, "four")
check("C function", same, math.hypot, 3, 4)
check("method of a builtin", same, [1, 2, 1].count, 1)
check("unbound method of a builtin", same, str.upper, "a")
check("itemgetter", same, operator.itemgetter(1), "ab")
check("type", same, int, "12")
check("enum method", same, Color.RED.mixed, Color.GREEN)
check("dataclass argument", same, typed, Point(1))
check("dataclass there and back", lambda r: isinstance(r, Point) and r.x, Point(1).shifted, 4)
check("enum there and back", lambda r: r is Color.GREEN, same, Color.GREEN)
check("int enum there and back", lambda r: r is Weekday.MONDAY, same, Weekday.MONDAY)
check("enum by value", lambda r: r is Color.GREEN, Color, 2)
check("namedtuple there and back", lambda r: [type(r) is Named, r.b], same, Named(1))
check("slots there and back", lambda r: [type(r) is Slotted, r.a], same, Slotted(5))
check("as keys", lambda r: r[Key("k"), Color.RED].value, same, {(Key("k"), Color.RED): Base(6)})
check("class there and back", lambda r: r is Point, same, Point)
check("function there and back", lambda r: r(3), same, triple)
check("closure there and back", lambda r: r(3), make_adder, 4)

print(json.dumps(results))
"""

EXPECTED: dict[str, object] = {
    "function": 42,
    "defaults": 111,
    "all parameters": 110,
    "calls others": 1016,
    "mutually recursive": True,
    "recursive": 720,
    "lambda": 42,
    "lambda that calls": 1003,
    "closure": 42,
    "recursive closure": [3, 2, 1],
    "partial": 3,
    "partial of partial": 3,
    "decorated": "HELLO WORLD",
    "cached": 1.5,
    "singledispatch": ["int", "object"],
    "generator inside": 14,
    "imports inside": 2,
    "bound method": 24,
    "bound method with super": 25,
    "classmethod": [True, 4],
    "staticmethod": 3,
    "function of a class": 24,
    "class": [True, True, 4.5],
    "dataclass": [True, True],
    "callable object": 42,
    "builtin": 4,
    "C function": 5.0,
    "method of a builtin": 2,
    "unbound method of a builtin": "A",
    "itemgetter": "b",
    "type": 12,
    "enum method": "REDGREEN",
    "dataclass argument": [True, True, True],
    "dataclass there and back": 5,
    "enum there and back": True,
    "int enum there and back": True,
    "enum by value": True,
    "namedtuple there and back": [True, "b"],
    "slots there and back": [True, 5],
    "as keys": 6,
    "class there and back": True,
    "function there and back": 9,
    "closure there and back": 7,
}


@pytest.mark.parametrize("way", ["script", "-c", "-", "-i"])
def test_callables_of_main(run_script: RunScript, run_python: RunPython, way: str) -> None:
    """In each of the ways in which Python takes programs."""
    if way == "script":
        out = run_script(PROGRAM).out
    elif way == "-c":
        out = run_python("-c", PROGRAM).out
    else:
        # The interactive interpreter prompts on standard error.
        flags = ["-"] if way == "-" else ["-i", "-q"]
        out = run_python(*flags, stdin=PROGRAM, quiet=way == "-").out
    assert json.loads(out) == EXPECTED


class Multiplier:
    """An ordinary class of a module."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, x: int) -> int:
        return self.factor * x

    def times(self, x: int) -> int:
        return self.factor * x

    @classmethod
    def make(cls, factor: int) -> Multiplier:
        return cls(factor)


def nested(depth: int) -> Callable[[int], int]:
    """A closure over a closure, `depth` times."""

    def function(x: int) -> int:
        return inner(x) + 1 if inner else x

    inner = nested(depth - 1) if depth else None
    return function


KINDS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any]] = {
    "function": (jobs.add, (1, 2), 3),
    "lambda": (lambda x: x + 1, (1,), 2),
    "nested closures": (nested(5), (1,), 6),
    "partial": (functools.partial(jobs.add, 1), (2,), 3),
    "partial with keywords": (functools.partial(int, base=2), ("101",), 5),
    "bound method": (Multiplier(3).times, (4,), 12),
    "unbound method": (Multiplier.times, (Multiplier(3), 4), 12),
    "callable object": (Multiplier(3), (4,), 12),
    "builtin": (sorted, ([3, 1, 2],), [1, 2, 3]),
    "builtin type": (dict, ([("a", 1)],), {"a": 1}),
    "C function": (math.gcd, (12, 18), 6),
    "method of a string": (", ".join, (["a", "b"],), "a, b"),
    "method descriptor": (str.split, ("a b",), ["a", "b"]),
    "slot wrapper": (int.__add__, (1, 2), 3),
    "operator": (operator.mul, (6, 7), 42),
    "attrgetter": (operator.attrgetter("real"), (1.5,), 1.5),
    "methodcaller": (operator.methodcaller("upper"), ("a",), "A"),
    "reduce": (functools.reduce, (operator.add, [1, 2, 3]), 6),
    "ufunc": (np.add, (1, 2), 3),
    "numpy function": (np.linalg.norm, ([3.0, 4.0],), 5.0),
    "exec": (exec, ("pass",), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_callables_of_modules(shared: pp.Server, kind: str) -> None:
    function, args, expected = KINDS[kind]
    assert shared.submit(function, args)() == expected


def test_classes_of_modules(shared: pp.Server) -> None:
    made = shared.submit(Multiplier, (3,))()
    assert type(made) is Multiplier
    assert made(4) == 12
    assert type(shared.submit(Multiplier.make, (3,))()) is Multiplier


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(10**40),
        1.5,
        float("inf"),
        2j,
        "text \u00e4\u4e2d\U0001f600\udc80\0",
        b"\0\xff",
        bytearray(b"ab"),
        [],
        {},
        (),
        [1, (2.0, {"k": [None, {3}]}, frozenset({4}))],
        range(3),
        slice(1, 2),
        Ellipsis,
        int,
        {"deep": [[[[[[[[[[[[1]]]]]]]]]]]]},
        b"x" * 5_000_000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_values_arrive_and_return_as_they_are(shared: pp.Server, value: Any) -> None:
    returned = shared.submit(jobs.echo, (value,))()
    assert returned == value
    assert type(returned) is type(value)


def test_what_is_one_object_stays_one(shared: pp.Server) -> None:
    one: list[Any] = [1]
    one.append(one)
    first, second = shared.submit(jobs.echo, ((one, one),))()
    assert first is second
    assert first[1] is first


@pytest.mark.parametrize("dtype", ["f8", "i4", "U3", "O"])
def test_arrays(shared: pp.Server, dtype: str) -> None:
    array = np.arange(12).astype(dtype).reshape(3, 4)
    returned = shared.submit(np.transpose, (array,))()
    assert (returned == array.T).all()
    assert returned.dtype == array.dtype
