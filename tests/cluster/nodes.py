"""Nodes for tests: `ppserver` as a process of its own, on loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pp
from tests.support import PATIENCE, eventually

SECRET = "a secret of the tests"

# Where a node says that it listens.
_LISTENS = re.compile(r"listens on .*:(\d+)\n")


def freeze(pid: int) -> None:
    """Stops a process, and returns when each of its threads has stopped."""
    os.kill(pid, signal.SIGSTOP)

    def has_stopped() -> bool:
        states = [
            path.read_text().rsplit(")", 1)[1] for path in Path(f"/proc/{pid}/task").glob("*/stat")
        ]
        return all(state.split()[0] == "T" for state in states)

    eventually(has_stopped, "it stops")


class Node:
    """A running `ppserver`.

    Args:
        directory: where it writes its log.
        *flags: for its command line.
        workers: how many.
        secret: the secret of its cluster; None for what it finds by itself.
        port: the port; 0 for any that is free.
        host: the address that it listens on.
        python: the interpreter.
        prefix: the beginning of the command that starts it in other surroundings. It must
            become the node in the end, not start it.
        env: variables for its environment.
        bare: whether it gets no flags but `flags`.
    """

    def __init__(
        self,
        directory: Path,
        *flags: str,
        workers: int = 2,
        secret: str | None = SECRET,
        port: int = 0,
        host: str = "127.0.0.1",
        python: str = sys.executable,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / f"node-{len(list(directory.iterdir()))}.log"
        words = [] if bare else ["-i", host, "-p", str(port), "-w", str(workers)]
        # Another interpreter has no `pp` of its own.
        path = str(Path(pp.__file__).parent.parent)
        environment = {**os.environ, "PYTHONPATH": path, **(env or {})}
        if secret is not None:
            environment["PP_SECRET"] = secret
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, python, "-m", "pp._daemon", *words, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self.host = host
        self.port = port
        try:
            eventually(self._has_begun, f"the node begins to listen: {self.log()}")
        except AssertionError:
            self.kill()
            raise

    def _has_begun(self) -> bool:
        assert self.process.poll() is None, f"the node has ended: {self.log()}"
        listens = _LISTENS.search(self.log())
        if listens is None:
            return False
        self.port = int(listens[1])
        return "connect " in self.log()

    @property
    def name(self) -> str:
        """How clients name it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def await_log(self, text: str) -> None:
        """Waits until it has said so."""
        eventually(lambda: text in self.log(), f"the node says {text!r}: {self.log()}")

    def freeze(self) -> None:
        """Stops the daemon alone: its workers go on, and its connections stay."""
        freeze(self.process.pid)

    def thaw(self) -> None:
        """Lets it go on."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Asks it to end."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Ends it by force."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
