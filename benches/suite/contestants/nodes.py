"""This project and the classic through one `ppserver` on loopback."""

from __future__ import annotations

import os
import re
import secrets
import socket
import string
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from benches.suite.contestants.classic import Classic
from benches.suite.contestants.ours import Ours

_HOST = "127.0.0.1"
_PATIENCE = 30.0
_LISTENS = re.compile(r"listens on .*:(\d+)\n(?s:.*)connect ")


class Node:
    """A `ppserver`, as a process of its own.

    Args:
        command: starts it.
        secret: of its cluster.
    """

    def __init__(self, command: list[str], secret: str) -> None:
        file, name = tempfile.mkstemp(prefix="ppserver-", suffix=".log")
        self._log = Path(name)
        with open(file, "wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PP_SECRET": secret},
            )

    def port(self) -> int:
        """The port that it says it listens on; waits until it has."""
        deadline = time.monotonic() + _PATIENCE
        while (listens := _LISTENS.search(self.log())) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ppserver does not begin to listen: {self.log()}")
            time.sleep(0.01)
        return int(listens[1])

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def end(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()
        self._log.unlink(missing_ok=True)


class OursByNode(Ours):
    """`pp.Server` without workers of its own, and one `ppserver`."""

    key = "pp-node"
    title = "pp (this project), one node"
    program = "pp.Server(0, ({address!r},), secret={secret!r}).submit(noop, (1,))()"
    note = "one `ppserver`, TLS 1.3, a secret as `pp secret new` makes them"

    def __init__(self, workers: int) -> None:
        letters = string.ascii_lowercase + string.digits
        self._secret = "pp2-" + "".join(secrets.choice(letters) for _ in range(52))
        command = [sys.executable, "-m", "pp._daemon", "-p", "0", "-i", _HOST, "-w", str(workers)]
        self._node = Node(command, self._secret)
        self._address = f"{_HOST}:{self._node.port()}"
        self._server = import_module("pp").Server(0, (self._address,), secret=self._secret)

    def joining(self) -> str:
        return self.program.format(address=self._address, secret=self._secret)

    def end(self) -> None:
        super().end()
        self._node.end()


class ClassicByNode(Classic):
    """pp 1.7.0 without workers of its own, and its own `ppserver`."""

    key = "classic-node"
    title = "pp 1.7.0 (classic), one node"
    program = "pp.Server(0, ({address!r},), secret={secret!r}).submit(noop, (1,))()"
    note = "one `ppserver` of its own; nothing is encrypted"
    module: ClassVar[str] = "pp"

    def __init__(self, workers: int) -> None:
        self._secret = secrets.token_hex(16)
        port = _free_port()
        self._address = f"{_HOST}:{port}"
        ppserver = str(Path(sys.executable).with_name("ppserver"))
        words = ["-i", _HOST, "-p", str(port), "-w", str(workers), "-s", self._secret]
        self._node = Node([sys.executable, ppserver, *words], self._secret)
        _await_listener(port)
        server = import_module(self.module).Server(0, (self._address,), secret=self._secret)
        self._server = server
        deadline = time.monotonic() + _PATIENCE
        while self._address not in server.get_active_nodes():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node does not become active: {self._node.log()}")
            time.sleep(0.01)

    def joining(self) -> str:
        return self.program.format(address=self._address, secret=self._secret)

    def end(self) -> None:
        super().end()
        self._node.end()


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await_listener(port: int) -> None:
    """Waits until somebody listens: the classic looks for its nodes only now and then."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((_HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
