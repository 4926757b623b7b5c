"""An environment in which no interpreter starts: jobs fail at once, and nothing spins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import assert_serves, await_true, none_left

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No interpreter finds its standard library."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PYTHONHOME", str(empty))


def test_every_job_fails_at_once(
    broken: None, server_of: Callable[..., pp.Server], token: str
) -> None:
    server = server_of(2)
    submitted = [server.submit(abs, (-n,)) for n in range(50)]
    for job in submitted:
        with pytest.raises(pp.WorkerStartError):
            job()
    with pytest.raises(pp.WorkerStartError) as caught:
        submitted[0]()
    error = caught.value
    assert sys.executable in str(error)
    # The interpreter's own words say what is wrong.
    assert "encodings" in error.stderr
    assert "encodings" in str(error)
    assert error.deaths == 0
    none_left(token)


def test_wait_ends_too(broken: None, server_of: Callable[..., pp.Server]) -> None:
    server = server_of(2)
    for n in range(10):
        server.submit(abs, (-n,))
    server.wait()


def test_no_endless_respawning(
    server_of: Callable[..., pp.Server],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Each start is counted by a program that stands in for the interpreter."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho start >> {ledger.path}\necho no python here >&2\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    server = server_of(4)
    with pytest.raises(pp.WorkerStartError) as caught:
        server.submit(abs, (-1,))()
    assert caught.value.exitcode == 9
    assert "no python here" in caught.value.stderr
    starts = ledger.count("start")
    assert 1 <= starts <= 20
    # Nothing goes on behind the scenes once it has given up.
    await_true(lambda: ledger.count("start") >= starts, "the starts")
    server.destroy()
    assert ledger.count("start") <= starts + 4


def test_interpreter_that_does_not_exist(
    server_of: Callable[..., pp.Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    server = server_of(2)
    with pytest.raises(pp.WorkerStartError, match="/nowhere/python"):
        server.submit(abs, (-1,))()


def test_workers_that_cannot_be_set_up_say_why(
    server_of: Callable[..., pp.Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The interpreter starts, but what it starts with fails."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, sys\nos.write(2, b'this site is closed\\n')\nos._exit(11)\n"
    )
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{hook}{os.pathsep}{path}")
    server = server_of(2)
    with pytest.raises(pp.WorkerStartError) as caught:
        server.submit(abs, (-1,))()
    assert caught.value.exitcode == 11
    assert "this site is closed" in str(caught.value)


def test_submit_works_after_the_repair(
    server_of: Callable[..., pp.Server],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    server = server_of(2)
    assert_serves(server, 2, ledger)
    with monkeypatch.context() as broken:
        broken.setenv("PYTHONHOME", str(tmp_path))
        for _ in range(2):
            with pytest.raises(pp.WorkerDied):
                server.submit(jobs.kill_self)()
            with pytest.raises(pp.WorkerDied):
                server.submit(jobs.kill_self)()
        with pytest.raises(pp.WorkerStartError):
            server.submit(abs, (-1,))()
    assert server.submit(abs, (-1,))() == 1
    assert_serves(server, 2, ledger)


def test_broken_from_the_start_and_repaired(
    server_of: Callable[..., pp.Server],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with monkeypatch.context() as broken:
        broken.setenv("PYTHONHOME", str(tmp_path))
        server = server_of(2)
        for _ in range(3):
            with pytest.raises(pp.WorkerStartError):
                server.submit(abs, (-1,))()
    assert server.submit(abs, (-1,))() == 1
    assert_serves(server, 2, ledger)


def test_breaking_while_workers_run_harms_none_of_them(
    server_of: Callable[..., pp.Server],
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    server = server_of(2, max_worker_deaths=1)
    before = assert_serves(server, 2, ledger)
    with monkeypatch.context() as broken:
        broken.setenv("PYTHONHOME", str(tmp_path))
        server.set_ncpus(3)
        with pytest.raises(pp.WorkerDied):
            server.submit(jobs.kill_self)()
        # One is left, and it is enough.
        assert {server.submit(jobs.own_pid)() for _ in range(50)} <= before
