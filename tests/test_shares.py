"""Which job begins next: priorities, and what groups get."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest

import pp
from tests import jobs
from tests.failures.ledger import PATIENCE, Ledger
from tests.support import Gate, MakeServer, caught_from, held_up, warm
from tests.terms import (
    OwnError,
    crowd,
    lasting,
    noted,
    sleep,
    turn,
)

pytestmark = pytest.mark.timeout(60)

# Priorities


def test_the_most_urgent_begin_first(lone: pp.Server, gate: Gate) -> None:
    held_up(lone, gate)
    # Few enough that one of them at the most is due because it has waited longest.
    priorities = [7, 0, 5, -5, 2**31 - 1, 1, -(2**31) + 1, 3]
    submitted = [lone.submit(turn, priority=priority) for priority in priorities]
    plain = [lone.submit(turn) for _ in range(2)]
    gate.open()
    turns = {job.result(): rank for job, rank in zip(submitted, priorities, strict=True)}
    assert plain[0].result() < plain[1].result(), "equal ones in their order"
    turns |= {job.result(): 0 for job in plain}
    ranks = [turns[place] for place in range(10)]
    left, aged = sorted(turns.values()), []
    for rank in ranks:
        if rank != left[-1]:
            aged.append(rank)
        left.remove(rank)
    assert len(aged) <= 1, ranks


def test_many_priorities(lone: pp.Server, gate: Gate, ledger: Ledger) -> None:
    """All but one start in 16 go to the most urgent."""
    held_up(lone, gate)
    dice = random.Random(3)
    priorities = list(range(160))
    dice.shuffle(priorities)
    for priority in priorities:
        lone.submit(noted, (ledger, str(priority)), priority=priority)
    gate.open()
    lone.wait()
    began = list(map(int, ledger.words()))
    assert sorted(began) == list(range(160))
    left, aged = sorted(priorities), 0
    for priority in began:
        aged += priority != left[-1]
        left.remove(priority)
    # A few more may have been sent ahead.
    assert aged <= 160 / 16 + 4, began


def test_an_urgent_one_passes_by_all_but_those_sent_ahead(lone: pp.Server, gate: Gate) -> None:
    for job in [lone.submit(turn) for _ in range(500)]:
        job.result()
    held_up(lone, gate)
    later = [lone.submit(turn) for _ in range(5000)]
    urgent = lone.submit(turn, priority=1)
    gate.open()
    assert urgent.result() < 500 + 1000, "it need not wait for all"
    assert sorted(job.result() for job in (*later, urgent)) == list(range(500, 5501))


def test_none_waits_for_ever(lone: pp.Server) -> None:
    """While more urgent ones keep coming."""
    stream = [lone.submit(lasting, ("urgent", 0.001), priority=9) for _ in range(40)]
    low = lone.submit(lasting, ("low", 0.001), priority=-9)
    for _ in range(3000):
        if low.done():
            break
        stream.append(lone.submit(lasting, ("urgent", 0.001), priority=9))
        stream.pop(0).result()
    assert low.done(), "it starved"
    assert low.result()[0] < 1000


def test_dependants_keep_their_priority(lone: pp.Server, gate: Gate, ledger: Ledger) -> None:
    held = held_up(lone, gate)
    for number in range(5):
        lone.submit(noted, (ledger, f"later {number}"))
    lone.submit(noted, (ledger, "urgent"), after=held, priority=1)
    gate.open()
    lone.wait()
    assert ledger.words().index("urgent") <= 2, ledger.words()


# Shares


def words_in_turn(submitted: list[pp.Job[tuple[int, str]]]) -> list[str]:
    """The words of `lasting`, in the order in which they began."""
    return [word for _, word in sorted(job.result() for job in submitted)]


def test_weights_are_kept_to(lone: pp.Server, gate: Gate) -> None:
    warm(lone)
    lone.set_group("heavy", weight=3)
    lone.set_group("light", weight=1)
    held_up(lone, gate)
    submitted = [
        lone.submit(lasting, (group, 0.003), group=group)
        for group in ("light", "heavy")
        for _ in range(300)
    ]
    gate.open()
    words = words_in_turn(submitted)
    counts = Counter(words[:200])
    assert 120 <= counts["heavy"] <= 175, counts
    assert Counter(words) == {"heavy": 300, "light": 300}


def test_longer_jobs_are_fewer(lone: pp.Server, gate: Gate) -> None:
    """Time is what is shared, not the number of jobs."""
    warm(lone)
    for group in ("short", "long"):
        lone.set_group(group)
    held_up(lone, gate)
    submitted = []
    for _ in range(200):
        submitted.append(lone.submit(lasting, ("short", 0.003), group="short"))
        submitted.append(lone.submit(lasting, ("long", 0.012), group="long"))
    gate.open()
    counts = Counter(words_in_turn(submitted)[:200])
    assert counts["long"] <= 75, counts


def test_groups_that_were_not_set_are_one_share(lone: pp.Server, gate: Gate) -> None:
    warm(lone)
    lone.set_group("set", weight=1)
    held_up(lone, gate)
    submitted = [
        lone.submit(lasting, ("other", 0.003), group=f"group {number % 4}") for number in range(400)
    ]
    submitted += [lone.submit(lasting, ("set", 0.003), group="set") for _ in range(100)]
    gate.open()
    counts = Counter(words_in_turn(submitted)[:150])
    assert 50 <= counts["set"] <= 100, counts


def most_at_once(ledger: Ledger) -> int:
    """How many jobs were between "in" and "out" at a time, at the most."""
    steps = {"in": 1, "out": -1}
    return max(itertools.accumulate(steps.get(word, 0) for word in ledger.words()))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_limits_are_kept_to(limit: int, make_server: MakeServer, ledger: Ledger) -> None:
    server = make_server(4)
    server.set_group("few", limit=limit)
    # So quick at first that they are sent ahead.
    warm = [server.submit(crowd, (ledger, 0.0), group="few") for _ in range(100)]
    submitted = [server.submit(crowd, (ledger, 0.01), group="few") for _ in range(60)]
    for job in (*warm, *submitted):
        job.result()
    assert ledger.count("in") == 160
    assert most_at_once(ledger) <= limit
    if limit > 1:
        assert most_at_once(ledger) > 1, "so many may be"


def test_limits_are_kept_to_however_jobs_end(make_server: MakeServer, ledger: Ledger) -> None:
    server = make_server(4, max_worker_deaths=1)
    server.set_group("few", limit=2)
    dice = random.Random(5)
    fates = [dice.choice(["well", "raises", "dies", "retried"]) for _ in range(60)]
    submitted = []
    for fate in fates:
        options: dict[str, Any] = {"retries": 1, "backoff": 0.01} if fate == "retried" else {}
        what = "raises" if fate == "retried" else fate
        submitted.append(server.submit(crowd, (ledger, 0.002, what), group="few", **options))
    kinds = {"well": type(None), "raises": OwnError, "retried": OwnError, "dies": pp.WorkerDied}
    for fate, job in zip(fates, submitted, strict=True):
        assert type(job.exception()) is kinds[fate]
    assert most_at_once(ledger) <= 2
    assert server.submit(jobs.echo, (1,), group="few").result() == 1


def test_limits_are_given_back_by_cancelled_and_timed_out_jobs(
    make_server: MakeServer, ledger: Ledger
) -> None:
    server = make_server(2)
    server.set_group("one", limit=1)
    first = server.submit(sleep, (ledger,), group="one")
    second = server.submit(sleep, (ledger,), group="one", timeout=0.1)
    third = server.submit(sleep, (ledger,), group="one", retries=1, timeout=0.1, backoff=20)
    last = server.submit(jobs.echo, (1,), group="one")
    ledger.await_words("holds")
    assert first.cancel()
    assert last.result(PATIENCE) == 1, "one that pauses takes no place"
    assert first.cancelled()
    assert isinstance(second.exception(), pp.JobTimeout)
    assert third.state == "queued"
    assert third.cancel()


def test_a_limit_of_none_holds_up_and_is_raised(server: pp.Server) -> None:
    server.set_group("held", limit=0)
    held = [server.submit(jobs.echo, (n,), group="held") for n in range(20)]
    others = [server.submit(jobs.echo, (n,)) for n in range(500)]
    last = server.submit(jobs.echo, (held[0],), group="another")
    assert [job.result() for job in others] == list(range(500))
    assert {job.state for job in (*held, last)} == {"queued"}
    server.set_group("held", limit=1)
    assert [job.result() for job in held] == list(range(20))
    assert last.result() == 0
    server.set_group("held", limit=0)
    again = server.submit(jobs.echo, (1,), group="held")
    assert server.submit(jobs.echo, (1,)).result() == 1
    assert again.state == "queued"
    server.set_group("held")
    assert again.result() == 1


def test_a_held_group_can_be_cancelled_and_destroyed(make_server: MakeServer) -> None:
    server = make_server(1)
    server.set_group("held", limit=0)
    held = [server.submit(jobs.echo, (n,), group="held") for n in range(20)]
    assert server.cancel("held") == 20
    assert all(job.cancelled() for job in held)
    held = [server.submit(jobs.echo, (n,), group="held") for n in range(20)]
    server.destroy()
    assert all(isinstance(caught_from(job), pp.DestroyedServerError) for job in held)


def test_chains_within_a_limited_group(server: pp.Server) -> None:
    """Those that wait for others take no place."""
    server.set_group("one", limit=1)
    job = server.submit(jobs.echo, (0,), group="one")
    waiting = [job]
    for _ in range(300):
        waiting.append(server.submit(jobs.add, (waiting[-1], 1), group="one"))
    assert waiting[-1].result() == 300


def test_lowering_a_limit_holds_up_the_next(
    make_server: MakeServer, gate: Gate, ledger: Ledger
) -> None:
    server = make_server(3)
    server.set_group("few", limit=2)
    first = [server.submit(jobs.pass_gate, gate.args(f"job{n}"), group="few") for n in range(2)]
    gate.await_inside("job0", "job1")
    waiting = [server.submit(crowd, (ledger,), group="few") for _ in range(20)]
    server.set_group("few", limit=1)
    gate.open()
    for job in (*first, *waiting):
        job.result()
    assert most_at_once(ledger) == 1


def test_a_share_counts_from_the_next_job_on(server: pp.Server, make_server: MakeServer) -> None:
    server = make_server(0)
    before = [server.submit(jobs.echo, (n,), group="late") for n in range(10)]
    server.set_group("late", limit=0)
    behind = [server.submit(jobs.echo, (n,), group="late") for n in range(10)]
    server.set_ncpus(1)
    assert [job.result() for job in before] == list(range(10))
    assert {job.state for job in behind} == {"queued"}
    server.set_group("late", limit=None)
    assert [job.result() for job in behind] == list(range(10))


def test_set_groups_are_remembered_among_thousands(lone: pp.Server) -> None:
    lone.set_group("held", limit=0)
    for number in range(3000):
        lone.submit(jobs.echo, (number,), group=f"group {number}")
    lone.wait("group 2999")
    held = lone.submit(jobs.echo, (1,), group="held")
    assert lone.submit(jobs.echo, (1,)).result() == 1
    assert held.state == "queued"
    held.cancel()


def test_maps_keep_to_limits_of_nobody(server: pp.Server) -> None:
    """A map goes on while a group is held up."""
    server.set_group("held", limit=0)
    held = server.submit(jobs.echo, (1,), group="held")
    assert list(server.map(jobs.echo, range(1000))) == list(range(1000))
    assert held.state == "queued"
    server.set_group("held")
    assert held.result() == 1
