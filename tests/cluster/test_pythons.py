"""Nodes that run another minor version of Python than the client."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import version
from tests.support import define

OLDEST = 11


def _candidates() -> Iterator[str]:
    for minor in range(OLDEST, 20):
        if minor != sys.version_info.minor:
            found = shutil.which(f"python3.{minor}")
            if found is not None:
                yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(map(str, root.glob("versions/3.*/bin/python3")))


def _minor_of(python: str) -> int:
    done = subprocess.run(
        [python, "-c", "import sys; print(sys.version_info.minor)"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return int(done.stdout) if done.returncode == 0 else 0


@pytest.fixture(scope="module")
def other_python() -> str:
    """An interpreter of another minor version that can run nodes."""
    for python in _candidates():
        if _minor_of(python) >= OLDEST and _minor_of(python) != sys.version_info.minor:
            return python
    pytest.skip("there is no other Python on this machine")


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
    assert "source" in said
