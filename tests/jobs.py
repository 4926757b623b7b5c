"""What the tests let workers do. Workers may import this module; it is kept light."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

# The file in a gate's directory that opens it.
OPEN = "open"


def echo(value: Any) -> Any:
    """Returns what it is given."""
    return value


def add(left: Any, right: Any) -> Any:
    """Returns the sum."""
    return left + right


def pid(*_ignored: Any) -> int:
    """The worker."""
    return os.getpid()


def say(*lines: str) -> int:
    """Prints lines; returns how many."""
    for line in lines:
        print(line)
    return len(lines)


def fail(error: BaseException) -> None:
    """Raises."""
    raise error


def pass_gate(directory: str, name: str) -> int:
    """Notes that it has started, waits until the gate is open, returns the worker."""
    gate = Path(directory)
    (gate / f"{name}.started").touch()
    deadline = time.monotonic() + 50
    while not (gate / OPEN).exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody opened the gate")
        time.sleep(0.005)
    return os.getpid()


def variables(*names: str) -> dict[str, str | None]:
    """Environment variables of the worker."""
    return {name: os.environ.get(name) for name in names}
