"""Cancelling what has not begun, and many at a time; workers and servers that end meanwhile."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest

import pp
from tests.failures import jobs
from tests.failures.cancelling import heedless, in_sleep
from tests.failures.ledger import PATIENCE, Ledger
from tests.failures.support import await_true, ends_cancelled, is_alive, none_left, started

pytestmark = pytest.mark.timeout(60)

ServerOf = Callable[..., pp.Server]


# Jobs that have not begun


def test_queued_jobs_never_run(server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(1)
    holds, _ = started(server, ledger, jobs.hold)
    waiting = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(200)]
    assert [job.state for job in waiting] == ["queued"] * 200
    for job in waiting[::2]:
        assert job.cancel() is True
    for job in waiting[::2]:
        ends_cancelled(job)
        assert (job.node, job.attempts) == (None, 0)
    assert not holds.done()
    ledger.note("go")
    assert [job.result() for job in waiting[1::2]] == [f"job {n}" for n in range(1, 200, 2)]
    assert [ledger.count(f"job {n}") for n in range(200)] == [0, 1] * 100


def test_jobs_that_were_sent_ahead_never_run(server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(1)
    # Quick ones are sent ahead by the dozen; so this is taken for a quick one, too.
    for job in [server.submit(jobs.noted, (ledger, "x")) for _ in range(500)]:
        job.result()

    waiting: list[pp.Job[str]] = []
    for turn in range(20):
        batch = [server.submit(jobs.noted, (ledger, f"job {turn} {n}")) for n in range(50)]
        for job in batch[10::2]:
            job.cancel()
        waiting += batch
    for job in waiting:
        with suppress(pp.JobCancelled):
            job.result(PATIENCE)
    for number, job in enumerate(waiting):
        turn, place = divmod(number, 50)
        ran = ledger.count(f"job {turn} {place}")
        assert ran == (0 if job.cancelled() and job.attempts == 0 else 1), job
        if place < 10 or place % 2:
            assert job.state == "finished"


def test_a_cancelled_job_holds_up_none(server_of: ServerOf, ledger: Ledger) -> None:
    """Its worker is free at once for those that wait."""
    server = server_of(2)
    held = [started(server, ledger, jobs.hold_asleep)[0] for _ in range(2)]
    after = server.submit(jobs.echo, (1,))
    held[0].cancel()
    assert after.result(PATIENCE) == 1
    assert held[1].running()
    held[1].cancel()
    ends_cancelled(held[1])


# Groups, maps, servers


def test_groups_are_cancelled_alone(server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(2)
    runs = {
        group: server.submit(jobs.hold_asleep, (Ledger(f"{ledger.path}.{group}"),), group=group)
        for group in ("first", "second")
    }
    for group in runs:
        Ledger(f"{ledger.path}.{group}").await_one("holds ")
    waiting = {
        group: [server.submit(jobs.noted, (ledger, group), group=group) for _ in range(1000)]
        for group in runs
    }
    assert server.cancel("unknown") == 0
    assert server.cancel("first") == 1001
    for job in (runs["first"], *waiting["first"]):
        ends_cancelled(job)
    assert server.cancel("first") == 0
    assert [job.result() for job in waiting["second"]] == ["second"] * 1000
    assert "first" not in ledger.words()
    assert runs["second"].running()
    assert server.cancel() == 1
    ends_cancelled(runs["second"])
    assert server.cancel() == 0


def test_a_hundred_thousand_are_cancelled(server_of: ServerOf) -> None:
    server = server_of(2)
    submitted = [server.submit(time.sleep, (1000,)) for _ in range(100_000)]
    assert server.cancel() == 100_000
    done, not_done = pp.wait(submitted, 50)
    assert not not_done
    assert all(job.cancelled() for job in done)
    assert server.submit(jobs.echo, (1,)).result() == 1


def test_server_wait_waits_for_cancelled_jobs(server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(1)
    job, _ = started(server, ledger, heedless)
    server.cancel()
    server.wait()
    assert job.cancelled()


def test_a_map_that_is_cancelled_says_so(server_of: ServerOf, ledger: Ledger) -> None:
    """And nothing of it runs twice."""

    def item(number: int) -> int:
        ledger.note(f"item {number}")
        ledger.note("one")
        time.sleep(0.02)
        return number

    server = server_of(2)

    def cancel() -> None:
        ledger.await_words("one", 20)
        server.cancel()

    killer = threading.Thread(target=cancel)
    killer.start()
    with pytest.raises(pp.JobCancelled):
        list(server.map(item, range(10_000)))
    killer.join()
    server.wait()
    items = [word for word in ledger.words() if word.startswith("item ")]
    assert len(items) == len(set(items)) < 5000
    assert list(server.map(abs, range(-1000, 0))) == list(range(1000, 0, -1))


def test_cancelled_jobs_beside_a_map(server_of: ServerOf) -> None:
    server = server_of(2)
    results = server.map(abs, range(-20_000, 0))
    for _ in range(200):
        server.submit(time.sleep, (1000,)).cancel()
    assert list(results) == list(range(20_000, 0, -1))


@pytest.mark.parametrize("options", [{"restart": True}, {"max_jobs_per_worker": 2}])
def test_workers_for_few_jobs(options: dict[str, Any], server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(1, **options)
    for turn in range(3):
        job, _ = started(server, ledger, in_sleep)
        after = [server.submit(jobs.noted, (ledger, f"job {turn} {n}")) for n in range(3)]
        job.cancel()
        ends_cancelled(job)
        assert [other.result(PATIENCE) for other in after] == [f"job {turn} {n}" for n in range(3)]


def test_destroy_while_a_job_is_being_cancelled(
    server_of: ServerOf, ledger: Ledger, token: str
) -> None:
    server = server_of(1)
    job, worker = started(server, ledger, heedless)
    waiting = server.submit(jobs.echo, (1,))
    assert job.cancel()
    server.destroy()
    assert isinstance(waiting.exception(0), pp.DestroyedServerError)
    # Whichever came first.
    assert job.done()
    assert job.state in {"cancelled", "failed"}
    assert not is_alive(worker)
    for each in (job, waiting):
        assert each.cancel() is False
    assert server.cancel() == server.cancel("default") == 0
    none_left(token)


def test_cancel_from_done_callbacks(server_of: ServerOf, ledger: Ledger) -> None:
    """The end of one cancels the next, and so on."""
    server = server_of(1)
    holds, _ = started(server, ledger, jobs.hold_asleep)
    chain = [holds, *(server.submit(jobs.noted, (ledger, "ran")) for _ in range(100))]
    for job, following in itertools.pairwise(chain):
        job.add_done_callback(functools.partial(lambda other, _job: other.cancel(), following))
    chain[0].cancel()
    for job in chain:
        job.wait()
    assert chain[0].cancelled()
    states = [job.state for job in chain]
    assert set(states) <= {"finished", "cancelled"}
    # They may have been quicker than the callbacks.
    assert ledger.count("ran") >= states.count("finished")
    assert server.submit(jobs.echo, (1,)).result() == 1


# Workers that die meanwhile


def test_a_worker_is_killed_while_its_job_is_being_cancelled(
    server_of: ServerOf, ledger: Ledger
) -> None:
    server = server_of(1, max_worker_deaths=1)
    for turn in range(3):
        job, worker = started(server, ledger, heedless)
        after = [server.submit(jobs.noted, (ledger, f"job {turn} {n}")) for n in range(5)]
        assert job.cancel()
        os.kill(worker, signal.SIGKILL)
        ends_cancelled(job)
        assert [other.result(PATIENCE) for other in after] == [f"job {turn} {n}" for n in range(5)]
    assert len(ledger.after("holds ")) == 3


def test_a_job_that_ends_its_worker_when_it_is_cancelled(
    server_of: ServerOf, ledger: Ledger
) -> None:
    def run(ledger: Ledger) -> None:
        try:
            ledger.note(f"holds {os.getpid()}")
            time.sleep(1000)
        finally:
            os._exit(3)

    server = server_of(1, max_worker_deaths=1)
    job, worker = started(server, ledger, run)
    job.cancel()
    ends_cancelled(job)
    assert server.submit(jobs.own_pid).result() != worker
    assert len(ledger.after("holds ")) == 1


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_worker_is_stopped_while_its_job_is_being_cancelled(
    goes_on: bool, server_of: ServerOf, ledger: Ledger
) -> None:
    server = server_of(1, max_worker_deaths=1)
    job, worker = started(server, ledger, in_sleep)
    after = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(5)]
    os.kill(worker, signal.SIGSTOP)
    await_true(lambda: psutil.Process(worker).status() == "stopped", "it stops")
    assert job.cancel()
    if goes_on:
        os.kill(worker, signal.SIGCONT)
    ends_cancelled(job)
    assert [other.result(PATIENCE) for other in after] == [f"job {n}" for n in range(5)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(5))
    assert is_alive(worker) == goes_on
    assert len(ledger.after("holds ")) == 1
