"""`Executor.map`."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeGate, eventually


@pytest.mark.parametrize("options", [{}, {"chunksize": 7}, {"buffersize": 3}])
def test_it_is_the_builtin_map(executor: pp.Executor, options: dict[str, int]) -> None:
    assert list(executor.map(pow, range(50), range(50), **options)) == list(
        map(pow, range(50), range(50))
    )
    assert list(executor.map(jobs.add, "abc", "xyzw", **options)) == ["ax", "by", "cz"]
    assert list(executor.map(jobs.echo, [], **options)) == []
    assert list(executor.map(jobs.echo, **options)) == []
    both = executor.map(jobs.echo, range(20), chunksize=6, buffersize=2)
    assert list(both) == list(range(20))


@pytest.mark.parametrize("chunksize", [1, 3])
def test_what_a_call_raises_ends_it(executor: pp.Executor, chunksize: int) -> None:
    results = executor.map(divmod, [1, 1, 1, 1, 1], [2, 2, 2, 0, 2], chunksize=chunksize)
    assert [next(results) for _ in range(3)] == [(0, 1)] * 3
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_all_calls_are_submitted_at_once(lone: pp.Executor, gate: Gate) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    lone.submit(jobs.pass_gate, *gate.args())
    results = lone.map(jobs.echo, numbers())
    assert taken == list(range(20))
    gate.open()
    assert list(results) == taken


def test_with_a_buffer_few_are_submitted_ahead(executor: pp.Executor) -> None:
    source = itertools.count()
    results = executor.map(jobs.echo, source, buffersize=4)
    assert next(source) == 4
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    assert next(source) == 9


def test_the_time_counts_from_the_call(executor: pp.Executor, gate: Gate) -> None:
    held = gate.args("a"), gate.args("b"), gate.args("c")
    results = executor.map(jobs.pass_gate, *zip(*held, strict=True), timeout=0.05)
    with pytest.raises(TimeoutError):
        next(results)
    gate.open()
    assert list(executor.map(jobs.echo, range(5), timeout=30)) == list(range(5))


@pytest.mark.parametrize("how", ["close", "drop"])
def test_what_has_not_begun_is_cancelled_with_it(
    lone: pp.Executor, make_gate: MakeGate, how: str
) -> None:
    opened, held = make_gate(), make_gate()
    opened.open()
    gates = [opened.args()[0], *[held.args()[0]] * 5]
    results: Any = lone.map(jobs.pass_gate, gates, "abcdef")
    assert next(results)
    held.await_inside("b")
    if how == "close":
        results.close()
    else:
        del results
    held.open()
    assert lone.submit(jobs.echo, 1).result() == 1
    assert held.inside() == ["b"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"chunksize": 0}, ValueError),
        ({"chunksize": 1.5}, TypeError),
        ({"buffersize": 0}, ValueError),
        ({"buffersize": "2"}, TypeError),
    ],
)
def test_wrong_sizes_are_refused(
    executor: pp.Executor, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        executor.map(jobs.echo, [1], **options)


def test_an_iterable_that_raises_does_so_at_once(lone: pp.Executor, gate: Gate) -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    lone.submit(jobs.pass_gate, *gate.args())
    gate.await_inside("job")
    with pytest.raises(LookupError, match="no more"):
        lone.map(jobs.echo, numbers())
    eventually(lambda: len(lone._backlog._futures) == 1, "what was submitted is cancelled")
    gate.open()


def test_its_results_are_freed_as_they_are_taken(executor: pp.Executor) -> None:
    class Result:
        pass

    for result in executor.map(lambda _: Result(), range(3)):
        known = weakref.ref(result)
        del result
        eventually(lambda known=known: known() is None, "it is freed")  # type: ignore[misc]


def test_it_does_not_keep_the_executor() -> None:
    executor = pp.Executor(1)
    known = weakref.ref(executor)
    results = executor.map(jobs.echo, range(10), buffersize=2)
    assert next(results) == 0
    del executor
    assert known() is None
    # Those that were submitted are finished.
    assert list(results) == [1, 2]
