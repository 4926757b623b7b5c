"""Jobs that are tried again."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.failures.ledger import Ledger
from tests.support import MakeServer, RunScript, caught_from, eventually
from tests.terms import (
    MoreOwnError,
    OwnError,
    fails_first,
)

pytestmark = pytest.mark.timeout(60)

# Retries


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_job_is_tried_again(times: int, lone: pp.Server, ledger: Ledger) -> None:
    job = lone.submit(fails_first, (ledger, times, OwnError()), retries=2, backoff=0)
    if times <= 2:
        assert job.result() == times + 1
    else:
        assert isinstance(job.exception(), OwnError)
    tries = min(times, 2) + 1
    assert (job.attempts, ledger.count("tried")) == (tries, tries)
    assert job.stdout == f"attempt {tries}\n", "of the last attempt alone"


@pytest.mark.parametrize(
    ("retry_on", "error", "is_retried"),
    [
        (Exception, OwnError(), True),
        (OwnError, OwnError(), True),
        (OwnError, MoreOwnError(), True),
        (MoreOwnError, OwnError(), False),
        ((KeyError, OwnError), MoreOwnError(), True),
        ((KeyError, OSError), OwnError(), False),
        (ArithmeticError, ZeroDivisionError(), True),
        ((), OwnError(), False),
        (Exception, SystemExit(3), False),
        (Exception, KeyboardInterrupt(), False),
        (BaseException, SystemExit(3), True),
        (KeyboardInterrupt, KeyboardInterrupt(), True),
        (TimeoutError, TimeoutError("its own"), True),
    ],
)
def test_what_is_retried(
    retry_on: Any, error: BaseException, is_retried: bool, shared: pp.Server, ledger: Ledger
) -> None:
    options: dict[str, Any] = {"retries": 1, "retry_on": retry_on, "backoff": 0}
    job = shared.submit(fails_first, (ledger, 9, error), **options)
    assert type(job.exception()) is type(error)
    assert (job.attempts, ledger.count("tried")) == ((2, 2) if is_retried else (1, 1))


def test_exceptions_of_the_main_program_are_retried(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp, sys, pathlib, tempfile

        class Trouble(Exception):
            pass

        class Worse(Trouble):
            pass

        def work(path, kind):
            with open(path, "a") as file:
                file.write("x")
            if pathlib.Path(path).stat().st_size < 3:
                raise kind("not yet")
            return "done"

        with pp.Server(1) as server, tempfile.TemporaryDirectory() as place:
            for n, (kind, on) in enumerate([(Trouble, Trouble), (Worse, (OSError, Trouble)),
                                            (Trouble, Worse)]):
                job = server.submit(work, (f"{place}/{n}", kind), retries=4, retry_on=on,
                                    backoff=0)
                print(type(job.exception()).__name__, job.attempts)
        """
    )
    assert ran.out == "NoneType 3\nNoneType 3\nTrouble 1\n"


def test_one_function_with_different_terms(shared: pp.Server, ledger: Ledger) -> None:
    """What is asked for one call is not asked for the next."""
    for number, (retries, retry_on, tries) in enumerate(
        [(0, Exception, 1), (3, OwnError, 4), (0, OwnError, 1), (3, KeyError, 1), (1, Exception, 2)]
    ):
        word = f"word {number}"
        args = (ledger, 9, OwnError(), word)
        job = shared.submit(fails_first, args, retries=retries, retry_on=retry_on, backoff=0)
        assert isinstance(job.exception(), OwnError)
        assert (job.attempts, ledger.count(word)) == (tries, tries)
        plain = shared.submit(fails_first, (ledger, 9, OwnError(), f"plain {number}"))
        assert isinstance(plain.exception(), OwnError)
        assert ledger.count(f"plain {number}") == 1


def test_a_result_that_cannot_be_sent_is_not_tried_again(shared: pp.Server, ledger: Ledger) -> None:
    def work() -> Any:
        ledger.note("tried")
        return threading.Lock()

    job = shared.submit(work, retries=5, backoff=0)
    assert isinstance(job.exception(), pp.SerializationError)
    assert (job.attempts, ledger.count("tried")) == (1, 1)


