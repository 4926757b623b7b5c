"""Never a wrong job: whenever a cancel comes, no other job notices."""

from __future__ import annotations

import functools
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import pp
from tests.failures import jobs
from tests.failures.ledger import PATIENCE, Ledger
from tests.failures.support import (
    assert_serves,
    await_true,
    await_workers,
    needs_proc,
    started,
    workers_of,
)
from tests.test_threads import in_threads

pytestmark = pytest.mark.timeout(60)

ServerOf = Callable[..., pp.Server]


def short(ledger: Ledger, number: int, kind: int) -> int:
    """Notes its number, and takes from nothing to a millisecond, in various ways."""
    ledger.note(f"{number}")
    until = time.monotonic() + (number * 7919 % 1000) / 1e6
    if kind == 1:
        time.sleep(max(0.0, until - time.monotonic()))
    elif kind == 2:
        while time.monotonic() < until:
            pass
    elif kind == 3:
        with suppress(KeyboardInterrupt):
            while time.monotonic() < until:
                pass
    elif kind == 4:
        print(f"out {number}")
        print(f"err {number}", file=sys.stderr)
    return number


class Batch:
    """Short jobs, some of which are cancelled at random moments."""

    def __init__(self, server: pp.Server, book: Ledger, dice: random.Random) -> None:
        self._ledger = book
        self._ends: list[tuple[int, str]] = []
        self._submitted = []
        for number in range(40):
            job = server.submit(short, (book, number, dice.randrange(5)))
            job.add_done_callback(functools.partial(self._note_end, number))
            self._submitted.append(job)
        self._meant = dice.sample(range(40), 20)
        for number in self._meant:
            pause = time.monotonic() + dice.random() * 1e-3
            while time.monotonic() < pause:
                pass
            self._submitted[number].cancel()

    def _note_end(self, number: int, job: pp.Job[int]) -> None:
        self._ends.append((number, job.state))

    def check(self) -> None:
        """Each has ended once, and rightly."""
        returned = set()
        for number, job in enumerate(self._submitted):
            try:
                assert job.result(PATIENCE) == number
            except pp.JobCancelled:
                assert number in self._meant, f"{number} was not meant"
                assert job.cancelled()
                continue
            returned.add(str(number))
            wrote = f"out {number}\n", f"err {number}\n"
            assert (job.stdout, job.stderr) in {("", ""), wrote}
        words = self._ledger.words()
        assert len(words) == len(set(words)), "a job ran twice"
        assert returned <= set(words)
        await_true(lambda: len(self._ends) >= 40, "all callbacks are called")
        assert sorted(self._ends) == [(n, job.state) for n, job in enumerate(self._submitted)]


@needs_proc
def test_cancels_race_with_the_ends_of_jobs(
    server_of: ServerOf, tmp_path: Path, token: str
) -> None:
    """Each ends once. Those that nobody cancels give their values, and hear nothing."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    server = server_of(2)
    await_workers(token, 2)
    workers = workers_of(token)

    def run(index: int) -> None:
        dice = random.Random(seed + index)
        for turn in range(25):
            Batch(server, Ledger(str(tmp_path / f"book-{index}-{turn}")), dice).check()

    in_threads(4, run)
    server.wait()
    assert workers_of(token) == workers, "none was killed: all jobs are short"


def test_a_job_that_takes_the_whole_grace_costs_no_other(
    server_of: ServerOf, ledger: Ledger
) -> None:
    """It ends just as its worker is about to be killed: the next one runs once, however."""

    def run(ledger: Ledger, seconds: float) -> str:
        ledger.note(f"holds {os.getpid()}")
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            time.sleep(seconds)
        return "returned"

    server = server_of(4, max_worker_deaths=1)
    assert_serves(server, 4, ledger)
    for turn in range(4):
        running = []
        for place in range(4):
            seconds = 0.985 + 0.004 * (turn + 4 * place) / 2
            book = Ledger(f"{ledger.path}.{turn}.{place}")
            running.append(server.submit(run, (book, seconds)))
            book.await_one("holds ")
        after = [server.submit(jobs.noted, (ledger, f"job {turn} {n}")) for n in range(40)]
        for job in running:
            job.cancel()
        for job in running:
            with suppress(pp.JobCancelled):
                assert job.result(PATIENCE) == "returned"
        assert [job.result(PATIENCE) for job in after] == [f"job {turn} {n}" for n in range(40)]
        assert all(ledger.count(f"job {turn} {n}") == 1 for n in range(40))


def test_what_a_cancelled_job_wrote_is_no_others(server_of: ServerOf, ledger: Ledger) -> None:
    """It is cut short anywhere in its writing."""

    def write(ledger: Ledger) -> None:
        ledger.note(f"holds {os.getpid()}")
        while True:
            sys.stderr.write("cancelled\n")
            sys.stdout.write("cancelled\n")

    def write_once(number: int) -> None:
        print(number)
        print(number, file=sys.stderr)

    server = server_of(1)
    dice = random.Random(7)
    for number in range(150):
        job, _ = started(server, ledger, write)
        end = time.monotonic() + dice.random() / 500
        while time.monotonic() < end:
            pass
        job.cancel()
        after = server.submit(write_once, (number,))
        after.wait()
        assert job.cancelled()
        assert (after.stdout, after.stderr) == (f"{number}\n", f"{number}\n")


def test_a_function_that_was_being_loaded_is_whole_for_the_next_job(server_of: ServerOf) -> None:
    """The first job with it is cancelled anywhere in its loading."""
    server = server_of(1)
    server.submit(jobs.echo, (1,)).result()
    dice = random.Random(11)
    for number in range(200):

        def function(value: int, number: int = number) -> tuple[int, int, str]:
            return number, value, json.dumps({"a": helper(value)})  # type: ignore[name-defined] # noqa: F821

        def helper(value: int) -> int:
            return -value

        first = server.submit(function, (0,), (helper,), ("json", "fractions"))
        end = time.monotonic() + dice.random() / 1000
        while time.monotonic() < end:
            pass
        first.cancel()
        after = [server.submit(function, (n,), (helper,), ("json", "fractions")) for n in range(3)]
        assert [job.result() for job in after] == [(number, n, f'{{"a": {-n}}}') for n in range(3)]
        with suppress(pp.JobCancelled):
            assert first.result() == (number, 0, '{"a": 0}')


@needs_proc
def test_no_cancel_is_lost(server_of: ServerOf, token: str) -> None:
    """However early it comes, the job is asked to end: no worker need be killed."""
    server = server_of(2)
    await_workers(token, 2)
    pids = set(workers_of(token))
    end = time.monotonic() + 10
    while time.monotonic() < end:
        batch = [server.submit(time.sleep, (1000,)) for _ in range(300)]
        for job in batch:
            job.cancel()
        pp.wait(batch)
    assert set(workers_of(token)) == pids
