"""`pp.wait` and `pp.as_completed`: waiting for several jobs, of any servers."""

from __future__ import annotations

import gc
import itertools
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeGate, MakeServer, eventually, held_up
from tests.test_threads import in_threads

WHEN = (pp.FIRST_COMPLETED, pp.FIRST_EXCEPTION, pp.ALL_COMPLETED)


# wait


def test_the_names_are_those_of_concurrent_futures() -> None:
    import concurrent.futures as theirs

    assert (theirs.FIRST_COMPLETED, theirs.FIRST_EXCEPTION, theirs.ALL_COMPLETED) == WHEN


def test_wait_for_all(server: pp.Server) -> None:
    submitted = [server.submit(jobs.echo, (n,)) for n in range(50)]
    done, not_done = pp.wait(submitted)
    assert (done, not_done) == (set(submitted), set())
    assert all(job.done() for job in submitted)
    waited = pp.wait(iter(submitted))
    assert waited.done == set(submitted)
    assert not waited.not_done


def test_wait_for_all_includes_those_that_failed(lone: pp.Server, gate: Gate) -> None:
    held_up(lone, gate)
    good, bad, cancelled = (
        lone.submit(jobs.echo, (1,)),
        lone.submit(jobs.fail, (LookupError(),)),
        lone.submit(jobs.echo, (2,)),
    )
    cancelled.cancel()
    gate.open()
    assert pp.wait([good, bad, cancelled], timeout=60) == ({good, bad, cancelled}, set())


def test_wait_for_the_first(server: pp.Server, make_gate: MakeGate) -> None:
    gates = [make_gate(), make_gate()]
    first, second = (held_up(server, gate) for gate in gates)
    threading.Timer(0.1, gates[1].open).start()
    done, not_done = pp.wait([first, second], return_when=pp.FIRST_COMPLETED)
    assert (done, not_done) == ({second}, {first})
    # One has ended: nothing is waited for.
    assert pp.wait([first, second], return_when=pp.FIRST_COMPLETED) == ({second}, {first})


@pytest.mark.parametrize("how", ["raised", "cancelled", "died", "destroyed", "unserializable"])
def test_wait_for_the_first_exception(how: str, make_server: MakeServer, gate: Gate) -> None:
    server, other = make_server(1, max_worker_deaths=1), make_server(1)
    good = other.submit(jobs.echo, (1,))
    waits = held_up(other, gate)
    job: pp.Job[Any]
    match how:
        case "raised":
            job = server.submit(jobs.fail, (LookupError(),))
        case "died":
            job = server.submit(os._exit, (1,))
        case "unserializable":
            job = server.submit(threading.Lock)
        case _:
            job = server.submit(time.sleep, (100,))
            end = job.cancel if how == "cancelled" else server.destroy
            threading.Timer(0.1, end).start()
    done, not_done = pp.wait([good, waits, job], 60, "FIRST_EXCEPTION")
    assert (done, not_done) == ({good, job}, {waits})
    assert pp.wait([waits, job], 60, "FIRST_EXCEPTION") == ({job}, {waits})


def test_without_an_exception_all_are_waited_for(server: pp.Server) -> None:
    submitted = [server.submit(jobs.echo, (n,)) for n in range(20)]
    assert pp.wait(submitted, return_when=pp.FIRST_EXCEPTION).done == set(submitted)


@pytest.mark.parametrize("when", WHEN)
def test_nothing_and_the_same(when: Any, server: pp.Server) -> None:
    assert pp.wait([], return_when=when) == (set(), set())
    assert pp.wait(iter(()), timeout=0, return_when=when) == (set(), set())
    job = server.submit(jobs.echo, (1,))
    assert pp.wait([job, job, job], return_when=when) == ({job}, set())
    assert pp.wait({job: 1}, return_when=when) == ({job}, set())


