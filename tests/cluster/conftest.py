"""Fixtures for the tests of clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import pp
from tests.cluster.nodes import SECRET, Node
from tests.support import MakeServer, eventually

MakeNode = Callable[..., Node]
MakeClient = Callable[..., pp.Server]


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
