"""Initializers of executors, and executors that are broken by them."""

from __future__ import annotations

import sys
import time
from concurrent.futures import BrokenExecutor, wait
from typing import Any

import pytest

import pp
from tests import jobs
from tests.executor.conftest import MakeExecutor
from tests.support import Gate, MakeServer, eventually, formatted


def prepare(value: str) -> None:
    global prepared
    prepared = value


prepared = "not"


def look() -> str:
    return prepared


def refuse_in_one(folder: str) -> None:
    """Fails in the worker that comes first."""
    from pathlib import Path

    try:
        Path(folder, "first").mkdir()
    except FileExistsError:
        return
    raise LookupError("no such table")


def test_it_runs_in_each_worker(make_executor: MakeExecutor) -> None:
    executor = make_executor(2, initializer=prepare, initargs=("ready",))
    assert [executor.submit(look).result() for _ in range(20)] == ["ready"] * 20
    assert list(executor.map(lambda _: prepared, range(5))) == ["ready"] * 5
    assert prepared == "not"


def test_if_it_fails_the_executor_is_broken(make_executor: MakeExecutor, gate: Gate) -> None:
    def refuse(directory: str, name: str) -> None:
        jobs.pass_gate(directory, name)
        raise LookupError("no such table")

    executor = make_executor(1, initializer=refuse, initargs=gate.args("initializer"))
    futures = [executor.submit(jobs.echo, number) for number in range(10)]
    gate.await_inside("initializer")
    gate.open()
    for future in futures:
        error = future.exception(30)
        assert isinstance(error, pp.InitializerError)
        assert isinstance(error, BrokenExecutor)
        assert isinstance(error.__cause__, LookupError)
        assert "in refuse\n" in formatted(error)
        with pytest.raises(BrokenExecutor, match="no such table"):
            future.result()
    with pytest.raises(BrokenExecutor, match="no such table") as caught:
        executor.submit(jobs.echo, 1)
    assert isinstance(caught.value.__cause__, LookupError)
    with pytest.raises(BrokenExecutor):
        executor.map(jobs.echo, range(5))
    executor.shutdown()
    with pytest.raises(BrokenExecutor):
        executor.submit(jobs.echo, 1)


def test_one_worker_that_fails_is_enough_and_what_runs_goes_on(
    make_executor: MakeExecutor, gate: Gate, tmp_path: Any
) -> None:
    executor = make_executor(2, initializer=refuse_in_one, initargs=(str(tmp_path),))
    runs = [executor.submit(jobs.pass_gate, *gate.args(f"job{number}")) for number in range(30)]

    def is_broken() -> bool:
        try:
            executor.submit(jobs.pass_gate, *gate.args("later"))
        except BrokenExecutor:
            return True
        return False

    eventually(is_broken, "it breaks")
    gate.open()
    wait(runs)
    failed = [future for future in runs if isinstance(future.exception(), BrokenExecutor)]
    assert len(failed) >= 29
    assert all(future.result() for future in runs if future not in failed)


def test_it_may_exit(make_executor: MakeExecutor) -> None:
    executor = make_executor(1, initializer=sys.exit)
    with pytest.raises(BrokenExecutor, match="SystemExit"):
        executor.submit(jobs.echo, 1).result()


def test_a_given_server_may_have_one(make_server: MakeServer) -> None:
    server = make_server(1, initializer=jobs.fail, initargs=(LookupError("no such table"),))
    executor = pp.Executor(server=server)
    with pytest.raises(BrokenExecutor, match="no such table"):
        executor.submit(jobs.echo, 1).result()
    with pytest.raises(BrokenExecutor):
        executor.submit(jobs.echo, 1)


def test_one_that_takes_long_is_waited_for(make_executor: MakeExecutor) -> None:
    executor = make_executor(2, initializer=time.sleep, initargs=(0.5,))
    assert executor.submit(jobs.echo, 1).result() == 1


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="initializer must be callable"):
        pp.Executor(1, initializer="jobs")  # type: ignore[arg-type]
