"""`destroy` ends every wait, at once and with the right error."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import PATIENCE, Ledger
from tests.failures.support import none_left

pytestmark = pytest.mark.timeout(60)


class Waiter:
    """A thread that waits, and what came of it."""

    def __init__(self, wait: Callable[[], object]) -> None:
        self._wait = wait
        self.outcome: object = None
        self.begun = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self.begun.wait(PATIENCE)

    def _run(self) -> None:
        self.begun.set()
        try:
            self.outcome = self._wait()
        except BaseException as error:
            self.outcome = type(error)

    def result(self) -> object:
        """What the wait gave, or the class of what it raised."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it still waits"
        return self.outcome


def test_waits_of_many_threads_end(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    finished = server.submit(abs, (-3,))
    server.wait()
    submitted = [
        server.submit(jobs.hold_asleep, (ledger,), group="a" if n % 2 else "b") for n in range(10)
    ]
    ledger.await_one("holds ")
    waits: list[Callable[[], object]] = [*submitted, *(job.wait for job in submitted)]
    waits += [server.wait, lambda: server.wait("a"), lambda: server.wait("b")]
    waiters = [Waiter(wait) for wait in waits]
    server.destroy()
    assert [waiter.result() for waiter in waiters] == [pp.DestroyedServerError] * len(waits)
    assert finished() == 3
    for job in submitted:
        with pytest.raises(pp.DestroyedServerError):
            job()
    with pytest.raises(pp.DestroyedServerError):
        server.submit(abs, (1,))
    none_left(token)


def test_destroy_by_several_threads_at_once(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)
    job = server.submit(jobs.hold_asleep, (ledger,))
    ledger.await_one("holds ")
    destroyers = [Waiter(server.destroy) for _ in range(8)]
    assert [waiter.result() for waiter in destroyers] == [None] * 8
    with pytest.raises(pp.DestroyedServerError):
        job()
    none_left(token)


def test_every_destroy_returns_only_when_all_is_gone(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    """Also the second caller's, while the first is still at it."""
    from tests.failures.support import is_alive

    server = server_of(2)
    server.submit(jobs.hold_asleep, (ledger,))
    worker = int(ledger.await_one("holds "))

    def destroy() -> bool:
        server.destroy()
        return is_alive(worker)

    assert [waiter.result() for waiter in [Waiter(destroy) for _ in range(4)]] == [False] * 4


def test_destroy_while_threads_submit(
    server_of: Callable[..., pp.Server], ledger: Ledger, token: str
) -> None:
    server = server_of(2)

    def submit_for_ever() -> None:
        while True:
            assert server.submit(abs, (-7,))() == 7

    waiters = [Waiter(submit_for_ever) for _ in range(4)]
    for _ in range(100):
        server.submit(abs, (1,))()
    server.destroy()
    assert [waiter.result() for waiter in waiters] == [pp.DestroyedServerError] * 4
    none_left(token)


def test_destroy_at_once_after_the_start(server_of: Callable[..., pp.Server], token: str) -> None:
    for _ in range(5):
        server = server_of(4)
        job = server.submit(abs, (-1,))
        server.destroy()
        assert Waiter(job).result() in (1, pp.DestroyedServerError)
        none_left(token)


def test_destroy_inside_a_callback(server_of: Callable[..., pp.Server], token: str) -> None:
    server = server_of(1)
    done = threading.Event()

    def callback(_: int) -> None:
        server.destroy()
        done.set()

    server.submit(abs, (-1,), callback=callback)
    assert done.wait(PATIENCE)
    none_left(token)


def test_destroy_with_no_workers(server_of: Callable[..., pp.Server], token: str) -> None:
    server = server_of(0)
    waiter = Waiter(server.submit(abs, (-1,)))
    server.destroy()
    assert waiter.result() is pp.DestroyedServerError


def test_destroy_with_a_backlog_of_large_arguments(
    server_of: Callable[..., pp.Server], token: str
) -> None:
    server = server_of(2)
    submitted = [server.submit(len, (b"x" * 10_000_000,)) for _ in range(20)]
    waiters = [Waiter(job) for job in submitted]
    server.destroy()
    assert {waiter.result() for waiter in waiters} <= {10_000_000, pp.DestroyedServerError}
    none_left(token)
