"""Whatever dies, freezes or fills up: each job ends once, rightly, and nothing is left."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import Counter
from itertools import cycle
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.cluster.checks import Tally, assert_usable
from tests.cluster.conftest import MakeClient, MakeNode, MakeProgram
from tests.cluster.jobs import hold, kill_node, noted, slowly, where, zeros
from tests.cluster.nodes import SECRET
from tests.failures.ledger import Ledger
from tests.failures.support import is_alive
from tests.support import MakeServer, caught_from, eventually, marked_processes

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(sys.platform != "linux", reason="stops, kills and looks into /proc"),
]


# Nodes that die


def test_a_node_that_is_killed_loses_nothing(make_node: MakeNode, make_client: MakeClient) -> None:
    doomed, staying = make_node(workers=2), make_node(workers=1)
    server = make_client(doomed, staying)
    tally = Tally()
    submitted = [server.submit(slowly, (i,), callback=tally) for i in range(300)]
    submitted[60]()
    doomed.kill()
    assert [job() for job in submitted] == list(range(300))
    server.wait()
    assert tally.ends == Counter(range(300))
    eventually(lambda: server.get_active_nodes() == {"local": 0, staying.name: 1})


def test_jobs_of_the_only_node_wait_for_it_to_come_back(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node)
    running = server.submit(noted, (ledger, "first", 1.0))
    waiting = [server.submit(slowly, (i,)) for i in range(20)]
    ledger.await_words("first")
    node.kill()
    make_node(workers=1, port=node.port)
    assert running() == "first"
    assert [job() for job in waiting] == list(range(20))


@pytest.mark.parametrize("frozen_for_good", [False, True])
def test_a_frozen_node_is_given_up_and_used_again(
    frozen_for_good: bool, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    frozen, other = make_node("--name", "frozen", workers=2), make_node(workers=1)
    server = make_client(frozen, other, node_timeout=1)
    tally = Tally()
    submitted = [server.submit(noted, (ledger, str(i), 0.02), callback=tally) for i in range(100)]
    submitted[10]()
    frozen.freeze()
    assert [job() for job in submitted] == [str(i) for i in range(100)]
    assert server.get_active_nodes() == {"local": 0, other.name: 1}
    if frozen_for_good:
        return
    frozen.thaw()
    eventually(lambda: frozen.name in server.get_active_nodes(), "it is used again")
    eventually(lambda: server.submit(where)()[0] == "frozen", "it runs jobs again")
    # What it has done before it was given up must not be told twice.
    server.wait()
    assert [count for word, count in tally.ends.items() if word is not None] == [1] * 100


def test_a_flapping_node_with_ever_other_numbers_of_workers(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node(workers=2)
    port = node.port
    # Whoever is lost that often is not to be blamed here.
    server = make_client(node, max_node_losses=1_000)
    tally = Tally()
    submitted = [server.submit(slowly, (i, 0.02), callback=tally) for i in range(400)]
    for number, workers in zip(range(20, 120, 20), cycle((3, 1, 4)), strict=False):
        submitted[number]()
        node.kill()
        node = make_node(workers=workers, port=port)
        eventually(
            lambda: server.get_active_nodes().get(node.name) == workers,  # noqa: B023
            f"{workers} workers: {server.get_active_nodes()}",
        )
    assert [job() for job in submitted] == list(range(400))
    server.wait()
    assert tally.ends == Counter(range(400))


def test_a_job_that_takes_nodes_down_fails_alone(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=2)
    server = make_client(node, max_node_losses=3)
    before = [server.submit(slowly, (i, 0.05)) for i in range(30)]
    killer = server.submit(kill_node, (ledger,))
    after = [server.submit(slowly, (i, 0.05)) for i in range(30)]
    for _ in range(3):
        node.process.wait(30)
        node = make_node(workers=2, port=node.port)
    error = caught_from(killer)
    assert isinstance(error, pp.NodeLost)
    assert (error.losses, error.node) == (3, node.name)
    assert [job() for job in before + after] == [*range(30), *range(30)]
    assert len(set(ledger.after("kills "))) == 3
    assert node.process.poll() is None


# Clients


@pytest.mark.parametrize("kind", ["child_in_session", "daemon", "deep", "deaf"])
def test_the_jobs_of_a_killed_client_end_with_all_that_they_started(
    kind: str, make_node: MakeNode, make_program: MakeProgram, make_client: MakeClient
) -> None:
    node = make_node(workers=2)
    client = make_program(
        f"""
        server = server_of()
        server.submit(trees.plant_and_stay, (ledger, {kind!r}))
        server.submit(jobs.spin, (ledger,))
        queued = [server.submit(jobs.noted, (ledger, "queued")) for _ in range(100)]
        server.wait()
        """,
        node,
    )
    client.await_one("planted")
    pids = {int(pid) for pid in [client.await_one("holds "), *client.ledger.after("child ")]}
    client.signal(signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, pids)), f"{pids} are killed")
    node.await_log("client left")
    assert_usable(node, make_client)
    assert client.ledger.count("queued") == 0


def test_a_client_that_was_stopped_for_long_ends_well(
    make_node: MakeNode, make_program: MakeProgram
) -> None:
    node = make_node(workers=2)
    # A single loss that is charged to a job would end it.
    client = make_program(
        """
        server = server_of(node_timeout=1, max_node_losses=1)
        submitted = [server.submit(slowly, (i, 0.02)) for i in range(100)]
        submitted[10]()
        ledger.note("some")
        assert [job() for job in submitted] == list(range(100))
        ledger.note("all")
        """,
        node,
    )
    client.await_one("some")
    client.signal(signal.SIGSTOP)
    node.await_log("client left")
    client.signal(signal.SIGCONT)
    assert client.ends() == 0, client.said()
    assert client.ledger.count("all") == 1


def test_a_client_that_does_not_read_holds_nobody_up(
    make_node: MakeNode, make_program: MakeProgram, make_client: MakeClient
) -> None:
    node = make_node(workers=2)
    client = make_program(
        """
        from tests.cluster.jobs import zeros
        server = server_of(node_timeout=60)
        submitted = [server.submit(zeros, (4_000_000,)) for _ in range(100)]
        submitted[0]()
        ledger.note("some")
        assert [len(job()) for job in submitted] == [4_000_000] * 100
        """,
        node,
    )
    client.await_one("some")
    client.signal(signal.SIGSTOP)
    server = make_client(node)
    large = [server.submit(zeros, (3_000_000,)) for _ in range(20)]
    small = [server.submit(slowly, (i,)) for i in range(100)]
    assert [job() for job in small] == list(range(100))
    assert [len(job()) for job in large] == [3_000_000] * 20
    client.signal(signal.SIGCONT)
    assert client.ends() == 0, client.said()


def test_a_forked_child_keeps_no_connection_open(
    make_node: MakeNode, make_program: MakeProgram, make_client: MakeClient
) -> None:
    node = make_node(workers=1)
    # Nobody is taken for dead because of silence here.
    client = make_program(
        f"""
        server = server_of(node_timeout=3600)
        assert server.submit(jobs.echo, (1,))() == 1
        if os.fork() == 0:
            import psutil
            places = [one.raddr.port for one in psutil.Process().net_connections() if one.raddr]
            ledger.note(f"child {{os.getpid()}}")
            ledger.note(f"open {{places.count({node.port})}}")
            signal.pause()
        server.submit(jobs.hold_asleep, (ledger,))()
        """,
        node,
    )
    child = int(client.await_one("child "))
    try:
        assert client.await_one("open ") == "0"
        running = int(client.await_one("holds "))
        client.signal(signal.SIGKILL)
        node.await_log("client left")
        eventually(lambda: not is_alive(running), "its job is killed")
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)
    assert_usable(node, make_client)


def test_a_child_that_is_forked_while_connections_are_made_keeps_none(
    make_program: MakeProgram,
) -> None:
    """Who is dialed learns of the end of who dials, however few words were changed."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(30)
        client = make_program(
            f"""
            server = pp.Server(0, ("127.0.0.1:{door.getsockname()[1]}",), secret={SECRET!r})
            ledger.await_one("come")
            child = os.fork()
            if child == 0:
                signal.pause()
            ledger.note(f"child {{child}}")
            signal.pause()
            """
        )
        caller, _ = door.accept()
        with caller:
            client.ledger.note("come")
            child = int(client.await_one("child "))
            try:
                client.signal(signal.SIGKILL)
                caller.settimeout(30)
                while caller.recv(4096):
                    pass
                assert is_alive(child)
            except ConnectionResetError:
                assert is_alive(child)
            finally:
                os.kill(child, signal.SIGKILL)


