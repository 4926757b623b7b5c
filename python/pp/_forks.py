"""What a forked child has to set right: locks that threads of its parent held stay locked."""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["in_child"]


def in_child(function: Callable[[], object]) -> None:
    """Calls `function` in each forked child from now on, right after the fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
