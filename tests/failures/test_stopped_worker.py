"""A worker that is stopped is noticed, replaced, and costs its job one try."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import assert_serves, await_true, await_workers, is_alive, run_of

pytestmark = pytest.mark.timeout(60)


def test_busy_worker_is_stopped(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    job, worker = run_of(server, ledger)
    os.kill(worker, signal.SIGSTOP)
    await_true(lambda: len(ledger.after("holds ")) == 2, "a second run of the job")
    ledger.note("go")
    assert job() == "went"
    assert not is_alive(worker)
    assert worker not in assert_serves(server, 2, ledger)
    await_workers(token, 2)


def test_idle_workers_are_stopped(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2, max_worker_deaths=1)
    before = assert_serves(server, 2, ledger)
    for worker in before:
        os.kill(worker, signal.SIGSTOP)
    submitted = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(50)]
    assert [job() for job in submitted] == [f"job {n}" for n in range(50)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(50))
    assert not before & assert_serves(server, 2, ledger)
    await_workers(token, 2)


def test_one_of_two_is_stopped_with_jobs_ahead(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """What was sent ahead to it is run by the other, long before it is replaced."""
    server = server_of(2, max_worker_deaths=1)
    for job in [server.submit(abs, (-n,)) for n in range(1000)]:
        job()
    worker, _ = assert_serves(server, 2, ledger)
    os.kill(worker, signal.SIGSTOP)
    submitted = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(500)]
    assert [job() for job in submitted] == [f"job {n}" for n in range(500)]
    assert len(ledger.words()) == len(set(ledger.words())) == 500
    assert_serves(server, 2, ledger)


def test_worker_that_is_always_stopped(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    def stop() -> None:
        ledger.note("stop")
        os.kill(os.getpid(), signal.SIGSTOP)

    server = server_of(1, max_worker_deaths=2)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(stop)()
    assert caught.value.deaths == 2
    assert ledger.count("stop") == 2
    # The reader must learn of the stop; "SIGKILL" alone would mislead.
    assert "stopped" in str(caught.value)
    assert caught.value.hint is None or "memory" not in caught.value.hint


def test_stopped_and_continued_in_time(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    job, worker = run_of(server, ledger)
    for _ in range(5):
        os.kill(worker, signal.SIGSTOP)
        os.kill(worker, signal.SIGCONT)
    # Past the patience with a stopped worker: the continuing has been understood.
    assert not threading.Event().wait(4)
    ledger.note("go")
    assert job() == "went"
    assert len(ledger.after("holds ")) == 1
    assert assert_serves(server, 2, ledger) == before


def test_stopped_and_killed(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    server = server_of(1)
    job, worker = run_of(server, ledger)
    os.kill(worker, signal.SIGSTOP)
    os.kill(worker, signal.SIGKILL)
    await_true(lambda: len(ledger.after("holds ")) == 2, "a second run of the job")
    ledger.note("go")
    assert job() == "went"


def test_destroy_with_stopped_workers(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    _, worker = run_of(server, ledger)
    for pid in await_workers(token, 2):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    server.destroy()
    assert not is_alive(worker)
    await_workers(token, 0)


def test_shrink_with_stopped_worker(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    assert_serves(server, 2, ledger)
    for pid in await_workers(token, 2):
        os.kill(pid, signal.SIGSTOP)
    server.set_ncpus(1)
    assert server.submit(abs, (-1,))() == 1
    await_workers(token, 1)
