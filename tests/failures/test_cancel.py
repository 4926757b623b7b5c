"""A job that runs and is cancelled ends, whatever it does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

import pp
from tests.failures import jobs
from tests.failures.cancelling import DEAF, HEARS, heedless, in_a_pool, in_a_server, in_sleep
from tests.failures.ledger import PATIENCE, Ledger
from tests.failures.support import (
    await_true,
    await_workers,
    ends_cancelled,
    is_alive,
    none_left,
    started,
)

pytestmark = pytest.mark.timeout(60)

ServerOf = Callable[..., pp.Server]


@pytest.mark.parametrize("what", HEARS)
def test_a_running_job_is_asked_to_end(what: str, server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(1)
    job, worker = started(server, ledger, HEARS[what])
    after = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(20)]
    assert job.running()
    if what not in {"in_python", "in_a_generator", "in_short_sleeps"}:
        # That it hears while it waits is the point.
        await_true(lambda: psutil.Process(worker).status() == "sleeping", "it waits")
    assert job.cancel() is True
    ends_cancelled(job)
    assert [other.result() for other in after] == [f"job {n}" for n in range(20)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(20))
    assert server.submit(jobs.own_pid).result() == worker, "the worker is none the worse for it"
    assert len(ledger.after("holds ")) == 1
    assert (job.node, job.worker_pid, job.attempts) == ("local", worker, 1)


@pytest.mark.parametrize("what", [in_a_pool, in_a_server])
def test_a_job_with_processes_of_its_own(
    what: Callable[[Ledger], None], server_of: ServerOf, ledger: Ledger, token: str
) -> None:
    """Whether it clears up in time or not."""
    server = server_of(1)
    job, _worker = started(server, ledger, what)
    assert job.cancel()
    ends_cancelled(job)
    assert server.submit(jobs.echo, (1,)).result() == 1
    server.destroy()
    none_left(token)


def test_what_is_raised_in_the_job(server_of: ServerOf, ledger: Ledger) -> None:
    def run(ledger: Ledger) -> None:
        ledger.note(f"holds {os.getpid()}")
        try:
            try:
                time.sleep(1000)
            except Exception:
                ledger.note("an ordinary exception")
        except KeyboardInterrupt as error:
            ledger.note(f"raised {type(error).__module__} {type(error).__name__}: {error}")
            raise

    job, _ = started(server_of(1), ledger, run)
    job.cancel()
    ends_cancelled(job)
    assert ledger.after("raised ") == ["pp._errors JobInterrupted: the job was cancelled"]
    assert "an ordinary exception" not in ledger.words()


def test_a_job_clears_up(server_of: ServerOf, ledger: Ledger) -> None:
    def run(ledger: Ledger) -> None:
        try:
            ledger.note(f"holds {os.getpid()}")
            time.sleep(1000)
        finally:
            time.sleep(0.2)
            ledger.note("clean")

    server = server_of(1)
    job, worker = started(server, ledger, run)
    job.cancel()
    ends_cancelled(job)
    assert ledger.count("clean") == 1
    assert server.submit(jobs.own_pid).result() == worker


def test_a_job_that_fails_to_clear_up_is_cancelled_all_the_same(
    server_of: ServerOf, ledger: Ledger
) -> None:
    def run(ledger: Ledger) -> None:
        try:
            ledger.note(f"holds {os.getpid()}")
            time.sleep(1000)
        finally:
            raise LookupError("while it cleared up")

    server = server_of(1)
    job, worker = started(server, ledger, run)
    job.cancel()
    ends_cancelled(job)
    assert server.submit(jobs.own_pid).result() == worker


@pytest.mark.parametrize("kind", [KeyboardInterrupt, BaseException, pp.JobInterrupted])
def test_a_job_that_returns_instead(
    kind: type[BaseException], server_of: ServerOf, ledger: Ledger
) -> None:
    """It may: then it has ended in its own way."""

    def run(ledger: Ledger) -> str:
        try:
            ledger.note(f"holds {os.getpid()}")
            time.sleep(1000)
        except kind:
            return "returned"
        return "not interrupted"

    job, _ = started(server_of(1), ledger, run)
    assert job.cancel() is True
    assert job.result(PATIENCE) == "returned"
    assert (job.state, job.cancelled()) == ("finished", False)
    assert job.cancel() is False


def test_a_job_is_interrupted_once_however_often_it_is_cancelled(
    server_of: ServerOf, ledger: Ledger
) -> None:
    def run(ledger: Ledger) -> str:
        ledger.note(f"holds {os.getpid()}")
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            ledger.note("interrupted")
        try:
            # Within the grace, and with more cancels to come.
            ledger.await_words("go")
        except BaseException as error:
            ledger.note(f"again {error!r}")
        return "returned"

    job, worker = started(server_of(1), ledger, run)
    assert job.cancel()
    ledger.await_words("interrupted")
    for _ in range(20):
        assert job.cancel() is True
        # Anybody may send the signal.
        os.kill(worker, signal.SIGURG)
    ledger.note("go")
    assert job.result(PATIENCE) == "returned"
    assert not ledger.after("again ")


@pytest.mark.parametrize("what", DEAF)
def test_the_worker_of_a_job_that_goes_on_is_replaced(
    what: str, server_of: ServerOf, ledger: Ledger, token: str
) -> None:
    server = server_of(1, max_worker_deaths=1)
    job, worker = started(server, ledger, DEAF[what])
    # None of these is to be charged with the worker's end, or to run twice.
    after = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(20)]
    if what == "stops_itself":
        await_true(lambda: psutil.Process(worker).status() == "stopped", "it stops")
    begin = time.monotonic()
    assert job.cancel() is True
    ends_cancelled(job)
    assert time.monotonic() - begin > 0.5, "it was left no time"
    assert [other.result(PATIENCE) for other in after] == [f"job {n}" for n in range(20)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(20))
    assert not is_alive(worker)
    assert server.submit(jobs.own_pid).result() != worker
    assert len(ledger.after("holds ")) == 1
    # It is asked more than once.
    assert (ledger.count("handled") > 0) == (what == "has_its_own_handler")
    assert ledger.count("clears up") == (what == "clears_up_for_ever")
    await_workers(token, 1)


def test_where_a_job_ran_whose_worker_was_killed(server_of: ServerOf, ledger: Ledger) -> None:
    job, worker = started(server_of(1), ledger, heedless)
    job.cancel()
    ends_cancelled(job)
    assert (job.node, job.worker_pid, job.attempts) == ("local", worker, 1)


def test_children_of_a_job_go_with_its_worker(
    server_of: ServerOf, ledger: Ledger, token: str
) -> None:
    def run(ledger: Ledger) -> None:
        import subprocess

        for _ in range(2):
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            ledger.note(f"child {child.pid}")
        child_pid = os.fork()
        if not child_pid:
            ledger.note(f"child {os.getpid()}")
            while True:
                with suppress(BaseException):
                    time.sleep(1000)
        ledger.note(f"holds {os.getpid()}")
        while True:
            with suppress(BaseException):
                time.sleep(1000)

    server = server_of(1)
    job, worker = started(server, ledger, run)
    await_true(lambda: len(ledger.after("child ")) == 3, "all children")
    children = [int(pid) for pid in ledger.after("child ")]
    job.cancel()
    ends_cancelled(job)
    assert server.submit(jobs.own_pid).result() != worker
    await_true(lambda: not any(map(is_alive, children)), "children are gone")
    await_workers(token, 1)


def test_a_child_that_gets_the_signal_hears_nothing(server_of: ServerOf, ledger: Ledger) -> None:
    """A fork has the handler, too, and is not the job."""

    def run(ledger: Ledger) -> int:
        child = os.fork()
        if not child:
            code = 7
            try:
                ledger.note(f"child {os.getpid()}")
                ledger.await_words("go")
            except BaseException as error:
                ledger.note(f"child got {error!r}")
                code = 8
            os._exit(code)
        ledger.note(f"holds {os.getpid()}")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    job, _ = started(server_of(1), ledger, run)
    child = int(ledger.await_one("child "))
    for _ in range(5):
        os.kill(child, signal.SIGURG)
    ledger.note("go")
    assert job.result(PATIENCE) == 7
    assert not ledger.after("child got ")


def test_the_signal_alone_means_nothing(server_of: ServerOf, ledger: Ledger) -> None:
    """Sockets send it, too."""
    server = server_of(1)
    job, worker = started(server, ledger, jobs.hold)
    for _ in range(50):
        os.kill(worker, signal.SIGURG)
    ledger.note("go")
    assert job.result(PATIENCE) == "went"
    for number in range(500):
        os.kill(worker, signal.SIGURG)
        assert server.submit(jobs.echo, (number,)).result(PATIENCE) == number
    assert server.submit(jobs.own_pid).result() == worker


@pytest.mark.parametrize("what", ["has_its_own_handler", "blocks_the_signal"])
def test_a_job_that_leaves_signals_otherwise_harms_no_later_one(
    what: str, server_of: ServerOf, ledger: Ledger
) -> None:
    """At the worst, a later one is not asked, and its worker is replaced."""

    def leave(what: str) -> None:
        if what == "blocks_the_signal":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})
        else:
            signal.signal(signal.SIGURG, lambda *_: None)

    server = server_of(1, max_worker_deaths=1)
    server.submit(leave, (what,)).result()
    job, _ = started(server, ledger, in_sleep)
    after = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(5)]
    job.cancel()
    ends_cancelled(job)
    assert [other.result(PATIENCE) for other in after] == [f"job {n}" for n in range(5)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(5))
