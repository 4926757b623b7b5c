"""How long a job takes to go on elsewhere: `python -m benches.recovery`.

Two nodes on loopback, one worker each. A job runs on one of them, which then dies or is
stopped; it begins again on the other.
"""

from __future__ import annotations

import os
import secrets
import signal
import string
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

import pp
from benches.suite.contestants.nodes import Node

_HOST = "127.0.0.1"
_LONG = 60.0


def _await(predicate: Callable[[], object]) -> float:
    """Waits until `predicate()` is true; when that is."""
    deadline = time.monotonic() + _LONG
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError("it takes too long")
        time.sleep(0.001)
    return time.monotonic()


def _note_and_wait(book: str) -> None:
    with Path(book).open("a") as file:
        file.write(f"{os.getppid()} {time.monotonic()}\n")
    while not Path(f"{book}.end").exists():
        time.sleep(0.001)


class _Cluster:
    """Two nodes and a server that uses them."""

    def __init__(self, node_timeout: float) -> None:
        letters = string.ascii_lowercase + string.digits
        self.secret = "pp2-" + "".join(secrets.choice(letters) for _ in range(52))
        self.nodes = [self.start() for _ in range(2)]
        self.names = [f"{_HOST}:{node.port()}" for node in self.nodes]
        self.server = pp.Server(0, self.names, secret=self.secret, node_timeout=node_timeout)
        _await(lambda: len(self.server.get_active_nodes()) == 3)

    def start(self, port: int = 0) -> Node:
        """A node, at this port or at any."""
        command = [sys.executable, "-m", "pp._daemon", "-i", _HOST, "-w", "1", "-p", str(port)]
        return Node(command, self.secret)

    def end(self) -> None:
        """Ends all of it."""
        self.server.destroy()
        for node in self.nodes:
            node.end()


def _seconds_until_elsewhere(sign: signal.Signals, node_timeout: float) -> float:
    cluster = _Cluster(node_timeout)
    with tempfile.TemporaryDirectory() as directory:
        book = Path(directory, "book")
        job = cluster.server.submit(_note_and_wait, (str(book),))
        _await(lambda: book.exists() and book.read_text().count("\n") == 1)
        daemon = psutil.Process(int(book.read_text().split()[0]))
        since = time.monotonic()
        daemon.send_signal(sign)
        _await(lambda: book.read_text().count("\n") == 2)
        begun = float(book.read_text().split()[-1])
        Path(f"{book}.end").touch()
        job()
    if sign == signal.SIGSTOP:
        daemon.send_signal(signal.SIGCONT)
    cluster.end()
    return begun - since


def _seconds_until_used_again() -> float:
    cluster = _Cluster(node_timeout=5.0)
    port = cluster.nodes[0].port()
    cluster.nodes[0].end()
    _await(lambda: len(cluster.server.get_active_nodes()) == 2)
    cluster.nodes[0] = cluster.start(port)
    cluster.nodes[0].port()
    since = time.monotonic()
    used = _await(lambda: len(cluster.server.get_active_nodes()) == 3)
    cluster.end()
    return used - since


_MEASURES: dict[str, Callable[[], float]] = {
    "node killed": lambda: _seconds_until_elsewhere(signal.SIGKILL, 5.0),
    "node stopped, node_timeout=5": lambda: _seconds_until_elsewhere(signal.SIGSTOP, 5.0),
    "node stopped, node_timeout=1": lambda: _seconds_until_elsewhere(signal.SIGSTOP, 1.0),
    "node started again, until it is used": _seconds_until_used_again,
}


def main() -> None:
    """Prints the figures of three runs each."""
    for title, measure in _MEASURES.items():
        figures = sorted(measure() for _ in range(3))
        print(f"{title:40s}" + "".join(f"{seconds:8.3f} s" for seconds in figures))


if __name__ == "__main__":
    main()
