"""A client that forks: the child can neither use nor harm its parent's server."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.failures.clients import Client
from tests.failures.support import await_true, none_left, workers_of
from tests.support import RunPython

pytestmark = pytest.mark.timeout(60)

StartClient = Callable[..., Client]

# Everything a child might try. Each must raise a clear error, none may hang.
ATTEMPTS = {
    "submit": "server.submit(jobs.echo, (1,))",
    "submit with callback": "server.submit(jobs.echo, (1,), callback=print)",
    "wait": "server.wait()",
    "wait for a group": "server.wait('default')",
    "job()": "job()",
    "job.wait()": "job.wait()",
    "set_ncpus": "server.set_ncpus(3)",
    "get_stats": "server.get_stats()",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_child_gets_a_clear_error(attempt: str, client_of: StartClient, token: str) -> None:
    client = client_of(
        f"""
        server = pp.Server(2)
        job = server.submit(jobs.hold, (ledger,))
        done = server.submit(jobs.echo, (7,))
        assert done() == 7
        ledger.await_one("holds ")
        assert in_child(lambda: {ATTEMPTS[attempt]}) == 1
        message = ledger.await_one("pp.")
        assert str(os.getpid()) in message and "fork" in message, message
        # The parent never noticed.
        ledger.note("go")
        assert job() == "went"
        assert server.submit(jobs.echo, (2,))() == 2
        room = Ledger(ledger.path + ".room")
        meeting = [server.submit(jobs.meet, (room, 2)) for _ in range(2)]
        assert len({{job() for job in meeting}}) == 2
        assert len(ledger.after("holds ")) == 1
        """
    )
    assert client.ends() == 0, client.said()
    none_left(token)


def test_child_reads_results_that_had_come(client_of: StartClient) -> None:
    client = client_of(
        """
        server = pp.Server(1)
        done = server.submit(jobs.echo, (7,))
        server.wait()
        def look():
            assert done.finished
            assert done() == 7
            assert done.tid == 0
            repr(done), repr(server)
        assert in_child(look) == 0
        assert done() == 7
        """
    )
    assert client.ends() == 0, client.said()


@pytest.mark.parametrize(
    "last",
    [
        "server.destroy()",
        "sys.exit(0)",
        "raise SystemExit(0)",
        "del server, job; import gc; gc.collect()",
        "os._exit(0)",
        "os.kill(os.getpid(), 9)",
    ],
)
def test_end_of_the_child_harms_nothing(last: str, client_of: StartClient, token: str) -> None:
    client = client_of(f"""
        server = pp.Server(2)
        job = server.submit(jobs.hold, (ledger,))
        ledger.await_one("holds ")
        room = Ledger(ledger.path + ".room")
        for _ in range(3):
            child = os.fork()
            if not child:
                signal.alarm(15)
                {last}
                sys.exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status in (0, -9), status
        ledger.note("go")
        assert job() == "went"
        assert len(ledger.after("holds ")) == 1
        assert [server.submit(jobs.echo, (n,))() for n in range(100)] == list(range(100))
        """)
    assert client.ends() == 0, client.said()
    none_left(token)


def test_child_makes_a_server_of_its_own(client_of: StartClient, token: str) -> None:
    client = client_of(
        """
        server = pp.Server(2)
        assert server.submit(jobs.echo, (1,))() == 1
        def own():
            mine = pp.Server(2)
            assert [mine.submit(jobs.echo, (n,))() for n in range(100)] == list(range(100))
            called = []
            mine.submit(jobs.echo, (5,), callback=called.append)
            mine.wait()
            assert called == [5]
            try:
                mine.submit(jobs.segfault)()
            except pp.WorkerDied:
                mine.destroy()
        assert in_child(own) == 0
        # Also one that is left to the end of the child.
        assert in_child(lambda: pp.Server(1).submit(jobs.echo, (1,))()) == 0
        assert server.submit(jobs.echo, (2,))() == 2
        """
    )
    assert client.ends() == 0, client.said()
    none_left(token)


def test_grandchild_makes_a_server(client_of: StartClient, token: str) -> None:
    client = client_of(
        """
        server = pp.Server(1)
        server.submit(jobs.echo, (1,))()
        def child():
            mine = pp.Server(1)
            mine.submit(jobs.echo, (1,))()
            def grandchild():
                try:
                    mine.submit(jobs.echo, (1,))
                except pp.PPError:
                    own = pp.Server(1)
                    assert own.submit(jobs.echo, (3,))() == 3
                    own.destroy()
                    return
                raise AssertionError("the child's server took a job")
            assert in_child(grandchild) == 0
            assert mine.submit(jobs.echo, (2,))() == 2
            mine.destroy()
        assert in_child(child) == 0
        assert server.submit(jobs.echo, (2,))() == 2
        """
    )
    assert client.ends() == 0, client.said()
    none_left(token)


def test_multiprocessing_with_fork_in_the_client(client_of: StartClient, token: str) -> None:
    client = client_of("""
        import multiprocessing
        server = pp.Server(2)
        server.submit(jobs.echo, (1,))()
        def attempt(_):
            try:
                server.submit(jobs.echo, (1,))
            except pp.PPError as error:
                return type(error).__name__
            return "worked"
        def own(n):
            with pp.Server(1) as mine:
                return mine.submit(jobs.echo, (n,))()
        context = multiprocessing.get_context("fork")
        with context.Pool(2) as pool:
            assert pool.map(attempt, range(4)) == ["PPError"] * 4
            assert pool.map(own, range(4)) == [0, 1, 2, 3]
            assert server.submit(jobs.echo, (2,))() == 2
        assert server.submit(jobs.echo, (3,))() == 3
        """)
    assert client.ends() == 0, client.said()
    none_left(token)


def test_fork_while_threads_submit(client_of: StartClient, token: str) -> None:
    """The locks of the parent are no trap for its children."""
    client = client_of(
        """
        import warnings
        warnings.simplefilter("ignore")
        server = pp.Server(2)
        stop = threading.Event()
        counts = [0] * 3
        def load(number):
            while not stop.is_set():
                assert server.submit(jobs.echo, (number,))() == number
                counts[number] += 1
        threads = [threading.Thread(target=load, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        def child():
            try:
                server.submit(jobs.echo, (1,))
            except pp.PPError:
                pass
            else:
                raise AssertionError("the parent's server took a job")
            repr(server)
            server.destroy()
        def child_with_server():
            with pp.Server(1) as mine:
                assert mine.submit(jobs.echo, (1,))() == 1
        for turn in range(40):
            assert in_child(child) == 0, turn
            if turn % 8 == 0:
                assert in_child(child_with_server) == 0, turn
        stop.set()
        for thread in threads:
            thread.join()
        assert all(counts), counts
        """
    )
    assert client.ends(50) == 0, client.said()
    none_left(token)


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_workers_go_although_a_forked_child_lives(
    last: int, client_of: StartClient, token: str
) -> None:
    """The child has inherited all that the client had open."""
    client = client_of("""
        server = pp.Server(2)
        job = server.submit(trees.plant_and_stay, (ledger, "child_in_session"))
        ledger.await_one("planted")
        server.submit(jobs.hold_asleep, (ledger,))
        ledger.await_one("holds ")
        child = os.fork()
        if not child:
            os.setsid()
            ledger.note(f"fork {os.getpid()}")
            threading.Event().wait(100)
            os._exit(0)
        ledger.await_one("fork ")
        ledger.note("ready")
        threading.Event().wait(100)
        """)
    client.await_one("ready")
    fork = int(client.await_one("fork "))
    workers = workers_of(token, client.pid)
    assert len(workers) == 2
    client.signal(last)
    client.ends()
    await_true(
        lambda: len(_others(token, fork)) == 0,
        "the end of workers whose client has died, but not its fork",
        6,
    )
    os.kill(fork, signal.SIGKILL)
    none_left(token)


def test_forked_child_does_not_keep_stopped_workers(client_of: StartClient, token: str) -> None:
    client = client_of("""
        server = pp.Server(1)
        job = server.submit(jobs.hold_asleep, (ledger,))
        worker = int(ledger.await_one("holds "))
        child = os.fork()
        if not child:
            os.setsid()
            ledger.note(f"fork {os.getpid()}")
            threading.Event().wait(100)
            os._exit(0)
        os.kill(worker, signal.SIGSTOP)
        ledger.await_one("fork ")
        ledger.note("ready")
        threading.Event().wait(100)
        """)
    client.await_one("ready")
    fork = int(client.await_one("fork "))
    client.signal(signal.SIGKILL)
    client.ends()
    await_true(lambda: len(_others(token, fork)) == 0, "the stopped worker's end", 6)
    os.kill(fork, signal.SIGKILL)
    none_left(token)


def _others(token: str, fork: int) -> list[int]:
    from tests.failures.support import processes_with

    return [process.pid for process in processes_with(token) if process.pid != fork]


def test_child_with_its_own_server_ends_as_usual(client_of: StartClient) -> None:
    """The parent's threads sleep on locks that the child inherits without them."""
    client = client_of(
        """
        import os, sys
        import pp

        server = pp.Server(1)
        server.submit(pow, (1, 2))()
        pid = os.fork()
        if pid == 0:
            own = pp.Server(1)
            assert own.submit(pow, (2, 3))() == 8
            own.destroy()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert client.ends() == 0


@pytest.mark.parametrize("moment", ["before", "after_in_parent", "after_in_child"])
def test_a_server_that_is_freed_by_a_hook_of_others_is_freed_where_it_belongs(
    moment: str, run_python: RunPython
) -> None:
    """Hooks of `os.register_at_fork` that were there before ours run between ours and the
    fork, with whatever the garbage collector does in them.
    """
    program = f"""
import gc, os
unwanted = []

def collect():
    unwanted.clear()
    gc.collect()

os.register_at_fork({moment}=collect)
import pp

def main():
    kept = pp.Server(1)
    unwanted.append(pp.Server(1))
    assert unwanted[0].submit(pow, (2, 3))() == kept.submit(pow, (2, 3))() == 8
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert kept.submit(pow, (2, 4))() == 16
    if unwanted:
        assert unwanted[0].submit(pow, (2, 4))() == 16

main()
"""
    run_python("-c", program, timeout=30)
