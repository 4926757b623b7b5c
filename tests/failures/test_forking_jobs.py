"""Jobs that fork, and jobs that change their session or group."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

import pp
from tests.failures import jobs, trees
from tests.failures.ledger import Ledger
from tests.failures.support import assert_serves, await_true, is_alive, none_left

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def test_child_that_returns_from_the_job_answers_nothing(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    def fork() -> str:
        child = os.fork()
        ledger.note(f"parent {os.getpid()}" if child else f"child {os.getpid()}")
        return "parent" if child else "child"

    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    submitted = [server.submit(fork) for _ in range(10)]
    assert [job() for job in submitted] == ["parent"] * 10
    await_true(lambda: len(ledger.after("child ")) == 10, "all children")
    children = [int(pid) for pid in ledger.after("child ")]
    await_true(lambda: not any(map(is_alive, children)), "the children's end")
    assert assert_serves(server, 2, ledger) == before
    assert server.get_stats()["local"].njobs == 10 + 4


def test_child_that_raises_out_of_the_job_answers_nothing(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    def fork() -> str:
        if not os.fork():
            raise ValueError("in the child")
        return "parent"

    server = server_of(1)
    assert [server.submit(fork)() for _ in range(5)] == ["parent"] * 5
    assert_serves(server, 1, ledger)


def test_child_that_leaves_by_sys_exit(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    def fork() -> int:
        import sys

        child = os.fork()
        if not child:
            sys.exit(4)
        return os.waitpid(child, 0)[1]

    server = server_of(1)
    server.submit(fork)()
    assert server.submit(abs, (-1,))() == 1
    assert_serves(server, 1, ledger)


def test_child_that_prints_and_returns_prints_nothing_here(
    server_of: Callable[..., pp.Server], capfd: pytest.CaptureFixture[str]
) -> None:
    def fork() -> None:
        print("before")
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            print("parent")
        else:
            print("child")

    server = server_of(1)
    server.submit(fork)()
    server.destroy()
    assert capfd.readouterr().out == "before\nparent\n"


def test_child_that_lives_on_while_its_parent_answers(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    before = assert_serves(server, 2, ledger)

    def fork() -> int:
        child = os.fork()
        if not child:
            jobs.hold_asleep(ledger)
        return child

    child = server.submit(fork)()
    ledger.await_one("holds ")
    assert [server.submit(abs, (-n,))() for n in range(100)] == list(range(100))
    assert is_alive(child)
    assert assert_serves(server, 2, ledger) == before
    server.destroy()
    none_left(token)


def test_worker_dies_while_its_fork_lives(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """The fork holds the worker's descriptors; the death is noticed all the same."""

    def fork() -> str:
        if ledger.note("fork") > 1:
            return "again"
        child = os.fork()
        if not child:
            os.setsid()
            jobs.hold_asleep(ledger)
        ledger.await_one("holds ")
        os._exit(1)

    server = server_of(1)
    assert server.submit(fork)() == "again"
    child = int(ledger.await_one("holds "))
    await_true(lambda: not is_alive(child), "the end of the dead worker's fork")


@pytest.mark.parametrize("change", ["setsid", "setpgrp", "setpgid of a child"])
def test_worker_that_changes_its_group(
    change: str, server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    def job() -> int:
        try:
            if change == "setsid":
                os.setsid()
            elif change == "setpgrp":
                os.setpgrp()
            else:
                trees.child(ledger)
                os.setpgid(int(ledger.after("child ")[-1]), 0)
        except PermissionError:
            # A group's leader may not; it has tried.
            pass
        return os.getpid()

    server = server_of(2)
    before = assert_serves(server, 2, ledger)
    assert server.submit(job)() in before
    assert assert_serves(server, 2, ledger) == before
    server.destroy()
    none_left(token)


def test_job_that_joins_the_clients_group(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    """Ending such a worker must not end the client by way of the group."""
    group = os.getpgrp()

    def job() -> str:
        try:
            os.setpgid(0, group)
        except PermissionError:
            # A worker that is not of this session may not.
            return "refused"
        return "joined"

    server = server_of(1)
    server.submit(job)()
    _ = server.submit(jobs.spin, (ledger,))
    ledger.await_one("holds ")
    server.destroy()
    none_left(token)


def test_multiprocessing_in_a_job(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    def job(method: str) -> list[int]:
        import multiprocessing

        with multiprocessing.get_context(method).Pool(2) as pool:
            return pool.map(abs, range(-5, 0))

    server = server_of(2)
    methods = ["fork", "spawn", "fork", "spawn"]
    submitted = [server.submit(job, (method,)) for method in methods]
    assert [job() for job in submitted] == [[5, 4, 3, 2, 1]] * 4
    assert_serves(server, 2, ledger)


def test_subprocess_that_writes_to_all_it_inherits(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """With `close_fds=False` and garbage: a child does not get at the line at all."""
    script = (
        "import os\n"
        "for n in range(3, 4096):\n"
        "    try: os.write(n, b'garbage' * 100)\n"
        "    except OSError: pass\n"
    )

    def job() -> int:
        import subprocess
        import sys

        done = subprocess.run([sys.executable, "-c", script], close_fds=False, check=False)
        return done.returncode

    server = server_of(1)
    before = assert_serves(server, 1, ledger)
    assert server.submit(job)() == 0
    assert assert_serves(server, 1, ledger) == before
