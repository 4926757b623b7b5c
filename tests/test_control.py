"""What can be asked for a job: its name, keyword arguments, and how long it may run."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import pp
from tests import jobs
from tests.failures.cancelling import heedless, in_c, in_c_without_the_gil
from tests.failures.ledger import PATIENCE, Ledger
from tests.support import Gate, MakeServer, caught_from, eventually, held_up, warm
from tests.terms import (
    noted,
    sleep,
    slow_first,
    spin,
)

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(os.name != "posix", reason="a worker that heeds nothing is killed"),
]

# Shorter than any patience, longer than what a quick job takes on a busy machine.
SHORT = 0.3


# Names


def test_a_job_is_called_as_asked(shared: pp.Server) -> None:
    job: pp.Job[int] = shared.submit(jobs.echo, (1,), name="the first step")
    assert job.name == "the first step"
    assert "the first step" in repr(job)
    assert job.result() == 1
    assert shared.submit(jobs.echo, (1,), name=None).name == "echo"
    assert shared.submit(jobs.echo, (1,), name="").name == ""
    assert shared.submit(jobs.echo, (1,)).name == "echo"


# Keyword arguments


def test_kwargs_arrive(shared: pp.Server) -> None:
    def look(first: int, *rest: int, key: str = "none", **more: Any) -> Any:
        return first, rest, key, more

    assert shared.submit(look, (1, 2), kwargs={"key": "k", "z": 3}).result() == (
        1,
        (2,),
        "k",
        {"z": 3},
    )
    assert shared.submit(look, kwargs={"first": 5}).result() == (5, (), "none", {})
    assert shared.submit(look, (1,), kwargs={}).result() == (1, (), "none", {})
    assert shared.submit(look, (1,), kwargs=None).result() == (1, (), "none", {})
    assert shared.submit(look, (1,)).result() == (1, (), "none", {})
    assert shared.submit(int, ("ff",), kwargs={"base": 16}).result() == 255
    assert shared.submit(dict, kwargs={"self": 1, "func": 2, "args": 3}).result() == {
        "self": 1,
        "func": 2,
        "args": 3,
    }


def test_kwargs_are_taken_as_they_are_now(lone: pp.Server, gate: Gate) -> None:
    held_up(lone, gate)
    given = {"key": [1]}
    job: pp.Job[Any] = lone.submit(dict, kwargs=given)
    given["key"].append(2)
    given["other"] = [3]
    gate.open()
    assert job.result() == {"key": [1]}


def test_what_is_wrong_with_kwargs_is_told(shared: pp.Server) -> None:
    with pytest.raises(TypeError, match=r"kwargs must be a dictionary, not 'list'"):
        shared.submit(dict, kwargs=[("a", 1)])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"strings as keys, not 1"):
        shared.submit(dict, kwargs={1: 2})  # type: ignore[dict-item]
    with pytest.raises(pp.SerializationError, match="lock"):
        shared.submit(dict, kwargs={"key": threading.Lock()})
    with pytest.raises(TypeError, match="unexpected keyword argument 'b'"):
        shared.submit(lambda a: a, (1,), kwargs={"b": 2}).result()


# Wrong arguments


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"name": 5}, TypeError, "name must be a string or None, not 'int'"),
        ({"priority": 1.5}, TypeError, "priority must be an int, not 'float'"),
        ({"priority": True}, TypeError, "priority must be an int, not 'bool'"),
        ({"priority": None}, TypeError, "priority must be an int"),
        ({"priority": 2**31}, ValueError, "priority must be from -2147483647 to 2147483647"),
        ({"priority": -(2**31)}, ValueError, "priority must be from"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds or None, not 'str'"),
        ({"timeout": True}, TypeError, "timeout must be a number"),
        ({"timeout": 0}, ValueError, "timeout must be more than 0 seconds, not 0"),
        ({"timeout": -1.0}, ValueError, "timeout must be more than 0 seconds"),
        ({"timeout": float("nan")}, ValueError, "timeout must be more than 0 seconds, not nan"),
        ({"retries": -1}, ValueError, "retries must be from 0 to 2147483647, not -1"),
        ({"retries": 1.0}, TypeError, "retries must be an int, not 'float'"),
        ({"retries": True}, TypeError, "retries must be an int"),
        ({"retries": 2**31}, ValueError, "retries must be from 0"),
        ({"retry_on": ValueError()}, TypeError, "retry_on must be a type of exceptions or a tuple"),
        ({"retry_on": [ValueError]}, TypeError, "retry_on must be a type"),
        ({"retry_on": (ValueError, int)}, TypeError, "retry_on must be a type"),
        ({"backoff": -0.1}, ValueError, "backoff must be at least 0 seconds, not -0.1"),
        ({"backoff": float("inf")}, ValueError, "backoff must be at least 0 seconds, not inf"),
        ({"backoff": float("nan")}, ValueError, "backoff must be at least 0 seconds"),
        ({"backoff": "1"}, TypeError, "backoff must be a number of seconds, not 'str'"),
        ({"unheard_of": 1}, TypeError, "unheard_of"),
    ],
)
def test_wrong_terms_are_refused(
    given: dict[str, Any], kind: type[Exception], text: str, shared: pp.Server
) -> None:
    with pytest.raises(kind, match=text):
        shared.submit(jobs.echo, (1,), **given)
    # Also where they have no effect.
    with pytest.raises(kind, match=text):
        shared.submit(jobs.echo, (1,), **{"retries": 1, "backoff": 0, **given})


@pytest.mark.parametrize(
    "given",
    [
        {"timeout": 10**400},
        {"timeout": float("inf")},
        {"timeout": None},
        {"timeout": 1e300},
        {"retries": 0, "retry_on": OSError},
        {"retries": 2**31 - 1, "retry_on": (), "backoff": 0},
        {"backoff": 10**400, "retries": 1},
        {"backoff": 1e300},
        {"priority": 2**31 - 1},
        {"priority": -(2**31) + 1},
    ],
)
def test_extreme_terms_are_taken(given: dict[str, Any], shared: pp.Server) -> None:
    assert shared.submit(jobs.echo, (1,), **given).result() == 1


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"weight": 0}, ValueError, "weight must be between 0.001 and 1000000, not 0"),
        ({"weight": -1}, ValueError, "weight must be between"),
        ({"weight": float("nan")}, ValueError, "weight must be between"),
        ({"weight": 1e7}, ValueError, "weight must be between"),
        ({"weight": "1"}, TypeError, "weight must be a number, not '1'"),
        ({"weight": True}, TypeError, "weight must be a number"),
        ({"limit": -1}, ValueError, "limit must be at least 0"),
        ({"limit": 1.0}, TypeError, "limit must be an int or None, not 1.0"),
        ({"limit": False}, TypeError, "limit must be an int or None"),
        ({"limit": 2**32}, ValueError, "limit must be at least 0 and at most"),
    ],
)
def test_wrong_shares_are_refused(
    given: dict[str, Any], kind: type[Exception], text: str, shared: pp.Server
) -> None:
    with pytest.raises(kind, match=text):
        shared.set_group("wrong", **given)
    assert shared.submit(jobs.echo, (1,), group="wrong").result() == 1
    with pytest.raises(TypeError):
        shared.set_group([])  # type: ignore[arg-type]


def test_a_destroyed_server_takes_no_shares(make_server: MakeServer) -> None:
    server = make_server(1)
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        server.set_group("late", limit=1)


# Timeouts


@pytest.mark.parametrize("what", [spin, sleep])
def test_a_job_that_runs_too_long_is_ended(
    what: Callable[..., None], lone: pp.Server, ledger: Ledger
) -> None:
    worker = warm(lone)
    job = lone.submit(what, (ledger,), timeout=SHORT)
    behind = [lone.submit(noted, (ledger, f"job {n}")) for n in range(20)]
    error = job.exception()
    assert type(error) is pp.JobTimeout
    assert isinstance(error, (TimeoutError, pp.JobError))
    assert error.limit == SHORT
    assert str(error) == f"the job ran for longer than {SHORT} s"
    assert (job.state, job.attempts, job.cancelled()) == ("failed", 1, False)
    assert [other.result() for other in behind] == [f"job {n}" for n in range(20)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(20))
    assert lone.submit(jobs.pid).result() == worker, "it heard, so its worker goes on"


@pytest.mark.parametrize("what", [heedless, in_c, in_c_without_the_gil])
def test_the_worker_of_one_that_goes_on_is_replaced(
    what: Callable[..., Any], make_server: MakeServer, ledger: Ledger, gate: Gate
) -> None:
    server = make_server(2, max_worker_deaths=1)
    neighbour = held_up(server, gate)
    job = server.submit(what, (ledger,), timeout=SHORT)
    worker = int(ledger.await_one("holds "))
    behind = [server.submit(noted, (ledger, f"job {n}")) for n in range(20)]
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)
    assert [other.result(PATIENCE) for other in behind] == [f"job {n}" for n in range(20)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(20))
    eventually(lambda: not psutil.pid_exists(worker), "the worker has gone")
    assert neighbour.running()
    gate.open()
    assert neighbour.result() != worker
    assert neighbour.attempts == 1


def test_a_job_hears_of_its_timeout_and_clears_up(lone: pp.Server, ledger: Ledger) -> None:
    def tidy() -> None:
        try:
            ledger.note("holds")
            time.sleep(1000)
        except Exception:
            ledger.note("taken for an error")
            raise
        except BaseException as error:
            ledger.note(type(error).__name__)
            raise
        finally:
            ledger.note("cleared up")

    job = lone.submit(tidy, timeout=SHORT)
    assert isinstance(job.exception(), pp.JobTimeout)
    assert ledger.words() == ["holds", "JobInterrupted", "cleared up"]


def says_and_sleeps(ledger: Ledger) -> None:
    """Prints, and does not end."""
    print("so far")
    print("and no further", file=sys.stderr)
    ledger.note("begun")
    try:
        time.sleep(PATIENCE)
    finally:
        print("torn off")


def test_what_was_printed_before_the_end_is_kept(lone: pp.Server, ledger: Ledger) -> None:
    cancelled = lone.submit(says_and_sleeps, (ledger,))
    ledger.await_words("begun")
    assert cancelled.cancel()
    late = lone.submit(says_and_sleeps, (ledger,), timeout=1)
    assert isinstance(caught_from(late), pp.JobTimeout)
    for job in (late, cancelled):
        assert job.stdout == "so far\ntorn off\n"
        assert job.stderr == "and no further\n"
    assert (late.state, cancelled.state) == ("failed", "cancelled")


def test_one_that_swallows_its_timeout_has_timed_out(lone: pp.Server, ledger: Ledger) -> None:
    def stubborn() -> str:
        try:
            time.sleep(1000)
        except BaseException:
            ledger.note("swallowed")
        return "as if nothing were"

    job = lone.submit(stubborn, timeout=SHORT)
    error = job.exception()
    assert ledger.words() == ["swallowed"]
    assert error is None or isinstance(error, pp.JobTimeout)
    assert lone.submit(jobs.echo, (1,)).result() == 1


def test_waiting_is_no_running(lone: pp.Server, gate: Gate, ledger: Ledger) -> None:
    """Not in the queue, not at the worker behind another, not for other jobs."""
    # Sent ahead by the dozen, as quick ones are.
    for job in [lone.submit(noted, (ledger, "before")) for _ in range(300)]:
        job.result()
    held = held_up(lone, gate)
    waiting = [lone.submit(noted, (ledger, f"job {n}"), timeout=SHORT) for n in range(50)]
    waiting += [lone.submit(noted, (ledger, "after"), timeout=SHORT, after=held)]
    started = time.monotonic()
    eventually(lambda: time.monotonic() > started + 3 * SHORT, "time passes")
    assert {job.state for job in waiting} == {"queued"}
    gate.open()
    for job in waiting:
        assert job.exception() is None
        assert job.attempts == 1


def test_many_short_ones_never_time_out(lone: pp.Server, ledger: Ledger) -> None:
    """Together they take longer than each may."""
    submitted = [lone.submit(time.sleep, (0.005,), timeout=1) for _ in range(500)]
    assert [job.exception() for job in submitted] == [None] * 500


def test_quick_ones_never_time_out_beside_slow_ones(server: pp.Server) -> None:
    dice = random.Random(7)
    slow, quick = [], []
    for _ in range(100):
        slow.append(server.submit(time.sleep, (0.02,)))
        quick += [server.submit(jobs.echo, (n,), timeout=1.5) for n in range(dice.randint(0, 20))]
    assert [job.exception() for job in (*quick, *slow)] == [None] * (len(quick) + 100)


def test_a_timed_out_job_in_a_crowd(server: pp.Server, ledger: Ledger) -> None:
    """Each second one takes too long; no other is touched."""
    submitted = [
        server.submit(time.sleep, (1000,), timeout=0.05)
        if number % 5 == 0
        else server.submit(noted, (ledger, f"job {number}"), timeout=20)
        for number in range(100)
    ]
    for number, job in enumerate(submitted):
        error = job.exception()
        if number % 5 == 0:
            assert isinstance(error, pp.JobTimeout), job
        else:
            assert error is None, job
            assert ledger.count(f"job {number}") == 1


def test_results_that_come_with_the_timeout_count_or_not(server: pp.Server) -> None:
    """The end and the limit come at once; whatever wins, it is one or the other."""
    submitted = [server.submit(time.sleep, (0.02,), timeout=0.02) for _ in range(150)]
    behind = server.submit(jobs.echo, (1,))
    errors = [job.exception() for job in submitted]
    assert all(error is None or isinstance(error, pp.JobTimeout) for error in errors)
    assert behind.result() == 1


def test_cancelling_one_that_times_out(lone: pp.Server, ledger: Ledger) -> None:
    job = lone.submit(sleep, (ledger,), timeout=20)
    ledger.await_words("holds")
    assert job.cancel()
    with pytest.raises(pp.JobCancelled):
        job.result()
    assert lone.submit(jobs.echo, (1,)).result() == 1


def test_timeouts_are_retried_if_asked(lone: pp.Server, ledger: Ledger) -> None:
    warm(lone)
    options: dict[str, Any] = {"timeout": SHORT, "backoff": 0.01}
    job = lone.submit(slow_first, (ledger, 2), retries=2, **options)
    assert (job.result(), job.attempts) == (3, 3)
    for retry_on in (pp.JobTimeout, TimeoutError, pp.PPError, (OSError, ValueError)):
        Path(ledger.path).unlink()
        job = lone.submit(slow_first, (ledger, 2), retries=2, retry_on=retry_on, **options)
        assert (job.result(), job.attempts) == (3, 3), retry_on


def test_timeouts_that_are_not_to_be_retried(lone: pp.Server, ledger: Ledger) -> None:
    warm(lone)
    job = lone.submit(sleep, (ledger,), timeout=SHORT, retries=5, retry_on=ValueError)
    assert isinstance(job.exception(), pp.JobTimeout)
    assert (job.attempts, ledger.count("holds")) == (1, 1)


def test_timeouts_use_up_retries(lone: pp.Server, ledger: Ledger) -> None:
    warm(lone)
    job = lone.submit(sleep, (ledger,), timeout=SHORT, retries=2, backoff=0)
    assert isinstance(job.exception(), pp.JobTimeout)
    assert (job.attempts, ledger.count("holds")) == (3, 3)
    assert lone.submit(jobs.echo, (1,)).result() == 1


def test_a_retried_timeout_that_heeds_nothing(make_server: MakeServer, ledger: Ledger) -> None:
    """Killed workers are no deaths that the job is charged with."""
    server = make_server(1, max_worker_deaths=1)
    # A new worker has to import it anew.
    job = server.submit(heedless, (ledger,), timeout=2, retries=1, backoff=0)
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)
    assert len(ledger.after("holds ")) == 2
    assert server.submit(jobs.echo, (1,)).result() == 1