@pytest.mark.parametrize("timeout", [0, -1, -math.inf, 0.05, False])
@pytest.mark.parametrize("when", WHEN)
def test_wait_ends_with_the_time(when: Any, timeout: float, server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    ended = server.submit(jobs.echo, (1,))
    ended.wait()
    done, not_done = pp.wait([held], timeout, when)
    assert (done, not_done) == (set(), {held})
    assert pp.wait([held, ended], timeout, when) == ({ended}, {held})
    gate.open()
    assert pp.wait([held, ended], None, when).done >= {ended}


@pytest.mark.parametrize("timeout", [1e9, 1e18, 1e19, 1e300, math.inf])
def test_wait_for_ages(timeout: float, server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    threading.Timer(0.1, gate.open).start()
    assert pp.wait([held], timeout) == ({held}, set())
    again = server.submit(jobs.echo, (1,))
    assert list(pp.as_completed([again], timeout)) == [again]


def test_jobs_of_several_servers(make_server: MakeServer, gate: Gate) -> None:
    servers = [make_server(1) for _ in range(3)]
    held = held_up(servers[0], gate)
    others = [server.submit(jobs.echo, (n,)) for n, server in enumerate(servers[1:] * 5)]
    assert len({job.tid for job in others}) == 5, "numbers are each server's own"
    done, not_done = pp.wait([held, *others], timeout=1)
    assert (done, not_done) == (set(others), {held})
    assert set(itertools.islice(pp.as_completed([held, *others]), len(others))) == set(others)
    gate.open()
    assert pp.wait([held, *others]).done == {held, *others}


@pytest.mark.parametrize("function", [pp.wait, pp.as_completed])
def test_wrong_arguments(function: Callable[..., Any], shared: pp.Server) -> None:
    job = shared.submit(jobs.echo, (1,))
    for wrong in (None, 1, job, [1], ["job"], [job, None], [[job]], "jobs"):
        with pytest.raises(TypeError):
            function(wrong)
    with pytest.raises(TypeError, match="only jobs can be waited for, not 'int'"):
        function([1])
    job.wait()
    # Also where nothing is to be waited for.
    for jobs_ in ([job], []):
        with pytest.raises(ValueError, match="number of seconds"):
            function(jobs_, timeout=math.nan)
        for timeout in ("1", [], object()):
            with pytest.raises(TypeError):
                function(jobs_, timeout=timeout)


def test_wrong_words_for_when(shared: pp.Server) -> None:
    for wrong in ("first_completed", "", None, 1):
        with pytest.raises(ValueError, match="return_when must be one of FIRST_COMPLETED, "):
            pp.wait([], return_when=wrong)  # type: ignore[arg-type]


def test_an_interrupted_look_at_the_jobs_is_passed_on(shared: pp.Server) -> None:
    def broken() -> Iterator[pp.Job[int]]:
        yield shared.submit(jobs.echo, (1,))
        raise LookupError("no more")

    with pytest.raises(LookupError):
        pp.wait(broken())
    with pytest.raises(LookupError):
        pp.as_completed(broken())


def test_the_server_is_destroyed_meanwhile(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    submitted = [held_up(server, gate), *(server.submit(jobs.echo, (n,)) for n in range(100))]
    threading.Timer(0.1, server.destroy).start()
    assert pp.wait(submitted, 60) == (set(submitted), set())
    assert set(pp.as_completed(submitted, 60)) == set(submitted)
    assert all(isinstance(job.exception(), pp.DestroyedServerError) for job in submitted)


def test_many_threads_wait_for_the_same(server: pp.Server) -> None:
    submitted = [server.submit(time.sleep, (0.001,)) for _ in range(200)]

    def wait(index: int) -> bool:
        if index % 2:
            return set(pp.as_completed(submitted)) == set(submitted)
        return pp.wait(submitted).done == set(submitted)

    assert in_threads(8, wait) == [True] * 8


# as_completed


def test_they_come_as_they_end(server: pp.Server, make_gate: MakeGate) -> None:
    gates = [make_gate(), make_gate()]
    first, second = (held_up(server, gate) for gate in gates)
    ended = pp.as_completed([first, second], timeout=60)
    gates[1].open()
    assert next(ended) is second
    gates[0].open()
    assert next(ended) is first
    assert list(ended) == []


def test_those_that_have_ended_come_first(server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    others = [server.submit(jobs.echo, (n,)) for n in range(30)]
    pp.wait(others)
    ended = pp.as_completed([held, *others], timeout=60)
    assert set(itertools.islice(ended, 30)) == set(others)
    gate.open()
    assert list(ended) == [held]


def test_each_comes_once(server: pp.Server) -> None:
    submitted = [server.submit(time.sleep, (random.random() / 200,)) for _ in range(200)]
    assert len(list(pp.as_completed(submitted * 3))) == 200
    assert list(pp.as_completed([])) == []
    assert list(pp.as_completed([], timeout=0)) == []


def test_failures_come_as_well(server: pp.Server) -> None:
    submitted = [server.submit(jobs.fail, (LookupError(n),)) for n in range(5)]
    found = {str(job.exception()) for job in pp.as_completed(submitted)}
    assert found == {"0", "1", "2", "3", "4"}


@pytest.mark.parametrize("timeout", [0, -1, 0.1])
def test_as_completed_ends_with_the_time(timeout: float, server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    ended = server.submit(jobs.echo, (1,))
    ended.wait()
    found = pp.as_completed([held, ended], timeout)
    assert next(found) is ended
    with pytest.raises(TimeoutError, match="1 of 2 jobs have not ended within"):
        next(found)
    assert list(found) == []
    gate.open()
    assert held.result() > 0


def test_the_time_counts_from_the_call(server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    found = pp.as_completed([held], timeout=0.2)
    begin = time.monotonic()
    eventually(lambda: time.monotonic() > begin + 0.3)
    with pytest.raises(TimeoutError):
        next(found)


def test_who_breaks_off_leaves_nothing(server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    submitted = [held, *(server.submit(jobs.echo, (n,)) for n in range(10))]
    for _job in pp.as_completed(submitted):
        break
    gate.open()
    assert len(list(pp.as_completed(submitted))) == 11


def test_what_was_yielded_is_not_kept(make_server: MakeServer, make_gate: MakeGate) -> None:
    server, gates = make_server(3), [make_gate(), make_gate()]
    first, last = (held_up(server, gate) for gate in gates)
    early = [server.submit(jobs.echo, (n,)) for n in range(10)]
    pp.wait(early)
    found = pp.as_completed([first, last, *early])
    refs = [weakref.ref(job) for job in early]
    del early
    for _ in range(10):
        next(found)
    gc.collect()
    assert [ref() for ref in refs] == [None] * 10
    gone = weakref.ref(first)
    del first
    gates[0].open()
    next(found)
    waiting = threading.Thread(target=next, args=(found,))
    waiting.start()
    eventually(lambda: gone() is None, "it is let go while the next is waited for")
    gates[1].open()
    waiting.join()
    assert last.done()


def test_twenty_thousand_jobs(server: pp.Server) -> None:
    submitted = [server.submit(abs, (-n,)) for n in range(20_000)]
    total = 0
    for job in pp.as_completed(submitted, timeout=55):
        total += job.result()
    assert total == sum(range(20_000))
    assert pp.wait(submitted, timeout=0).done == set(submitted)


def test_one_after_another_of_many(server: pp.Server) -> None:
    """The usual loop, which looks at all that are left each time."""
    left = {server.submit(abs, (-n,)) for n in range(1000)}
    seen: set[int] = set()
    while left:
        done, left = pp.wait(left, 30, pp.FIRST_COMPLETED)
        assert done
        values = {job.result() for job in done}
        assert not values & seen
        seen |= values
    assert seen == set(range(1000))


def test_waiting_again_and_again_takes_no_memory(server: pp.Server, gate: Gate) -> None:
    held_up(server, gate, "a"), held_up(server, gate, "b")
    waiting = [server.submit(jobs.echo, (n,)) for n in range(1000)]
    pp.wait(waiting, 0)
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(2000):
        pp.wait(waiting, 0, pp.FIRST_COMPLETED)
    # Two million times something that stays would be sixteen million bytes at least.
    assert process.memory_info().rss - before < 8e6
    gate.open()
    assert len(pp.wait(waiting).done) == 1000
