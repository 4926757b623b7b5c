"""Clients with ideas of their own about dead children: exit statuses may get lost, no wait may."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.failures.clients import Client
from tests.failures.support import none_left

pytestmark = pytest.mark.timeout(60)

StartClient = Callable[..., Client]

SETTINGS = {
    "a handler": """
        seen = []
        signal.signal(signal.SIGCHLD, lambda *_: seen.append(1))
    """,
    "a handler that reaps": """
        def reap(*_):
            try:
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
            except ChildProcessError:
                pass
        signal.signal(signal.SIGCHLD, reap)
    """,
    "ignored": """
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    """,
    "a thread that reaps": """
        def reap():
            while True:
                try:
                    os.wait()
                except ChildProcessError:
                    time.sleep(0.001)
        threading.Thread(target=reap, daemon=True).start()
    """,
    "blocked": """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGINT, signal.SIGTERM])
    """,
}

USE = """
server = pp.Server(2)
assert [server.submit(jobs.echo, (n,))() for n in range(100)] == list(range(100))
assert server.submit(jobs.die_first, (ledger, 2, "word", jobs.segfault))() == "word"
assert ledger.count("word") == 3
try:
    server.submit(jobs.die_always, (ledger, "doomed", jobs.exit_3))()
except pp.WorkerDied as error:
    assert error.deaths == 3
    # Where others collect exit statuses, it is unknown; it is never wrong.
    assert error.exitcode in (3, None), error.exitcode
    ledger.note(f"code {error.exitcode}")
assert ledger.count("doomed") == 3
server.set_ncpus(4)
room = Ledger(ledger.path + ".room")
assert len({job() for job in [server.submit(jobs.meet, (room, 4)) for _ in range(4)]}) == 4
server.set_ncpus(1)
assert server.submit(jobs.echo, (1,))() == 1
job = server.submit(jobs.hold_asleep, (ledger,))
ledger.await_one("holds ")
server.destroy()
server = pp.Server(2)
assert server.submit(jobs.echo, (1,))() == 1
ledger.note("fine")
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_client_with(setting: str, client_of: StartClient, token: str) -> None:
    import textwrap

    client = client_of(textwrap.dedent(SETTINGS[setting]) + USE)
    assert client.ends() == 0, client.said()
    assert "fine" in client.ledger.words()
    if setting in ("a handler", "blocked"):
        assert client.ledger.after("code ") == ["3"]
    none_left(token)


def test_ignored_from_the_start(client_of: StartClient, token: str) -> None:
    """As some daemons hand it on to what they start."""
    import signal

    def ignore() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    client = client_of(USE, preexec_fn=ignore)
    assert client.ends() == 0, client.said()
    none_left(token)


def test_other_children_are_not_reaped(client_of: StartClient, token: str) -> None:
    """The client's own children are its own to wait for."""
    client = client_of("""
        server = pp.Server(2)
        for turn in range(5):
            child = subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({turn})"])
            try:
                server.submit(jobs.die_always, (ledger, "doomed", jobs.exit_3))()
            except pp.WorkerDied as error:
                assert error.exitcode == 3
            assert child.wait() == turn
        """)
    assert client.ends() == 0, client.said()
    none_left(token)
