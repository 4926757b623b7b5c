"""What stands in a job's arguments for an object that was put into the server, and for the
result of another job.
"""

from __future__ import annotations

from typing import Any

from pp import _core


def resolve(slot: int) -> Any:
    """In a worker: the object, from the memory that came with the job."""
    return _core.resolve_ref(slot)


def result_of(slot: int) -> Any:
    """In a worker: the result of the job in this slot, which came with the job."""
    return _core.resolve_input(slot)
