"""Modules of the user's own project, which nodes do not have."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import MakeNode
from tests.cluster.nodes import SECRET
from tests.support import MakeServer, RunScript

HEAD = f"""
import pp
server = pp.Server(0, ({{node!r}},), secret={SECRET!r}{{options}})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a program's own modules."""
    directory = tmp_path / "project"
    package = directory / "shapes"
    (package / "round").mkdir(parents=True)
    (directory / "helper.py").write_text("FACTOR = 3\n\n\ndef triple(x):\n    return FACTOR * x\n")
    (package / "__init__.py").write_text("from .square import area\n")
    (package / "square.py").write_text("def area(side):\n    return side * side\n")
    (package / "round" / "__init__.py").write_text("")
    (package / "round" / "circle.py").write_text(
        "from ..square import area\n\n\nclass Circle:\n    def __init__(self, radius):\n"
        "        self.radius = radius\n\n    def box(self):\n        return area(2 * self.radius)\n"
    )
    return directory


def run(project: Path, node: str, source: str, options: str = "") -> str:
    """Runs a program in the directory of the project; what it prints."""
    import sys

    program = project / "program.py"
    program.write_text(HEAD.format(node=node, options=options) + textwrap.dedent(source))
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def node(make_node: MakeNode, tmp_path: Path) -> str:
    """The name of a node that does not have the project."""
    return make_node("--name", "far").name


def test_a_function_of_an_own_module_runs_at_a_node(project: Path, node: str) -> None:
    said = run(
        project,
        node,
        """
        import helper
        print(server.submit(helper.triple, (5,))())
    """,
    )
    assert said == "15\n"


def test_a_program_that_uses_own_modules_and_packages(project: Path, node: str) -> None:
    said = run(
        project,
        node,
        """
        import helper, shapes
        from shapes.round.circle import Circle

        def work(circle, side):
            from_here = type(helper.__loader__).__module__ == "pp._serialize.shipped"
            return circle.box() + helper.triple(shapes.area(side)), from_here

        print(server.submit(work, (Circle(2), 3))())
        made = server.submit(Circle, (7,))()
        print(type(made) is Circle, made.box())
    """,
    )
    assert said == "(43, True)\nTrue 196\n"


def test_what_is_imported_inside_a_job_travels_too(project: Path, node: str) -> None:
    (project / "lazy.py").write_text("def work(x):\n    import later\n    return later.VALUE + x\n")
    (project / "later.py").write_text("VALUE = 40\n")
    said = run(
        project,
        node,
        """
        import lazy
        print(server.submit(lazy.work, (2,))())
    """,
    )
    assert said == "42\n"


def test_a_changed_module_is_sent_anew(project: Path, node: str) -> None:
    said = run(
        project,
        node,
        """
        import importlib, os, helper
        print(server.submit(helper.triple, (5,))())
        with open("helper.py", "w") as file:
            file.write("FACTOR = 100\\n\\n\\ndef triple(x):\\n    return FACTOR * x  # changed\\n")
        importlib.reload(helper)
        print(server.submit(helper.triple, (5,))())
    """,
    )
    assert said == "15\n500\n"


def test_tracebacks_show_the_lines_of_own_modules(project: Path, node: str) -> None:
    (project / "faulty.py").write_text("def work():\n    return 1 / 0  # on purpose\n")
    said = run(
        project,
        node,
        """
        import faulty
        server.submit(faulty.work)()
    """,
    )
    assert "return 1 / 0  # on purpose" in said
    assert said.rstrip().endswith("ZeroDivisionError: division by zero")


def test_what_is_elsewhere_travels_if_it_is_named(project: Path, node: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "extra"
    elsewhere.mkdir(parents=True)
    (elsewhere / "__init__.py").write_text(
        "def work():\n    from extra.more import N\n    return N\n"
    )
    (elsewhere / "more.py").write_text("N = 17\n")
    source = f"""
        import sys
        sys.path.append({str(elsewhere.parent)!r})
        import extra
        elsewhere = {str(elsewhere.parent)!r}
        import shutil

        def work():
            import extra
            return extra.work()

        job = server.submit(work)
        print(job())
    """
    # It was not found when the server was made, and is now.
    assert run(project, node, source, ", ship=['extra']").startswith("17\n")


def test_a_module_that_is_nowhere_is_named_with_the_node_and_what_to_do(
    project: Path, node: str
) -> None:
    said = run(
        project,
        node,
        """
        def work():
            import no_such_module_anywhere

        try:
            server.submit(work)()
        except ModuleNotFoundError as error:
            print(error)
            print(error.name)
    """,
    )
    assert "No module named 'no_such_module_anywhere' on node 'far'" in said
    assert "pip install no_such_module_anywhere" in said
    assert "ship=['no_such_module_anywhere']" in said
    assert said.endswith("\nno_such_module_anywhere\n")


def test_a_script_in_a_directory_of_its_own_needs_nothing(run_script: RunScript, node: str) -> None:
    run_script(HEAD.format(node=node, options="") + "assert server.submit(abs, (-3,))() == 3\n")


@pytest.mark.parametrize("ship", ["tests", [7], [""]])
def test_what_names_no_module_is_refused_at_once(ship: Any, make_server: MakeServer) -> None:
    with pytest.raises((TypeError, ValueError), match="ship"):
        make_server(0, ("127.0.0.1:1",), secret=SECRET, ship=ship)


@pytest.mark.parametrize("name", ["no_such_module_anywhere", "_socket"])
def test_what_cannot_travel_is_warned_of_at_once(
    name: str, make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    make_server(0, ("127.0.0.1:1",), secret=SECRET, ship=[name])
    assert f"ship: no module '{name}' is found" in caplog.text
