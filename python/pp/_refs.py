"""What stands in a job's arguments for an object that was put into the server."""

from __future__ import annotations

from typing import Any

from pp import _core


def resolve(slot: int) -> Any:
    """In a worker: the object, from the memory that came with the job."""
    return _core.resolve_ref(slot)
