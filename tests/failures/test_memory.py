"""Jobs that want more memory than there is."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import LINUX, assert_serves, await_true

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(not LINUX, reason="memory limits are enforced on Linux only"),
]

LIMIT = 400 * 1024 * 1024


def hoard(megabytes: int) -> int:
    """Takes memory and writes to each page of it."""
    hoarded = [bytearray(b"x" * 2**20) for _ in range(megabytes)]
    return len(hoarded)


def test_address_space_limit_raises_memory_error(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    def limited() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, hard))
        try:
            bytearray(2 * LIMIT)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    with pytest.raises(MemoryError):
        server.submit(limited)()
    assert assert_serves(server, 2, ledger) == before


def test_worker_without_memory_for_its_answer(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """The limit stays on and strikes where the answer is made."""

    def limited() -> list[bytes]:
        ledger.note("limited")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, hard))
        # Many small ones: a large one would not be copied into its pickle.
        return [b"%8d" % n * 125 for n in range(100_000)]

    server = server_of(1, max_worker_deaths=2)
    with pytest.raises((MemoryError, pp.WorkerDied, pp.SerializationError)):
        server.submit(limited)()
    assert ledger.count("limited") in (1, 2)


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with little memory; processes that join it may be killed."""
    name = f"pp-test-{os.getpid()}"
    v2 = Path("/sys/fs/cgroup/cgroup.controllers")
    parent = Path("/sys/fs/cgroup") if v2.exists() else Path("/sys/fs/cgroup/memory")
    limit = "memory.max" if v2.exists() else "memory.limit_in_bytes"
    group = parent / name
    try:
        group.mkdir()
        (group / limit).write_text(str(LIMIT))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"this user may not limit memory by control groups: {error}")
    swap = group / "memory.swap.max"
    if swap.exists():
        swap.write_text("0")
    yield group
    await_true(lambda: _removed(group), f"the removal of {group}")


def _removed(group: Path) -> bool:
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def test_out_of_memory_killer_is_named(
    memory_group: Path, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    group = str(memory_group / "cgroup.procs")

    def greedy() -> int:
        ledger.note("greedy")
        Path(group).write_text(str(os.getpid()))
        return hoard(2 * LIMIT // 2**20)

    server = server_of(2, max_worker_deaths=2)
    behind = [server.submit(jobs.noted, (ledger, f"other {n}")) for n in range(20)]
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(greedy)()
    assert caught.value.signal == "SIGKILL"
    assert caught.value.deaths == 2
    assert ledger.count("greedy") == 2
    assert caught.value.hint is not None
    assert "out-of-memory killer" in caught.value.hint
    assert "memory" in str(caught.value)
    assert [job() for job in behind] == [f"other {n}" for n in range(20)]
    assert_serves(server, 2, ledger)


def test_job_that_needs_too_much_once(
    memory_group: Path, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    group = str(memory_group / "cgroup.procs")

    def greedy() -> int:
        if ledger.note("greedy") == 1:
            Path(group).write_text(str(os.getpid()))
            hoard(2 * LIMIT // 2**20)
        return 7

    server = server_of(1)
    assert server.submit(greedy)() == 7
    assert ledger.count("greedy") == 2


def test_child_killed_for_memory_is_the_jobs_affair(
    memory_group: Path, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    group = str(memory_group / "cgroup.procs")

    def parent() -> int:
        child = os.fork()
        if not child:
            Path(group).write_text(str(os.getpid()))
            hoard(2 * LIMIT // 2**20)
            os._exit(0)
        return os.waitpid(child, 0)[1]

    server = server_of(1)
    before = assert_serves(server, 1, ledger)
    assert server.submit(parent)() == 9
    assert assert_serves(server, 1, ledger) == before