def test_deaths_of_workers_are_counted_apart(make_server: MakeServer, ledger: Ledger) -> None:
    server = make_server(1, max_worker_deaths=3)

    def work() -> int:
        count = ledger.note("tried")
        if count in (1, 3):
            os._exit(1)
        if count in (2, 4):
            raise OwnError(count)
        return count

    job = server.submit(work, retries=2, backoff=0)
    assert job.result() == 5
    assert ledger.count("tried") == 5
    assert job.attempts == 5


def test_deaths_end_a_job_in_spite_of_retries(make_server: MakeServer, ledger: Ledger) -> None:
    server = make_server(1, max_worker_deaths=2)

    def work() -> None:
        ledger.note("tried")
        os._exit(1)

    job = server.submit(work, retries=50, backoff=0)
    assert isinstance(job.exception(), pp.WorkerDied)
    assert ledger.count("tried") == 2


def test_while_it_pauses_others_run(lone: pp.Server, ledger: Ledger) -> None:
    job = lone.submit(fails_first, (ledger, 1, OwnError()), retries=1, backoff=30)
    ledger.await_words("tried")
    assert [lone.submit(jobs.echo, (n,)).result() for n in range(50)] == list(range(50))
    eventually(lambda: job.state == "queued", "it pauses")
    assert not job.done()
    waiting = lone.submit(jobs.echo, (job,))
    assert job.cancel()
    assert job.cancelled()
    assert waiting.cancelled()
    assert ledger.count("tried") == 1


def test_pauses_grow(lone: pp.Server, ledger: Ledger) -> None:
    """One that began with a longer pause comes later, however both were submitted."""
    long = lone.submit(
        fails_first, (ledger, 3, OwnError(), "long"), retries=3, backoff=0.5, name="long"
    )
    short = lone.submit(fails_first, (ledger, 3, OwnError(), "short"), retries=3, backoff=0.01)
    assert (short.result(), long.result()) == (4, 4)
    words = ledger.words()
    assert words.index("long") < words.index("short")
    assert words[-1] == "long"
    # At 0.01, 0.03 and 0.07 s, all before the others' at 0.5, 1.5 and 3.5 s.
    assert words == ["long", *["short"] * 4, *["long"] * 3]


def test_server_wait_waits_for_retries(lone: pp.Server, ledger: Ledger) -> None:
    job = lone.submit(fails_first, (ledger, 2, OwnError()), group="tried", retries=2, backoff=0.05)
    lone.wait("tried")
    assert job.done()
    assert job.result() == 3


def test_destroy_while_jobs_pause(make_server: MakeServer, ledger: Ledger) -> None:
    server = make_server(1)
    job = server.submit(fails_first, (ledger, 1, OwnError()), retries=1, backoff=60)
    ledger.await_words("tried")
    eventually(lambda: job.state == "queued", "it pauses")
    server.destroy()
    assert isinstance(caught_from(job), pp.DestroyedServerError)


def test_callbacks_come_once(lone: pp.Server, ledger: Ledger) -> None:
    got: list[Any] = []
    done: list[pp.Job[Any]] = []
    job = lone.submit(
        fails_first, (ledger, 2, OwnError()), callback=got.append, retries=2, backoff=0.01
    )
    job.add_done_callback(done.append)
    lone.wait()
    assert got == [3]
    eventually(lambda: done, "the other callback comes")
    assert (got, done) == ([3], [job])


def test_arguments_are_fresh_for_each_attempt(lone: pp.Server, ledger: Ledger) -> None:
    def spoil(values: list[int]) -> list[int]:
        values.append(2)
        if ledger.note("tried") < 3:
            raise OwnError
        return values

    assert lone.submit(spoil, ([1],), retries=3, backoff=0).result() == [1, 2]
    made = lone.submit(jobs.echo, ([1],))
    Path(ledger.path).unlink()
    assert lone.submit(spoil, (made,), retries=3, backoff=0).result() == [1, 2]
