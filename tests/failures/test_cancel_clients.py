"""Clients that fork, are interrupted or end, with jobs as futures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.failures.clients import Client
from tests.failures.support import none_left

pytestmark = pytest.mark.timeout(60)

StartClient = Callable[..., Client]

# All that is not known in a forked child.
ATTEMPTS = (
    "job.cancel()",
    "server.cancel()",
    "server.cancel('default')",
    "job.result()",
    "job.result(0)",
    "job.exception(1)",
    "job.state",
    "job.running()",
    "job.node",
    "job.attempts",
    "job.add_done_callback(print)",
    "pp.wait([job])",
    "list(pp.as_completed([job], 1))",
)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_forked_child_gets_a_clear_error(
    attempt: str, client_of: StartClient, token: str
) -> None:
    script = f"""
server = pp.Server(1)
server.submit(jobs.echo, (1,))()
ended = server.submit(jobs.echo, (2,))
ended.wait()
job = server.submit(jobs.hold, (ledger,))
ledger.await_one("holds ")
ledger.note(f"status {{in_child(lambda: {attempt})}}")
ledger.note(f"status {{in_child(lambda: [repr(job), ended.result(), ended.state])}}")
assert not job.done()
ledger.note("go")
assert job.result() == "went"
server.destroy()
"""
    client = client_of(script)
    assert client.ends() == 0, client.said()
    assert client.ledger.after("status ") == ["1", "0"]
    assert any("fork" in word for word in client.ledger.words()), client.said()
    none_left(token)


@pytest.mark.parametrize(
    "wait",
    [
        "job.result()",
        "job.result(1000)",
        "job.exception()",
        "pp.wait([job])",
        "pp.wait([job], 1000)",
        "list(pp.as_completed([job]))",
    ],
)
def test_sigint_to_a_waiting_client(wait: str, client_of: StartClient, token: str) -> None:
    client = client_of(f"""
        server = pp.Server(1)
        job = server.submit(jobs.hold, (ledger,))
        ledger.await_one("holds ")
        for turn in range(3):
            try:
                ledger.note(f"waits {{turn}}")
                {wait}
                ledger.note("returned")
            except KeyboardInterrupt:
                ledger.note(f"interrupted {{turn}}")
        assert job.running()
        ledger.note("go")
        assert job.result() == "went"
        assert pp.wait([job]).done == {{job}}
        server.destroy()
        ledger.note("fine")
    """)
    client.survives_interrupts()
    none_left(token)


def test_the_program_ends_with_jobs_being_cancelled(client_of: StartClient, token: str) -> None:
    client = client_of("""
        def heedless(ledger):
            ledger.note(f"holds {os.getpid()}")
            while True:
                try:
                    time.sleep(1000)
                except BaseException:
                    pass
        server = pp.Server(2)
        running = [server.submit(heedless, (ledger,)) for _ in range(2)]
        ledger.await_one("holds ")
        server.cancel()
    """)
    assert client.ends() == 0, client.said()
    none_left(token)
