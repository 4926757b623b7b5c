"""`Server.starmap`: each item is an iterable of arguments."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, eventually, first_error, formatted

# Each run tries others; a failure tells which.
SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


def sum_of(*numbers: int) -> int:
    """Any number of arguments."""
    return sum(numbers)


@pytest.mark.parametrize(
    "make",
    [list, tuple, deque, iter, dict.fromkeys, lambda rows: (row for row in rows)],
    ids=["list", "tuple", "deque", "iterator", "dict", "generator"],
)
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_as_the_one_of_itertools(
    shared: pp.Server, make: Callable[[Any], Iterable[tuple[int, int]]], count: int
) -> None:
    rows = [(number, 2) for number in range(count)]
    assert list(shared.starmap(pow, make(rows))) == list(itertools.starmap(pow, rows))


@pytest.mark.parametrize("chunksize", [1, 4, "auto"])
def test_rows_of_every_kind(shared: pp.Server, chunksize: Any) -> None:
    def rows() -> Iterator[Iterable[int]]:
        yield ()
        yield (1,)
        yield [1, 2]
        yield range(5)
        yield iter([7, 8])
        yield (number for number in (1, 1))
        yield {3: "three", 4: "four"}
        yield b"ab"

    found = shared.starmap(sum_of, rows(), chunksize=chunksize)
    assert list(found) == list(itertools.starmap(sum_of, rows()))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_random_rows(server: pp.Server, seed: int, ordered: bool) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(10):
        count = rng.choice([0, 1, 7, 2000])
        rows: list[Any] = [rng.choices(range(100), k=rng.randrange(4)) for _ in range(count)]
        rows = [tuple(row) if rng.random() < 0.5 else row for row in rows]
        source = rng.choice([rows, iter(rows), (iter(row) for row in rows)])
        found = server.starmap(
            sum_of,
            source,
            chunksize=rng.choice(["auto", 1, rng.randrange(1, 300)]),
            ordered=ordered,
            buffersize=rng.choice([None, 1, rng.randrange(1, 400)]),
        )
        expected = [sum(row) for row in rows]
        assert list(found) == expected if ordered else Counter(found) == Counter(expected)


@pytest.mark.parametrize("chunksize", [1, 3, "auto"])
def test_an_item_that_is_no_row(shared: pp.Server, chunksize: Any) -> None:
    rows: list[Any] = [(2, 3), (2, 4), 5, (2, 5), None, iter((2, 6))]
    found, error = first_error(shared.starmap(pow, rows, chunksize=chunksize))
    assert found == [8, 16]
    assert type(error) is TypeError
    assert str(error) == "item 2 of starmap() must be an iterable of arguments, not 'int': 5"
    rows[-1] = iter((2, 6))
    kept = list(shared.starmap(pow, rows, chunksize=chunksize, return_exceptions=True))
    assert [type(result) for result in kept] == [int, int, TypeError, int, TypeError, int]
    assert "item 4 of starmap() must be an iterable of arguments, not 'NoneType'" in str(kept[4])
    assert kept[5] == 64


def test_numbers_are_no_rows(shared: pp.Server) -> None:
    numbers: Any = range(3)
    found, error = first_error(shared.starmap(abs, numbers))
    assert found == []
    assert "item 0 of starmap() must be an iterable of arguments, not 'int': 0" in str(error)


def test_a_row_of_the_wrong_length(shared: pp.Server) -> None:
    found, error = first_error(shared.starmap(jobs.add, [(1, 2), (1, 2, 3), (3, 4)]))
    assert found == [3]
    assert type(error) is TypeError
    assert "positional arguments" in str(error)


@pytest.mark.parametrize("chunksize", [1, 5, "auto"])
def test_a_row_that_raises_ends_the_input(shared: pp.Server, chunksize: Any) -> None:
    def row(number: int) -> Iterator[int]:
        yield number
        if number == 7:
            raise OSError("no argument")

    rows = (row(number) for number in itertools.count())
    found, error = first_error(shared.starmap(jobs.echo, rows, chunksize=chunksize))
    assert found == list(range(7))
    assert type(error) is OSError


def test_the_input_raises(shared: pp.Server) -> None:
    def rows() -> Iterator[tuple[int, int]]:
        yield 1, 2
        raise OSError("no more")

    found, error = first_error(shared.starmap(jobs.add, rows(), return_exceptions=True))
    assert found == [3]
    assert type(error) is OSError


def test_what_raises_is_raised_in_its_place(shared: pp.Server) -> None:
    results = shared.starmap(divmod, [(7, 2), (1, 0), (9, 4)])
    found, error = first_error(results)
    assert found == [(3, 1)]
    assert type(error) is ZeroDivisionError
    assert "Raised in worker process" in formatted(error)
    assert list(results) == []


def test_what_cannot_be_serialized_is_named(shared: pp.Server) -> None:
    rows = [(1,), (threading.Lock(),), (3,)]
    found, error = first_error(shared.starmap(jobs.echo, rows, chunksize=3))
    assert found == [1]
    assert str(error).startswith("item 1 of starmap(): cannot serialize argument 1 of 'echo'")
    _, error = first_error(shared.starmap(lambda n: threading.Lock(), [(1,)]))
    assert "item 0 of starmap(): cannot serialize the result" in str(error)


def test_rows_are_taken_as_they_are_needed(server: pp.Server) -> None:
    taken = []

    def rows() -> Iterator[Iterator[int]]:
        for number in itertools.count():
            taken.append(number)
            yield iter((number, 1))

    found = server.starmap(jobs.add, rows(), buffersize=5)
    assert taken == []
    for number in range(200):
        assert next(found) == number + 1
        assert len(taken) <= number + 1 + 5
    found.close()


def test_leaving_the_loop_drops_the_rest(lone: pp.Server, gate: Gate) -> None:
    directory = gate.args()[0]
    rows = ((directory, str(number)) for number in itertools.count())
    found: Any = lone.starmap(jobs.pass_gate, rows, chunksize=1, timeout=0.0)
    with pytest.raises(TimeoutError, match=r"starmap\(\) had no result within 0\.0 s"):
        next(found)
    gate.await_inside("0")
    del found
    gate.open()
    lone.wait()
    assert gate.inside() == ["0"]


def test_a_server_that_is_destroyed(make_server: MakeServer) -> None:
    server = make_server(1)
    found = server.starmap(jobs.add, zip(itertools.count(), itertools.count(), strict=False))
    assert next(found) == 0
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        for _ in found:
            pass
    with pytest.raises(pp.DestroyedServerError):
        server.starmap(jobs.add, [])


def test_a_worker_that_is_killed(make_server: MakeServer) -> None:
    def kill_at(number: int, killer: int) -> int:
        if number == killer:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        return number

    server = make_server(2, max_worker_deaths=1)
    rows = [(number, 11) for number in range(30)]
    kept = list(server.starmap(kill_at, rows, chunksize=10, return_exceptions=True))
    assert [n for n in kept if isinstance(n, int)] == [n for n in range(30) if n != 11]
    assert type(kept[11]) is pp.WorkerDied
    eventually(lambda: server.submit(jobs.echo, (1,))() == 1)


WRONG: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda s: s.starmap(3, [()]), TypeError, "func must be callable"),
    (lambda s: s.starmap(len), TypeError, "items"),
    (lambda s: s.starmap(len, [], []), TypeError, "positional"),
    (lambda s: s.starmap(len, 3), TypeError, r"argument 2 of starmap\(\) must be iterable"),
    (lambda s: s.starmap(len, [], chunksize=0), ValueError, "chunksize must be at least 1"),
    (lambda s: s.starmap(len, [], timeout=-1), ValueError, "timeout must not be less"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_arguments(
    shared: pp.Server, call: Callable[[pp.Server], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call(shared)


def test_types() -> None:
    """Checked by mypy: the results have the type that the function returns."""

    def check(server: pp.Server) -> None:
        numbers: Iterator[int] = server.starmap(ord, [("a",)])
        texts: Iterator[str] = server.starmap(lambda a, b: f"{a}{b}", zip([1], "b", strict=True))
        either: Iterator[int | BaseException] = server.starmap(
            ord, [("a",)], return_exceptions=True
        )
        del numbers, texts, either

    assert callable(check)
