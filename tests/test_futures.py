"""A job is a future: what it gives, what it tells of itself, and what is called at its end."""

from __future__ import annotations

import concurrent.futures
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, eventually, held_up
from tests.test_threads import in_threads

# Longer than any test may take.
AGES = 1e6


class UnspeakableError(Exception):
    """It cannot even be shown."""

    def __str__(self) -> str:
        raise ValueError("no words")


# What a job gives


def test_result_is_what_the_function_returned(shared: pp.Server) -> None:
    assert shared.submit(jobs.add, (2, 3)).result() == 5
    assert shared.submit(jobs.echo, (None,)).result(AGES) is None


def test_all_ways_to_the_result_give_the_same_object(shared: pp.Server) -> None:
    first = shared.submit(jobs.echo, ([1, 2],))
    assert first() is first.result() is first(raw_result=False) is first.result(0)
    assert first.exception() is None
    second = shared.submit(jobs.echo, ([1, 2],))
    assert second.exception() is None
    assert second.result() is second()


def test_threads_that_come_at_once_get_the_same_object(shared: pp.Server) -> None:
    for _ in range(20):
        job = shared.submit(jobs.echo, ([1, 2],))
        ways = (job, job.result) * 4
        results = in_threads(8, lambda index, ways=ways: ways[index]())  # type: ignore[misc]
        assert len({id(result) for result in results}) == 1


def test_result_raises_what_the_job_raised(shared: pp.Server) -> None:
    job = shared.submit(jobs.fail, (LookupError("not here"),))
    for _ in range(2):
        with pytest.raises(LookupError, match="not here"):
            job.result()
    error = job.exception()
    assert isinstance(error, LookupError)
    assert error.args == ("not here",)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_is_raised_and_given_as_well(
    kind: type[BaseException], shared: pp.Server
) -> None:
    job = shared.submit(jobs.fail, (kind("x"),))
    with pytest.raises(kind):
        job.result()
    assert isinstance(job.exception(), kind)
    assert job.state == "failed"


def test_result_raises_where_failures_are_printed(
    make_server: MakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(1, errors="print")
    job = server.submit(jobs.fail, (LookupError("not here"),))
    with pytest.raises(LookupError):
        job.result()
    assert isinstance(job.exception(), LookupError)
    assert not capsys.readouterr().out, "who is told needs nothing printed"
    assert job() is None
    assert "LookupError: not here" in capsys.readouterr().out
    with pytest.raises(LookupError):
        job.result()


def test_none_is_a_result_where_failures_are_printed(make_server: MakeServer) -> None:
    server = make_server(1, errors="print")
    job = server.submit(jobs.echo, (None,))
    assert job() is None
    assert job.result() is None
    assert job.exception() is None


def test_a_result_that_cannot_be_sent_is_told(shared: pp.Server) -> None:
    job = shared.submit(threading.Lock)
    with pytest.raises(pp.SerializationError):
        job.result()
    assert isinstance(job.exception(), pp.SerializationError)
    assert job.state == "failed"


def test_output_appears_once_whoever_asks(
    shared: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    job = shared.submit(jobs.say, ("hello",))
    job.result()
    job()
    job.result()
    assert capsys.readouterr().out == "hello\n"


# Timeouts


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, -1, -math.inf, 1e-9, 0.05, False])
@pytest.mark.parametrize("way", ["result", "exception"])
def test_a_job_that_is_not_done_in_time_goes_on(
    timeout: float, way: str, shared: pp.Server, gate: Gate
) -> None:
    job = held_up(shared, gate)
    with pytest.raises(TimeoutError, match="has not ended within") as caught:
        getattr(job, way)(timeout)
    assert "pass_gate running at local" in str(caught.value)
    gate.open()
    assert job.result() > 0


@pytest.mark.parametrize("timeout", [1e9, 1e18, 1e19, 1.8e19, 1e300, math.inf])
def test_a_timeout_may_be_long(timeout: float, shared: pp.Server, gate: Gate) -> None:
    job = held_up(shared, gate)
    threading.Timer(0.1, gate.open).start()
    assert job.result(timeout) > 0
    assert job.exception(timeout) is None


