"""What ends a job, or nothing at all, but no worker."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import assert_serves, await_true, await_workers, needs_proc, run_of

pytestmark = pytest.mark.timeout(60)


def by_exit() -> None:
    sys.exit(5)


def by_interrupt() -> None:
    raise KeyboardInterrupt("not from a keyboard")


def by_generator_exit() -> None:
    raise GeneratorExit


def by_recursion() -> None:
    by_recursion()


def by_memory_error() -> None:
    raise MemoryError("made up")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (by_exit, SystemExit),
        (by_interrupt, KeyboardInterrupt),
        (by_generator_exit, GeneratorExit),
        (by_recursion, RecursionError),
        (by_memory_error, MemoryError),
    ],
    ids=lambda value: value.__name__,
)
def test_exception_ends_the_job_only(
    function: Callable[[], None],
    kind: type[BaseException],
    server_of: Callable[..., pp.Server],
    ledger: Ledger,
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    with pytest.raises(kind):
        server.submit(function)()
    assert assert_serves(server, 2, ledger) == before


def test_sys_exit_in_a_thread(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    def job() -> int:
        import threading

        thread = threading.Thread(target=sys.exit, args=(3,))
        thread.start()
        thread.join()
        return os.getpid()

    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    assert server.submit(job)() in before
    assert assert_serves(server, 2, ledger) == before


def test_exception_in_a_thread(
    server_of: Callable[..., pp.Server], ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    def job() -> int:
        import threading

        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()
        return os.getpid()

    server = server_of(1)
    before = assert_serves(server, 1, ledger)
    assert {server.submit(job)()} == before
    assert assert_serves(server, 1, ledger) == before


def test_exit_handler_and_thread_that_goes_on(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """A non-daemon thread that a job leaves behind delays neither jobs nor `destroy`."""

    def job() -> None:
        import threading

        threading.Thread(target=jobs.hold_asleep, args=(ledger,)).start()

    server = server_of(1)
    server.submit(job)()
    ledger.await_one("holds ")
    assert server.submit(abs, (-1,))() == 1
    server.destroy()


@needs_proc
def test_sigint_to_an_idle_worker(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    for _ in range(5):
        for worker in before:
            os.kill(worker, signal.SIGINT)
        # One that is still on its way might hit the next job, and rightly so.
        await_true(lambda: not any(map(_has_pending_signals, before)), "the signals' arrival")
        try:
            assert [server.submit(abs, (-n,))() for n in range(20)] == list(range(20))
        except KeyboardInterrupt:
            pytest.fail("an interrupt that came before the job has ended the job")
    assert assert_serves(server, 2, ledger) == before


def _has_pending_signals(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    pending = [line.split()[1] for line in status.splitlines() if "Pnd:" in line]
    return any(int(mask, 16) for mask in pending)


@pytest.mark.parametrize("function", [jobs.hold_asleep, jobs.spin])
def test_sigint_to_a_busy_worker_ends_its_job(
    function: Callable[[Ledger], object], server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    job = server.submit(function, (ledger,))
    worker = int(ledger.await_one("holds "))
    os.kill(worker, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        job()
    assert assert_serves(server, 2, ledger) == before


def test_sigint_storm_loses_no_job(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    """Interrupts may hit the worker's own code at any point; that must not take it down
    or mix up answers."""
    server = server_of(1, max_worker_deaths=100)
    (worker,) = assert_serves(server, 1, ledger)
    values = []
    submitted = [server.submit(jobs.echo, (n,)) for n in range(3000)]
    for _ in range(200):
        try:
            os.kill(worker, signal.SIGINT)
        except ProcessLookupError:
            break
    interrupted = 0
    for job in submitted:
        try:
            values.append(job())
        except KeyboardInterrupt:
            values.append(len(values))
            interrupted += 1
    assert values == list(range(3000))
    assert interrupted <= 200
    assert assert_serves(server, 1, ledger) == {worker}


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGALRM, signal.SIGPIPE])
def test_job_that_handles_signals(
    number: int, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """Handlers that a job installs stay; they do not disturb waiting or answering."""

    def install() -> int:
        signal.signal(number, lambda *_: None)
        return os.getpid()

    server = server_of(1)
    worker = server.submit(install)()
    for n in range(50):
        os.kill(worker, number)
        assert server.submit(abs, (-n,))() == n
    assert assert_serves(server, 1, ledger) == {worker}


def test_job_that_interrupts_its_own_waiting(server_of: Callable[..., pp.Server]) -> None:
    """A timer keeps interrupting the worker, also while it waits for the next job."""

    def tick() -> int:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        return os.getpid()

    server = server_of(1)
    worker = server.submit(tick)()
    for _ in range(5):
        assert [server.submit(abs, (-n,))() for n in range(200)] == list(range(200))
    assert server.submit(lambda: b"x" * 20_000_000)() == b"x" * 20_000_000
    assert server.submit(jobs.own_pid)() == worker


def test_worker_told_to_ignore_everything_still_ends(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    def deafen() -> None:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_IGN)

    server = server_of(1)
    server.submit(deafen)()
    job, _ = run_of(server, ledger)
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        job()


def test_sigterm_to_an_idle_worker(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2, max_worker_deaths=1)
    for worker in assert_serves(server, 2, ledger):
        os.kill(worker, signal.SIGTERM)
    assert [server.submit(abs, (-n,))() for n in range(50)] == list(range(50))
    assert_serves(server, 2, ledger)
    await_workers(token, 2)
