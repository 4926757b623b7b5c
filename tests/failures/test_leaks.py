"""Servers that come and go, and workers that die, leave no descriptor, thread or process."""

from __future__ import annotations

import contextlib
import gc
import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pp
from tests.failures import jobs
from tests.failures.clients import Client
from tests.failures.ledger import Ledger
from tests.failures.support import (
    assert_serves,
    await_workers,
    needs_proc,
    open_descriptors,
    workers_of,
)

pytestmark = [pytest.mark.timeout(60), needs_proc]


def system_threads() -> int:
    """How many threads this process has, those of the extension among them."""
    return len(list(Path("/proc/self/task").iterdir()))


def holdings() -> tuple[int, int]:
    """Descriptors and threads."""
    gc.collect()
    return open_descriptors(), system_threads()


def await_holdings(before: tuple[int, int], what: str) -> None:
    """Waits until there are no more than `before`; threads take a moment to end."""
    for _ in range(200):
        if all(now <= then for now, then in zip(holdings(), before, strict=True)):
            return
        time.sleep(0.02)
    pytest.fail(f"{what}: before {before}, now {holdings()} descriptors and threads")


def use_server() -> None:
    """One server's whole life."""
    called: list[int] = []
    with pp.Server(2) as server:
        submitted = [server.submit(abs, (-n,), callback=called.append) for n in range(20)]
        assert [job() for job in submitted] == list(range(20))
    assert sorted(called) == list(range(20))


def test_thirty_servers(token: str) -> None:
    use_server()
    before = holdings()
    for _ in range(30):
        use_server()
    await_holdings(before, "after 30 servers")
    assert workers_of(token) == []


def test_thirty_forgotten_servers(token: str) -> None:
    use_server()
    before = holdings()
    for _ in range(30):
        server = pp.Server(1)
        assert server.submit(abs, (-1,))() == 1
        del server
    await_holdings(before, "after 30 servers that nobody destroyed")
    await_workers(token, 0)


def test_fifty_deaths(server_of: Callable[..., pp.Server], ledger: Ledger, token: str) -> None:
    server = server_of(2, max_worker_deaths=1)
    with pytest.raises(pp.WorkerDied):
        server.submit(jobs.exit_3)()
    assert_serves(server, 2, ledger)
    before = holdings()
    for _ in range(50):
        with pytest.raises(pp.WorkerDied):
            server.submit(jobs.exit_3)()
    assert_serves(server, 2, ledger)
    await_holdings(before, "after 50 deaths")
    await_workers(token, 2)
    assert _zombies() == []


def test_failed_starts(
    server_of: Callable[..., pp.Server], token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    server = server_of(2)
    with pytest.raises(pp.WorkerStartError):
        server.submit(abs, (-1,))()
    before = holdings()
    for _ in range(5):
        with pytest.raises(pp.WorkerStartError):
            server.submit(abs, (-1,))()
    await_holdings(before, "after failed starts")
    assert _zombies() == []


def test_resizing(server_of: Callable[..., pp.Server], ledger: Ledger, token: str) -> None:
    server = server_of(1)
    assert_serves(server, 1, ledger)
    before = holdings()
    for _ in range(10):
        server.set_ncpus(3)
        assert_serves(server, 3, ledger)
        server.set_ncpus(1)
        await_workers(token, 1)
    await_holdings(before, "after growing and shrinking")
    assert _zombies() == []


def test_restarting(server_of: Callable[..., pp.Server], token: str) -> None:
    server = server_of(2, restart=True)
    server.submit(abs, (-1,))()
    await_workers(token, 2)
    before = holdings()
    submitted = [server.submit(jobs.own_pid) for _ in range(30)]
    assert len({job() for job in submitted}) == 30
    await_workers(token, 2)
    await_holdings(before, "after 30 workers of one job each")


def test_failed_job_keeps_nothing_of_its_caller(server_of: Callable[..., pp.Server]) -> None:
    """The exception that `job()` raises refers to the caller's frame, and the frame to the
    job: the job must not hold on to that exception for ever."""

    class Large:
        pass

    def fail() -> None:
        raise ValueError("made up")

    server = server_of(1)

    def caller() -> weakref.ref[Any]:
        large = Large()
        job = server.submit(fail)
        with contextlib.suppress(ValueError):
            job()
        return weakref.ref(large)

    large = caller()
    gc.collect()
    assert large() is None


def test_finished_jobs_hold_no_memory_once_forgotten(server_of: Callable[..., pp.Server]) -> None:
    server = server_of(1)

    def rounds(number: int) -> int:
        for _ in range(number):
            assert len(server.submit(bytes, (1_000_000,))()) == 1_000_000
        return _resident()

    before = rounds(20)
    # 200 MB went through; a tenth of it may stay, as room that the allocator keeps.
    assert rounds(200) - before < 20_000_000


def test_descriptors_are_not_inherited(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    """Neither the client's other children nor its workers get what is not theirs."""
    import subprocess
    import sys

    def listing() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/self/fd/{name}"))
        return found

    server = server_of(2)
    assert_serves(server, 2, ledger)
    script = "import os; print(len(os.listdir('/proc/self/fd')))"
    shown = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, close_fds=False, check=True
    )
    # The three standard ones, the listing's own, and what was inheritable before.
    inheritable = sum(
        os.get_inheritable(int(name))
        for name in os.listdir("/proc/self/fd")
        if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}")
    )
    assert int(shown.stdout) <= 4 + inheritable
    # A worker: three standard ones, its line and the watchdog's copy of it, the listing's.
    inside = server.submit(listing)()
    sockets = [name for name in inside if name.startswith("socket:")]
    assert len(sockets) == 2
    assert len(set(sockets)) == 1


def test_low_limit_of_descriptors(client_of: Callable[..., Client]) -> None:
    """A client with few descriptors says so; what works goes on working."""
    client = client_of("""
        import resource
        server = pp.Server(1)
        assert server.submit(jobs.echo, (1,))() == 1
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The listing of the directory is one of them.
        used = len(os.listdir("/proc/self/fd")) - 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, hard))
        server.set_ncpus(12)
        assert [server.submit(jobs.echo, (n,))() for n in range(50)] == list(range(50))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        server.set_ncpus(3)
        room = Ledger(ledger.path + ".room")
        meeting = [server.submit(jobs.meet, (room, 3)) for _ in range(3)]
        assert len({job() for job in meeting}) == 3
        ledger.note("fine")
        """)
    client.await_one("fine")
    assert client.ends() == 0, client.said()


def _zombies() -> list[int]:
    import psutil

    return [
        child.pid for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE
    ]


def _resident() -> int:
    import psutil

    gc.collect()
    return int(psutil.Process().memory_info().rss)
