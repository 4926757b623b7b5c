"""Starts a cell, hears what it says, and leaves nothing of it behind."""

from __future__ import annotations

import ctypes
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import psutil

from benches.suite.cell import Order
from benches.suite.environments import Environment

# A contestant that takes longer to end is ended.
END_PATIENCE = 15.0

# Python's helpers that remove what killed processes leave; they end by themselves.
_TIDY = "resource_tracker"


class Cell:
    """A running cell."""

    def __init__(self, order: Order, environment: Environment, directory: Path) -> None:
        reading, writing = os.pipe()
        self._log = directory / "log"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [
                    environment.python,
                    "-m",
                    "benches.suite.cell",
                    replace(order, pipe=writing).as_text(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment.variables(directory),
                cwd=environment.root,
                pass_fds=(writing,),
                start_new_session=True,
            )
        os.close(writing)
        self._heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._listen, args=(os.fdopen(reading),), daemon=True),
            threading.Thread(target=self._await_exit, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def hear(self, patience: float) -> dict[str, Any]:
        """The next thing the cell says; how it has failed, if that takes too long."""
        try:
            said = self._heard.get(timeout=patience)
            if "exit" in said:
                # What it said before its exit may be heard after it.
                said = self._heard.get(timeout=0.5)
        except queue.Empty:
            if self._process.poll() is None:
                return {"failed": f"no result within {patience:.0f} s", "late": True}
            return {"failed": f"its process died ({self._exit_text()})"}
        return said

    def end(self) -> None:
        """Ends all that is left of the cell."""
        end_descendants()
        for thread in self._threads:
            thread.join(timeout=5)

    def log_tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _listen(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._heard.put(json.loads(line))

    def _await_exit(self) -> None:
        self._process.wait()
        self._heard.put({"exit": True})

    def _exit_text(self) -> str:
        code = self._process.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def adopt_orphans() -> None:
    """Makes this process the parent of all orphans that it is an ancestor of (Linux)."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)


def end_descendants() -> None:
    """Kills all processes that this one has started, directly or not."""
    deadline = time.monotonic() + 10
    while left := list(_descendants()):
        spared = time.monotonic() < deadline - 8
        for process, tidies in left:
            if not (tidies and spared):
                _kill(process)
        _reap()
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _descendants() -> Iterator[tuple[psutil.Process, bool]]:
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, any(_TIDY in part for part in process.cmdline())
        except psutil.NoSuchProcess:
            continue


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _reap() -> None:
    """Takes note of the ends of adopted processes."""
    for process in psutil.Process().children():
        try:
            # Those that `subprocess` started are its own to wait for.
            if process.status() == psutil.STATUS_ZOMBIE and process.ppid() == os.getpid():
                os.waitpid(process.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory for what a cell writes. Its name is short: Ray puts sockets there."""
    return tempfile.TemporaryDirectory(prefix="ppb", ignore_cleanup_errors=True)
