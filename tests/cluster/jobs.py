"""What nodes run in tests."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from tests.failures.ledger import Ledger


def where() -> tuple[str | None, int]:
    """The name of the node, and the number of the process."""
    return os.environ.get("PP_NODE"), os.getpid()


def slowly(value: object, seconds: float = 0.01) -> object:
    """Gives back what it gets, after a while."""
    time.sleep(seconds)
    return value


def version() -> tuple[int, int]:
    """The version of Python that runs this."""
    return sys.version_info[:2]


def noted(ledger: Ledger, word: str, seconds: float = 0.0) -> str:
    """Notes that it has begun, and gives the word back after a while."""
    ledger.note(word)
    time.sleep(seconds)
    return word


def hold(ledger: Ledger) -> tuple[str | None, int]:
    """Runs until somebody notes "go"; says where it has run."""
    ledger.note(f"holds {os.getpid()}")
    ledger.await_words("go", patience=60)
    return where()


def size(content: bytes) -> int:
    """How many bytes there are."""
    return len(content)


def zeros(number: int) -> bytes:
    """As many bytes."""
    return bytes(number)


def daemon_pid() -> int:
    """The process of the node."""
    pid = os.getpid()
    while pid > 1:
        if b"pp._daemon" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(status.split("PPid:")[1].split()[0])
    raise LookupError("this is no job on a node")


def kill_node(ledger: Ledger) -> None:
    """Takes its node down, and with it itself."""
    daemon = daemon_pid()
    ledger.note(f"kills {daemon}")
    os.kill(daemon, signal.SIGKILL)
    # Until the node's end is noticed, which ends this process.
    time.sleep(60)
