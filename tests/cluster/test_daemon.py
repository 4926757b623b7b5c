"""`ppserver` as a program: what it says, how it starts and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.cluster.checks import run_node, said_by
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import noted, slowly
from tests.cluster.nodes import SECRET, Node
from tests.failures.ledger import Ledger
from tests.support import MakeServer, RunPython, eventually

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="signals, and modes of files"),
]


# Starting


def ways_to(node: Node) -> list[str]:
    """The names by which a node says that it can be used."""
    import re

    line = re.search(r"  connect     (.*)\n", node.log())
    assert line is not None
    return re.findall(r"pp\.Server\(ppservers=\(\"([^\"]*)\",\)\)", line[1])


def test_it_says_how_to_connect(make_node: MakeNode, make_server: MakeServer) -> None:
    node = make_node("--name", "frontdesk", host="0.0.0.0", workers=1)
    for words in (
        f"on frontdesk, process {node.process.pid}",
        f"Python {sys.version.split()[0]}",
        f"listens on  0.0.0.0:{node.port}",
        "workers     1",
        "secret from the environment variable PP_SECRET",
    ):
        assert words in node.log()
    (way,) = ways_to(node)
    assert way == f"{socket.gethostname()}:{node.port}"
    try:
        socket.getaddrinfo(socket.gethostname(), node.port)
    except OSError as error:
        pytest.skip(f"this machine does not know its own name: {error}")
    server = make_server(0, (way,), secret=SECRET)
    assert server.submit(jobs.echo, (1,))() == 1


def test_it_says_how_to_connect_to_each_of_its_addresses(
    make_node: MakeNode, make_server: MakeServer
) -> None:
    node = make_node("-w", "1", "-p", "0", "-i", "127.0.0.1,127.0.0.2", bare=True)
    ways = ways_to(node)
    assert [way.split(":")[0] for way in ways] == ["127.0.0.1", "127.0.0.2"]
    for way in ways:
        server = make_server(0, (way,), secret=SECRET)
        assert server.submit(jobs.echo, (1,))() == 1


def test_a_port_in_use_is_named(make_node: MakeNode, run_python: RunPython) -> None:
    node = make_node()
    ran = run_node(run_python, "-p", str(node.port))
    assert f"127.0.0.1:{node.port}" in ran.err
    assert "in use" in ran.err
    assert node.process.poll() is None


def test_an_address_of_somebody_else_is_named(run_python: RunPython) -> None:
    # For documentation, so nobody has it (RFC 5737).
    ran = run_node(run_python, "-i", "203.0.113.7", "-p", "0")
    assert "203.0.113.7" in ran.err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_it_listens_where_it_is_told(
    host: str, make_node: MakeNode, make_client: MakeClient
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, 0), family=family).close()
    except OSError as error:
        pytest.skip(f"there is no {host} here: {error}")
    node = make_node(host=host)
    assert make_client(node).submit(jobs.echo, (1,))() == 1


def test_a_process_file_lives_as_long_as_the_node(tmp_path: Path, make_node: MakeNode) -> None:
    file = tmp_path / "pid"
    node = make_node("-P", str(file))
    assert int(file.read_text()) == node.process.pid
    node.terminate()
    assert node.wait() == 0
    assert not file.exists()


def test_a_process_file_that_cannot_be_written_is_named(
    tmp_path: Path, run_python: RunPython
) -> None:
    file = tmp_path / "missing" / "pid"
    ran = run_node(run_python, "-p", "0", "--pid-file", str(file))
    assert str(file) in ran.err
    assert "pid_file" in ran.err


# Running and ending


def test_it_ends_when_nobody_has_come_for_long(make_node: MakeNode) -> None:
    node = make_node("-t", "0.2")
    assert node.wait() == 0
    assert "no client" in node.log()


def test_it_stays_while_there_are_clients(make_node: MakeNode, make_client: MakeClient) -> None:
    node = make_node("-t", "1.5")
    server = make_client(node)
    submitted = [server.submit(slowly, (i, 0.5)) for i in range(8)]
    assert [job() for job in submitted] == list(range(8))
    assert node.process.poll() is None
    server.destroy()
    assert node.wait() == 0


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there is no such signal")
def test_statistics_are_printed_on_demand(make_node: MakeNode, make_client: MakeClient) -> None:
    node = make_node()
    server = make_client(node)
    for _ in range(7):
        server.submit(jobs.echo, (1,))()
    node.process.send_signal(signal.SIGUSR1)
    node.await_log("\n1 client; since the start: 1 client, 7 jobs done, ")
    assert f"({os.getpid()}) at 127.0.0.1:" in node.log()
    server.destroy()

    def told(text: str) -> bool:
        node.process.send_signal(signal.SIGUSR1)
        return text in node.log()

    # It has gone when its workers have.
    eventually(lambda: told("\n0 clients; since the start: 1 client, 7 jobs done, "))
    make_client(node).submit(jobs.echo, (1,))()
    eventually(lambda: told("\n1 client; since the start: 2 clients, 8 jobs done, "))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_nobody_need_hear_what_it_says(tmp_path: Path, make_client: MakeClient) -> None:
    words = [sys.executable, "-m", "pp._daemon", "-i", "127.0.0.1", "-w", "1"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with Path("/dev/full").open("wb") as full, log.open("wb") as errors:
        process = subprocess.Popen(
            [*words, "-p", str(port)],
            stdout=full,
            stderr=errors,
            env={**os.environ, "PP_SECRET": SECRET},
        )
    try:
        with pp.Server(0, (f"127.0.0.1:{port}",), secret=SECRET) as server:
            assert server.submit(jobs.echo, (1,))() == 1
            process.send_signal(signal.SIGUSR1)
            eventually(lambda: log.read_text().count("cannot write to standard output") == 2)
            assert server.submit(jobs.echo, (2,))() == 2
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("signals", [1, 2])
def test_who_still_has_jobs_there_hears_that_the_node_was_told_to_end(
    signals: int,
    make_node: MakeNode,
    make_client: MakeClient,
    ledger: Ledger,
    caplog: pytest.LogCaptureFixture,
) -> None:
    patience = "0.2" if signals == 1 else "60"
    node = make_node("--drain-timeout", patience, workers=1)
    with caplog.at_level("INFO", "pp"):
        server = make_client(node)
        job = server.submit(noted, (ledger, "runs", 60.0))
        ledger.await_words("runs")
        node.terminate()
        if signals == 2:
            node.await_log("ends: running jobs have 60 s")
            node.terminate()
        assert node.wait() == signals - 1
        said_by(caplog, "it says: this node was told to end")
    assert "destroyed" not in caplog.text
    assert not job.finished


def test_an_interrupt_ends_it_as_a_termination_does(make_node: MakeNode) -> None:
    node = make_node()
    node.process.send_signal(signal.SIGINT)
    assert node.wait() == 0
    assert "Traceback" not in node.log()
