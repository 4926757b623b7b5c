"""How a map is to go."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """See `pp.Server.map`.

    Attributes:
        caller: the method of the server that was called, for messages.
    """

    caller: str
    ordered: bool
    buffersize: int | None
    timeout: float | None
    return_exceptions: bool
