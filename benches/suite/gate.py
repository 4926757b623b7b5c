"""Keeps all workers busy, so that jobs queue."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches.suite import jobs
from benches.suite.contestants.base import Contestant

_PATIENCE = 10.0


@contextmanager
def held(contestant: Contestant, workers: int) -> Iterator[Callable[[], None]]:
    """While it is entered, each worker is inside a job; what it yields lets them go on."""
    with tempfile.TemporaryDirectory() as name:
        os.mkfifo(os.path.join(name, "gate"))
        # For both ends, so that neither this nor a job that comes late waits for the other.
        gate = os.open(os.path.join(name, "gate"), os.O_RDWR)
        try:
            handles = _hold_all(contestant, Path(name), workers)
            yield lambda: _open(gate, len(handles))
            _open(gate, len(handles))
            contestant.results(handles)
        finally:
            os.close(gate)


def _hold_all(contestant: Contestant, directory: Path, workers: int) -> list[Any]:
    """Submits jobs that hold workers until all are held.

    That may take more of them than there are workers, where each worker has a queue.
    """
    handles: list[Any] = []
    deadline = time.monotonic() + _PATIENCE
    while (inside := _inside(directory)) < workers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"of {len(handles)} jobs only {inside} run, on {workers} workers")
        handles += contestant.submit_all(jobs.hold, [(str(directory),)])
        soon = time.monotonic() + 0.3
        while _inside(directory) == inside and time.monotonic() < soon:
            time.sleep(0.001)
    return handles


def _inside(directory: Path) -> int:
    return len(list(directory.glob("started-*")))


def _open(gate: int, jobs_held: int) -> None:
    os.write(gate, b"x" * jobs_held)
