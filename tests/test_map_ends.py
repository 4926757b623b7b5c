"""`Server.map`: ends that come early, waits, and threads."""

from __future__ import annotations

import gc
import itertools
import math
import os
import random
import signal
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeGate, MakeServer, eventually

SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


def note(number: int, directory: str) -> int:
    """Notes that it ran, and waits for the gate."""
    jobs.pass_gate(directory, str(number))
    return number


def started(gate: Gate) -> set[int]:
    """The items of `note` that have begun."""
    return {int(name) for name in gate.inside()}


@pytest.mark.parametrize("how", ["close", "drop", "break"])
def test_what_has_not_begun_is_dropped(lone: pp.Server, gate: Gate, how: str) -> None:
    directory = gate.args()[0]
    found: Any = lone.map(note, range(100), [directory] * 100, chunksize=1, timeout=0.0)
    with pytest.raises(TimeoutError):
        next(found)
    eventually(lambda: started(gate) == {0})
    if how == "close":
        found.close()
        found.close()
        assert list(found) == []
    elif how == "drop":
        del found
    else:
        with suppress(TimeoutError):
            for _ in found:
                break
        found = None
    gc.collect()
    gate.open()
    lone.wait()
    assert started(gate) == {0}, "only the one that had begun has run"
    assert lone.submit(jobs.echo, (1,))() == 1


def test_a_loop_that_is_left(server: pp.Server) -> None:
    for number in server.map(jobs.echo, itertools.count()):
        if number == 1000:
            break
    gc.collect()
    server.wait()
    assert server.submit(jobs.echo, (1,))() == 1


def test_close_before_the_first_result(shared: pp.Server) -> None:
    found = shared.map(jobs.echo, range(3))
    found.close()
    assert list(found) == []


@pytest.mark.parametrize("count", [1, 3])
def test_close_wakes_who_waits(lone: pp.Server, gate: Gate, count: int) -> None:
    found = lone.map(note, range(count), [gate.args()[0]] * count, chunksize=1)
    rest: list[int] = []
    waiter = threading.Thread(target=lambda: rest.extend(found))
    waiter.start()
    eventually(lambda: started(gate) == {0})
    found.close()
    waiter.join(20)
    assert not waiter.is_alive()
    assert rest == []
    gate.open()


def test_an_error_drops_what_follows(lone: pp.Server, gate: Gate) -> None:
    def fail_or_note(number: int, directory: str) -> int:
        if number == 1:
            raise ValueError(number)
        return note(number, directory)

    found = lone.map(fail_or_note, itertools.count(), itertools.repeat(gate.args()[0]), chunksize=1)
    gate.open()
    assert next(found) == 0
    with pytest.raises(ValueError, match="1"):
        next(found)
    lone.wait()
    ran = started(gate)
    assert ran <= {0, 2, 3}, ran
    assert lone.submit(jobs.echo, (1,))() == 1
    assert started(gate) == ran


def test_nothing_is_kept_alive(shared: pp.Server) -> None:
    class Thing:
        pass

    thing = Thing()
    refs = [weakref.ref(thing)]

    def items(held: Thing) -> Iterator[int]:
        yield from range(10)
        del held

    found = shared.map(jobs.echo, items(thing))
    del thing
    assert next(found) == 0
    found.close()
    gc.collect()
    assert refs[0]() is None


def test_a_map_within_a_cycle_is_collected(lone: pp.Server, gate: Gate) -> None:
    class Holder:
        pass

    holder: Any = Holder()
    holder.found = lone.map(note, range(9), [gate.args()[0]] * 9, chunksize=1, timeout=0)
    holder.itself = holder
    with pytest.raises(TimeoutError):
        next(holder.found)
    eventually(lambda: started(gate) == {0})
    del holder
    gc.collect()
    gate.open()
    lone.wait()
    assert started(gate) == {0}


def test_timeout(lone: pp.Server, gate: Gate) -> None:
    found = lone.map(note, range(3), [gate.args()[0]] * 3, chunksize=1, timeout=0.05)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"no result within 0\.05 s"):
            next(found)
    gate.open()
    results: list[int] = []
    while len(results) < 3:
        try:
            results.append(next(found))
        except TimeoutError:
            continue
    assert results == [0, 1, 2]
    assert list(found) == []


@pytest.mark.parametrize("timeout", [1000, math.inf, 10**300, None])
def test_long_timeouts(shared: pp.Server, timeout: float | None) -> None:
    assert list(shared.map(jobs.echo, range(100), timeout=timeout)) == list(range(100))


@pytest.mark.parametrize("ordered", [True, False])
def test_two_maps_at_once(server: pp.Server, ordered: bool) -> None:
    one = server.map(jobs.echo, range(3000), ordered=ordered)
    two = server.map(str, range(3000), ordered=ordered)
    pairs = list(zip(one, two, strict=True))
    assert sorted(a for a, _ in pairs) == list(range(3000))
    assert sorted(int(b) for _, b in pairs) == list(range(3000))


