"""A job that takes its worker down runs again, and fails if it does so too often."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import (
    assert_serves,
    await_true,
    await_workers,
    run_of,
    signal_name,
    workers_of,
)

SIGNALS = {
    jobs.segfault: "SIGSEGV",
    jobs.abort: "SIGABRT",
    jobs.exhaust_c_stack: "SIGSEGV",
    jobs.kill_self: "SIGKILL",
    jobs.terminate_self: "SIGTERM",
}
CODES = {jobs.exit_0: 0, jobs.exit_3: 3}
DEADLY = [*SIGNALS, *CODES]

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("die", DEADLY, ids=lambda die: die.__name__)
def test_job_that_dies_once_gives_its_value(
    die: Callable[[], None], server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    others = [server.submit(jobs.noted, (ledger, f"other {n}")) for n in range(10)]
    job = server.submit(jobs.die_first, (ledger, 1, "mine", die))
    others += [server.submit(jobs.noted, (ledger, f"other {n}")) for n in range(10, 20)]
    assert job() == "mine"
    assert ledger.count("mine") == 2
    assert [other() for other in others] == [f"other {n}" for n in range(20)]
    # Each ran once: nothing that had finished, or never began, was run for nothing.
    assert all(ledger.count(f"other {n}") == 1 for n in range(20))
    assert_serves(server, 2, ledger)
    await_workers(token, 2)


@pytest.mark.parametrize("die", SIGNALS, ids=lambda die: die.__name__)
def test_error_names_the_signal(
    die: Callable[[], None], server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(1, max_worker_deaths=2)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.die_always, (ledger, "try", die))()
    assert caught.value.signal == SIGNALS[die]
    assert caught.value.exitcode is None
    assert caught.value.deaths == 2
    assert SIGNALS[die] in str(caught.value)
    assert ledger.count("try") == 2
    assert server.submit(abs, (-1,))() == 1
    await_workers(token, 1)


@pytest.mark.parametrize("die", CODES, ids=lambda die: die.__name__)
def test_error_names_the_exit_code(
    die: Callable[[], None], server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(1, max_worker_deaths=2)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.die_always, (ledger, "try", die))()
    assert caught.value.exitcode == CODES[die]
    assert caught.value.signal is None
    assert caught.value.deaths == 2
    assert str(CODES[die]) in str(caught.value)
    assert ledger.count("try") == 2
    assert server.submit(abs, (-1,))() == 1


def test_error_carries_the_last_lines_of_stderr(server_of: Callable[..., pp.Server]) -> None:
    server = server_of(1, max_worker_deaths=1)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.say_and_die, (100,))()
    lines = caught.value.stderr.splitlines()
    assert lines[-1] == "the very last words"
    assert lines[-2] == "last words 99"
    # The end of it, not the whole night's log.
    assert "last words 0" not in lines
    assert "the very last words" in str(caught.value)


def test_crash_leaves_the_python_traceback(server_of: Callable[..., pp.Server]) -> None:
    server = server_of(1, max_worker_deaths=1)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.segfault)()
    assert "in segfault" in caught.value.stderr


def test_sigkill_comes_with_a_hint(server_of: Callable[..., pp.Server]) -> None:
    server = server_of(1, max_worker_deaths=1)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(jobs.kill_self)()
    assert caught.value.hint is not None
    assert "memory" in caught.value.hint


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """What `nohup` or a shell in the background makes processes ignore, workers die of."""
    before = {
        number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGQUIT)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP, signal.SIGQUIT]
)
def test_busy_worker_is_killed_from_outside(
    number: int,
    server_of: Callable[..., pp.Server],
    ledger: Ledger,
    token: str,
    usual_signals: None,
) -> None:
    server = server_of(2)
    job, worker = run_of(server, ledger)
    os.kill(worker, number)
    await_true(lambda: len(ledger.after("holds ")) == 2, "a second run")
    ledger.note("go")
    assert job() == "went"
    pids = ledger.after("holds ")
    assert len(pids) == 2
    assert pids[0] != pids[1]
    assert worker not in assert_serves(server, 2, ledger)
    assert worker not in await_workers(token, 2)


def test_killed_too_often_from_outside(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    server = server_of(1, max_worker_deaths=3)
    job = server.submit(jobs.hold, (ledger,))
    killed: list[int] = []
    while len(killed) < 3:
        ledger.await_one("holds ")
        for pid in map(int, ledger.after("holds ")):
            if pid not in killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
    with pytest.raises(pp.WorkerDied) as caught:
        job()
    assert caught.value.deaths == 3
    assert caught.value.signal == signal_name(signal.SIGKILL)
    assert len(ledger.after("holds ")) == 3


def test_idle_worker_is_killed(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    jobs_after = [server.submit(jobs.noted, (ledger, f"job {n}")) for n in range(50)]
    assert [job() for job in jobs_after] == [f"job {n}" for n in range(50)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(50))
    after = assert_serves(server, 2, ledger)
    assert not before & after
    await_workers(token, 2)


def test_idle_workers_are_replaced_before_anything_is_submitted(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    await_true(lambda: len(set(workers_of(token)) - before) == 2, "two new workers")
    assert not before & assert_serves(server, 2, ledger)
