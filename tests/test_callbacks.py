"""Callbacks: once each, in the client, before any wait returns."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, eventually

WAYS: dict[str, Callable[[pp.Server, pp.Job[Any]], object]] = {
    "server.wait()": lambda server, _job: server.wait(),
    "server.wait(group)": lambda server, _job: server.wait("default"),
    "job.wait()": lambda _server, job: job.wait(),
    "job()": lambda _server, job: job(),
    "job(raw_result=True)": lambda _server, job: job(raw_result=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_has_run_when_the_wait_returns(server: pp.Server, way: str) -> None:
    for number in range(10):
        called: list[int] = []
        job = server.submit(jobs.echo, (number,), callback=called.append)
        WAYS[way](server, job)
        assert called == [number]
        assert job.finished
        job()
        server.wait()
        assert called == [number]


def test_it_gets_callbackargs_before_the_result(server: pp.Server) -> None:
    called: list[tuple[Any, ...]] = []

    def callback(*args: Any) -> None:
        called.append(args)

    server.submit(jobs.echo, ("r",), callback=callback)
    server.submit(jobs.echo, ("r",), callback=callback, callbackargs=(1,))
    server.submit(jobs.echo, ("r",), callback=callback, callbackargs=[1, "two", None])
    server.wait()
    assert sorted(called, key=len) == [("r",), (1, "r"), (1, "two", None, "r")]


def test_it_runs_in_the_client_without_being_asked(server: pp.Server) -> None:
    seen: list[int] = []
    server.submit(jobs.pid, callback=lambda pid: seen.extend((pid, os.getpid())))
    eventually(lambda: len(seen) == 2, "the callback runs by itself")
    assert seen[0] != os.getpid()
    assert seen[1] == os.getpid()


def test_callbackargs_are_the_clients_own_objects(server: pp.Server) -> None:
    lock = threading.Lock()
    seen: list[object] = []
    job = server.submit(
        jobs.echo, (1,), callback=lambda *args: seen.extend(args), callbackargs=(lock,)
    )
    job.wait()
    assert seen[0] is lock
    assert seen[1] == 1


def test_the_callback_gets_the_object_that_job_returns(server: pp.Server) -> None:
    seen: list[object] = []
    job = server.submit(jobs.echo, ([1, 2],), callback=seen.append)
    assert job() is seen[0]


def test_many_callbacks_each_once(server: pp.Server) -> None:
    lock = threading.Lock()
    called: list[int] = []

    def callback(value: int) -> None:
        with lock:
            called.append(value)

    for number in range(500):
        server.submit(jobs.echo, (number,), callback=callback)
    server.wait()
    assert sorted(called) == list(range(500))


def test_finished_means_that_the_callback_has_run(server: pp.Server) -> None:
    entered, leave = threading.Event(), threading.Event()

    def callback(_result: object) -> None:
        entered.set()
        leave.wait()

    job = server.submit(jobs.echo, (1,), callback=callback)
    assert entered.wait(30)
    assert not job.finished
    leave.set()
    job.wait()
    assert job.finished


def test_one_that_raises_is_logged_and_loses_nothing(
    server: pp.Server, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []

    def bad(_result: object) -> None:
        raise ValueError("from the callback")

    with caplog.at_level(logging.ERROR, "pp"):
        first = server.submit(jobs.echo, (1,), callback=bad)
        second = server.submit(jobs.echo, (2,), callback=called.append)
        server.wait()
    assert called == [2]
    assert (first(), second()) == (1, 2)
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in records] == ["pp"]
    assert f"job {first.tid} " in records[0].getMessage()
    assert records[0].exc_info is not None
    assert records[0].exc_info[0] is ValueError


def test_one_that_exits_ends_neither_a_wait_nor_the_client(
    server: pp.Server, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(result: object) -> None:
        raise SystemExit(f"after {result}")

    # Again and again, since any of several threads may be the one that runs it.
    with caplog.at_level(logging.ERROR, "pp"):
        for number in range(30):
            job = server.submit(jobs.echo, (number,), callback=leave)
            WAYS[list(WAYS)[number % len(WAYS)]](server, job)
            assert job.finished
            assert job() == number
    assert [caplog.text.count(f"SystemExit: after {n}\n") for n in range(30)] == [1] * 30


def test_after_one_that_raises_the_server_works(server: pp.Server) -> None:
    called: list[int] = []
    logger = logging.getLogger("pp")
    logger.disabled = True
    try:
        for number in range(20):
            server.submit(jobs.echo, (number,), callback=called.append if number % 2 else jobs.fail)
        server.wait()
    finally:
        logger.disabled = False
    assert sorted(called) == list(range(1, 20, 2))


def test_the_callback_of_a_job_that_raises_is_not_called(
    server: pp.Server, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[Any] = []
    with caplog.at_level(logging.WARNING, "pp"):
        job = server.submit(jobs.fail, (ValueError("lost?"),), callback=called.append)
        server.wait()
    assert called == []
    assert "lost?" in caplog.text
    with pytest.raises(ValueError, match=r"lost\?"):
        job()


def test_with_errors_printed_the_callback_gets_none(
    make_server: MakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(1, errors="print")
    called: list[Any] = []
    job = server.submit(jobs.fail, (ValueError("printed"),), callback=called.append)
    server.wait()
    assert called == [None]
    assert job() is None
    assert capsys.readouterr().out.count("in fail\n") == 1


def test_destroy_calls_no_callback_of_what_has_not_ended(
    make_server: MakeServer, gate: Gate
) -> None:
    server = make_server(1)
    called: list[Any] = []
    server.submit(jobs.pass_gate, gate.args(), callback=called.append)
    server.submit(jobs.echo, (1,), callback=called.append)
    gate.await_inside("job")
    server.destroy()
    assert called == []


def test_a_job_prints_before_its_callback_runs(
    server: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    job = server.submit(jobs.say, ("from the job",), callback=lambda n: print("callback", n))
    server.wait()
    job()
    assert capsys.readouterr().out == "from the job\ncallback 1\n"


def test_a_callback_may_ask_its_own_server(server: pp.Server) -> None:
    seen: list[Any] = []

    def callback(value: int) -> None:
        seen.append((server.get_ncpus(), server.get_stats()["local"].njobs > 0, value))

    server.submit(jobs.echo, (5,), callback=callback)
    server.wait()
    assert seen == [(2, True, 5)]


def test_a_callback_may_destroy_the_server(make_server: MakeServer) -> None:
    server = make_server(1)
    done = threading.Event()

    def callback(_result: object) -> None:
        server.destroy()
        done.set()

    job = server.submit(jobs.echo, (1,), callback=callback)
    assert done.wait(30)
    assert job() == 1
    with pytest.raises(pp.DestroyedServerError):
        server.submit(jobs.echo, (1,))


def test_one_that_the_end_of_its_server_cuts_short_is_no_error(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server, done = make_server(1), threading.Event()

    def callback(_result: object) -> None:
        server.destroy()
        try:
            server.submit(jobs.echo, (1,))
        finally:
            done.set()

    with caplog.at_level(logging.INFO, "pp"):
        server.submit(jobs.echo, (1,), callback=callback).wait()
    assert done.is_set()
    assert any("cut short" in record.getMessage() for record in caplog.records)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_one_that_uses_another_destroyed_server_is_an_error(
    server: pp.Server, make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_server(1)
    other.destroy()
    with caplog.at_level(logging.INFO, "pp"):
        server.submit(jobs.echo, (1,), callback=lambda n: other.submit(jobs.echo, (n,))).wait()
    assert [record.levelno for record in caplog.records if "callback" in record.getMessage()] == [
        logging.ERROR
    ]


def test_a_job_with_a_callback_may_be_submitted_while_another_is_pickled(
    run_script: RunScript,
) -> None:
    ran = run_script(
        """
        import pp

        server = pp.Server(1)
        results = []

        class Submits:
            def __reduce__(self):
                server.submit(pow, (2, 3), callback=results.append)
                return int, ()

        job = server.submit(abs, (Submits(),), callback=results.append)
        print(job())
        server.wait()
        print(sorted(results))
        """
    )
    assert ran.out == "0\n[0, 8]\n"
