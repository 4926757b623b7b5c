"""However a client ends, nothing that its workers started outlives it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

import pp
from tests.failures import jobs, trees
from tests.failures.clients import Client
from tests.failures.ledger import Ledger
from tests.failures.support import (
    assert_serves,
    await_true,
    is_alive,
    needs_proc,
    none_left,
    workers_of,
)

pytestmark = [pytest.mark.timeout(60), needs_proc]

StartClient = Callable[..., Client]

# How a client ends, by its own doing: what it runs last, and its exit code.
ENDINGS = {
    "destroy": ("server.destroy()", 0),
    "normal exit": ("", 0),
    "exception": ("raise ValueError('unhandled')", 1),
    "sys.exit": ("sys.exit(5)", 5),
    "os._exit": ("os._exit(6)", 6),
    "abort": ("os.abort()", -signal.SIGABRT),
    "exit from a thread": (
        "t = threading.Thread(target=os._exit, args=(7,)); t.start(); t.join()",
        7,
    ),
    "exec": ("os.execv('/bin/true', ['true'])", 0),
}

KILLED = """
    server = pp.Server(2)
    server.submit(jobs.echo, (1,))()
    job = server.submit(trees.plant_and_stay, (ledger, {kind!r}))
    idle = server.submit(jobs.hold_asleep, (ledger,))
    ledger.await_one("planted")
    ledger.await_one("holds ")
    ledger.note("ready")
    threading.Event().wait(100)
"""


def check_ended(client: Client, token: str, since: float) -> None:
    """No process and no file is left; prints how long that took."""
    none_left(token, since)
    await_true(lambda: not client.files_left(), f"an end of {client.files_left()}", 3)
    # A process that is being torn down shows no environment any more, but lives.
    children = [int(pid) for pid in client.ledger.after("child ")]
    await_true(lambda: not any(map(is_alive, children)), f"an end of {children}", 3)


@pytest.mark.parametrize("ending", ENDINGS)
def test_client_ends_by_itself(ending: str, client_of: StartClient, token: str) -> None:
    last, code = ENDINGS[ending]
    client = client_of(f"""
        server = pp.Server(2)
        server.submit(jobs.echo, (1,))()
        server.submit(trees.plant, (ledger, "child_in_session"))()
        job = server.submit(trees.plant_and_stay, (ledger, "child"))
        ledger.await_words("planted", 2)
        {last}
    """)
    assert client.ends() == code, client.said()
    check_ended(client, token, time.monotonic())
    assert len(client.ledger.after("child ")) == 2
    assert ("ValueError" in client.err()) == (ending == "exception")


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV],
    ids=lambda number: number.name,
)
def test_client_is_killed(number: int, client_of: StartClient, token: str) -> None:
    client = client_of(KILLED.format(kind="child"))
    client.await_one("ready")
    client.signal(number)
    assert client.ends() == -number
    check_ended(client, token, time.monotonic())


@pytest.mark.parametrize("kind", trees.KINDS)
def test_client_with_process_trees_is_killed(kind: str, client_of: StartClient, token: str) -> None:
    client = client_of(KILLED.format(kind=kind))
    client.await_one("ready")
    assert client.ledger.after("child ")
    client.signal(signal.SIGKILL)
    client.ends()
    check_ended(client, token, time.monotonic())


@pytest.mark.parametrize("kind", trees.KINDS)
def test_destroy_with_process_trees(
    kind: str, server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    server.submit(trees.plant_and_stay, (ledger, kind))
    ledger.await_words("planted")
    server.submit(trees.plant, (ledger, kind))()
    server.destroy()
    # It says that it returns when nothing is left; ends may still be in the making.
    none_left(token)
    assert len(ledger.after("child ")) >= 2


# Of a worker that dies by itself, an orphan that left the group with an empty
# environment is not found: docs/design/processes.md says so.
@pytest.mark.parametrize("kind", [k for k in trees.KINDS if k != "session_with_bare_environment"])
def test_worker_death_takes_its_trees(
    kind: str, server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    """A worker's children go with it, while the server goes on."""
    server = server_of(1, max_worker_deaths=1)
    server.submit(trees.plant, (ledger, kind))()
    children = [int(pid) for pid in ledger.after("child ")]
    assert children
    with pytest.raises(pp.WorkerDied):
        server.submit(jobs.kill_self)()
    await_true(lambda: not any(map(is_alive, children)), "the end of a dead worker's children", 6)
    assert_serves(server, 1, ledger)