# Ends in good order


def test_destroy_ends_jobs_on_nodes(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node)
    submitted = [server.submit(hold, (ledger,)) for _ in range(3)]
    running = int(ledger.await_one("holds "))
    server.destroy()
    for job in submitted:
        assert isinstance(caught_from(job), pp.DestroyedServerError)
    eventually(lambda: not is_alive(running), "the running job is killed")
    assert_usable(node, make_client)
    assert len(ledger.after("holds ")) == 1


def test_the_end_of_a_program_ends_its_jobs_on_nodes(
    make_node: MakeNode, make_program: MakeProgram, make_client: MakeClient
) -> None:
    node = make_node(workers=1)
    client = make_program(
        """
        server = server_of()
        server.submit(trees.plant_and_stay, (ledger, "child_in_session"))
        waiting = [server.submit(jobs.noted, (ledger, "queued")) for _ in range(10)]
        ledger.await_words("planted")
        """,
        node,
    )
    assert client.ends() == 0, client.said()
    assert client.err() == ""
    planted = int(client.await_one("child "))
    eventually(lambda: not is_alive(planted), "what the job has started is killed")
    assert_usable(node, make_client)
    assert client.ledger.count("queued") == 0


def test_a_drained_node_lets_a_running_job_end(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node("--name", "going", "--drain-timeout", "60", workers=1)
    server = make_client(node, max_node_losses=1)
    running = server.submit(hold, (ledger,))
    waiting = server.submit(where)
    ledger.await_one("holds ")
    node.terminate()
    node.await_log("running jobs have 60 s")
    other = make_node("--name", "other", workers=1)
    late = make_client(other)
    assert late.submit(where)()[0] == "other"
    ledger.note("go")
    assert running()[0] == "going"
    assert node.wait() == 0
    again = make_node("--name", "again", workers=1, port=node.port)
    assert waiting()[0] == "again"
    assert again.process.poll() is None


@pytest.mark.parametrize("twice", [False, True], ids=["deadline", "second-signal"])
def test_what_a_node_cannot_finish_runs_elsewhere(
    twice: bool, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    timeout = "60" if twice else "0.3"
    going = make_node("--name", "going", "--drain-timeout", timeout, workers=1)
    # Nobody is to be blamed for it.
    server = make_client(going, max_node_losses=1)
    running = server.submit(hold, (ledger,))
    pid = int(ledger.await_one("holds "))
    going.terminate()
    if twice:
        going.await_log("running jobs have")
        going.terminate()
        assert going.wait() == 1
    else:
        assert going.wait() == 0
    eventually(lambda: not is_alive(pid), "the job is killed there")
    make_node("--name", "next", workers=1, port=going.port)
    ledger.note("go")
    assert running()[0] == "next"
    assert len(ledger.after("holds ")) == 2


def test_nobody_joins_a_node_that_drains(
    make_node: MakeNode, make_client: MakeClient, make_server: MakeServer, ledger: Ledger
) -> None:
    node = make_node("--drain-timeout", "60", workers=1)
    running = make_client(node).submit(hold, (ledger,))
    ledger.await_one("holds ")
    node.terminate()
    node.await_log("running jobs have")
    late = make_server(0, (node.name,), secret=SECRET)
    waiting = late.submit(jobs.echo, (1,))
    assert running.finished is False
    ledger.note("go")
    running()
    assert node.wait() == 0
    assert late.get_active_nodes() == {"local": 0}
    make_node(workers=1, port=node.port)
    assert waiting() == 1


def test_clients_that_come_and_go_leave_nothing_in_a_node(
    make_node: MakeNode, make_client: MakeClient, make_server: MakeServer
) -> None:
    node = make_node(workers=1)
    folders = [Path(f"/proc/{node.process.pid}/{kind}") for kind in ("fd", "task")]

    def held() -> list[int]:
        return [len(os.listdir(folder)) for folder in folders]

    def come_and_go() -> None:
        with make_client(node) as server:
            assert server.submit(jobs.echo, (bytes(300_000),))() == bytes(300_000)
        make_server(0, (node.name,), secret="another one").destroy()

    # Threads that are made once, when they are first needed.
    for _ in range(3):
        come_and_go()
    eventually(lambda: node.log().count("client left") == 3)
    eventually(lambda: not marked_processes())
    before = held()
    for _ in range(8):
        come_and_go()
    eventually(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)),
        f"{before} descriptors and threads at first, {held()} now",
    )
