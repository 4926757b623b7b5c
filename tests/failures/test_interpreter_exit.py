"""The end of a client's interpreter, whatever is still going on: no hang, crash or noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.failures.clients import Client
from tests.failures.support import none_left

pytestmark = pytest.mark.timeout(60)

StartClient = Callable[..., Client]

# What a program does last. None of it is worth a word on standard error.
QUIET = {
    "jobs pending": """
        server = pp.Server(2)
        submitted = [server.submit(jobs.hold_asleep, (ledger,)) for _ in range(10)]
        ledger.await_one("holds ")
    """,
    "jobs pending, nothing started yet": """
        server = pp.Server(2)
        submitted = [server.submit(jobs.echo, (n,)) for n in range(1000)]
    """,
    "results not collected": """
        server = pp.Server(2)
        submitted = [server.submit(jobs.echo, (b"x" * 1000000,)) for n in range(50)]
        submitted[-1]()
    """,
    "results streaming in": """
        server = pp.Server(2)
        submitted = [server.submit(jobs.echo, (n,)) for n in range(20000)]
        submitted[100]()
    """,
    "no job at all": """
        server = pp.Server(2)
    """,
    "destroyed before": """
        server = pp.Server(2)
        server.submit(jobs.echo, (1,))()
        server.destroy()
    """,
    "many servers": """
        servers = [pp.Server(1) for _ in range(5)]
        submitted = [server.submit(jobs.hold_asleep, (ledger,)) for server in servers]
    """,
    "a cycle through the server": """
        class Owner:
            pass
        owner = Owner()
        owner.server = pp.Server(1)
        owner.job = owner.server.submit(jobs.echo, (1,), callback=lambda _: owner)
        owner.job()
        owner.self = owner
    """,
    "daemon threads in job()": """
        server = pp.Server(2)
        job = server.submit(jobs.hold_asleep, (ledger,))
        waiting = threading.Semaphore(0)
        def wait():
            waiting.release()
            try:
                job()
            except pp.DestroyedServerError:
                pass
        for _ in range(5):
            threading.Thread(target=wait, daemon=True).start()
        for _ in range(5):
            waiting.acquire()
        ledger.await_one("holds ")
    """,
    "daemon threads in wait()": """
        server = pp.Server(2)
        job = server.submit(jobs.hold_asleep, (ledger,))
        def wait():
            try:
                server.wait()
            except pp.DestroyedServerError:
                pass
        for _ in range(5):
            threading.Thread(target=wait, daemon=True).start()
        ledger.await_one("holds ")
    """,
    "daemon threads that submit": """
        server = pp.Server(2)
        def submit():
            try:
                while True:
                    server.submit(jobs.echo, (1,))()
            except pp.DestroyedServerError:
                pass
        for _ in range(5):
            threading.Thread(target=submit, daemon=True).start()
        for _ in range(50):
            server.submit(jobs.echo, (1,))()
    """,
    "a thread that finishes its jobs after the main one": """
        server = pp.Server(2)
        main = threading.main_thread()
        def work():
            main.join()
            assert [server.submit(jobs.echo, (n,))() for n in range(20)] == list(range(20))
            ledger.note("worked")
        threading.Thread(target=work).start()
    """,
    "inside a callback": """
        server = pp.Server(2)
        entered = threading.Event()
        def callback(_):
            entered.set()
            threading.Event().wait(100)
        server.submit(jobs.echo, (1,), callback=callback)
        entered.wait()
    """,
    "callbacks pending": """
        server = pp.Server(2)
        for n in range(500):
            server.submit(jobs.echo, (n,), callback=lambda value: None)
    """,
    "a callback that submits": """
        server = pp.Server(2)
        entered = threading.Event()
        def callback(_):
            entered.set()
            server.submit(jobs.echo, (1,), callback=callback)
        server.submit(jobs.echo, (1,), callback=callback)
        entered.wait()
    """,
    "an exit function that uses the server": """
        import atexit
        server = pp.Server(2)
        # Registered after pp's own, so run before it.
        @atexit.register
        def last():
            assert server.submit(jobs.echo, (1,))() == 1
            ledger.note("used")
    """,
    "a server in __del__": """
        class Holder:
            def __init__(self):
                self.server = pp.Server(1)
                self.server.submit(jobs.echo, (1,))()
            def __del__(self):
                self.server.destroy()
        holder = Holder()
    """,
    "stopped workers": """
        # A stopped worker is worth a warning; that is not of interest here.
        import logging
        logging.getLogger("pp").setLevel(logging.CRITICAL)
        server = pp.Server(2)
        room = Ledger(ledger.path + ".room")
        for pid in [job() for job in [server.submit(jobs.meet, (room, 2)) for _ in range(2)]]:
            os.kill(pid, signal.SIGSTOP)
        job = server.submit(jobs.echo, (1,))
    """,
    "a broken environment": """
        os.environ["PYTHONHOME"] = "/nowhere"
        import logging
        logging.getLogger("pp").setLevel(logging.CRITICAL)
        server = pp.Server(2)
        job = server.submit(jobs.echo, (1,))
        del os.environ["PYTHONHOME"]
        # The workers' own complaints are not of interest here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    """,
}


