"""Fixtures for all tests, and the check that no test leaves anything behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.failures.ledger import Ledger
from tests.support import (
    RUN_TOKEN,
    WORKER_MARK,
    Gate,
    Holdings,
    MakeGate,
    MakeServer,
    Ran,
    RunPython,
    RunScript,
    eventually,
    marked_processes,
)

# The directory that makes `import pp` work in a script.
PACKAGE_PARENT = str(Path(pp.__file__).resolve().parent.parent)

# Seconds that the workers of a script have to notice that it has ended. A promise of
# the package says one; the rest is for busy machines.
LEFTOVER_PATIENCE = 5.0


def pytest_configure() -> None:
    """Lets programs that tests start hear Ctrl-C, also if this one was started in the background by
    a shell, which has it ignored.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Lets `gc.collect`, of which there are some thousands, pass by all that was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def run_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Marks all processes of this run and gives them a directory for temporary files.

    A first server lives and dies here, for what is made once in a process.
    """
    import tempfile

    temporary = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUN_TOKEN, uuid.uuid4().hex)
        # No test is to take itself for a job of some other server.
        patch.delenv(WORKER_MARK, raising=False)
        for variable in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(variable, str(temporary))
        patch.setattr(tempfile, "tempdir", None)
        with pp.Server(1) as server:
            assert server.submit(jobs.echo, (1,))() == 1
        yield temporary
        # What served a whole module is looked for here.
        assert not marked_processes()


@pytest.fixture(autouse=True)
def nothing_left_behind(run_environment: Path) -> Iterator[None]:
    """Fails a test after which there is more than there was before it.

    That is: workers or their children, however deep; file descriptors and threads of
    this process; shared memory; temporary files. None at all may be left.
    """
    gc.collect()
    before = Holdings.now(run_environment)
    yield
    gc.collect()
    more: dict[str, list[object]] = {}

    def as_before() -> bool:
        # A script's workers have a moment to notice that it has ended.
        nonlocal more
        more = Holdings.now(run_environment).beyond(before)
        return not more

    try:
        eventually(as_before, patience=LEFTOVER_PATIENCE)
    except AssertionError:
        pytest.fail(f"left behind for {LEFTOVER_PATIENCE:.0f} s: {more}")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A book that all processes of the test can write to."""
    return Ledger(str(tmp_path / "ledger"))


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Makes servers that are destroyed after the test."""
    servers: list[pp.Server] = []

    def make(*args: Any, **options: Any) -> pp.Server:
        servers.append(pp.Server(*args, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.destroy()


@pytest.fixture
def server(make_server: MakeServer) -> pp.Server:
    """A server of two workers."""
    return make_server(2)


@pytest.fixture
def lone(make_server: MakeServer) -> pp.Server:
    """A server of one worker, which runs all jobs, one after another."""
    return make_server(1)


@pytest.fixture(scope="module")
def shared(run_environment: Path) -> Iterator[pp.Server]:
    """A server of one worker for all tests of a module that look at results only."""
    with pp.Server(1) as server:
        # Its worker is there before any test looks what is.
        assert server.submit(jobs.echo, (1,))() == 1
        yield server


@pytest.fixture
def make_gate(tmp_path: Path) -> Iterator[MakeGate]:
    """Makes gates, which open at the test's end at the latest."""
    gates: list[Gate] = []

    def make() -> Gate:
        gates.append(Gate(tmp_path / f"gate{len(gates)}"))
        return gates[-1]

    yield make
    for gate in gates:
        gate.open()


@pytest.fixture
def gate(make_gate: MakeGate) -> Gate:
    """A closed gate for jobs."""
    return make_gate()


@pytest.fixture(scope="session")
def run_python(run_environment: Path) -> RunPython:
    """See `tests.support.RunPython`."""

    def run(
        *arguments: str,
        stdin: str = "",
        env: dict[str, str] | None = None,
        timeout: float = 40,
        returncode: int | None = 0,
        quiet: bool = True,
    ) -> Ran:
        try:
            done = subprocess.run(
                [sys.executable, "-W", "error", *arguments],
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                env={**os.environ, "PYTHONPATH": PACKAGE_PARENT, "PYTHONUTF8": "1", **(env or {})},
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"hangs; stdout: {late.stdout!r}; stderr: {late.stderr!r}")
        said = f"it ended with {done.returncode}; stdout:\n{done.stdout}\nstderr:\n{done.stderr}"
        assert returncode is None or done.returncode == returncode, said
        assert not (quiet and done.stderr), said
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def run_script(run_python: RunPython, tmp_path: Path) -> RunScript:
    """See `tests.support.RunScript`."""

    def run(
        source: str,
        *arguments: str,
        interpreter_args: tuple[str, ...] = (),
        stdin: str = "",
        env: dict[str, str] | None = None,
        timeout: float = 40,
        returncode: int | None = 0,
        quiet: bool = True,
    ) -> Ran:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(source), encoding="utf-8")
        return run_python(
            *interpreter_args,
            str(script),
            *arguments,
            stdin=stdin,
            env=env,
            timeout=timeout,
            returncode=returncode,
            quiet=quiet,
        )

    return run
