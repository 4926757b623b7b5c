"""Only the job that a worker ran is charged with its death, and finished work is kept."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import assert_serves

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_max_worker_deaths_is_exact(
    most: int, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(2, max_worker_deaths=most)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.die_always, (ledger, "doomed", jobs.exit_3))()
    assert caught.value.deaths == most
    assert ledger.count("doomed") == most
    # One death fewer than that is forgiven.
    job = server.submit(jobs.die_first, (ledger, most - 1, "spared", jobs.exit_3))
    assert job() == "spared"
    assert ledger.count("spared") == most


def test_default_is_three(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    server = server_of(1)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.die_always, (ledger, "doomed", jobs.exit_3))()
    assert caught.value.deaths == 3
    assert ledger.count("doomed") == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_sent_ahead_are_not_charged(
    workers: int, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(workers, max_worker_deaths=1)
    # The worker learns that jobs are short, so that many are sent ahead.
    for job in [server.submit(abs, (-n,)) for n in range(2000)]:
        job()
    killer = server.submit(jobs.die_always, (ledger, "killer", jobs.exit_3))
    behind = [server.submit(jobs.noted, (ledger, f"behind {n}")) for n in range(1000)]
    with pytest.raises(pp.WorkerDied):
        killer()
    assert [job() for job in behind] == [f"behind {n}" for n in range(1000)]
    assert sorted(ledger.words()) == sorted(["killer", *(f"behind {n}" for n in range(1000))])


def test_killers_among_many(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    server = server_of(2, max_worker_deaths=1)
    submitted: list[pp.Job[object]] = []
    for number in range(600):
        if number % 40 == 20:
            doomed = (ledger, f"killer {number}", jobs.exit_3)
            submitted.append(server.submit(jobs.die_always, doomed))
        else:
            submitted.append(server.submit(jobs.noted, (ledger, f"good {number}")))
    for number, job in enumerate(submitted):
        if number % 40 == 20:
            with pytest.raises(pp.WorkerDied):
                job()
            assert ledger.count(f"killer {number}") == 1
        else:
            assert job() == f"good {number}"
    words = ledger.words()
    assert len(words) == len(set(words)) == 600
    assert_serves(server, 2, ledger)


def test_finished_jobs_are_not_run_again(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(1)
    # A worker may gather results of short jobs; those before the killer are finished.
    before = [server.submit(jobs.noted, (ledger, f"before {n}")) for n in range(300)]
    killer = server.submit(jobs.die_first, (ledger, 1, "killer", jobs.kill_self))
    after = [server.submit(jobs.noted, (ledger, f"after {n}")) for n in range(300)]
    assert [job() for job in before] == [f"before {n}" for n in range(300)]
    assert killer() == "killer"
    assert [job() for job in after] == [f"after {n}" for n in range(300)]
    words = ledger.words()
    assert words.count("killer") == 2
    assert len(words) == 602
    assert len(set(words)) == 601


def test_large_results_before_a_crash_arrive_whole(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    def fill(number: int) -> bytes:
        ledger.note(f"fill {number}")
        return bytes([number]) * 3_000_000

    server = server_of(1)
    before = [server.submit(fill, (n,)) for n in range(8)]
    killer = server.submit(jobs.die_first, (ledger, 1, "killer", jobs.kill_self))
    after = [server.submit(fill, (n,)) for n in range(8, 12)]
    for number, job in enumerate(before + after):
        assert job() == bytes([number]) * 3_000_000
    assert killer() == "killer"
    assert all(ledger.count(f"fill {n}") == 1 for n in range(12))


def test_death_in_the_middle_of_a_large_result(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    def large() -> bytes:
        # Dies in a thread, at some point of the answer's way.
        def die() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        import threading

        if ledger.note("large") <= 2:
            threading.Timer(0.001, die).start()
        return b"x" * 60_000_000

    server = server_of(1)
    assert server.submit(large)() == b"x" * 60_000_000
    assert 1 <= ledger.count("large") <= 3
    assert_serves(server, 1, ledger)


def test_random_killing_doubles_and_loses_nothing(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """Workers are killed while hundreds of short jobs pass through them."""
    server = server_of(2, max_worker_deaths=1000)

    def work(number: int) -> tuple[int, int]:
        return number, os.getpid()

    values: list[int] = []
    for _ in range(15):
        batch = [server.submit(work, (n,)) for n in range(400)]
        number, pid = batch[100]()
        assert number == 100
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        values.extend(job()[0] for job in batch)
    assert values == list(range(400)) * 15
    assert_serves(server, 2, ledger)
    assert server.get_stats()["local"].njobs == 15 * 400 + 2


def test_callback_of_a_job_that_died_once_runs_once(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    called: list[object] = []
    server = server_of(1)
    server.submit(jobs.die_first, (ledger, 2, "word", jobs.segfault), callback=called.append)
    server.wait()
    assert called == ["word"]


def test_restart_true_gives_each_job_its_own_worker(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(2, restart=True, max_worker_deaths=2)
    pids = [server.submit(jobs.own_pid) for _ in range(6)]
    killer = server.submit(jobs.die_always, (ledger, "killer", jobs.exit_0))
    pids += [server.submit(jobs.own_pid) for _ in range(6)]
    assert len({job() for job in pids}) == 12
    with pytest.raises(pp.WorkerDied):
        killer()
    assert ledger.count("killer") == 2
