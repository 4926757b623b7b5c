"""What jobs write to standard error: shown as it comes, and kept for the client."""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO, TextIO

# The most characters that are kept of a job: the last ones.
_MOST = 2**20


class JobErrors(io.TextIOBase):
    """A worker's `sys.stderr`: passes on what is written, and keeps a copy of the end.

    Args:
        stream: where the text goes at once.
        note: called whenever something is written.
    """

    name = "<stderr>"
    mode = "w"

    def __init__(self, stream: TextIO, note: Callable[[], None]) -> None:
        super().__init__()
        self._stream = stream
        self._note = note
        self._kept: deque[str] = deque()
        self._size = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """That of the stream."""
        return self._stream.errors

    @property
    def buffer(self) -> BinaryIO:
        """The stream's: bytes are passed on, and not kept."""
        return self._stream.buffer

    def write(self, text: str) -> int:
        """Passes `text` on."""
        count = self._stream.write(text)
        tail = text[-_MOST:]
        # First: an interrupt may come anywhere, and what is kept is of this job, not the next.
        self._note()
        self._kept.append(tail)
        self._size += len(tail)
        while self._size > _MOST and len(self._kept) > 1:
            self._size -= len(self._kept.popleft())
        return count

    def take(self) -> bytes:
        """What was written since the last call, in UTF-8."""
        # A job may have put something else there and not taken it away.
        sys.stderr = self
        text = "".join(self._kept)
        self._kept.clear()
        self._size = 0
        return text[-_MOST:].encode("utf-8", "surrogatepass")

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """The stream's."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """As the stream says."""
        return self._stream.isatty()

    def reconfigure(self, **options: Any) -> None:
        """As the stream does."""
        if isinstance(self._stream, io.TextIOWrapper):
            self._stream.reconfigure(**options)

    def close(self) -> None:
        """Does nothing: the next job writes here, too."""

    def writable(self) -> bool:
        """Yes."""
        return True
