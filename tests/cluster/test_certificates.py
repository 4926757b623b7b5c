"""Certificates of an own authority: who has one is believed, and who has none is not."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.cluster.authority import Authority, Certificates
from tests.cluster.checks import clients_of, run_node, said_by, working
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import slowly
from tests.cluster.nodes import SECRET, Node
from tests.support import MakeServer, RunPython

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="looks at modes of files"),
    pytest.mark.usefixtures("no_secret"),
]


def certified(make_node: MakeNode, authority: Authority, *flags: str) -> Node:
    """A node that has a certificate."""
    files = authority.member("node")
    return make_node("--certificates", ",".join(files), *flags, secret=None)


def test_certificates_of_an_own_authority(
    tmp_path: Path, make_node: MakeNode, make_client: MakeClient
) -> None:
    authority = Authority(tmp_path / "own")
    node = certified(make_node, authority)
    server = make_client(node, secret=None, certificates=authority.member("client"))
    assert [job() for job in [server.submit(slowly, (i,)) for i in range(20)]] == list(range(20))


def test_a_secret_beside_certificates_serves_to_find_nodes_and_for_nothing_else(
    tmp_path: Path, make_node: MakeNode, make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    files = ",".join(authority.member("node"))
    node = make_node("--certificates", files, "--discovery-port", port)
    pattern = (f"127.0.0.*:{port}",)
    with_files = make_server(0, pattern, secret=SECRET, certificates=authority.member("client"))
    assert with_files.submit(jobs.echo, (1,))() == 1
    without = make_server(0, pattern, secret=SECRET)
    said_by(caplog, "the other side has another secret, or certificate")
    assert without.get_active_nodes() == {"local": 0}
    assert clients_of(node) == 1


# What peers are not believed for


@pytest.mark.parametrize("who", ["other", "secret"])
def test_a_client_without_a_certificate_of_the_authority_is_refused(
    who: str,
    tmp_path: Path,
    make_node: MakeNode,
    make_server: MakeServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    authority = Authority(tmp_path / "own")
    node = certified(make_node, authority)
    honest = make_client(node, secret=None, certificates=authority.member("client"))
    options: dict[str, object] = {"secret": SECRET}
    if who == "other":
        options = {"certificates": Authority(tmp_path / "other").member("me")}
    with working(honest):
        stranger = make_server(0, (node.name,), **options)
        job = stranger.submit(jobs.echo, (1,))
        for text in ("connection refused", "certificate"):
            node.await_log(text)
        said_by(caplog, "node cannot be used")
        said_by(caplog, "certificate")
        assert not job.finished
    assert clients_of(node) == 1


def context(side: int, files: Certificates) -> ssl.SSLContext:
    """For a peer that looks at nothing of its own before it shows it."""
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(files[0])
    made.load_cert_chain(files[1], files[2])
    made.set_alpn_protocols(["pp/2"])
    return made


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("expired", "the certificate of the other side has expired"),
        ("version", "X.509 version 1"),
        ("purpose", "extendedKeyUsage"),
        ("authority", "one of an authority"),
    ],
)
def test_a_client_whose_certificate_is_not_valid_is_refused(
    fault: str, words: str, tmp_path: Path, make_node: MakeNode
) -> None:
    authority = Authority(tmp_path / "own")
    node = certified(make_node, authority)
    peer = context(ssl.PROTOCOL_TLS_CLIENT, spoiled(authority, fault))
    plain = socket.create_connection((node.host, node.port))
    with plain, suppress(OSError), peer.wrap_socket(plain) as tls:
        tls.recv(1)
    node.await_log(words)
    assert "connection refused" in node.log()
    assert clients_of(node) == 0


def test_a_node_with_an_expired_certificate_is_not_used(
    tmp_path: Path, make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "own")
    with expired_node(authority) as name:
        server = make_server(0, (name,), certificates=authority.member("client"))
        job = server.submit(jobs.echo, (1,))
        said_by(caplog, "node cannot be used")
        said_by(caplog, "the certificate of the other side has expired")
        assert not job.finished


@contextmanager
def expired_node(authority: Authority) -> Iterator[str]:
    """Something that listens as a node does, and would start with any certificate."""
    peer = context(ssl.PROTOCOL_TLS_SERVER, authority.member("late", expired=True))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain, suppress(OSError), peer.wrap_socket(plain, server_side=True) as tls:
                    tls.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


# What is seen at the start


def spoiled(authority: Authority, fault: str) -> Certificates:
    """Files that cannot be used together, or not for this."""
    if fault == "expired":
        return authority.member("me", expired=True)
    if fault == "version":
        return authority.of_version_1("me")
    if fault == "purpose":
        return authority.member("me", extensions="mail")
    if fault == "authority":
        return authority.itself()
    ca, certificate, key = authority.member("me")
    if fault == "stranger":
        other = Path(certificate).parent.with_name("other")
        return ca, *Authority(other).member("me")[1:]
    if fault == "key":
        return ca, certificate, authority.member("other")[2]
    if fault == "swapped":
        return ca, key, certificate
    Path(key).chmod(0o644)
    return ca, certificate, key


FAULTS = {
    "expired": ("me.pem", "it has expired"),
    "version": ("me.pem", "X.509 version 1"),
    "purpose": ("me.pem", "extendedKeyUsage"),
    "authority": ("ca.pem", "one of an authority"),
    "stranger": ("other/me.pem", "not signed by the authority"),
    "key": ("other.key", "is not that of the certificate"),
    "swapped": ("me.key", "there is none"),
    "open": ("me.key", "chmod 600"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_node_does_not_start_with_what_nobody_would_believe(
    fault: str, tmp_path: Path, run_python: RunPython
) -> None:
    files = spoiled(Authority(tmp_path / "own"), fault)
    ran = run_node(run_python, "-p", "0", "--certificates", ",".join(files))
    assert ran.out == ""
    for words in FAULTS[fault]:
        assert words in ran.err
    assert ran.err.startswith("ppserver: ")
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_says_that_nobody_would_believe_it(
    fault: str, tmp_path: Path, make_server: MakeServer
) -> None:
    files = spoiled(Authority(tmp_path / "own"), fault)
    with pytest.raises(pp.AuthenticationError) as caught:
        make_server(0, ("127.0.0.1",), certificates=files)
    for words in FAULTS[fault]:
        assert words in str(caught.value)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_certificates_that_cannot_be_read_are_named(
    place: int, tmp_path: Path, make_server: MakeServer
) -> None:
    files = list(Authority(tmp_path / "own").member("client"))
    files[place] = str(tmp_path / "missing.pem")
    with pytest.raises(pp.AuthenticationError, match=r"missing\.pem"):
        make_server(0, ("127.0.0.1",), certificates=tuple(files))
