"""The initializer of a server's workers: before the first job of each, once."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, caught_from, define, formatted


def note(directory: str) -> None:
    """An initializer that leaves a line for each worker."""
    import os
    from pathlib import Path

    with Path(directory, "initialized").open("a") as book:
        book.write(f"{os.getpid()}\n")


def noted(directory: Any) -> list[int]:
    return [int(line) for line in (directory / "initialized").read_text().split()]


def refuse() -> None:
    raise LookupError("no such table")


def test_it_runs_once_in_each_worker_before_its_first_job(
    make_server: MakeServer, tmp_path: Any
) -> None:
    server = make_server(2, initializer=note, initargs=(str(tmp_path),))
    workers = {server.submit(jobs.pid)() for _ in range(30)}
    assert workers <= set(noted(tmp_path))
    assert len(noted(tmp_path)) == len(set(noted(tmp_path))) <= 2


def test_a_worker_that_gets_no_job_runs_none(make_server: MakeServer, tmp_path: Any) -> None:
    server = make_server(2, initializer=note, initargs=[str(tmp_path)])
    assert server.submit(jobs.echo, (1,))() == 1
    assert len(noted(tmp_path)) == 1


def test_each_fresh_worker_runs_it(make_server: MakeServer, tmp_path: Any) -> None:
    server = make_server(1, initializer=note, initargs=(str(tmp_path),), max_jobs_per_worker=2)
    workers = [server.submit(jobs.pid)() for _ in range(6)]
    assert len(set(workers)) == 3
    assert noted(tmp_path) == list(dict.fromkeys(workers))


def test_what_it_sets_is_seen_by_functions_that_come_by_value(make_server: MakeServer) -> None:
    program = define(
        """
        table = None

        def prepare(content):
            global table, count
            table, count = content, 0

        class Reader:
            def read(self):
                return table

        def look(key):
            global count
            count += 1
            return table[key], Reader().read()[key], (lambda: table)()[key]
        """
    )
    server = make_server(1, initializer=program["prepare"], initargs=({"k": 7},))
    assert [server.submit(program["look"], ("k",))() for _ in range(2)] == [(7, 7, 7)] * 2
    assert program["table"] is None


@pytest.mark.parametrize("wrap", [functools.partial, lambda func, value: lambda: func(value)])
def test_it_may_be_any_callable(
    make_server: MakeServer, wrap: Callable[..., Callable[[], object]]
) -> None:
    def prepare(value: str) -> None:
        sys.pp_test_value = value  # type: ignore[attr-defined]

    def look() -> Any:
        return sys.pp_test_value  # type: ignore[attr-defined]

    server = make_server(1, initializer=wrap(prepare, "here"))
    assert server.submit(look)() == "here"
    assert list(server.map(lambda n: (n, look()), range(3))) == [(n, "here") for n in range(3)]


def test_it_is_sent_as_it_is_when_the_server_is_made(make_server: MakeServer) -> None:
    content = ["first"]

    def prepare() -> None:
        sys.pp_test_value = content  # type: ignore[attr-defined]

    server = make_server(1, initializer=prepare)
    content.append("later")
    assert server.submit(lambda: sys.pp_test_value)() == ["first"]  # type: ignore[attr-defined]


def test_if_it_fails_each_job_says_so_with_its_traceback(make_server: MakeServer) -> None:
    server = make_server(2, initializer=refuse)
    for job in [server.submit(jobs.echo, (n,)) for n in range(5)]:
        error = caught_from(job)
        assert isinstance(error, pp.InitializerError)
        assert isinstance(error, (pp.JobError, BrokenExecutor))
        assert isinstance(error.__cause__, LookupError)
        assert "no such table" in str(error)
        assert "in refuse\n" in formatted(error)
    with pytest.raises(pp.InitializerError):
        list(server.map(jobs.echo, range(3)))
    # The workers live, and one that fails is not tried again.
    assert len(set(server._engine.worker_pids())) == 2


def test_sys_exit_in_it_is_a_failure(make_server: MakeServer) -> None:
    server = make_server(1, initializer=sys.exit, initargs=("not today",))
    error = caught_from(server.submit(jobs.echo, (1,)))
    assert isinstance(error, pp.InitializerError)
    assert "SystemExit: not today" in str(error)


def test_what_it_prints_is_printed_with_the_first_job(
    make_server: MakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(1, initializer=jobs.say, initargs=("prepared",))
    job = server.submit(jobs.say, ("worked",))
    job()
    assert job.stdout == "prepared\nworked\n"
    server.submit(jobs.say, ("again",))()
    assert capsys.readouterr().out == "prepared\nworked\nagain\n"


def test_jobs_wait_for_one_that_takes_long(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1, initializer=jobs.pass_gate, initargs=gate.args("initializer"))
    waiting = [server.submit(jobs.echo, (n,)) for n in range(3)]
    gate.await_inside("initializer")
    assert not any(job.done() for job in waiting)
    gate.open()
    assert [job() for job in waiting] == [0, 1, 2]


def test_a_job_that_is_cancelled_meanwhile_leaves_the_next_one_well(
    make_server: MakeServer, gate: Gate
) -> None:
    server = make_server(1, initializer=jobs.pass_gate, initargs=gate.args("initializer"))
    first = server.submit(jobs.echo, (1,))
    gate.await_inside("initializer")
    assert first.cancel()
    with pytest.raises(pp.JobCancelled):
        first.result(20)
    gate.open()
    assert server.submit(jobs.echo, (2,))() == 2


def test_what_cannot_be_sent_is_refused_at_once() -> None:
    with pytest.raises(pp.SerializationError, match="lock"):
        pp.Server(1, initializer=jobs.echo, initargs=(threading.Lock(),))
    lock = threading.Lock()
    with pytest.raises(pp.SerializationError, match="lock"):
        pp.Server(1, initializer=lambda: lock)
    with pytest.raises(TypeError, match="initializer must be callable"):
        pp.Server(1, initializer="jobs")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="initargs must be a tuple or a list"):
        pp.Server(1, initializer=jobs.echo, initargs="x")


def test_it_works_for_functions_of_a_script(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        def prepare():
            global words
            words = ["one", "two"]

        def pick(number):
            return words[number]

        server = pp.Server(2, initializer=prepare)
        print([server.submit(pick, (n,))() for n in (0, 1)], "words" in globals())
        """
    )
    assert ran.out == "['one', 'two'] False\n"
