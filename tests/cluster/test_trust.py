"""Who does not belong to the cluster is refused, cheaply, and holds nobody up."""

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

import pp
from tests import jobs
from tests.cluster import beacons
from tests.cluster.authority import Authority
from tests.cluster.conftest import MakeClient, MakeNode, MakeProxy
from tests.cluster.jobs import noted, slowly
from tests.cluster.nodes import SECRET, Node
from tests.failures.ledger import Ledger
from tests.support import MakeServer, eventually, marked_processes

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="looks at modes of files and at limits"),
]


@pytest.fixture
def no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Surroundings without any secret; the directory where one would be."""
    for variable in ("PP_SECRET", "PP_SECRET_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@contextmanager
def working(server: pp.Server) -> Iterator[None]:
    """Somebody who belongs to the cluster has jobs done all the while."""
    over = threading.Event()
    faults: list[BaseException] = []

    def work() -> None:
        try:
            while not over.is_set():
                batch = [server.submit(slowly, (i, 0.001)) for i in range(20)]
                assert [job() for job in batch] == list(range(20))
        except BaseException as error:
            faults.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not faults, faults


def said_by(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Waits until the log of this process has it."""
    eventually(lambda: text in caplog.text, f"the log says {text!r}: {caplog.text}")


def clients_of(node: Node) -> int:
    """How many clients the node has let in so far."""
    return len(re.findall("client joined", node.log()))


# Secrets


