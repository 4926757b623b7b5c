"""Clients and workers for the tests of the serialization layer."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

SUPPORT = Path(__file__).parent / "support"

sys.path.append(str(SUPPORT))
try:
    import link
finally:
    sys.path.remove(str(SUPPORT))

How = Literal["file", "command", "interactive"]
RunProgram = Callable[..., str]
Define = Callable[[str], dict[str, Any]]

_PRELUDE = "import link\nworker = link.Worker()\ncall = worker.call\nsubmit = worker.submit\n"


@pytest.fixture(scope="module")
def worker() -> Iterator[link.Worker]:
    """A worker process, and this process as its client."""
    made = link.Worker()
    yield made
    made.close()


@pytest.fixture
def define() -> Define:
    """Runs source text as a script of its own; returns its globals."""

    def define(source: str) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        code = compile(textwrap.dedent(source), "<program>", "exec", dont_inherit=True)
        exec(code, namespace)
        return namespace

    return define


@pytest.fixture
def run_program(tmp_path: Path) -> RunProgram:
    """Runs source text as `__main__` of a client that has a worker.

    It knows `call(func, *args)`, `submit(func, args, depfuncs, modules, globals)` and
    `worker`. Returns what it printed; fails if anything went wrong in it.
    """

    def run(source: str, how: How = "file", paths: tuple[Path, ...] = ()) -> str:
        text = f"{_PRELUDE}{textwrap.dedent(source)}\nworker.close()\nprint('finished')\n"
        command = [sys.executable, "-W", "error"]
        stdin = ""
        if how == "file":
            script = tmp_path / "program.py"
            script.write_text(text)
            command.append(str(script))
        elif how == "command":
            command += ["-c", text]
        else:
            command += ["-i", "-q"]
            stdin = as_typed(text)
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SUPPORT, *paths)))},
            timeout=40,
            check=False,
        )
        said = f"stdout:\n{done.stdout}\nstderr:\n{done.stderr}"
        assert done.returncode == 0, said
        # The interactive interpreter goes on after an error; it writes its prompts here.
        assert not done.stderr.replace(">>> ", "").replace("... ", "").strip(), said
        *lines, last = done.stdout.splitlines()
        assert last == "finished", said
        return "\n".join(lines)

    return run


def as_typed(text: str) -> str:
    """The text as somebody types it: an empty line ends each block, and no other is there."""
    typed: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        continues = line.startswith((" ", "else", "elif", "except", "finally", ")", "}", "]"))
        if typed and typed[-1].startswith(" ") and not continues:
            typed.append("")
        typed.append(line)
    return "\n".join([*typed, "", ""])
