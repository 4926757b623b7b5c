"""What the tests of the public API share on the client's side."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

import pp
from tests import jobs
from tests.terms import turn

# Seconds after which something that should have happened is taken for lost. Never
# a measure of speed: tests wait this long only if they fail.
PATIENCE = 20.0

# In the environment of this run of the tests, and so of all processes it starts.
RUN_TOKEN = "PP_TEST_RUN"

# In the environment of every worker, and of all that workers start.
WORKER_MARK = "PP_WORKER_MARK"


def eventually(predicate: Callable[[], object], what: str = "", patience: float = PATIENCE) -> None:
    """Waits until `predicate()` is true; fails, naming `what`, if it stays false."""
    deadline = time.monotonic() + patience
    while not predicate():
        assert time.monotonic() < deadline, f"never happened: {what or predicate}"
        time.sleep(0.005)


def caught_from(job: pp.Job[Any]) -> BaseException:
    """What the job raises."""
    try:
        job()
    except BaseException as error:
        return error
    raise AssertionError(f"{job} raised nothing")


def first_error(results: Iterator[Any]) -> tuple[list[Any], BaseException]:
    """What comes before an error, and the error."""
    found = []
    try:
        for result in results:
            found.append(result)
    except BaseException as error:
        return found, error
    raise AssertionError(f"nothing was raised after {found}")


def warm(server: pp.Server) -> int:
    """Lets a worker have imported what `tests.terms` is made of; gives its number."""
    assert server.submit(turn).result() == 0
    return server.submit(jobs.pid).result()


def formatted(error: BaseException) -> str:
    """An exception as it would be printed."""
    return "".join(traceback.format_exception(error))


def define(source: str, name: str = "program") -> dict[str, Any]:
    """Runs `source` as a module that nobody can import; returns its globals."""
    namespace: dict[str, Any] = {"__name__": name}
    # Or this module's annotations would be the program's.
    exec(compile(textwrap.dedent(source), f"<{name}>", "exec", dont_inherit=True), namespace)
    return namespace


class Gate:
    """A door that jobs pass by `tests.jobs.pass_gate`, and that the test opens."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory

    def args(self, name: str = "job") -> tuple[str, str]:
        """The arguments of `pass_gate`, for the job of this name."""
        return str(self._directory), name

    def inside(self) -> list[str]:
        """The jobs that have started, sorted."""
        return sorted(path.stem for path in self._directory.glob("*.started"))

    def await_inside(self, *names: str) -> None:
        """Waits until the jobs of these names have started."""
        eventually(lambda: set(names) <= set(self.inside()), f"jobs {names} start")

    def open(self) -> None:
        """Lets all jobs pass, now and later."""
        (self._directory / jobs.OPEN).touch()


def held_up(server: pp.Server, gate: Gate, name: str = "job") -> pp.Job[int]:
    """A job that has started and runs until the gate opens."""
    job = server.submit(jobs.pass_gate, gate.args(name))
    gate.await_inside(name)
    return job


class MakeServer(Protocol):
    """The fixture `make_server`: a server that is destroyed after the test."""

    def __call__(self, *args: Any, **options: Any) -> pp.Server: ...


class MakeGate(Protocol):
    """The fixture `make_gate`."""

    def __call__(self) -> Gate: ...


@dataclass(frozen=True)
class Ran:
    """What a Python program has printed."""

    returncode: int
    out: str
    err: str


class RunPython(Protocol):
    """The fixture `run_python`: Python with these arguments, in a process of its own.

    Fails unless the program ends in time with `returncode`, and prints nothing on
    standard error (`quiet=False`: whatever it likes).
    """

    def __call__(
        self,
        *arguments: str,
        stdin: str = "",
        env: dict[str, str] | None = None,
        timeout: float = 40,
        returncode: int | None = 0,
        quiet: bool = True,
    ) -> Ran: ...


class RunScript(Protocol):
    """The fixture `run_script`: the same, with a script that runs as `__main__`."""

    def __call__(
        self,
        source: str,
        *arguments: str,
        interpreter_args: tuple[str, ...] = (),
        stdin: str = "",
        env: dict[str, str] | None = None,
        timeout: float = 40,
        returncode: int | None = 0,
        quiet: bool = True,
    ) -> Ran: ...


def marked_processes() -> list[psutil.Process]:
    """Workers of this run of the tests, and what workers have started, however deep."""
    run = os.environ[RUN_TOKEN]
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get(RUN_TOKEN) == run and WORKER_MARK in environment:
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def mapped_files() -> set[str]:
    """The files that a living process has in its memory: nobody has left those behind."""
    found: set[str] = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            found.update(entry.path for entry in process.memory_maps())
    return found


_SHARED = Path("/dev/shm")


@dataclass
class Holdings:
    """What this process holds, and what it has made."""

    processes: set[int] = field(default_factory=set)
    descriptors: set[str] = field(default_factory=set)
    threads: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)
    temporary: set[str] = field(default_factory=set)

    @classmethod
    def now(cls, temporary: Path) -> Holdings:
        """A list of them."""
        return cls(
            {process.pid for process in marked_processes()},
            descriptors(),
            {thread.name for thread in threading.enumerate()},
            _names(_SHARED),
            _names(temporary),
        )

    def beyond(self, before: Holdings) -> dict[str, list[Any]]:
        """What is here that was not there `before`."""
        kinds = {kind: getattr(self, kind) - getattr(before, kind) for kind in vars(self)}
        if kinds["shared"]:
            # Other programs have their own.
            mapped = mapped_files()
            kinds["shared"] = {name for name in self.shared if str(_SHARED / name) not in mapped}
            kinds["shared"] -= before.shared
        return {kind: sorted(new) for kind, new in kinds.items() if new}


def descriptors() -> set[str]:
    """The open file descriptors of this process; none where they cannot be listed."""
    folder = Path("/proc/self/fd")
    if sys.platform != "linux":
        return set()
    found = set()
    for entry in os.listdir(folder):
        try:
            found.add(f"{entry} -> {os.readlink(folder / entry)}")
        except FileNotFoundError:
            continue  # the one that lists
    return found


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()
