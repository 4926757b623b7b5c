"""What nodes run in tests."""

from __future__ import annotations

import os
import sys
import time


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
