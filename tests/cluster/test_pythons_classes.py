"""Classes with generated methods, at nodes that run another minor version of Python."""

from __future__ import annotations

import enum
from collections import namedtuple
from collections.abc import Callable
from dataclasses import KW_ONLY, FrozenInstanceError, InitVar, dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import pytest

import pp
from tests.cluster.conftest import MakeClient, MakeNode


@pytest.fixture
def server(make_node: MakeNode, make_client: MakeClient, other_python: str) -> pp.Server:
    """A server whose only node runs another Python."""
    return make_client(make_node("--name", "other", python=other_python))


def test_dataclasses_work_there(server: pp.Server) -> None:
    @dataclass
    class Point:
        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list)
        _: KW_ONLY
        scale: float = 0.5
        kind: ClassVar[str] = "point"
        shift: InitVar[int] = 4

        def __post_init__(self, shift: int) -> None:
            self.y += shift

        def area(self) -> int:
            return self.x * self.y

    @dataclass
    class Space(Point):
        z: int = 9
        x: int = 1

    @dataclass(frozen=True, order=True, slots=True)
    class Frozen:
        x: int
        y: Any = field(default=None, compare=False)
        made: int = field(default=8, init=False)

        def __repr__(self) -> str:
            return f"F{self.x} {self.made}"

    def work(point: Point) -> tuple[Any, ...]:
        frozen = Frozen(3, point)
        try:
            frozen.x = 4  # type: ignore[misc]
        except FrozenInstanceError as error:
            said = str(error)
        else:
            said = ""
        facts = (said, hash(frozen) == hash(Frozen(3)), Frozen(1) < Frozen(2) <= Frozen(2))
        points = [point, Space(), replace(point, x=7, shift=0), Point(2, 3, ["a"], shift=1)]
        return facts, points, repr(points), point == Point(1), point.area(), frozen, repr(frozen)

    there, here = server.submit(work, (Point(1),))(), work(Point(1))
    assert there == here
    assert [type(point) for point in there[1]] == [Point, Space, Point, Point]
    assert type(there[5]) is Frozen
    assert not hasattr(there[5], "__dict__")


def test_named_tuples_and_enums_work_there(server: pp.Server) -> None:
    class Pair(NamedTuple):
        a: int
        b: int = 1

        def total(self) -> int:
            return self.a + self.b

    One = namedtuple("One", "a")  # noqa: PYI024

    class Color(enum.Enum):
        RED = 1
        BLUE = 2

        def twice(self) -> int:
            return int(self.value) * 2

    def work(pair: Pair, color: Color) -> tuple[object, ...]:
        made = Pair(5)._replace(b=color.twice())
        return pair.total(), made, repr(made), made._asdict(), One(1), One(a=2).a, Color.RED

    there, here = (each(Pair(3), Color.BLUE) for each in (_there(server, work), work))
    assert there == here
    assert type(there[1]) is Pair
    assert there[-1] is Color.RED


def _there(server: pp.Server, function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: server.submit(function, args)()


def test_a_dataclass_that_was_changed_is_named(server: pp.Server) -> None:
    @dataclass
    class Changed:
        x: int = 1

    Changed.__init__.__defaults__ = (5,)
    with pytest.raises(pp.SerializationError, match=r"class '.*Changed'.*__init__"):
        server.submit(lambda: Changed().x)()


def test_a_generated_method_by_itself_is_named(server: pp.Server) -> None:
    @dataclass
    class Point:
        x: int

    def work(init: Any = Point.__init__) -> None:
        init(object(), 1)

    with pytest.raises(pp.SerializationError, match=r"'.*Point.__init__'.*generated"):
        server.submit(work)()
