"""Looking at processes, and waiting for what is to come."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import PATIENCE, Ledger

T = TypeVar("T")

# The variable by which a test's processes are known.
TOKEN = "PP_TEST_TOKEN"

# The product promises one second. A machine that does other things, too, gets more
# before a leftover is called one; the measured time is printed.
GONE_WITHIN = 6.0

# What the command of a worker is known by.
_WORKER = str(Path("pp", "_worker", "__main__.py"))

LINUX = os.path.isdir("/proc/self/fd") and hasattr(os, "sched_getaffinity")
needs_proc = pytest.mark.skipif(not LINUX, reason="looks into /proc, which only Linux has")


def await_true(
    condition: Callable[[], T], what: str, patience: float = PATIENCE, pause: float = 0.01
) -> T:
    """Returns the first true value of `condition`; fails if none comes in time."""
    until = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > until:
            pytest.fail(f"not within {patience} s: {what}")
        time.sleep(pause)
    return value


def processes_with(token: str) -> list[psutil.Process]:
    """The living processes, other than this one, that were started with `token`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(TOKEN) == token:
                found.append(process)
    return found


def describe(processes: Iterable[psutil.Process]) -> str:
    """The processes, for a message."""
    lines = []
    for process in processes:
        with suppress(psutil.Error):
            lines.append(f"{process.pid} {process.status()} {' '.join(process.cmdline())[:200]}")
    return "\n".join(lines)


def none_left(token: str, since: float | None = None) -> float:
    """Waits until no process carries `token`, prints and returns how long that took."""
    start = time.monotonic() if since is None else since
    until = time.monotonic() + GONE_WITHIN
    while left := processes_with(token):
        if time.monotonic() > until:
            text = describe(left)
            # Or the check at the test's end would wait for them again.
            kill_all(left)
            pytest.fail(f"left behind after {GONE_WITHIN} s:\n{text}")
        time.sleep(0.02)
    took = time.monotonic() - start
    print(f"everything was gone after {took:.2f} s")
    return took


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kills processes that a test has left."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()


def is_alive(pid: int) -> bool:
    """Whether the process runs or could; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def workers_of(token: str, client: int | None = None) -> list[int]:
    """The identifiers of the living workers that `client`, or this process, has started."""
    client = os.getpid() if client is None else client
    found = []
    for process in processes_with(token):
        with suppress(psutil.Error):
            if process.ppid() == client and _WORKER in " ".join(process.cmdline()):
                found.append(process.pid)
    return sorted(found)


def await_workers(token: str, number: int) -> list[int]:
    """Waits until just `number` workers live, and gives their identifiers."""
    found: list[int] = []

    def as_many() -> bool:
        found[:] = workers_of(token)
        return len(found) == number

    await_true(as_many, f"{number} workers")
    return found


def assert_serves(server: pp.Server, workers: int, ledger: Ledger) -> set[int]:
    """The server runs `workers` jobs side by side, each in a process of its own.

    Each job returns only when all have begun, so with fewer workers none would.
    """
    room = Ledger(f"{ledger.path}.room{time.monotonic_ns()}")
    meeting = [server.submit(jobs.meet, (room, workers)) for _ in range(workers)]
    pids = {job() for job in meeting}
    assert len(pids) == workers
    return pids


def run_of(server: pp.Server, ledger: Ledger) -> tuple[pp.Job[str], int]:
    """A job that runs until `ledger` holds "go", and the process that runs it."""
    job = server.submit(jobs.hold, (ledger,))
    return job, int(ledger.await_one("holds "))


def ends_cancelled(job: pp.Job[Any]) -> None:
    """The job ends, and as one that was cancelled."""
    with pytest.raises(pp.JobCancelled, match="the job was cancelled"):
        job.result(PATIENCE)
    assert (job.state, job.cancelled(), job.done(), job.running()) == (
        "cancelled",
        True,
        True,
        False,
    )


def started(server: pp.Server, ledger: Ledger, function: Callable[..., Any]) -> tuple[Any, int]:
    """A job that runs `function(ledger)`, which notes "holds" and its worker first; and that."""
    before = len(ledger.after("holds "))
    job = server.submit(function, (ledger,))
    found = await_true(lambda: ledger.after("holds ")[before:], "the job begins")
    return job, int(found[0])


def signal_name(number: int) -> str:
    """The name of a signal, as `WorkerDied.signal` has it."""
    return signal.Signals(number).name


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
