"""Memory and processor time of processes, as Linux tells them.

Run as a program with the number of a process, it watches the memory of that process
and all that it started until its input ends, and prints the peak in bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from select import select
from types import TracebackType
from typing import Self

from benches.suite.contestants.base import UnsupportedError

# A process may end while it is looked at.
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)


def need_linux() -> None:
    """Raises where there is no /proc."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise UnsupportedError("only Linux tells this")


def tree(root: int) -> Iterator[int]:
    """A process and all that it has started, directly or not."""
    yield root
    with suppress(*_GONE):
        for thread in os.listdir(f"/proc/{root}/task"):
            with suppress(*_GONE):
                children = Path(f"/proc/{root}/task/{thread}/children").read_text()
                for child in children.split():
                    yield from tree(int(child))


def resident() -> int:
    """The resident size of this process, in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def proportional(pid: int, kind: str = "Pss") -> int:
    """The proportional set size of a process in bytes: shared pages count in part."""
    with suppress(*_GONE):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) * 1024
    return 0


def shared() -> int:
    """All shared memory of the machine in bytes, mapped or not."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Shmem:"):
            return int(line.split()[1]) * 1024
    return 0


def footprint(root: int) -> int:
    """What a process and all that it started take, shared memory included, in bytes."""
    return shared() + sum(proportional(pid, "Pss_Anon") for pid in tree(root))


def processor_time(root: int) -> float:
    """Seconds of processor time that a process and all that it started have used.

    Without the thread that asks: looking at the others is not theirs.
    """
    nanoseconds, asking = 0, str(threading.get_native_id())
    for pid in tree(root):
        with suppress(*_GONE):
            for thread in os.listdir(f"/proc/{pid}/task"):
                if thread == asking:
                    continue
                with suppress(*_GONE):
                    text = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text()
                    nanoseconds += int(text.split()[0])
    return nanoseconds / 1e9


class PeakWatch:
    """Watches, from a process of its own, what this process and its workers take."""

    def __enter__(self) -> Self:
        self.peak = 0
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", "benches.suite.memory", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._watcher.stdout is not None
        self._watcher.stdout.readline()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        output, _ = self._watcher.communicate()
        self.peak = int(output)


def _watch(root: int) -> None:
    """Prints a line when it has begun, and the peak when its input has ended."""
    peak = footprint(root)
    print("watching", flush=True)
    pause = 0.0
    while not select([sys.stdin], [], [], pause)[0]:
        start = time.perf_counter()
        peak = max(peak, footprint(root))
        # Who is looked at has to wait meanwhile, so that it must not take most of the time.
        pause = max(0.003, 4 * (time.perf_counter() - start))
    print(peak)


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