def test_a_wrong_secret_is_refused_and_both_sides_say_so(
    make_node: MakeNode,
    make_client: MakeClient,
    make_server: MakeServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = make_node()
    honest = make_client(node)
    with working(honest):
        stranger = make_server(0, (node.name,), secret="another one")
        job = stranger.submit(jobs.echo, (1,))
        said_by(caplog, "the other side has another secret")
        node.await_log("the other side has another secret")
        assert not job.finished
        assert stranger.get_active_nodes() == {"local": 0}
    assert clients_of(node) == 1
    for text in (node.log(), caplog.text):
        assert SECRET not in text
        assert "another one" not in text


def test_a_node_with_another_secret_is_not_sent_anything(
    make_node: MakeNode, make_client: MakeClient, make_server: MakeServer
) -> None:
    own, foreign = make_node(), make_node(secret="another one")
    server = make_server(0, (own.name, foreign.name), secret=SECRET)
    submitted = [server.submit(slowly, (i,)) for i in range(50)]
    assert [job() for job in submitted] == list(range(50))
    foreign.await_log("connection refused")
    assert set(server.get_active_nodes()) == {"local", own.name}
    assert clients_of(foreign) == 0


def test_without_a_secret_a_server_says_what_to_do(
    no_secret: Path, make_server: MakeServer
) -> None:
    with pytest.raises(pp.AuthenticationError) as caught:
        make_server(0, ("127.0.0.1",))
    for hint in ("ppserver", "pp secret new", "pp secret path", "PP_SECRET", "secret="):
        assert hint in str(caught.value)
    assert not no_secret.exists(), "looking for a secret makes none"


@pytest.mark.parametrize("fault", ["empty", "open", "missing", "directory", "huge"])
@pytest.mark.parametrize("named", ["argument", "variable", "default"])
def test_a_file_that_should_hold_a_secret_and_does_not(
    fault: str,
    named: str,
    no_secret: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_server: MakeServer,
) -> None:
    file = no_secret / "parallel-python" / "secret"
    file.parent.mkdir(parents=True)
    words = _spoil(file, fault)
    options = {"secret_file": file} if named == "argument" else {}
    if named == "variable":
        monkeypatch.setenv("PP_SECRET_FILE", str(file))
    if (fault, named) == ("missing", "default"):
        words = "there is no secret"
    with pytest.raises(pp.AuthenticationError, match=words) as caught:
        make_server(0, ("127.0.0.1",), **options)
    if words != "there is no secret":
        assert str(file) in str(caught.value)
    if named == "variable":
        assert "PP_SECRET_FILE" in str(caught.value)


def _spoil(file: Path, fault: str) -> str:
    """Makes something that is no secret's file; what is said of it."""
    if fault == "missing":
        return "cannot be read"
    if fault == "directory":
        file.mkdir()
        return "cannot be read"
    file.write_text({"empty": " \n", "open": SECRET, "huge": "x" * 100_000}[fault])
    file.chmod(0o644 if fault == "open" else 0o600)
    return {"empty": "it is empty", "open": "chmod 600", "huge": "too large"}[fault]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root may become somebody else"
)
def test_a_file_of_somebody_else_is_no_secret(no_secret: Path) -> None:
    import subprocess

    # Below /tmp, because others may not enter the directories of pytest.
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "secret")
        file.write_text(SECRET)
        file.chmod(0o600)
        script = (
            "import os, sys\n"
            "from pp._cluster import secret\n"
            "os.setuid(65534)\n"
            "secret.find(file=sys.argv[1])\n"
        )
        words = [sys.executable, "-c", script, str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert "AuthenticationError: the secret cannot be read from the file" in done.stderr
    assert SECRET not in done.stderr


# Certificates


def test_certificates_of_an_own_authority(
    tmp_path: Path, make_node: MakeNode, make_client: MakeClient, no_secret: Path
) -> None:
    authority = Authority(tmp_path / "own")
    node = _certified(make_node, authority)
    server = make_client(node, secret=None, certificates=authority.member("client"))
    assert [job() for job in [server.submit(slowly, (i,)) for i in range(20)]] == list(range(20))


@pytest.mark.parametrize("who", ["other", "expired", "secret"])
def test_a_client_without_a_valid_certificate_is_refused(
    who: str,
    tmp_path: Path,
    make_node: MakeNode,
    make_server: MakeServer,
    make_client: MakeClient,
    no_secret: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    authority = Authority(tmp_path / "own")
    node = _certified(make_node, authority)
    honest = make_client(node, secret=None, certificates=authority.member("client"))
    if who == "other":
        options: dict[str, object] = {"certificates": Authority(tmp_path / "other").member("me")}
    elif who == "expired":
        options = {"certificates": authority.member("late", expired=True)}
    else:
        options = {"secret": SECRET}
    with working(honest):
        stranger = make_server(0, (node.name,), **options)
        job = stranger.submit(jobs.echo, (1,))
        for text in ("connection refused", "certificate"):
            node.await_log(text)
        said_by(caplog, "node cannot be used")
        said_by(caplog, "has expired" if who == "expired" else "certificate")
        assert not job.finished
    assert clients_of(node) == 1


def test_a_node_with_an_expired_certificate_is_not_used(
    tmp_path: Path,
    make_node: MakeNode,
    make_server: MakeServer,
    no_secret: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    authority = Authority(tmp_path / "own")
    node = _certified(make_node, authority, expired=True)
    server = make_server(0, (node.name,), certificates=authority.member("client"))
    job = server.submit(jobs.echo, (1,))
    said_by(caplog, "node cannot be used")
    node.await_log("connection refused")
    assert "xpired" in caplog.text + node.log()
    assert not job.finished
    assert clients_of(node) == 0


@pytest.mark.parametrize("place", [0, 1, 2])
def test_certificates_that_cannot_be_read_are_named(
    place: int, tmp_path: Path, make_server: MakeServer, no_secret: Path
) -> None:
    files = list(Authority(tmp_path / "own").member("client"))
    files[place] = str(tmp_path / "missing.pem")
    with pytest.raises(pp.AuthenticationError, match=r"missing\.pem"):
        make_server(0, ("127.0.0.1",), certificates=tuple(files))


def _certified(make_node: MakeNode, authority: Authority, **options: bool) -> Node:
    files = authority.member("node", **options)
    return make_node("--certificates", ",".join(files), secret=None)


# Strangers


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
    node.await_log("did not complete the handshake in 5s")


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


# Finding nodes


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


def test_nobody_who_is_refused_gets_a_worker(make_node: MakeNode, make_server: MakeServer) -> None:
    node = make_node()
    stranger = make_server(0, (node.name,), secret="another one")
    node.await_log("connection refused")
    assert marked_processes() == []
    stranger.destroy()
