"""A progress bar of text, for where there is no tqdm."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

__all__ = ["TextBar"]

# Seconds between two states that are shown: on a terminal, and where each is a line.
_OFTEN = 0.1
_SELDOM = 60.0


class TextBar:
    """Shows how far something has come, on standard error or in a notebook.

    It is used as one of tqdm's. Lines are redrawn on a terminal and in a notebook;
    elsewhere, one comes each minute, and one at the end.
    """

    def __init__(self, *, total: int | None, desc: str, unit: str) -> None:
        self._total = total
        self._desc = desc
        self._unit = unit
        self._count = 0
        self._failures = 0
        self._start = time.monotonic()
        self._screen = _screen()
        self._next = self._start + self._screen.pause
        if self._screen.is_redrawn:
            self._screen.show(self._line())

    def update(self, n: int, /) -> None:
        """So many more have ended."""
        self._count += n
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._screen.pause
            self._screen.show(self._line())

    def set_postfix(self, *, refresh: bool = True, failures: int) -> None:
        """So many have failed."""
        self._failures = failures
        if refresh:
            self._screen.show(self._line())

    def close(self) -> None:
        """Shows the last state."""
        self._screen.show(self._line())
        self._screen.end()

    def _line(self) -> str:
        took = time.monotonic() - self._start
        rate = self._count / took if took else 0.0
        facts = [f"{_rate(rate, self._unit)}, {_clock(took)}"]
        if self._total is not None and rate and self._count < self._total:
            facts.append(f"{_clock((self._total - self._count) / rate)} left")
        if self._failures:
            facts.append(f"failures: {self._failures:,}")
        if self._total is None:
            return f"{self._desc}: {self._count:,} [{', '.join(facts)}]"
        part = min(1.0, self._count / self._total) if self._total else 1.0
        count = f"{self._count:,}/{self._total:,} [{', '.join(facts)}]"
        head = f"{self._desc}: {part:4.0%} "
        return head + _bar(part, self._screen.columns() - len(head) - len(count) - 1) + count


def _bar(part: float, columns: int) -> str:
    """The bar proper, if there is room for one."""
    width = min(40, columns - 3)
    if width < 5:
        return ""
    return f"|{'#' * int(part * width):<{width}}| "


def _rate(rate: float, unit: str) -> str:
    if 0 < rate < 1:
        return f"{1 / rate:,.1f} s/{unit}"
    return f"{rate:,.0f} {unit}s/s" if rate >= 100 else f"{rate:.1f} {unit}s/s"


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def _screen() -> _Terminal | _Notebook | _Log:
    shell = _notebook_shell()
    if shell is not None:
        return _Notebook()
    stream = sys.stderr
    return _Terminal(stream) if stream is not None and stream.isatty() else _Log(stream)


def _notebook_shell() -> Any:
    """The shell of the notebook that this runs in, if it does."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if type(shell).__name__ == "ZMQInteractiveShell" else None


class _Terminal:
    """A line that is overwritten."""

    pause = _OFTEN
    is_redrawn = True

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._length = 0

    def columns(self) -> int:
        return shutil.get_terminal_size().columns

    def show(self, line: str) -> None:
        # A line that is wrapped could not be overwritten.
        line = line[: self.columns() - 1]
        self._stream.write(f"\r{line:<{self._length}}")
        self._stream.flush()
        self._length = len(line)

    def end(self) -> None:
        self._stream.write("\n")
        self._stream.flush()


class _Log:
    """A line now and then."""

    pause = _SELDOM
    is_redrawn = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def columns(self) -> int:
        return 80

    def show(self, line: str) -> None:
        if self._stream is not None:
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def end(self) -> None:
        """Each line has been ended."""


class _Notebook:
    """A line of output that is replaced."""

    pause = _OFTEN
    is_redrawn = True

    def __init__(self) -> None:
        self._handle: Any = None

    def columns(self) -> int:
        return 80

    def show(self, line: str) -> None:
        content = {"text/plain": line}
        if self._handle is not None:
            self._handle.update(content, raw=True)
            return
        display = sys.modules["IPython"].display.display
        self._handle = display(content, raw=True, display_id=True)

    def end(self) -> None:
        """The line stays."""
