"""Futures of an executor, from their beginning to their end."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import signal
import threading
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

import pp
from pp._executor.future import JobFuture
from tests import jobs
from tests.support import Gate, MakeGate, MakeServer, eventually


def test_one_that_waits_can_be_cancelled_and_never_runs(lone: pp.Executor, gate: Gate) -> None:
    first = lone.submit(jobs.pass_gate, *gate.args("first"))
    gate.await_inside("first")
    waiting = [lone.submit(jobs.pass_gate, *gate.args(f"waiting{n}")) for n in range(5)]
    assert all(future.cancel() for future in waiting)
    assert all(future.cancelled() and future.done() for future in waiting)
    assert all(future.cancel() for future in waiting)
    with pytest.raises(CancelledError):
        waiting[0].result()
    with pytest.raises(CancelledError):
        waiting[1].exception(1)
    assert "state=cancelled" in repr(waiting[2])
    gate.open()
    assert first.result()
    assert lone.submit(jobs.echo, 1).result() == 1
    assert gate.inside() == ["first"]


def test_one_that_runs_cannot_be_cancelled(lone: pp.Executor, gate: Gate) -> None:
    future = lone.submit(jobs.pass_gate, *gate.args())
    assert not future.done()
    gate.await_inside("job")
    assert future.running()
    assert "state=running" in repr(future)
    assert not future.cancel()
    assert not future.cancelled()
    assert future.running()
    gate.open()
    worker = future.result()
    assert not future.running()
    assert not future.cancel()
    # And it was not by another worker that it came to its end.
    assert lone.submit(jobs.pid).result() == worker


def test_one_that_begins_in_the_moment_of_its_cancel_goes_on(lone: pp.Executor, gate: Gate) -> None:
    future = lone.submit(jobs.pass_gate, *gate.args())
    assert isinstance(future, JobFuture)
    gate.await_inside("job")
    # As if nobody knew yet that it runs.
    assert future._job is not None
    assert not future._job._withdraw()
    gate.open()
    worker = future.result()
    assert lone.submit(jobs.pid).result() == worker


def test_one_that_could_not_be_cancelled_survives_its_worker(lone: pp.Executor, gate: Gate) -> None:
    future = lone.submit(jobs.pass_gate, *gate.args())
    gate.await_inside("job")
    assert not future.cancel()
    (worker,) = lone._server._engine.worker_pids()
    os.kill(worker, signal.SIGKILL)
    gate.open()
    assert future.result() != worker


def test_one_that_waits_does_not_run(lone: pp.Executor, gate: Gate) -> None:
    first = lone.submit(jobs.pass_gate, *gate.args("first"))
    waiting = lone.submit(jobs.echo, 1)
    gate.await_inside("first")
    assert not waiting.running()
    assert "state=pending" in repr(waiting)
    gate.open()
    assert waiting.result() == 1
    assert first.done()


def test_each_of_many_is_cancelled_or_runs_never_both(executor: pp.Executor, tmp_path: Any) -> None:
    folder = str(tmp_path)

    def run(number: int) -> int:
        from pathlib import Path

        Path(folder, str(number)).touch()
        return number

    futures = [executor.submit(run, number) for number in range(600)]
    # From both ends, while the workers run them.
    refused = [future for future in futures[::2] + futures[1::2][::-1] if not future.cancel()]
    concurrent.futures.wait(futures)
    ran = {number for number, future in enumerate(futures) if not future.cancelled()}
    assert [future.result() for future in refused] == [futures.index(f) for f in refused]
    assert ran == {int(path.name) for path in tmp_path.iterdir()}
    assert ran == {futures.index(future) for future in refused}


def test_a_timeout_is_over_and_the_call_goes_on(lone: pp.Executor, gate: Gate) -> None:
    future = lone.submit(jobs.pass_gate, *gate.args())
    with pytest.raises(TimeoutError):
        future.result(0)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.exception(timeout=0.01)
    gate.open()
    assert future.result(30)
    assert future.exception(0) is None


def test_callbacks_come_once_and_in_order(executor: pp.Executor, gate: Gate) -> None:
    called: list[Any] = []
    future = executor.submit(jobs.pass_gate, *gate.args())
    future.add_done_callback(lambda each: called.append((1, each, each.done())))
    future.add_done_callback(lambda each: called.append((2, each, each.result() > 0)))
    assert called == []
    gate.open()
    eventually(lambda: len(called) == 2, "both are called")
    future.add_done_callback(lambda each: called.append((3, each, True)))
    assert called == [(number, future, True) for number in (1, 2, 3)]


def test_callbacks_of_one_that_fails_or_is_cancelled(lone: pp.Executor, gate: Gate) -> None:
    called: list[Future[Any]] = []
    first = lone.submit(jobs.pass_gate, *gate.args())
    fails = lone.submit(jobs.fail, ValueError())
    waits = lone.submit(jobs.echo, 1)
    gate.await_inside("job")
    for future in (fails, waits):
        future.add_done_callback(called.append)
    assert waits.cancel()
    assert called == [waits]
    gate.open()
    eventually(lambda: called == [waits, fails], "the other is called, too")
    assert first.result()


def test_a_callback_that_raises_hinders_no_other(
    executor: pp.Executor, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    called = threading.Event()

    def bad(_future: Future[Any]) -> None:
        raise ValueError("from the callback")

    with caplog.at_level(logging.ERROR):
        future = executor.submit(jobs.pass_gate, *gate.args())
        future.add_done_callback(bad)
        future.add_done_callback(lambda _: called.set())
        gate.open()
        assert called.wait(30)
    assert "from the callback" in caplog.text
    assert executor.submit(jobs.echo, 1).result() == 1


def test_a_callback_that_exits_ends_nothing(executor: pp.Executor, gate: Gate) -> None:
    logger = logging.getLogger("pp")
    logger.disabled = True
    try:
        future = executor.submit(jobs.pass_gate, *gate.args())
        future.add_done_callback(lambda _: jobs.fail(SystemExit(3)))
        gate.open()
        assert future.result()
        executor.shutdown()
    finally:
        logger.disabled = False


def test_a_thread_that_waits_with_a_lock_does_not_run_callbacks_that_want_it(
    executor: pp.Executor, make_gate: MakeGate
) -> None:
    lock = threading.Lock()
    called = threading.Semaphore(0)

    def callback(_future: Future[Any]) -> None:
        with lock:
            called.release()

    for _ in range(20):
        gate = make_gate()
        future = executor.submit(jobs.pass_gate, *gate.args())
        future.add_done_callback(callback)
        with lock:
            gate.open()
            assert future.result()
        assert called.acquire(timeout=30)


def test_a_callback_may_submit_and_wait(executor: pp.Executor) -> None:
    results: list[int] = []
    done = threading.Event()

    def callback(future: Future[int]) -> None:
        results.append(executor.submit(jobs.add, future.result(), 1).result())
        done.set()

    executor.submit(jobs.echo, 1).add_done_callback(callback)
    assert done.wait(30)
    assert results == [2]


def test_many_threads_wait_for_the_same(executor: pp.Executor, gate: Gate) -> None:
    future = executor.submit(jobs.pass_gate, *gate.args())
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda wait=wait: results.append(future.result(wait)))
        for wait in (None, 30) * 4
    ]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join()
    assert results == [future.result()] * 8


def test_threads_that_wait_hear_of_a_cancel(lone: pp.Executor, gate: Gate) -> None:
    lone.submit(jobs.pass_gate, *gate.args())
    gate.await_inside("job")
    future = lone.submit(jobs.echo, 1)
    heard: list[str] = []

    def wait(timeout: float | None) -> None:
        try:
            future.result(timeout)
        except CancelledError:
            heard.append("cancelled")

    threads = [threading.Thread(target=wait, args=(timeout,)) for timeout in (None, 30.0)]
    for thread in threads:
        thread.start()
    assert future.cancel()
    for thread in threads:
        thread.join()
    assert heard == ["cancelled"] * 2
    gate.open()


def test_jobs_that_the_server_cancels_are_cancelled_futures(
    make_server: MakeServer, gate: Gate
) -> None:
    server = make_server(1)
    with pp.Executor(server=server) as executor:
        runs = executor.submit(jobs.pass_gate, *gate.args())
        waits = executor.submit(jobs.echo, 1)
        gate.await_inside("job")
        server.cancel()
        for future in (runs, waits):
            with pytest.raises(CancelledError):
                future.result(30)
