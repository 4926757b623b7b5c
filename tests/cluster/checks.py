"""What the tests of faults share."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import pp
from tests.cluster.conftest import MakeClient
from tests.cluster.jobs import slowly
from tests.cluster.nodes import SECRET, Node
from tests.support import Ran, RunPython, eventually


class Tally:
    """Counts how often each job has ended, as its callback sees it."""

    def __init__(self) -> None:
        self.ends: Counter[object] = Counter()

    def __call__(self, value: object) -> None:
        self.ends[value] += 1


def assert_usable(node: Node, make_client: MakeClient) -> None:
    """Somebody else can still run jobs on the node, on all of its workers."""
    with make_client(node) as other:
        assert [job() for job in [other.submit(slowly, (i,)) for i in range(20)]] == list(range(20))


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


def run_node(run_python: RunPython, *flags: str, **environment: str) -> Ran:
    """A `ppserver` that does not start: what it says. It gets two flags that any has."""
    words = ["-m", "pp._daemon", "-i", "127.0.0.1", "-w", "0", *flags]
    env = {"PP_SECRET": SECRET, **environment}
    return run_python(*words, env=env, returncode=2, quiet=False)