def test_children_of_other_workers_are_spared(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(2, max_worker_deaths=1)
    stays = server.submit(trees.plant_and_stay, (ledger, "child_in_session"))
    child = int(ledger.await_one("child "))
    for _ in range(3):
        with pytest.raises(pp.WorkerDied):
            server.submit(jobs.kill_self)()
    assert is_alive(child)
    assert not stays.finished


def test_children_of_the_client_are_spared(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    import subprocess
    import sys

    server = server_of(1)
    mine = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server.submit(trees.plant, (ledger, "child"))()
    server.destroy()
    assert mine.poll() is None
    mine.communicate(b"\n")
    assert mine.returncode == 0


@pytest.mark.parametrize("kind", ["child", "child_in_session", "daemon"])
def test_client_with_stopped_workers_is_killed(
    kind: str, client_of: StartClient, token: str
) -> None:
    """A stopped worker can do nothing for itself."""
    client = client_of(KILLED.format(kind=kind))
    client.await_one("ready")
    workers = workers_of(token, client.pid)
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    client.signal(signal.SIGKILL)
    client.ends()
    check_ended(client, token, time.monotonic())


def test_client_is_killed_while_workers_start(client_of: StartClient, token: str) -> None:
    for _ in range(5):
        client = client_of("""
            server = pp.Server(4)
            job = server.submit(jobs.echo, (1,))
            ledger.note("ready")
            threading.Event().wait(100)
        """)
        client.await_one("ready")
        client.signal(signal.SIGKILL)
        client.ends()
        check_ended(client, token, time.monotonic())


def test_client_with_worker_without_descriptors_is_killed(
    client_of: StartClient, token: str
) -> None:
    """A worker that has closed its line cannot see its client's end there."""
    client = client_of("""
        def close_all():
            ledger.note("ready")
            os.closerange(0, 65536)
            trees._sleep()
        server = pp.Server(1)
        server.submit(close_all)
        threading.Event().wait(100)
    """)
    client.await_one("ready")
    client.signal(signal.SIGKILL)
    client.ends()
    check_ended(client, token, time.monotonic())


def test_thread_that_made_the_server_ends(client_of: StartClient, token: str) -> None:
    """Workers go with the client, not with the thread that happened to start them."""
    client = client_of("""
        servers = []
        def make():
            servers.append(pp.Server(2))
            servers[0].submit(jobs.echo, (1,))()
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        first = {servers[0].submit(jobs.own_pid)() for _ in range(20)}
        thread = threading.Thread(target=servers[0].set_ncpus, args=(4,))
        thread.start()
        thread.join()
        room = Ledger(ledger.path + ".room")
        pids = {job() for job in [servers[0].submit(jobs.meet, (room, 4)) for _ in range(4)]}
        assert first <= pids and len(pids) == 4
        ledger.note("ready")
        threading.Event().wait(100)
    """)
    client.await_one("ready")
    assert len(workers_of(token, client.pid)) == 4
    client.signal(signal.SIGKILL)
    client.ends()
    check_ended(client, token, time.monotonic())


def test_exception_in_a_with_block(client_of: StartClient, token: str) -> None:
    client = client_of("""
        try:
            with pp.Server(2) as server:
                server.submit(trees.plant_and_stay, (ledger, "child_in_session"))
                ledger.await_one("planted")
                raise KeyError("in the block")
        except KeyError:
            pass
        assert not os.path.exists(f"/proc/{ledger.await_one('child ')}/exe")
        ledger.note("ready")
    """)
    assert client.ends() == 0, client.said()
    check_ended(client, token, time.monotonic())


def test_forgotten_server(client_of: StartClient, token: str) -> None:
    """A server that nobody refers to leaves nothing while its client lives on."""
    client = client_of("""
        import gc
        def use():
            server = pp.Server(2)
            server.submit(trees.plant, (ledger, "child_in_session"))()
        use()
        gc.collect()
        ledger.note("ready")
        threading.Event().wait(100)
    """)
    client.await_one("ready")
    await_true(lambda: not workers_of(token, client.pid), "the forgotten workers' end", 6)
    child = int(client.await_one("child "))
    await_true(lambda: not is_alive(child), "the end of a forgotten worker's child", 6)
