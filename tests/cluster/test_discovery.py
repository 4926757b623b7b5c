"""Nodes are found by who knows the secret, and by nobody else; nobody else is believed."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests import jobs
from tests.cluster import beacons
from tests.cluster.conftest import MakeNode
from tests.support import MakeServer, eventually

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="looks at modes of files and at limits"),
]


@pytest.fixture
def network() -> Iterator[socket.socket]:
    """A socket that hears what is asked on loopback, at a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        heard.bind(("", 0))
        heard.settimeout(20)
        yield heard


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """Where nobody is to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def _was_dialed(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_forged_and_replayed_answers_are_not_believed(
    network: socket.socket, trap: socket.socket, make_server: MakeServer
) -> None:
    port, trapped = network.getsockname()[1], trap.getsockname()[1]
    key = beacons.key(beacons.MADE_SECRET)
    foreign = beacons.key(beacons.MADE_SECRET[:-1] + "u")
    make_server(0, (f"127.0.0.*:{port}",), secret=beacons.MADE_SECRET)
    said, client = network.recvfrom(2048)
    asked = beacons.opened(said)
    assert said == beacons.question(asked.nonce).seal(key)
    node = os.urandom(16)
    good = beacons.answer(asked.nonce, node, trapped)
    for packet in (
        b"",
        os.urandom(len(said)),
        said,
        good.seal(foreign),
        good.seal(key)[:-1],
        good.seal(key) + b"\0",
        good.seal(key)[:-1] + bytes([good.seal(key)[-1] ^ 1]),
        good._replace(port=trapped).seal(bytes(32)),
        # What was once said to somebody else, in another run.
        beacons.answer(os.urandom(16), node, trapped).seal(key),
    ):
        network.sendto(packet, client)
    # By the next question, all of that was looked at.
    while beacons.opened(network.recvfrom(2048)[0]).nonce == asked.nonce:
        pass
    assert not _was_dialed(trap)
    # All that was wrong with it is what was done to it.
    network.sendto(good.seal(key), client)
    eventually(lambda: _was_dialed(trap), "a good answer is believed")


def test_who_does_not_know_the_secret_gets_no_answer(make_node: MakeNode, free_port: int) -> None:
    node = make_node("--discovery-port", str(free_port), secret=beacons.MADE_SECRET)
    key = beacons.key(beacons.MADE_SECRET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        place = ("127.0.0.1", free_port)
        forged = [bytes([n]) * 16 for n in range(1, 6)]
        for nonce in forged:
            asking.sendto(beacons.question(nonce).seal(os.urandom(32)), place)
            asking.sendto(nonce * 5, place)
        good = bytes(16)

        found: list[beacons.Beacon] = []

        def is_answered() -> bool:
            asking.sendto(beacons.question(good).seal(key), place)
            with suppress(TimeoutError):
                found.append(beacons.opened(asking.recvfrom(2048)[0]))
            return bool(found)

        eventually(is_answered, "it answers who knows the secret")
    # In the order in which they were asked: had a forged one been answered, it would come first.
    assert found[0].nonce == good
    assert found[0].port == node.port


def test_a_node_that_is_found_has_to_prove_itself(
    make_node: MakeNode, free_port: int, network: socket.socket, make_server: MakeServer
) -> None:
    """Somebody repeats a true answer, from a place of his own, while it is fresh."""
    node = make_node("--discovery-port", str(free_port), secret=beacons.MADE_SECRET)
    foreign = make_node(secret="another one")
    key = beacons.key(beacons.MADE_SECRET)
    port = network.getsockname()[1]
    server = make_server(0, (f"127.0.0.*:{port}",), secret=beacons.MADE_SECRET)
    said, client = network.recvfrom(2048)
    asked = beacons.opened(said)
    network.sendto(beacons.answer(asked.nonce, os.urandom(16), foreign.port).seal(key), client)
    foreign.await_log("connection refused")
    job = server.submit(jobs.echo, (1,))
    assert not job.finished
    network.sendto(beacons.answer(asked.nonce, os.urandom(16), node.port).seal(key), client)
    assert job() == 1


@pytest.fixture
def free_port() -> int:
    """A port of UDP that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])
