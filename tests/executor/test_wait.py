"""`concurrent.futures.wait` and `as_completed` with futures of an executor."""

from __future__ import annotations

import weakref
from concurrent.futures import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeGate, eventually


def test_the_first_that_is_completed(executor: pp.Executor, gate: Gate) -> None:
    held = executor.submit(jobs.pass_gate, *gate.args())
    quick = executor.submit(jobs.echo, 1)
    done, not_done = wait([held, quick], return_when=FIRST_COMPLETED)
    assert (done, not_done) == ({quick}, {held})
    assert wait([held, quick], return_when=FIRST_COMPLETED) == ({quick}, {held})
    gate.open()


def test_the_first_exception(executor: pp.Executor, gate: Gate) -> None:
    held = executor.submit(jobs.pass_gate, *gate.args())
    fine = executor.submit(jobs.echo, 1)
    fails = executor.submit(jobs.fail, ValueError())
    done, not_done = wait([held, fine, fails], return_when=FIRST_EXCEPTION)
    assert fails in done
    assert not_done == {held}
    gate.open()
    assert wait([held, fine], return_when=FIRST_EXCEPTION) == ({held, fine}, set())


def test_all_of_them_however_they_end(lone: pp.Executor, gate: Gate) -> None:
    futures: list[Future[Any]] = [
        lone.submit(jobs.pass_gate, *gate.args()),
        lone.submit(jobs.fail, ValueError()),
        lone.submit(jobs.echo, 1),
    ]
    gate.await_inside("job")
    assert futures[2].cancel()
    assert wait(futures, timeout=0) == ({futures[2]}, set(futures[:2]))
    gate.open()
    assert wait(futures, return_when=ALL_COMPLETED) == (set(futures), set())


def test_a_cancel_is_an_end_for_those_who_wait(lone: pp.Executor, make_gate: MakeGate) -> None:
    gate = make_gate()
    lone.submit(jobs.pass_gate, *gate.args())
    gate.await_inside("job")
    waiting = [lone.submit(jobs.echo, number) for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        waiters: list[Future[Any]] = [
            threads.submit(wait, waiting, return_when=FIRST_COMPLETED),
            threads.submit(wait, waiting, return_when=FIRST_EXCEPTION),
            threads.submit(lambda: next(as_completed(waiting))),
        ]
        # They have begun to wait when the futures know of them.
        eventually(lambda: all(len(future._waiters) == 3 for future in waiting))
        assert waiting[1].cancel()
        assert waiters[0].result(30)[0] == {waiting[1]}
        assert waiters[2].result(30) is waiting[1]
        gate.open()
        # To be cancelled is no exception.
        assert waiters[1].result(30) == (set(waiting), set())


def test_they_come_as_they_are_completed(executor: pp.Executor, make_gate: MakeGate) -> None:
    gates = [make_gate(), make_gate()]
    futures = [executor.submit(jobs.pass_gate, *gate.args()) for gate in gates]
    completed = as_completed(futures)
    gates[1].open()
    assert next(completed) is futures[1]
    gates[0].open()
    assert next(completed) is futures[0]
    with pytest.raises(StopIteration):
        next(completed)


def test_each_comes_once_also_from_two_executors(executor: pp.Executor, lone: pp.Executor) -> None:
    futures: list[Future[Any]] = [executor.submit(jobs.echo, n) for n in range(50)]
    futures += [lone.submit(jobs.echo, n) for n in range(50)]
    futures += [executor.submit(jobs.fail, ValueError()) for _ in range(5)]
    with ThreadPoolExecutor(1) as threads:
        futures.append(threads.submit(jobs.echo, 1))
        assert sorted(map(id, as_completed(futures * 2))) == sorted(map(id, futures))


def test_the_time_may_be_over(executor: pp.Executor, gate: Gate) -> None:
    held: Future[Any] = executor.submit(jobs.pass_gate, *gate.args())
    quick = executor.submit(jobs.echo, 1)
    quick.result()
    wait([quick])
    completed = as_completed([held, quick], timeout=0)
    assert next(completed) is quick
    with pytest.raises(TimeoutError):
        next(completed)
    gate.open()


def test_a_future_is_freed_when_nobody_refers_to_it(executor: pp.Executor) -> None:
    futures = [executor.submit(jobs.echo, number) for number in range(10)]
    known = [weakref.ref(future) for future in futures]
    for future in as_completed(futures):
        futures.remove(future)
        future.result()
    del future
    eventually(lambda: not any(ref() for ref in known), "all are freed")