def test_a_timeout_that_is_none(shared: pp.Server) -> None:
    job = shared.submit(jobs.echo, (1,))
    with pytest.raises(ValueError, match="number of seconds"):
        job.result(math.nan)
    for wrong in ("1", [], object()):
        with pytest.raises(TypeError):
            job.result(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            job.exception(wrong)  # type: ignore[arg-type]
    assert job.result(timeout=None) == 1


def test_a_job_that_has_ended_needs_no_time(shared: pp.Server) -> None:
    job = shared.submit(jobs.echo, (1,))
    job.wait()
    assert job.result(0) == job.result(-1) == 1
    assert job.exception(-math.inf) is None


def test_a_thread_waits_no_longer_than_it_says(shared: pp.Server, gate: Gate) -> None:
    """Other threads than the main one have no signals to look at in between."""
    job = held_up(shared, gate)

    def wait(_index: int) -> str:
        with pytest.raises(TimeoutError):
            job.result(0.05)
        return "late"

    assert in_threads(4, wait) == ["late"] * 4
    gate.open()


# Where it is


def test_the_life_of_a_job(lone: pp.Server, make_gate: Callable[[], Gate]) -> None:
    first_gate, gate = make_gate(), make_gate()
    before = time.time()
    first = held_up(lone, first_gate)
    job = lone.submit(jobs.pass_gate, gate.args(), group="mine")
    assert (job.state, job.done(), job.running(), job.cancelled()) == ("queued",) + (False,) * 3
    assert (job.node, job.worker_pid, job.attempts) == (None, None, 0)
    assert (job.started_at, job.finished_at) == (None, None)
    assert before - 0.1 <= job.submitted_at <= time.time() + 0.1
    assert repr(job) == f"<pp.Job {job.tid} pass_gate queued, group 'mine'>"
    first_gate.open()
    pid = first.result()
    gate.await_inside("job")
    assert (job.state, job.done(), job.running(), job.cancelled()) == (
        "running",
        False,
        True,
        False,
    )
    assert (job.node, job.worker_pid, job.attempts) == ("local", pid, 1)
    assert repr(job) == (
        f"<pp.Job {job.tid} pass_gate running at local, process {pid}, group 'mine'>"
    )
    gate.open()
    assert job.result() == pid
    assert (job.state, job.done(), job.running(), job.cancelled()) == (
        "finished",
        True,
        False,
        False,
    )
    assert (job.node, job.worker_pid, job.attempts) == ("local", pid, 1)
    assert repr(job) == f"<pp.Job {job.tid} pass_gate finished, group 'mine'>"


def test_a_job_that_fails_says_so(shared: pp.Server) -> None:
    job = shared.submit(jobs.fail, (LookupError(),))
    job.wait()
    assert (job.state, job.done(), job.running(), job.cancelled()) == ("failed", True, False, False)
    assert repr(job) == f"<pp.Job {job.tid} fail failed, group 'default'>"
    assert (job.node, job.attempts) == ("local", 1)
    assert job.worker_pid == shared.submit(jobs.pid).result()


def test_a_job_that_was_cancelled_says_so(lone: pp.Server, gate: Gate) -> None:
    held_up(lone, gate)
    job = lone.submit(jobs.echo, (1,))
    assert job.cancel() is True
    for _ in range(2):
        with pytest.raises(pp.JobCancelled) as caught:
            job.result()
        assert isinstance(caught.value, concurrent.futures.CancelledError)
        with pytest.raises(pp.JobCancelled):
            job.exception()
        with pytest.raises(pp.JobCancelled):
            job()
    job.wait()
    assert (job.state, job.done(), job.running(), job.cancelled()) == (
        "cancelled",
        True,
        False,
        True,
    )
    assert (job.node, job.worker_pid, job.attempts) == (None, None, 0)
    assert job.started_at is None
    assert job.finished_at is not None
    assert (job.stdout, job.stderr) == ("", "")
    assert repr(job) == f"<pp.Job {job.tid} echo cancelled, group 'default'>"
    assert job.cancel() is False


def test_a_job_that_has_ended_cannot_be_cancelled(shared: pp.Server) -> None:
    job = shared.submit(jobs.echo, (1,))
    job.wait()
    assert job.cancel() is False
    assert not job.cancelled()
    assert job.result() == 1


def test_a_job_whose_worker_died_tells_of_all_attempts(make_server: MakeServer) -> None:
    server = make_server(1, max_worker_deaths=2)
    job = server.submit(os._exit, (3,))
    assert isinstance(job.exception(), pp.WorkerDied)
    assert job.state == "failed"
    assert job.attempts == 2


def test_attempts_in_vain_are_counted(make_server: MakeServer, tmp_path: Path) -> None:
    def die_once(directory: str) -> str:
        import pathlib

        try:
            pathlib.Path(directory, "died").touch(exist_ok=False)
        except FileExistsError:
            return "lived"
        os._exit(1)

    job = make_server(1).submit(die_once, (str(tmp_path),))
    assert job.result() == "lived"
    assert (job.state, job.attempts) == ("finished", 2)


def test_a_job_that_the_servers_end_overtook(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    running = held_up(server, gate)
    waiting = server.submit(jobs.echo, (1,))
    server.destroy()
    for job in (running, waiting):
        assert (job.state, job.done(), job.running()) == ("failed", True, False)
        assert isinstance(job.exception(0), pp.DestroyedServerError)
        with pytest.raises(pp.DestroyedServerError):
            job.result()
        assert not job.cancelled()
        assert job.cancel() is False
        assert "failed" in repr(job)
        assert "DestroyedServerError" in job._repr_html_()
    assert server.cancel() == 0


def test_times_are_in_order(server: pp.Server) -> None:
    before = time.time()
    submitted = [server.submit(time.sleep, (0.01,)) for _ in range(20)]
    for job in submitted:
        job.result()
    after = time.time()
    # Two clocks, one of them read again and again.
    slack = 0.05
    for job in submitted:
        started, finished = job.started_at, job.finished_at
        assert started is not None
        assert finished is not None
        assert before - slack <= job.submitted_at <= started + slack
        assert started + 0.01 <= finished + slack
        assert finished <= after + slack
    ends = [job.finished_at or 0.0 for job in submitted]
    assert max(ends) - min(ends) >= 0.05, "two workers, ten jobs each of 10 ms"


def test_a_time_does_not_run_away(shared: pp.Server) -> None:
    job = shared.submit(jobs.echo, (1,))
    job.result()
    first = (job.submitted_at, job.started_at, job.finished_at)
    eventually(lambda: time.time() > (first[2] or 0) + 0.3)
    assert (job.submitted_at, job.started_at, job.finished_at) == pytest.approx(first, abs=0.05)


def test_names(shared: pp.Server) -> None:
    assert shared.submit(jobs.echo, (1,)).name == "echo"
    assert shared.submit(lambda: 1).name == "test_names.<locals>.<lambda>"
    assert shared.submit(abs, (1,)).name == "abs"


# How it is shown


def test_a_card_in_each_state(lone: pp.Server, gate: Gate) -> None:
    running = held_up(lone, gate)
    queued, cancelled = lone.submit(jobs.echo, (1,)), lone.submit(jobs.echo, (1,))
    failed = lone.submit(jobs.fail, (LookupError("nowhere"),))
    cancelled.cancel()
    assert "running" in running._repr_html_()
    assert "queued" in queued._repr_html_()
    assert "submitted" in queued._repr_html_()
    assert "cancelled" in cancelled._repr_html_()
    gate.open()
    failed.wait()
    assert "finished" in running._repr_html_()
    assert f"process {running.result()}" in running._repr_html_()
    assert "LookupError: nowhere" in failed._repr_html_()


def test_a_card_is_safe_html(shared: pp.Server) -> None:
    evil = "<script>alert('1')</script> & more\nsecond line"
    job = shared.submit(jobs.fail, (LookupError(evil),), group=evil)
    job.wait()
    card = job._repr_html_()
    assert "<script>" not in card
    assert "&lt;script&gt;alert(" in card
    assert "second line" in card, "it is of the group's name"
    named = shared.submit(lambda: 1)
    named.wait()
    assert "&lt;lambda&gt;" in named._repr_html_()


def test_a_card_of_what_cannot_be_shown(shared: pp.Server) -> None:
    job = shared.submit(jobs.fail, (UnspeakableError(),))
    job.wait()
    assert "UnspeakableError" in job._repr_html_()
    assert repr(job)
    empty = shared.submit(jobs.fail, (LookupError(""),))
    empty.wait()
    assert "LookupError" in empty._repr_html_()
