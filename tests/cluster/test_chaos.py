"""Everything at once: nodes of all kinds die, freeze, leave and come back, by chance."""

from __future__ import annotations

import os
import random
import sys
import threading

import pytest

import pp
from tests import jobs
from tests.cluster.checks import Tally
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import size, slowly
from tests.cluster.nodes import Node

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="stops processes"),
]

# So often something happens to a node.
_BLOWS = 12


class Mob:
    """Does things to nodes, in an order that follows from `seed`, and starts them again."""

    def __init__(self, seed: int, make_node: MakeNode) -> None:
        self._chance = random.Random(seed)
        self._make_node = make_node
        self._nodes: dict[str, Node] = {}
        self._flags: dict[str, tuple[str, ...]] = {}
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._rage)

    def start(self, name: str, *flags: str, port: int = 0) -> Node:
        """A node that it may do things to."""
        workers = self._chance.randint(1, 3)
        node = self._make_node("--name", name, *flags, workers=workers, port=port)
        self._nodes[name], self._flags[name] = node, flags
        return node

    def begin(self) -> None:
        """From now on it does."""
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has had enough."""
        return not self._thread.is_alive()

    def join(self) -> None:
        """Waits until it has."""
        self._thread.join()

    def _rage(self) -> None:
        try:
            for _ in range(_BLOWS):
                self._pause(0.4)
                name = self._chance.choice(list(self._nodes))
                self._strike(name, self._nodes[name])
        except BaseException as error:
            self.fault = error

    def _strike(self, name: str, node: Node) -> None:
        manner = self._chance.choice(["kill", "kill", "end", "end now", "freeze"])
        if manner == "freeze":
            node.freeze()
            # Sometimes longer than nodes are waited for, sometimes not.
            self._pause(2.0)
            return node.thaw()
        if manner == "kill":
            node.kill()
        else:
            node.terminate()
            if manner == "end now":
                node.terminate()
            assert node.wait() in (0, 1)
        self._pause(0.4)
        self.start(name, *self._flags[name], port=node.port)
        return None

    def _pause(self, most: float) -> None:
        threading.Event().wait(self._chance.uniform(0, most))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_all_jobs_end_once(
    seed: int, make_node: MakeNode, make_client: MakeClient
) -> None:
    mob = Mob(seed, make_node)
    plain = [mob.start("one"), mob.start("two")]
    behind = mob.start("behind")
    gateway = mob.start("gate", "--ppservers", behind.name)
    mob.start("dialing", "--dial", gateway.name)
    # Who is lost that often is not to be blamed here.
    server = make_client(*plain, gateway, node_timeout=1, max_node_losses=1_000_000)
    mob.begin()
    try:
        rounds = 0
        while not mob.is_over() or rounds < 3:
            _work(server)
            rounds += 1
    finally:
        mob.join()
    assert mob.fault is None, repr(mob.fault)


def _work(server: pp.Server) -> None:
    """Jobs of all kinds."""
    tally = Tally()
    content = os.urandom(1_000_000)
    ref = server.put(content)
    small = [server.submit(slowly, (i, 0.002), callback=tally) for i in range(200)]
    large = [server.submit(jobs.echo, (content,)) for _ in range(4)]
    shared = [server.submit(size, (ref,)) for _ in range(10)]
    assert [job() for job in small] == list(range(200))
    assert all(job() == content for job in large)
    assert all(job() == len(content) for job in shared)
    assert list(server.map(jobs.echo, range(2_000))) == list(range(2_000))
    server.wait()
    assert set(tally.ends.values()) == {1}
    assert len(tally.ends) == 200
