"""Ctrl-C interrupts a waiting client at once, and nothing but the client."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.failures.clients import Client
from tests.failures.support import await_true, is_alive, none_left, workers_of

pytestmark = [
    pytest.mark.timeout(60),
    # The child of the fork in `pty` only executes another program.
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]

StartClient = Callable[..., Client]

# What a client waits in, and by what it tells that it is about to.
WAITS = {
    "job()": "job()",
    "job.wait()": "job.wait()",
    "wait()": "server.wait()",
    "wait(group)": "server.wait('default')",
    "job(raw_result=True)": "job(raw_result=True)",
}


@pytest.mark.parametrize("wait", WAITS)
def test_sigint_to_a_waiting_client(wait: str, client_of: StartClient, token: str) -> None:
    client = client_of(f"""
        server = pp.Server(2)
        room = Ledger(ledger.path + ".room")
        meeting = [server.submit(jobs.meet, (room, 2)) for _ in range(2)]
        before = {{job() for job in meeting}}
        for turn in range(3):
            gate = Ledger(f"{{ledger.path}}.gate{{turn}}")
            job = server.submit(jobs.hold, (gate,))
            gate.await_one("holds ")
            try:
                ledger.note(f"waits {{turn}}")
                {WAITS[wait]}
                ledger.note("returned")
            except KeyboardInterrupt:
                ledger.note(f"interrupted {{turn}}")
            assert not job.finished
            gate.note("go")
            assert job() == "went"
            assert len(gate.after("holds ")) == 1
        room = Ledger(ledger.path + ".room2")
        meeting = [server.submit(jobs.meet, (room, 2)) for _ in range(2)]
        assert before == {{job() for job in meeting}}, "a worker died from it"
        server.destroy()
        ledger.note("fine")
    """)
    client.survives_interrupts()
    none_left(token)


def test_unhandled_interrupt_ends_the_client(client_of: StartClient, token: str) -> None:
    client = client_of("""
        server = pp.Server(2)
        job = server.submit(jobs.hold_asleep, (ledger,))
        ledger.await_one("holds ")
        ledger.note("waits")
        job()
    """)
    client.await_one("waits")
    client.signal(signal.SIGINT)
    assert client.ends() == -signal.SIGINT
    # One traceback, the client's own: no worker complains.
    assert client.err().count("Traceback") == 1
    assert client.err().rstrip().endswith("KeyboardInterrupt")
    none_left(token)


def test_interrupt_of_destroy(client_of: StartClient, token: str) -> None:
    """Interrupted or not, in the end all is gone and the next server works."""
    client = client_of("""
        for turn in range(10):
            server = pp.Server(2)
            gate = Ledger(f"{ledger.path}.gate{turn}")
            job = server.submit(jobs.hold_asleep, (gate,))
            gate.await_one("holds ")
            # The signal comes from another thread while the main one is in destroy.
            killer = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT))
            try:
                killer.start()
                server.destroy()
                killer.join()
            except KeyboardInterrupt:
                ledger.note("interrupted")
            killer.join()
            server.destroy()
            try:
                job()
            except pp.DestroyedServerError:
                ledger.note("ended")
        ledger.note("fine")
    """)
    client.await_one("fine")
    assert client.ends() == 0, client.said()
    assert client.ledger.count("ended") == 10
    none_left(token)


def test_interrupts_while_submitting(client_of: StartClient, token: str) -> None:
    """An interrupt may fall into any line of `submit`; the server stays whole."""
    client = client_of("""
        server = pp.Server(2)
        server.submit(jobs.echo, (0,))()
        submitted = {}
        interrupts = 0
        armed = False
        def interrupt(*_):
            global armed, interrupts
            interrupts += 1
            ledger.note(f"interrupt {interrupts}")
            if armed:
                armed = False
                raise KeyboardInterrupt
        signal.signal(signal.SIGINT, interrupt)
        def submit():
            global armed
            armed = True
            n = len(submitted)
            while True:
                n += 1
                submitted[n] = server.submit(jobs.echo, (n,))
                if n % 200 == 0:
                    # Also in the waiting, and in the collecting.
                    submitted[n]()
        ledger.note("ready")
        while interrupts < 20:
            try:
                submit()
            except KeyboardInterrupt:
                pass
        armed = False
        server.wait()
        assert all(job() == n for n, job in submitted.items())
        server.destroy()
        ledger.note("fine")
    """)
    client.await_one("ready")
    for number in range(1, 21):
        client.signal(signal.SIGINT)
        client.await_one(f"interrupt {number}")
    client.await_one("fine")
    assert client.ends() == 0, client.said()
    none_left(token)


def test_other_signals_have_their_handlers_run_while_waiting(client_of: StartClient) -> None:
    client = client_of("""
        server = pp.Server(1)
        job = server.submit(jobs.hold, (ledger,))
        ledger.await_one("holds ")
        signal.signal(signal.SIGUSR1, lambda *_: ledger.note("handled"))
        ledger.note("waits")
        assert job() == "went"
        ledger.note("fine")
    """)
    client.await_one("waits")
    client.signal(signal.SIGUSR1)
    client.await_one("handled")
    assert "fine" not in client.ledger.words()
    client.ledger.note("go")
    client.await_one("fine")
    assert client.ends() == 0, client.said()


class Terminal:
    """A pseudo terminal: what is typed into it reaches its foreground process group."""

    def __init__(self) -> None:
        self.keyboard, self.screen = pty.openpty()

    def take_over(self) -> None:
        """In a new process: makes it the leader of a session on this terminal."""
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(self.screen, termios.TIOCSCTTY, 0)

    def press(self, key: bytes) -> None:
        """Types."""
        os.write(self.keyboard, key)

    def close(self) -> None:
        """Hangs up."""
        for end in (self.keyboard, self.screen):
            if end >= 0:
                os.close(end)
        self.keyboard = self.screen = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def on_terminal(client_of: StartClient, terminal: Terminal, script: str) -> Client:
    """A client in the foreground of `terminal`."""
    return client_of(
        script,
        stdin=terminal.screen,
        start_new_session=False,
        preexec_fn=terminal.take_over,
    )


def test_ctrl_c_at_a_terminal(client_of: StartClient, terminal: Terminal, token: str) -> None:
    """A terminal interrupts its whole foreground group; workers are not of it."""
    client = on_terminal(
        client_of,
        terminal,
        """
        server = pp.Server(2)
        room = Ledger(ledger.path + ".room")
        meeting = [server.submit(jobs.meet, (room, 2)) for _ in range(2)]
        before = {job() for job in meeting}
        job = server.submit(jobs.hold, (ledger,))
        ledger.await_one("holds ")
        try:
            ledger.note("waits")
            job()
        except KeyboardInterrupt:
            ledger.note("interrupted")
        ledger.note("go")
        assert job() == "went"
        room = Ledger(ledger.path + ".room2")
        meeting = [server.submit(jobs.meet, (room, 2)) for _ in range(2)]
        assert before == {job() for job in meeting}, "a worker died from it"
        ledger.note("fine")
        """,
    )
    client.await_one("waits")
    terminal.press(b"\x03")
    client.await_one("interrupted")
    client.await_one("fine")
    assert client.ends() == 0, client.said()
    assert len(client.ledger.after("holds ")) == 1
    none_left(token)


def test_ctrl_c_spares_a_jobs_children(
    client_of: StartClient, terminal: Terminal, token: str
) -> None:
    client = on_terminal(
        client_of,
        terminal,
        """
        server = pp.Server(1)
        server.submit(trees.child, (ledger,))()
        job = server.submit(jobs.hold, (ledger,))
        ledger.await_one("holds ")
        try:
            ledger.note("waits")
            job()
        except KeyboardInterrupt:
            ledger.note("interrupted")
        ledger.await_one("checked")
        """,
    )
    client.await_one("waits")
    terminal.press(b"\x03")
    client.await_one("interrupted")
    assert is_alive(int(client.await_one("child ")))
    client.ledger.note("checked")
    assert client.ends() == 0, client.said()
    none_left(token)


def test_terminal_hangs_up(client_of: StartClient, terminal: Terminal, token: str) -> None:
    client = on_terminal(
        client_of,
        terminal,
        """
        server = pp.Server(2)
        job = server.submit(trees.plant_and_stay, (ledger, "child_in_session"))
        ledger.await_one("planted")
        ledger.note("waits")
        job()
        """,
    )
    client.await_one("waits")
    terminal.close()
    assert client.ends() == -signal.SIGHUP
    none_left(token)


def test_ctrl_z_and_back(client_of: StartClient, terminal: Terminal, token: str) -> None:
    """A client that is suspended and brought back goes on where it was."""
    client = on_terminal(
        client_of,
        terminal,
        """
        server = pp.Server(2)
        job = server.submit(jobs.hold, (ledger,))
        ledger.await_one("holds ")
        ledger.note("waits")
        assert job() == "went"
        assert len(ledger.after("holds ")) == 1
        """,
    )
    client.await_one("waits")
    # SIGTSTP does not stop the leader of an orphaned group; what it does is this.
    client.signal(signal.SIGSTOP)
    await_true(lambda: _state(client.pid) == "stopped", "the stop")
    workers = workers_of(token, client.pid)
    assert len(workers) == 2
    assert all(map(is_alive, workers))
    client.ledger.note("go")
    client.signal(signal.SIGCONT)
    assert client.ends() == 0, client.said()
    none_left(token)


def _state(pid: int) -> str:
    import psutil

    return str(psutil.Process(pid).status())
