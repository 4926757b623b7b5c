"""Deaths, forks and vandals beside segments of shared memory: nothing is lost, nothing left."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pp
from tests.failures import jobs
from tests.failures.clients import Client
from tests.failures.ledger import Ledger
from tests.failures.support import await_true, await_workers, needs_proc, none_left, run_of
from tests.segments import mapped, opened

pytestmark = [pytest.mark.timeout(60), needs_proc]

BIG = 400_000

StartClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def no_segment_left() -> Any:
    """Neither mapped nor open in this process once a test is over."""
    yield

    def none() -> bool:
        gc.collect()
        return mapped() == opened() == 0

    # Servers of the test live until after this; what they keep idle goes by itself.
    await_true(none, "no segment is left")


def test_worker_killed_while_it_looks_at_a_segment(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(1)
    data, ref = np.arange(BIG), server.put(np.ones(BIG))

    def work(array: Any, one: Any) -> float:
        if ledger.note("runs") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return float(array.sum() + one.sum())

    assert server.submit(work, (data, ref))() == data.sum() + BIG
    assert ledger.count("runs") == 2
    assert server.submit(np.sum, (ref,))() == BIG


def test_worker_killed_while_others_wait_behind_it(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """Jobs that had been sent to it with their segments run elsewhere."""
    server = server_of(1)
    job, worker = run_of(server, ledger)
    ref = server.put(np.full(BIG, 2))
    waiting = [server.submit(np.dot, (np.full(BIG, n), ref)) for n in range(10)]
    os.kill(worker, signal.SIGKILL)
    ledger.note("go")
    assert job() == "went"
    assert [job() for job in waiting] == [2 * BIG * n for n in range(10)]


class Lethal:
    """An array whose pickling ends the worker, the first time, after `before` buffers."""

    def __init__(self, ledger: Ledger, size: int) -> None:
        self.ledger = ledger
        self.size = size

    def __reduce__(self) -> Any:
        if self.ledger.note("pickled") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.ones, (self.size,)


def test_worker_killed_while_it_pickles_its_result(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(1)

    def work(data: Any) -> Any:
        return [data.copy(), Lethal(ledger, 10), data]

    copy, ones, data = server.submit(work, (np.arange(BIG),))()
    np.testing.assert_array_equal(copy, np.arange(BIG))
    np.testing.assert_array_equal(data, np.arange(BIG))
    assert ones.sum() == 10
    assert ledger.count("pickled") == 2


def test_worker_killed_at_any_moment_of_a_big_answer(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    """A thread of the job kills the worker while it writes to a granted segment."""
    server = server_of(1, max_worker_deaths=50)

    def work(data: Any) -> Any:
        attempt = ledger.note("runs")
        result = data + 1
        if attempt < 20:
            import threading
            import time

            def kill() -> None:
                time.sleep(attempt * 0.0005)
                os.kill(os.getpid(), signal.SIGKILL)

            threading.Thread(target=kill, daemon=True).start()
        return result

    result = server.submit(work, (np.arange(2_000_000),))()
    np.testing.assert_array_equal(result, np.arange(2_000_000) + 1)


def test_client_killed_while_a_worker_looks_at_a_segment(
    client_of: StartClient, token: str
) -> None:
    client = client_of("""
        import numpy as np
        server = pp.Server(2)
        ref = server.put(np.ones(1_000_000))
        def stay(data, one):
            ledger.note(f"holds {os.getpid()}")
            while True:
                data.sum() + one.sum()
        kept = server.submit(np.ones, (1_000_000,))()
        job = server.submit(stay, (np.zeros(1_000_000), ref))
        ledger.await_one("holds ")
        ledger.note("ready")
        time.sleep(60)
        """)
    client.await_one("ready")
    client.signal(signal.SIGKILL)
    assert client.ends() == -signal.SIGKILL
    none_left(token)
    assert client.files_left() == []


@pytest.mark.parametrize("first", [0, 3])
def test_job_closes_all_descriptors_with_an_array_in_hand(
    first: int, server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(2, max_worker_deaths=3)

    def vandal(data: Any) -> Any:
        if ledger.note("vandal") < 3:
            os.closerange(first, 65536)
        return data + 1

    job = server.submit(vandal, (np.zeros(BIG),))
    after = [server.submit(np.sum, (np.full(BIG, n),)) for n in range(10)]
    np.testing.assert_array_equal(job(), np.ones(BIG))
    assert [job() for job in after] == [BIG * n for n in range(10)]


def test_private_copies_beside_closed_descriptors(
    server_of: Callable[..., pp.Server], ledger: Ledger, tmp_path: Path
) -> None:
    """Jobs get what they should, and files in the place of the closed stay open and clean."""
    server = server_of(1, writable_buffers=True, max_worker_deaths=3)
    ref = server.put(np.ones(BIG))

    def vandal(data: Any) -> float:
        ledger.note("vandal")
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if "pp-data" in os.readlink(f"/proc/self/fd/{name}"):
                    os.close(int(name))
        kept = [os.open(tmp_path / f"{n}", os.O_CREAT | os.O_RDWR) for n in range(100)]
        vars(contextlib)["kept"] = kept
        data += 1
        return float(data.sum())

    def check() -> int:
        for number in vars(contextlib)["kept"]:
            os.fstat(number)
        return len(vars(contextlib)["kept"])

    def add(data: Any, one: Any) -> float:
        data += one
        return float(data.sum())

    assert server.submit(vandal, (ref,))() == 2 * BIG
    for number in range(5):
        assert server.submit(add, (np.full(BIG, float(number)), ref))() == BIG * (number + 1)
    del ref
    gc.collect()
    await_true(lambda: opened() == 0, "the segments are closed")
    assert server.submit(check)() == 100
    assert {path.stat().st_size for path in tmp_path.iterdir() if path.name.isdigit()} == {0}


def test_job_writes_garbage_to_all_descriptors(
    server_of: Callable[..., pp.Server], ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    server = server_of(1)

    def vandal(data: Any) -> float:
        ledger.note("vandal")
        for name in os.listdir("/proc/self/fd"):
            if name not in ("1", "2"):
                with contextlib.suppress(OSError):
                    os.set_blocking(int(name), False)
                    os.pwrite(int(name), os.urandom(4096), 0)
                with contextlib.suppress(OSError):
                    os.write(int(name), os.urandom(4096))
        return float(data.sum())

    ref = server.put(np.ones(BIG))
    assert server.submit(vandal, (ref,))() == BIG
    assert server.submit(np.sum, (ref,))() == BIG
    assert server.submit(vandal, (np.ones(BIG),))() == BIG


def test_descriptors_that_were_not_meant_for_a_job(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """A job that takes them from the socket ends its worker, and no other job is harmed."""
    server = server_of(1, max_worker_deaths=3)

    def thief() -> str:
        ledger.note(f"holds {os.getpid()}")
        ledger.await_words("go", patience=60)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                try:
                    os.set_blocking(int(name), False)
                    while os.read(int(name), 65536):
                        pass
                except OSError:
                    pass
        return "done"

    job = server.submit(thief)
    worker = int(ledger.await_one("holds "))
    after = [server.submit(np.sum, (np.full(BIG, n),)) for n in range(10)]
    ledger.note("go")
    assert job() == "done"
    assert [job() for job in after] == [BIG * n for n in range(10)]
    assert worker


def test_no_descriptors_left_in_the_worker(server_of: Callable[..., pp.Server]) -> None:
    server = server_of(1)

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
    assert server.submit(np.sum, (np.ones(BIG),))() == BIG
    assert server.submit(np.ones, (BIG,))().sum() == BIG


def test_no_descriptors_left_in_the_client(client_of: StartClient) -> None:
    """Then big data goes another way, and the user is told."""
    client = client_of("""
        import logging, resource
        import numpy as np
        logging.basicConfig(level=logging.WARNING)
        server = pp.Server(2)
        assert server.submit(np.sum, (server.put(np.ones(400_000)),))() == 400_000
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        taken = []
        try:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        results = [server.submit(np.full, (400_000, n))() for n in range(4)]
        results += [server.submit(jobs.echo, (result + 1,))() for result in results]
        for number, result in enumerate(results):
            wanted = number if number < 4 else number - 3
            assert (result == wanted).all()
        ref = server.put(np.ones(500_000))
        assert server.submit(np.sum, (ref,))() == 500_000
        for descriptor in taken:
            os.close(descriptor)
        server.destroy()
        """)
    assert client.ends() == 0, client.said()
    assert client.err().count("shared memory") == 1, client.said()


def test_job_forks_with_an_array(server_of: Callable[..., pp.Server], ledger: Ledger) -> None:
    """The child goes on looking at it while its worker runs other jobs."""
    server = server_of(1)

    def fork(data: Any) -> int:
        child = os.fork()
        if child == 0:
            try:
                ledger.note("forked")
                ledger.await_words("look", patience=30)
                ledger.note(f"saw {float(data.min())} {float(data.max())}")
            finally:
                os._exit(0)
        return os.getpid()

    worker = server.submit(fork, (np.full(BIG, 4.0),))()
    ledger.await_one("forked")
    for number in range(10, 20):
        assert server.submit(np.sum, (np.full(BIG, float(number)),))() == BIG * number
        assert server.submit(np.full, (BIG, float(number)))()[0] == number
    assert server.submit(jobs.own_pid)() == worker
    ledger.note("look")
    assert ledger.await_one("saw ") == "4.0 4.0"


def test_client_forks_with_views(client_of: StartClient, token: str) -> None:
    """A child reads the views that it inherits, drops them, and harms nothing."""
    client = client_of(
        """
    import numpy as np
    server = pp.Server(2)
    ref = server.put(np.ones(400_000))
    seen = server.submit(np.full, (400_000, 3))()
    unseen = server.submit(np.full, (400_000, 4))
    unseen.wait()
    def look():
        global seen, ref, unseen
        assert (seen == 3).all()
        del seen, ref, unseen
        import gc
        gc.collect()
    assert in_child(look) == 0, ledger.words()
    assert in_child(lambda: ref.get()) == 1
    assert in_child(lambda: unseen()) == 1
    assert in_child(lambda: server.put(1)) == 1
    assert all("fork" in word for word in ledger.after("pp._errors")), ledger.words()
    assert len(ledger.words()) == 3, ledger.words()
    assert (unseen() == 4).all() and (seen == 3).all()
    for number in range(10):
        assert server.submit(np.full, (400_000, number))().sum() == 400_000 * number
    assert server.submit(np.sum, (ref,))() == 400_000
    """
    )
    assert client.ends() == 0, client.said()
    none_left(token)


def test_child_of_the_client_sees_what_it_saw(client_of: StartClient, token: str) -> None:
    """A segment that a child may look at is not used again."""
    client = client_of(
        """
    import numpy as np
    server = pp.Server(1)
    seen = server.submit(np.full, (400_000, 3))()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        ledger.note("forked")
        ledger.await_words("look", patience=15)
        os._exit(0 if (seen == 3).all() else 1)
    ledger.await_one("forked")
    del seen
    for number in range(10, 20):
        assert server.submit(np.full, (400_000, number))()[0] == number
        assert server.submit(np.sum, (np.full(400_000, number),))() == number * 400_000
    ledger.note("look")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    )
    assert client.ends() == 0, client.said()
    none_left(token)


def test_nothing_is_left_in_workers(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    workers = await_workers(token, 2)
    ref = server.put(np.ones(BIG))
    results = [server.submit(np.add, (ref, np.full(BIG, n))) for n in range(20)]
    assert [float(job()[0]) for job in results] == [1.0 + n for n in range(20)]
    assert sum(mapped(worker) for worker in workers) > 0
    del ref, results

    def none() -> bool:
        gc.collect()
        return sum(mapped(worker) for worker in workers) == 0

    await_true(none, "workers have no segment mapped")
    assert await_workers(token, 2) == workers
