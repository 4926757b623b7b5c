"""Jobs that close, replace and write to every descriptor that they find."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import Ledger
from tests.failures.support import assert_serves, await_workers, needs_proc

pytestmark = pytest.mark.timeout(60)


def outcome(job: pp.Job[object]) -> object:
    """What the job gives, or the class of what it raises."""
    try:
        return job()
    except pp.JobError as error:
        return type(error)


def check_vandal(
    server: pp.Server, ledger: Ledger, token: str, vandal: Callable[..., object]
) -> None:
    """Runs `vandal` between good jobs: they are unharmed, and it ends in one of two ways."""
    before = [server.submit(jobs.noted, (ledger, f"before {n}")) for n in range(20)]
    job = server.submit(vandal)
    after = [server.submit(jobs.noted, (ledger, f"after {n}")) for n in range(20)]
    assert [job() for job in before] == [f"before {n}" for n in range(20)]
    result = outcome(job)
    assert result in ("done", pp.WorkerDied)
    runs = ledger.count("vandal")
    assert runs == 1 if result == "done" else runs == 2
    assert [job() for job in after] == [f"after {n}" for n in range(20)]
    words = [word for word in ledger.words() if word != "vandal"]
    assert len(words) == len(set(words)) == 40
    assert_serves(server, 2, ledger)
    await_workers(token, 2)


@pytest.fixture
def server(server_of: Callable[..., pp.Server]) -> pp.Server:
    return server_of(2, max_worker_deaths=2)


@pytest.mark.parametrize("first", [0, 3])
def test_close_all(first: int, server: pp.Server, ledger: Ledger, token: str) -> None:
    def vandal() -> str:
        ledger.note("vandal")
        os.closerange(first, 65536)
        return "done"

    check_vandal(server, ledger, token, vandal)


def test_close_all_and_work_on(server: pp.Server, ledger: Ledger, token: str) -> None:
    """The job is long: its worker may not be taken for dead while it works."""

    def vandal() -> str:
        ledger.note("vandal")
        os.closerange(0, 65536)
        # Longer than any patience with a closed line.
        import time

        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            pass
        return "done"

    check_vandal(server, ledger, token, vandal)


@pytest.mark.parametrize("seed", range(8))
def test_close_random(seed: int, server: pp.Server, ledger: Ledger, token: str) -> None:
    def vandal() -> str:
        ledger.note("vandal")
        dice = random.Random(seed)
        for number in range(1024):
            if dice.random() < 0.5:
                with contextlib.suppress(OSError):
                    os.close(number)
        return "done"

    check_vandal(server, ledger, token, vandal)


@needs_proc
@pytest.mark.parametrize("size", [1, 64, 100_000])
def test_garbage_to_every_descriptor(
    size: int, server: pp.Server, ledger: Ledger, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def vandal() -> str:
        ledger.note("vandal")
        for name in os.listdir("/proc/self/fd"):
            # Not the terminal of the person who runs the tests.
            if name not in ("1", "2"):
                try:
                    os.set_blocking(int(name), False)
                    os.write(int(name), os.urandom(size))
                except OSError:
                    pass
        return "done"

    check_vandal(server, ledger, token, vandal)


@needs_proc
def test_garbage_is_read_too(server: pp.Server, ledger: Ledger, token: str) -> None:
    """A job that reads all descriptors empty steals wake-ups, not jobs."""

    def vandal() -> str:
        ledger.note("vandal")
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                try:
                    os.set_blocking(int(name), False)
                    os.read(int(name), 65536)
                except OSError:
                    pass
        return "done"

    check_vandal(server, ledger, token, vandal)


@pytest.mark.parametrize("first", [0, 3])
def test_files_in_the_place_of_the_line_stay_clean(
    first: int, server: pp.Server, ledger: Ledger, token: str, tmp_path: Path
) -> None:
    """Files that take the numbers of closed descriptors get the user's bytes only."""

    def vandal() -> str:
        attempt = ledger.note("vandal")
        os.closerange(first, 65536)
        for number in range(512):
            path = str(tmp_path / f"file {attempt} {number}")
            os.write(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), b"mine")
        return "done"

    check_vandal(server, ledger, token, vandal)
    await_workers(token, 2)
    files = list(tmp_path.glob("file *"))
    assert len(files) == 512 * ledger.count("vandal")
    assert {path.read_bytes() for path in files} == {b"mine"}


def test_sockets_in_the_place_of_the_line_stay_clean(
    server: pp.Server, ledger: Ledger, token: str, tmp_path: Path
) -> None:
    """As files, but what takes the numbers can be read from, and looks like the line."""
    book = str(tmp_path / "received")

    def vandal() -> str:
        import socket
        import threading

        attempt = ledger.note("vandal")
        os.closerange(3, 65536)
        pairs = [socket.socketpair() for _ in range(200)]

        def listen() -> None:
            for ours, theirs in pairs:
                for end in (ours, theirs):
                    end.settimeout(0)
            import select

            while True:
                ends = [end for pair in pairs for end in pair]
                for end in select.select(ends, [], [])[0]:
                    received = end.recv(4096)
                    with open(f"{book} {attempt}", "ab") as file:
                        file.write(received)

        threading.Thread(target=listen, daemon=True).start()
        return "done"

    check_vandal(server, ledger, token, vandal)
    assert not list(tmp_path.glob("received*"))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_standard_descriptor_closed(number: int, server: pp.Server, ledger: Ledger) -> None:
    """None of the three carries the protocol: the same workers go on."""

    def close() -> int:
        ledger.note("vandal")
        os.close(number)
        return os.getpid()

    before = assert_serves(server, 2, ledger)
    worker = server.submit(close)()
    assert worker in before
    assert assert_serves(server, 2, ledger) == before
    assert ledger.count("vandal") == 1


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@pytest.mark.parametrize("how", ["close", "none", "replace", "delete"])
def test_standard_stream_spoilt(
    name: str, how: str, server: pp.Server, ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    def spoil() -> int:
        import io
        import sys

        stream = getattr(sys, name)
        if how == "close":
            stream.close()
        elif how == "none":
            setattr(sys, name, None)
        elif how == "replace":
            setattr(sys, name, io.StringIO("not yours"))
        else:
            delattr(sys, name)
        return os.getpid()

    before = assert_serves(server, 2, ledger)
    assert server.submit(spoil)() in before
    assert [server.submit(abs, (-n,))() for n in range(50)] == list(range(50))
    assert assert_serves(server, 2, ledger) == before


def test_job_reads_nothing_from_standard_input(server: pp.Server) -> None:
    def read() -> tuple[str, bytes]:
        import sys

        return sys.stdin.read(), os.read(0, 100)

    assert server.submit(read)() == ("", b"")


def test_no_descriptors_left(server: pp.Server, ledger: Ledger, token: str) -> None:
    """A job that takes all descriptors there are can still answer, and so can the next."""

    def take_all() -> str:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                os.open("/dev/null", os.O_RDONLY)
        except OSError:
            return "done"

    assert server.submit(take_all)() == "done"
    assert [server.submit(abs, (-n,))() for n in range(50)] == list(range(50))
    await_workers(token, 2)
