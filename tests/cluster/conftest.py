"""Fixtures for the tests of clusters."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import pp
from tests.cluster.keeping import FIRST, Kept, at
from tests.cluster.nodes import SECRET, Node
from tests.cluster.proxy import Proxy
from tests.cluster.pythons import other_minor_version
from tests.failures.clients import Client
from tests.failures.ledger import Ledger
from tests.support import Gate, MakeServer, eventually

MakeNode = Callable[..., Node]
MakeClient = Callable[..., pp.Server]
MakeProgram = Callable[..., Client]
MakeProxy = Callable[[Node], Proxy]
MakePair = Callable[..., tuple[Node, Node]]
KeepResult = Callable[..., Kept]


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    """Starts nodes, which are killed after the test."""
    with ExitStack() as nodes:

        def make(*flags: str, **options: Any) -> Node:
            return nodes.enter_context(Node(tmp_path / "nodes", *flags, **options))

        yield make


@pytest.fixture
def make_client(make_server: MakeServer) -> MakeClient:
    """Makes servers that use nodes only, and waits until they have them."""

    def make(*nodes: Node, ncpus: int = 0, **options: Any) -> pp.Server:
        options = {"secret": SECRET, **options}
        names = tuple(node.name for node in nodes)
        server = make_server(ncpus, names, **options)
        eventually(
            lambda: set(names) <= set(server.get_active_nodes()),
            f"{names} join: {server.get_active_nodes()}",
        )
        return server

    return make


@pytest.fixture
def make_program(tmp_path: Path) -> Iterator[MakeProgram]:
    """Starts scripts, each as a program of its own that a test may kill. They find
    `server_of(**options)`, which makes a server that uses the nodes only.
    """
    programs: list[Client] = []

    def make(script: str, *nodes: Node, **options: Any) -> Client:
        names = tuple(node.name for node in nodes)
        prelude = (
            "from tests.cluster.jobs import slowly, where\n"
            "def server_of(ncpus=0, **options):\n"
            f"    return pp.Server(ncpus, {names!r}, secret={SECRET!r}, **options)\n"
        )
        folder = tmp_path / f"program{len(programs)}"
        programs.append(Client(prelude + textwrap.dedent(script), folder, **options))
        return programs[-1]

    yield make
    for program in programs:
        program.clear_up()


@pytest.fixture
def make_proxy() -> Iterator[MakeProxy]:
    """Puts something between clients and a node."""
    with ExitStack() as proxies:
        yield lambda node: proxies.enter_context(Proxy(node.host, node.port))


@pytest.fixture
def no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Surroundings without any secret; the directory where one would be."""
    for variable in ("PP_SECRET", "PP_SECRET_FILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture(scope="session")
def other_python() -> str:
    """An interpreter of another minor version that can run nodes."""
    found = other_minor_version()
    if found is None:
        pytest.skip("there is no other Python on this machine")
    return found


@pytest.fixture
def make_pair(make_node: MakeNode) -> MakePair:
    """Two nodes: the first has the resource "first", the second "second"."""

    def make(**options: Any) -> tuple[Node, Node]:
        first = make_node("--name", "first", "--resources", "first=9", **options)
        second = make_node("--name", "second", "--resources", "second=9", **options)
        return first, second

    return make


@pytest.fixture
def keep_result(
    make_pair: MakePair, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> KeepResult:
    """Makes a large result that stays at a node. A job there needs it, until the gate opens."""

    def keep(**options: Any) -> Kept:
        first, second = make_pair(workers=2)
        server = make_client(first, second, **options)
        return Kept(server, first, second, at(ledger, server, FIRST, gate))

    return keep


@pytest.fixture
def lose_result(keep_result: KeepResult, gate: Gate) -> KeepResult:
    """The same, and its node is killed; no job needs it for now."""

    def lose(**options: Any) -> Kept:
        kept = keep_result(**options)
        gate.open()
        kept.server.wait()
        kept.first.kill()
        return kept

    return lose
