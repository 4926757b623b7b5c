"""Nodes that run another minor version of Python than the client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import version
from tests.support import define


@pytest.fixture
def server(make_node: MakeNode, make_client: MakeClient, other_python: str) -> pp.Server:
    """A server whose only node runs another Python."""
    return make_client(make_node("--name", "other", python=other_python))


def test_functions_with_source_run_there(server: pp.Server) -> None:
    ran_by = server.submit(version)()
    assert ran_by != sys.version_info[:2]
    assert server.submit(jobs.echo, ([1, "two", None],))() == [1, "two", None]
    assert list(server.map(jobs.echo, range(1000))) == list(range(1000))


def test_closures_defaults_and_lambdas_run_there(server: pp.Server) -> None:
    factor, other = 3, [10]

    def outer(x: int, *, shift: int = 1) -> int:
        def inner(y: int) -> int:
            return y * factor

        return inner(x) + shift + sum(other)

    assert server.submit(outer, (4,))() == 23
    assert server.submit(lambda x: x + factor, (4,))() == 7


def test_classes_by_value_work_there(server: pp.Server) -> None:
    class Square:
        def __init__(self, side: int) -> None:
            super().__init__()
            self.side = side

        def area(self) -> int:
            return self.side**2

    class Cube(Square):
        def volume(self) -> int:
            return super().area() * self.side

    def work(side: int) -> tuple[int, int]:
        return Square(side).area(), Cube(side).volume()

    assert server.submit(work, (3,))() == (9, 27)


def test_the_very_function_runs_there(server: pp.Server) -> None:
    ops = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b}
    assert server.submit(ops["add"], (3, 4))() == 7
    assert server.submit(ops["mul"], (3, 4))() == 12
    two = [lambda x: x + 1, lambda x: x + 2]
    assert server.submit(two[1], (1,))() == 3
    keys = (lambda r: r.real, lambda r: r.imag)
    assert server.submit(keys[1], (1 + 2j,))() == 2.0
    alike = [lambda: 1, lambda: True, lambda: 1.0, lambda: 0.0, lambda: -0.0]
    assert [repr(server.submit(each)()) for each in alike] == ["1", "True", "1.0", "0.0", "-0.0"]
    nested = lambda: (lambda x: x - 1, lambda x: x * 10)[1](4)  # noqa: E731
    assert server.submit(nested)() == 40


def test_private_names_belong_to_their_class_there(server: pp.Server) -> None:
    class Base:
        def __init__(self) -> None:
            self.__x = "base"

        def of_base(self) -> str:
            return self.__x

    class Child(Base):
        def __init__(self) -> None:
            super().__init__()
            self.__x = "child"

        def both(self) -> tuple[str, str]:
            def deeper() -> str:
                return self.__x

            return self.of_base(), deeper()

    def work() -> tuple[str, str]:
        return Child().both()

    assert server.submit(work)() == ("base", "child")
    assert server.submit(Child().both)() == ("base", "child")


def test_features_of_the_future_hold_there(server: pp.Server) -> None:
    def outer() -> dict[str, object]:
        def inner(x: Unknown) -> None:  # type: ignore[name-defined]  # noqa: F821
            pass

        return inner.__annotations__

    assert server.submit(outer)() == {"x": "Unknown", "return": "None"}


def test_functions_keep_what_is_around_them_there(server: pp.Server) -> None:
    def deco(function: Any, mark: Callable[[], str] = lambda: "deco") -> Any:
        return lambda *args: (mark(), function(*args))

    @deco
    @deco
    def work(x: int, also: Callable[[int], object] = lambda y: y + 1) -> object:
        """Has
        a text."""

        class Inner:
            def name(self) -> str:
                return __class__.__qualname__  # type: ignore[name-defined,no-any-return]

        squares = [y * y for y in range(x)]
        many: list[Any] = [lambda i=i: i for i in range(2)]
        return Inner().name(), squares, [each() for each in many], also(x)

    assert server.submit(work, (3,))() == work(3)
    picked = [lambda: i for i in range(3)]  # noqa: B023
    assert server.submit(picked[1])() == 2


EDITED = """
def f(x):
    return x {sign} 1
"""


def test_an_edited_file_is_not_sent(server: pp.Server, tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    file.write_text(EDITED.format(sign="+"))
    names: dict[str, Any] = {"__name__": "edited_program"}
    exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), names)
    # It begins elsewhere, and is the same.
    file.write_text("import os\n\n" + EDITED.format(sign="+"))
    assert server.submit(names["f"], (5,))() == 6
    exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), names)
    file.write_text("import os\n\n" + EDITED.format(sign="-"))
    with pytest.raises(pp.SerializationError, match=r"'f' of .*edited\.py.*no longer"):
        server.submit(names["f"], (5,))()


def test_functions_and_instances_are_arguments_and_results(server: pp.Server) -> None:
    class Held:
        def __init__(self, value: int) -> None:
            self.value = value

        def doubled(self) -> int:
            return self.value * 2

    def work(held: Held, function: Callable[[int], int]) -> tuple[Held, int]:
        return Held(held.doubled()), function(held.value)

    held, number = server.submit(work, (Held(4), lambda x: x * 21))()
    assert type(held) is Held
    assert (held.doubled(), number) == (16, 84)


def test_exceptions_come_back_from_there(server: pp.Server) -> None:
    def fail() -> None:
        raise KeyError("from another Python")

    with pytest.raises(KeyError, match="from another Python") as caught:
        server.submit(fail)()
    assert 'raise KeyError("from another Python")' in "".join(
        getattr(caught.value, "__notes__", ()) or [str(caught.value.__cause__)]
    )


def test_what_cannot_run_there_says_so(server: pp.Server) -> None:
    hidden = define("def hidden():\n    return 1\n")["hidden"]
    with pytest.raises(pp.SerializationError) as caught:
        server.submit(hidden)()
    said = str(caught.value)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert "node 'other' runs Python 3." in said
    assert f"the other side Python {ours}" in said
    assert "function 'hidden' of '<program>'" in said
    assert "its source cannot be found" in said