@pytest.mark.parametrize("seed", SEEDS)
def test_one_map_for_many_threads(server: pp.Server, seed: int) -> None:
    print("seed", seed)
    size = random.Random(seed).randrange(1, 50)
    found = server.map(jobs.echo, (n for n in range(20_000)), chunksize=size)
    with ThreadPoolExecutor(4) as threads:
        shares = list(threads.map(lambda _: list(found), range(4)))
    assert sorted(itertools.chain(*shares)) == list(range(20_000))


def test_maps_of_many_threads(server: pp.Server) -> None:
    def use(number: int) -> bool:
        expected = list(range(number, 2000 + number))
        return list(server.map(jobs.add, range(2000), [number] * 2000)) == expected

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(use, range(12)))


def test_a_map_in_a_callback(server: pp.Server) -> None:
    sums: list[int] = []
    for number in range(5):
        server.submit(
            jobs.echo,
            (number,),
            callback=lambda n: sums.append(sum(server.map(jobs.echo, range(n + 1)))),
        )
    server.wait()
    assert sorted(sums) == [0, 1, 3, 6, 10]


def test_a_map_whose_input_is_a_map(server: pp.Server) -> None:
    inner = server.map(jobs.echo, range(3000))
    outer = server.map(jobs.add, inner, itertools.repeat(1))
    assert list(outer) == list(range(1, 3001))


def test_a_map_in_a_job(lone: pp.Server) -> None:
    def inside(number: int) -> list[int]:
        with pp.Server(1) as server:
            return list(server.map(abs, range(-number, 0)))

    assert list(lone.map(inside, [2, 3])) == [[2, 1], [3, 2, 1]]


def test_asking_a_map_for_results_within_its_own_input(shared: pp.Server) -> None:
    def items() -> Iterator[int]:
        yield next(found)

    found = shared.map(jobs.echo, items())
    with pytest.raises(ValueError, match="by the same thread"):
        next(found)


def test_more_workers_meanwhile(make_server: MakeServer, make_gate: MakeGate) -> None:
    server = make_server(0)
    gate = make_gate()
    directory = gate.args()[0]
    found = server.map(note, range(40), [directory] * 40, chunksize=1, timeout=0.05)
    with pytest.raises(TimeoutError):
        next(found)
    assert started(gate) == set()
    server.set_ncpus(1)
    eventually(lambda: len(started(gate)) == 1)
    server.set_ncpus(3)
    with pytest.raises(TimeoutError):
        next(found)
    eventually(lambda: len(started(gate)) == 3)
    gate.open()
    results: list[int] = []
    while len(results) < 40:
        try:
            results.append(next(found))
        except TimeoutError:
            continue
        server.set_ncpus(len(results) % 3)
        server.set_ncpus(1 + len(results) % 2)
    assert results == list(range(40))


@pytest.mark.parametrize("options", [{"restart": True}, {"max_jobs_per_worker": 3}])
def test_workers_that_are_renewed(make_server: MakeServer, options: dict[str, Any]) -> None:
    server = make_server(2, **options)
    found = list(server.map(jobs.pid, range(12), chunksize=1))
    assert len(set(found)) >= (12 if "restart" in options else 4)
    assert list(server.map(jobs.echo, range(5000), chunksize=500)) == list(range(5000))


@pytest.mark.parametrize("proto", [0, 2, 4])
def test_other_pickle_protocols(make_server: MakeServer, proto: int) -> None:
    server = make_server(1, proto=proto)
    assert list(server.map(jobs.echo, range(300))) == list(range(300))
    assert list(server.map(jobs.echo, [{1}, [2], b"3"], chunksize=3)) == [{1}, [2], b"3"]


def consume(results: Iterator[int], errors: list[BaseException]) -> None:
    """Notes that its server was destroyed."""
    try:
        list(results)
    except pp.DestroyedServerError as error:
        errors.append(error)


def test_a_server_that_is_destroyed(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    directory = gate.args()[0]
    for ordered in (True, False):
        found = server.map(jobs.echo, itertools.count(), ordered=ordered)
        assert next(found) == 0
        blocked = server.map(note, range(9), [directory] * 9, chunksize=1, return_exceptions=True)
        errors: list[BaseException] = []
        waiter = threading.Thread(target=consume, args=(blocked, errors))
        waiter.start()
        eventually(lambda: 0 in started(gate))
        server.destroy()
        waiter.join(20)
        assert [type(error) for error in errors] == [pp.DestroyedServerError]
        with pytest.raises(pp.DestroyedServerError):
            for _ in found:
                pass
        assert list(found) == []
        server = make_server(1)
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        server.map(jobs.echo, [1])


def test_a_server_that_only_its_map_refers_to(lone: pp.Server) -> None:
    found = pp.Server(1).map(jobs.echo, range(1000))
    gc.collect()
    assert list(found) == list(range(1000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_map_in_a_forked_child(lone: pp.Server) -> None:
    found = lone.map(jobs.echo, range(10_000), chunksize=1)
    assert next(found) == 0
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            next(found)
        except pp.PPError:
            found.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(found) == list(range(1, 10_000))
