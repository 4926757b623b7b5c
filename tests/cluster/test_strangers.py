"""Strangers at the door: however many, however slow, they are refused and hold nobody up."""

from __future__ import annotations

import os
import re
import resource
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests import jobs
from tests.cluster.checks import clients_of, working
from tests.cluster.conftest import MakeClient, MakeNode, MakeProxy
from tests.cluster.jobs import noted, slowly
from tests.cluster.nodes import SECRET, Node
from tests.failures.ledger import Ledger
from tests.support import MakeServer, eventually

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="looks at modes of files and at limits"),
]


def _scan(node: Node) -> None:
    socket.create_connection((node.host, node.port)).close()


def _reset(node: Node) -> None:
    with socket.create_connection((node.host, node.port)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _send(content: bytes) -> Callable[[Node], None]:
    def send(node: Node) -> None:
        with socket.create_connection((node.host, node.port)) as one:
            with suppress(OSError):
                one.sendall(content)
            _await_end(one)

    return send


def _await_end(one: socket.socket) -> None:
    """Returns when the node has closed the connection; fails if it does not."""
    one.settimeout(20)
    with suppress(ConnectionError):
        while one.recv(4096):
            pass


_STRANGERS = {
    "scan": _scan,
    "reset": _reset,
    "garbage": _send(os.urandom(100_000)),
    "zeros": _send(bytes(100_000)),
    "http": _send(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n"),
    "ssh": _send(b"SSH-2.0-OpenSSH_9.9\r\n"),
    # A record of TLS, of a length that none may have.
    "long-record": _send(b"\x16\x03\x01\xff\xff" + bytes(70_000)),
    # A greeting that claims 16 MiB.
    "long-hello": _send(b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(20_000)),
    "own-greeting": _send(b"\x08\x00\x00\x00\x00pp/2\x01\x02\x00"),
}


@pytest.mark.parametrize("kind", _STRANGERS)
def test_strangers_are_refused_while_others_work(
    kind: str, make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node()
    server = make_client(node)
    with working(server):
        for _ in range(30):
            _STRANGERS[kind](node)
        node.await_log("connection refused")
    assert clients_of(node) == 1
    # Nobody can fill the disk by being refused.
    assert len(re.findall("connection refused", node.log())) <= 20
    assert make_client(node).submit(jobs.echo, (1,))() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all addresses of 127/8")
def test_of_many_strangers_the_number_is_told(make_node: MakeNode) -> None:
    node = make_node()
    for number in range(30):
        source = (f"127.0.1.{number + 1}", 0)
        with socket.create_connection((node.host, node.port), source_address=source):
            pass
    # Though nobody else comes.
    node.await_log("more connections were refused than are told of here (count: 10)")
    assert len(re.findall("connection refused", node.log())) == 20


def test_the_same_of_the_same_stranger_is_told_once(make_node: MakeNode) -> None:
    node = make_node("--debug")
    for _ in range(10):
        _send(b"SSH-2.0-OpenSSH_9.9\r\n")(node)
    wanted = "connection refused"
    eventually(lambda: node.log().count(wanted) == 10, node.log())
    assert len(re.findall(f"WARNING.*{wanted}", node.log())) == 1


def test_tls_without_a_certificate_is_refused(make_node: MakeNode, make_client: MakeClient) -> None:
    node = make_node()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["pp/2"])
    with (
        socket.create_connection((node.host, node.port), timeout=20) as one,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        _talk(context, one)
    node.await_log("connection refused")
    assert clients_of(node) == 0


def _talk(context: ssl.SSLContext, one: socket.socket) -> None:
    # That no key is shown is noticed only after this side takes the handshake for over.
    with context.wrap_socket(one) as wrapped:
        wrapped.sendall(bytes(100))
        if wrapped.recv(1) == b"":
            raise ConnectionError("it was closed")


def test_slow_strangers_hold_nobody_up(make_node: MakeNode, make_client: MakeClient) -> None:
    node = make_node()
    with ExitStack() as stack:
        slow = [_connected(node, stack) for _ in range(400)]
        over = threading.Event()
        # The beginning of a greeting of TLS, byte by byte.
        greeting = iter(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))

        def drip() -> None:
            for byte in greeting:
                for one in slow:
                    with suppress(OSError):
                        one.send(bytes([byte]))
                if over.wait(1.0):
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            server = make_client(node)
            batch = [server.submit(slowly, (i,)) for i in range(100)]
            assert [job() for job in batch] == list(range(100))
            for one in slow:
                _await_end(one)
        finally:
            over.set()
            thread.join()
    node.await_log("did not complete the handshake in 5 s")


def test_thousands_who_only_connect_hold_nobody_up(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node()
    with ExitStack() as stack, room_for_sockets(3_000) as number:
        crowd = [_connected(node, stack) for _ in range(number // 2)]
        over = threading.Event()

        def go_on() -> None:
            while len(crowd) < number and not over.is_set():
                crowd.append(_connected(node, stack))

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            servers = [make_client(node) for _ in range(3)]
            for server in servers:
                batch = [server.submit(slowly, (i,)) for i in range(30)]
                assert [job() for job in batch] == list(range(30))
        finally:
            over.set()
            thread.join()
        held = len(os.listdir(f"/proc/{node.process.pid}/fd")) if _HAS_PROC else 0
        assert held < 1_000, "who only waits makes room"
        for one in crowd:
            _await_end(one)
    assert clients_of(node) == 3


_HAS_PROC = Path("/proc/self/fd").is_dir()


def _connected(node: Node, stack: ExitStack) -> socket.socket:
    one = socket.socket()
    stack.callback(one.close)
    one.settimeout(20)
    one.connect((node.host, node.port))
    return one


@contextmanager
def room_for_sockets(number: int) -> Iterator[int]:
    """As many as are wanted, or as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else number + 1_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, number + 1_000)), hard))
    try:
        yield min(number, max(most - 1_000, 100))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_recorded_session_cannot_be_played_back(
    make_node: MakeNode,
    make_proxy: MakeProxy,
    make_server: MakeServer,
    make_client: MakeClient,
    ledger: Ledger,
) -> None:
    node = make_node()
    proxy = make_proxy(node)
    with make_server(0, (proxy.name,), secret=SECRET) as server:
        for number in range(10):
            server.submit(noted, (ledger, f"job {number}"))()
    recorded = bytes(proxy.sent[0])
    assert len(recorded) > 2_000, "all of it went through the proxy"
    node.await_log("client left")
    for _ in range(3):
        _send(recorded)(node)
    node.await_log("connection refused")
    assert clients_of(node) == 1
    assert make_client(node).submit(jobs.echo, (1,))() == 1
    assert len(ledger.words()) == 10
