"""Classes of a script as arguments and results: they stay the same classes."""

from __future__ import annotations

from typing import Any

import pytest

PROGRAMS = {
    "dataclass": """
        import dataclasses
        @dataclasses.dataclass
        class Point:
            x: int
            y: int = 0
            tags: list = dataclasses.field(default_factory=list)
        got = call(lambda p: dataclasses.replace(p, x=5), Point(1, 2))
        assert got == Point(5, 2) and type(got) is Point
        assert call(lambda: Point(1)) == Point(1)
        """,
    "frozen dataclass with slots": """
        import dataclasses
        @dataclasses.dataclass(frozen=True, slots=True)
        class Point:
            x: int
            y: int = 0
        got = call(lambda p: (hasattr(p, "__dict__"), Point(p.y, p.x)), Point(1, 2))
        assert got == (False, Point(2, 1)) and type(got[1]) is Point
        """,
    "dataclass made from another inside a job": """
        import dataclasses
        @dataclasses.dataclass
        class Point:
            x: int
            y: int = dataclasses.field(default_factory=lambda: 7)
        def f():
            @dataclasses.dataclass
            class Space(Point):
                z: int = 3
            return dataclasses.astuple(Space(1)), repr(Space(1))[-20:]
        assert call(f) == ((1, 7, 3), "Space(x=1, y=7, z=3)")
        """,
    "enum": """
        import enum
        class Color(enum.Enum):
            RED = 1
            BLUE = 2
            CRIMSON = 1
            def twice(self):
                return self.value * 2
        def f(c):
            return c is Color.RED, c.twice(), Color["CRIMSON"], Color(2)
        assert call(f, Color.RED) == (True, 2, Color.RED, Color.BLUE)
        assert call(lambda: Color.BLUE) is Color.BLUE
        """,
    "enum with attributes": """
        import enum
        class Planet(enum.Enum):
            EARTH = (5.9, 6.3)
            def __init__(self, mass, radius):
                self.mass = mass
        assert call(lambda: Planet.EARTH.mass) == 5.9
        """,
    "kinds of enum": """
        import enum
        class Mode(enum.Flag):
            READ = enum.auto()
            WRITE = enum.auto()
        class Level(enum.IntEnum):
            LOW = 1
        class Name(str, enum.Enum):
            A = "a"
        assert call(lambda m: m | Mode.WRITE, Mode.READ) is Mode.READ | Mode.WRITE
        assert call(lambda l: (l + 1, l), Level.LOW) == (2, Level.LOW)
        assert call(lambda n: n, Name.A) is Name.A
        """,
    "namedtuple": """
        import collections, typing
        Pair = collections.namedtuple("Pair", "a b")
        class Typed(typing.NamedTuple):
            a: int
            b: int = 3
            def total(self):
                return self.a + self.b
        got = call(lambda p: p._replace(a=4), Pair(1, 2))
        assert got == Pair(4, 2) and type(got) is Pair
        got = call(lambda t: (t.total(), Typed(5)), Typed(1))
        assert got == (4, Typed(5)) and type(got[1]) is Typed
        """,
    "abstract classes": """
        import abc
        class Base(abc.ABC):
            @abc.abstractmethod
            def m(self): ...
        class Sub(Base):
            def m(self):
                return super().__init__() is None
        class Virtual:
            pass
        Base.register(Virtual)
        def f():
            try:
                Base()
            except TypeError:
                return Sub().m(), issubclass(Virtual, Base)
        assert call(f) == (True, True)
        """,
    "slots": """
        class Slots:
            __slots__ = ("a", "__b", "__weakref__")
            def __init__(self):
                self.a = 1
                self.__b = 2
            def b(self):
                return self.__b
        def f(s):
            try:
                s.other = 1
            except AttributeError:
                return s.b(), Slots()
        b, s = call(f, Slots())
        assert b == 2 and type(s) is Slots and s.b() == 2
        """,
    "typing": """
        import typing
        T = typing.TypeVar("T")
        class Box(typing.Generic[T]):
            def __init__(self, value: T):
                self.value = value
        class Row(typing.TypedDict):
            a: int
        class Named(typing.Protocol):
            def name(self) -> str: ...
        class Cat(Named):
            def name(self):
                return "cat"
        UserId = typing.NewType("UserId", int)
        P = typing.ParamSpec("P")
        def call_it(f: typing.Callable[P, T], *args: P.args) -> T:
            return f(*args)
        got = call(lambda: Box[int](4))
        assert type(got) is Box and got.value == 4
        assert call(lambda: Row(a=1)) == {"a": 1}
        assert call(lambda: Cat().name()) == "cat"
        assert call(lambda n: UserId(n), 4) == 4
        assert call(call_it, int, "3") == 3
        """,
    "properties": """
        import functools
        class Lazy:
            @property
            def one(self):
                return 1
            @functools.cached_property
            def two(self):
                return self.one + 1
        assert call(lambda lazy: (lazy.one, lazy.two), Lazy()) == (1, 2)
        """,
    "metaclass": """
        class Meta(type):
            def __call__(cls, *args):
                made = super().__call__(*args)
                made.tag = cls.__name__
                return made
        class Made(metaclass=Meta):
            pass
        assert call(lambda: Made().tag) == "Made"
        assert type(call(Made)) is Made
        """,
    "inherited": """
        class Base:
            def hello(self):
                return "base"
        class Sub(Base):
            def hello(self):
                return "sub " + super().hello()
        assert call(lambda s: s.hello(), Sub()) == "sub base"
        assert isinstance(call(Sub), Base)
        """,
    "local": """
        def make():
            class Local:
                value = 3
            return Local
        Local = make()
        assert type(call(Local)) is Local
        """,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_classes(run_program: Any, program: str) -> None:
    run_program(PROGRAMS[program])


def test_results_leave_the_clients_class_as_it_is(run_program: Any) -> None:
    run_program("""
        class Thing:
            count = 0
            def own(self):
                return 1
        own = Thing.own
        def f():
            Thing.count = 5
            Thing.extra = 1
            return Thing()
        got = call(f)
        assert type(got) is Thing
        assert Thing.count == 0 and Thing.own is own and not hasattr(Thing, "extra")
        """)


def test_a_class_that_was_made_in_a_worker_comes_by_value(run_program: Any) -> None:
    run_program("""
        def f():
            class Born:
                def __init__(self, value):
                    self.value = value
                def twice(self):
                    return self.value * 2
            return Born(4)
        got = call(f)
        assert got.twice() == 8
        assert call(lambda b: b.twice(), got) == 8
        assert type(call(lambda b: b, got)) is type(got)
        """)


def test_numpy_arrays(run_program: Any) -> None:
    run_program("""
        import numpy as np
        assert call(lambda a: (a * 2).tolist(), np.arange(3)) == [0, 2, 4]
        assert call(np.sum, np.arange(3)) == 3
        assert call(lambda: np.arange(3)).tolist() == [0, 1, 2]
        assert call(np.sin, 0.0) == 0.0
        """)
