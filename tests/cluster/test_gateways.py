"""Gateways, and nodes behind them, that die and come back."""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

import pp
from tests.cluster.checks import Tally
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import kill_node, slowly, where
from tests.cluster.nodes import Node
from tests.failures.ledger import Ledger
from tests.support import caught_from, eventually

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(sys.platform != "linux", reason="stops, kills and looks into /proc"),
]


def test_a_gateway_is_killed_and_comes_back(make_node: MakeNode, make_client: MakeClient) -> None:
    behind = make_node("--name", "behind", workers=2)
    flags = ("--name", "gate", "--ppservers", behind.name)
    gateway, direct = make_node(*flags, workers=1), make_node(workers=1)
    server = make_client(gateway, direct)
    eventually(lambda: server.get_active_nodes()[gateway.name] == 3, "all of it is there")
    tally = Tally()
    submitted = [server.submit(slowly, (i, 0.02), callback=tally) for i in range(200)]
    submitted[40]()
    gateway.kill()
    assert [job() for job in submitted] == list(range(200))
    server.wait()
    assert tally.ends == Counter(range(200))
    behind.await_log("client left")
    make_node(*flags, workers=1, port=gateway.port)
    eventually(lambda: server.get_active_nodes().get(gateway.name) == 3, "it is back")
    names = {job()[0] for job in [server.submit(_where_slowly) for _ in range(40)]}
    assert {"gate", "behind"} <= names


def test_a_node_behind_a_gateway_is_killed(make_node: MakeNode, make_client: MakeClient) -> None:
    doomed, staying = make_node(workers=2), make_node(workers=1)
    gateway = make_node("--ppservers", f"{doomed.name},{staying.name}", workers=1)
    server = make_client(gateway)
    eventually(lambda: server.get_active_nodes()[gateway.name] == 4, "all of it is there")
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(200)]
    submitted[40]()
    doomed.kill()
    assert [job() for job in submitted] == list(range(200))
    eventually(lambda: server.get_active_nodes()[gateway.name] == 2, "it tells of the loss")


def _where_slowly() -> tuple[str | None, int]:
    import os
    import time

    time.sleep(0.05)
    return os.environ.get("PP_NODE"), os.getpid()


@pytest.mark.parametrize("who", ["gateway", "node"])
def test_a_node_that_dials_is_used_again(
    who: str, make_node: MakeNode, make_client: MakeClient
) -> None:
    gateway = make_node(workers=0)
    words = ("--name", "hidden", "--dial", gateway.name)
    hidden = make_node(*words, workers=2)
    server = make_client(gateway)
    eventually(lambda: server.get_active_nodes().get(gateway.name) == 2, "it is there")
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(200)]
    submitted[40]()
    if who == "gateway":
        gateway.kill()
        make_node(workers=0, port=gateway.port)
    else:
        hidden.kill()
        make_node(*words, workers=2)
    assert [job() for job in submitted] == list(range(200))
    assert server.submit(where)()[0] == "hidden"


def test_nodes_that_dialed_and_have_gone_leave_nothing_at_the_gateway(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    gateway = make_node("-d", workers=0)

    def offer(name: str) -> Node:
        node = make_node("--name", name, "--dial", gateway.name, workers=1)
        gateway.await_log(f"node: {name})")
        return node

    offer("first").kill()
    before = open_in(gateway)
    for number in range(8):
        offer(f"n{number}").kill()
    last = offer("last")
    eventually(lambda: open_in(gateway) <= before + 1, "the others are forgotten")
    assert make_client(gateway).submit(where)()[0] == "last"
    assert last.process.poll() is None


def open_in(node: Node) -> int:
    """How many descriptors a node has open."""
    return len(os.listdir(f"/proc/{node.process.pid}/fd"))


def test_a_job_that_takes_nodes_behind_a_gateway_down_fails_alone(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=2)
    gateway = make_node("--ppservers", node.name, workers=0)
    server = make_client(gateway, max_node_losses=3)
    before = [server.submit(slowly, (i, 0.02)) for i in range(30)]
    killer = server.submit(kill_node, (ledger,))
    after = [server.submit(slowly, (i, 0.02)) for i in range(30)]
    for _ in range(3):
        node.process.wait(30)
        node = make_node(workers=2, port=node.port)
    error = caught_from(killer)
    assert isinstance(error, pp.NodeLost)
    assert error.losses == 3
    assert [job() for job in before + after] == [*range(30), *range(30)]
    assert len(set(ledger.after("kills "))) == 3
    assert gateway.process.poll() is None


def test_a_tree_of_gateways_loses_nothing(make_node: MakeNode, make_client: MakeClient) -> None:
    leaves = [make_node("--name", f"leaf{n}", workers=1) for n in range(2)]
    middle = make_node("--name", "middle", "--ppservers", leaves[0].name, workers=0)
    words = ("--name", "top", "--ppservers", f"{middle.name},{leaves[1].name}")
    top = make_node(*words, workers=0)
    server = make_client(top)
    eventually(lambda: server.get_active_nodes()[top.name] == 2, "all of it is there")
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(150)]
    submitted[20]()
    middle.kill()
    make_node("--name", "middle", "--ppservers", leaves[0].name, workers=0, port=middle.port)
    eventually(lambda: server.get_active_nodes()[top.name] == 2, "it is there again")
    assert [job() for job in submitted] == list(range(150))
    names = {job()[0] for job in [server.submit(_where_slowly) for _ in range(30)]}
    assert names == {"leaf0", "leaf1"}
