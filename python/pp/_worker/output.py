"""What jobs print, kept for the client."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, cast


class JobOutput(io.StringIO):
    """A worker's `sys.stdout`: collects text until the job's end."""

    encoding = "utf-8"
    errors = "surrogateescape"
    name = "<stdout>"
    mode = "w"

    def __init__(self) -> None:
        super().__init__(newline="\n")
        self._bytes = _Bytes(self)

    @property
    def buffer(self) -> BinaryIO:
        """Takes bytes that are to appear as text."""
        return cast(BinaryIO, self._bytes)

    def take(self) -> bytes:
        """What was printed since the last call, in UTF-8."""
        # A job may have put something else there and not taken it away.
        sys.stdout = self
        text = self.getvalue()
        # Whatever an interrupt has cut short here, the next call makes good.
        self.truncate(0)
        self.seek(0)
        return text.encode("utf-8", "surrogatepass")

    def fileno(self) -> int:
        """The client's standard output, for child processes."""
        return 1

    def reconfigure(self, **_options: Any) -> None:
        """Does nothing: the text travels as it is."""

    def close(self) -> None:
        """Does nothing: the next job prints here, too."""

    def readable(self) -> bool:
        """No."""
        return False

    def seekable(self) -> bool:
        """No."""
        return False


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: bytes that are to appear as text."""

    def __init__(self, text: JobOutput) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "surrogateescape"))
        return len(raw)

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def close(self) -> None:
        pass
