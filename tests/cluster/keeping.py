"""Results that stay at nodes: what the tests of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pp
from tests import jobs
from tests.cluster.nodes import Node
from tests.cluster.proxy import Proxy
from tests.failures.ledger import Ledger
from tests.support import Gate

# Bytes of a result.
SIZE = 8_000_000
# Numbers in one of many.
SMALL = 40_000
# More than what is said beside data, functions and their modules among it.
LITTLE = SIZE // 2
FIRST = {"first": 1}
SECOND = {"second": 1}


def made(ledger: Ledger, number: int = 7) -> NDArray[np.float64]:
    """A large result, once it may be made; notes each time that it is."""
    ledger.await_words("go")
    ledger.note("made")
    return np.full(SIZE // 8, number, float)


def more(array: NDArray[np.float64], ledger: Ledger | None = None) -> NDArray[np.float64]:
    """Another one, of one."""
    if ledger:
        ledger.note("more")
    return array + 1


def total(array: NDArray[np.float64]) -> float:
    """A small result."""
    return float(array.sum())


def total_of(both: list[Any]) -> float:
    """The same of what is deep in it."""
    return total(both[1]["second"])


def pass_and_total(array: NDArray[np.float64], *gate: str) -> float:
    """The same, once the gate is open."""
    jobs.pass_gate(*gate)
    return total(array)


def divide(array: NDArray[np.float64]) -> float:
    """Fails."""
    return total(array) / 0


@dataclass
class Kept:
    """A large result that lies at the first of two nodes, which alone has the resource "first";
    the other one alone has "second".
    """

    server: pp.Server
    first: Node
    second: Node
    job: pp.Job[Any]


def at(ledger: Ledger, server: pp.Server, resources: dict[str, int], gate: Gate) -> pp.Job[Any]:
    """A large result that has been made and lies where there are these resources: a job that
    needs it waits for the gate.
    """
    result = server.submit(made, (ledger,), resources=resources)
    held = server.submit(pass_and_total, (result, *gate.args("held")), resources=resources)
    ledger.note("go")
    gate.await_inside("held")
    assert not held.done()
    return result


def again(make_node: Callable[..., Node], node: Node) -> Node:
    """A node like the first one of a pair, in its place."""
    return make_node("--resources", "first=9", workers=2, port=node.port)


def through(
    make_client: Callable[..., pp.Server],
    make_proxy: Callable[[Node], Proxy],
    *nodes: Node,
    **options: Any,
) -> tuple[pp.Server, list[Proxy]]:
    """A server that reaches the nodes through proxies; so do nodes that the client sends to
    each other.
    """
    proxies = [make_proxy(node) for node in nodes]
    return make_client(*proxies, **options), proxies
