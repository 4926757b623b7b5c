"""Several clients share a node: equally, by weight, and none keeps others waiting."""

from __future__ import annotations

import os
import socket

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode, MakeProgram
from tests.cluster.jobs import slowly
from tests.support import Gate, MakeGate, eventually

pytestmark = pytest.mark.timeout(60)


def enter(server: pp.Server, gate: Gate, number: int) -> list[pp.Job[int]]:
    """Jobs that wait at a gate, named 0, 1 and so on."""
    return [server.submit(jobs.pass_gate, gate.args(str(n))) for n in range(number)]


def await_number_inside(gate: Gate, number: int) -> None:
    """Waits until so many of them run."""
    eventually(lambda: len(gate.inside()) == number, f"{number} run, not {gate.inside()}")


def test_who_is_alone_has_all_and_who_comes_gets_a_share(
    make_node: MakeNode, make_client: MakeClient, make_gate: MakeGate
) -> None:
    node = make_node(workers=4)
    first, second = make_client(node), make_client(node)
    closed, next_one = make_gate(), make_gate()
    running = enter(first, closed, 4)
    await_number_inside(closed, 4)
    later = enter(first, next_one, 20)
    # One in any case, though all workers have long jobs.
    others = make_gate()
    newcomers = enter(second, others, 20)
    await_number_inside(others, 1)
    # When those end, both have half.
    closed.open()
    for job in running:
        job()
    await_number_inside(others, 2)
    await_number_inside(next_one, 2)
    next_one.open()
    for job in later:
        job()
    # And who is left has all.
    await_number_inside(others, 4)
    others.open()
    for job in newcomers:
        job()


def test_weights_divide_a_node(
    make_node: MakeNode, make_client: MakeClient, make_gate: MakeGate, make_program: MakeProgram
) -> None:
    # Clients are known by their machines and processes.
    name = f"{socket.gethostname()} ({os.getpid()})"
    node = make_node("--weights", f"{name}=3", workers=4)
    light = make_program(
        """
        server = server_of()
        ledger.note("there")
        ledger.await_words("begin")
        submitted = [server.submit(jobs.hold, (ledger,)) for _ in range(20)]
        for job in submitted:
            job()
        """,
        node,
    )
    light.await_one("there")
    gates = [make_gate(), make_gate()]
    heavy = make_client(node)
    first, rest = enter(heavy, gates[0], 4), enter(heavy, gates[1], 20)
    await_number_inside(gates[0], 4)
    light.ledger.note("begin")
    light.await_one("holds ")
    # What is free now is divided anew.
    gates[0].open()
    for job in first:
        job()
    await_number_inside(gates[1], 3)
    assert len(light.ledger.after("holds ")) == 1
    gates[1].open()
    for job in rest:
        job()
    eventually(lambda: len(light.ledger.after("holds ")) == 4, "who is left has all")
    light.ledger.note("go")
    assert light.ends() == 0, light.said()


def test_many_clients_at_a_time_get_all_of_their_results(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node(workers=2)
    servers = [make_client(node) for _ in range(6)]
    batches = [
        [server.submit(slowly, ((n, i), 0.005)) for i in range(40)]
        for n, server in enumerate(servers)
    ]
    for n, batch in enumerate(batches):
        assert [job() for job in batch] == [(n, i) for i in range(40)]


def test_a_client_with_long_jobs_keeps_nobody_waiting(
    make_node: MakeNode, make_client: MakeClient, make_gate: MakeGate
) -> None:
    node = make_node(workers=1)
    first, second = make_client(node), make_client(node)
    gate = make_gate()
    long = enter(first, gate, 3)
    await_number_inside(gate, 1)
    assert [job() for job in [second.submit(jobs.echo, (i,)) for i in range(50)]] == list(range(50))
    assert not long[0].finished
    gate.open()
    for job in long:
        job()