@pytest.mark.parametrize("last", QUIET)
def test_exit_is_quiet(last: str, client_of: StartClient, token: str) -> None:
    client = client_of(QUIET[last])
    assert client.ends() == 0, client.said()
    assert client.err() == ""
    assert client.out() == ""
    none_left(token)


def test_exit_in_another_place_than_the_main_thread(client_of: StartClient, token: str) -> None:
    """A callback that calls sys.exit ends neither the client nor the callbacks after it."""
    client = client_of("""
        import logging
        logging.getLogger("pp").setLevel(logging.CRITICAL)
        server = pp.Server(1)
        server.submit(jobs.echo, (1,), callback=sys.exit)
        called = []
        server.submit(jobs.echo, (2,), callback=called.append)
        server.wait()
        assert called == [2]
        ledger.note("fine")
        """)
    assert client.ends() == 0, client.said()
    assert "fine" in client.ledger.words()
    none_left(token)


def test_os_exit_inside_a_callback(client_of: StartClient, token: str) -> None:
    client = client_of("""
        server = pp.Server(2)
        job = server.submit(trees.plant_and_stay, (ledger, "child_in_session"))
        ledger.await_one("planted")
        server.submit(jobs.echo, (1,), callback=lambda _: os._exit(8))
        job()
        """)
    assert client.ends() == 8, client.said()
    none_left(token)


def test_destroy_gives_the_waiting_thread_its_error_at_exit(
    client_of: StartClient, token: str
) -> None:
    """A non-daemon thread in `job()` is not left waiting when the main thread destroys."""
    client = client_of("""
        server = pp.Server(1)
        job = server.submit(jobs.hold_asleep, (ledger,))
        def wait():
            try:
                job()
            except pp.DestroyedServerError:
                ledger.note("told")
        threading.Thread(target=wait).start()
        ledger.await_one("holds ")
        server.destroy()
        """)
    assert client.ends() == 0, client.said()
    assert client.ledger.count("told") == 1
    assert client.err() == ""
    none_left(token)


@pytest.mark.parametrize("flags", ["-X dev", "-W error", "-I", "-O", "-s -E"])
def test_exit_with_interpreter_flags(flags: str, client_of: StartClient, token: str) -> None:
    """The flags go to the workers; a client that is checked strictly is still quiet."""
    client = client_of(f"""
        import subprocess
        folder = os.path.dirname(os.path.dirname(pp.__file__))
        code = (
            f"import sys; sys.path.insert(0, {{folder!r}}); import pp; s = pp.Server(2);"
            "assert [s.submit(abs, (-n,))() for n in range(9)] == list(range(9));"
            "j = s.submit(abs, (-1,))"
        )
        done = subprocess.run(
            [sys.executable, *{flags.split()!r}, "-c", code], capture_output=True, text=True
        )
        assert done.returncode == 0 and not done.stderr, done
        """)
    assert client.ends() == 0, client.said()
    none_left(token)


def test_a_slow_log_handler_does_not_keep_the_program(client_of: StartClient) -> None:
    client = client_of(
        """
        import logging, os, threading
        import pp

        handling = threading.Event()

        class Slow(logging.Handler):
            def emit(self, record):
                handling.set()
                threading.Event().wait(0.3)

        logging.getLogger("pp").addHandler(Slow())
        server = pp.Server(1, max_worker_deaths=1)
        try:
            server.submit(os._exit, (3,))()
        except pp.WorkerDied:
            pass
        assert handling.wait(30)
        """
    )
    assert client.ends() == 0
