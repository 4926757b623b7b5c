"""`Server.map`: what items, the input and the arguments may get wrong."""

from __future__ import annotations

import itertools
import math
import random
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import MakeServer, first_error, formatted

SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


class RefusedError(Exception):
    """Something of the test's own."""


def refuse(number: int, bad: frozenset[int]) -> int:
    """Raises for bad numbers."""
    if number in bad:
        raise RefusedError(f"number {number}")
    return number


@pytest.mark.parametrize("chunksize", [1, 4, 1000, "auto"])
def test_the_first_exception_is_raised_in_its_place(shared: pp.Server, chunksize: Any) -> None:
    bad = itertools.repeat(frozenset({37, 38, 90}))
    results = shared.map(refuse, range(200), bad, chunksize=chunksize)
    found, error = first_error(results)
    assert found == list(range(37))
    assert type(error) is RefusedError
    assert error.args == ("number 37",)
    assert re.search(r"Remote traceback.*\n.*\n.*in refuse", formatted(error))
    assert "run_chunk" not in "".join(error.__notes__)
    assert list(results) == [], "nothing comes after it"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_exceptions_as_results(server: pp.Server, seed: int, ordered: bool) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    bad = frozenset(rng.sample(range(400), 60))
    results = server.map(
        refuse,
        range(400),
        [bad] * 400,
        chunksize=rng.choice(["auto", 1, 13, 400]),
        ordered=ordered,
        return_exceptions=True,
    )
    told = [str(r) if isinstance(r, RefusedError) else r for r in results]
    expected = [f"number {n}" if n in bad else n for n in range(400)]
    assert told == expected if ordered else sorted(told, key=str) == sorted(expected, key=str)


def test_unordered_errors(server: pp.Server) -> None:
    found, error = first_error(
        server.map(refuse, range(100), [frozenset({50})] * 100, ordered=False, chunksize=5)
    )
    assert type(error) is RefusedError
    assert set(found) <= set(range(100)) - {50}
    assert {n for n in found if 50 <= n < 55} == set()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_exceptions_of_any_kind(lone: pp.Server, kind: type[BaseException]) -> None:
    before = lone.submit(jobs.pid)()
    found = list(lone.map(jobs.fail, [kind("it")] * 3, return_exceptions=True, chunksize=2))
    assert [type(error) for error in found] == [kind] * 3
    assert lone.submit(jobs.pid)() == before, "the worker lives"


def stop_at_two(number: int) -> int:
    """Raises what ends iterations."""
    if number == 2:
        raise StopIteration(number)
    return number


def test_stop_iteration_of_an_item_loses_nothing(shared: pp.Server) -> None:
    found, error = first_error(shared.map(stop_at_two, range(10), chunksize=5))
    assert found == [0, 1]
    assert type(error) is RuntimeError
    assert "StopIteration" in str(error)
    kept = list(shared.map(stop_at_two, range(10), chunksize=5, return_exceptions=True))
    assert [type(result) for result in kept] == [int, int, RuntimeError] + [int] * 7


def test_printed_errors(make_server: MakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server = make_server(1, errors="print")
    found = list(server.map(refuse, range(6), [frozenset({1, 4})] * 6, chunksize=3))
    assert found == [0, None, 2, 3, None, 5]
    printed = capsys.readouterr().out
    assert printed.count("An error has occurred during the function execution\n") == 2
    assert printed.index("number 1") < printed.index("number 4")


@pytest.mark.parametrize("chunksize", [1, 3, "auto"])
def test_an_error_of_the_input_comes_after_earlier_results(
    server: pp.Server, chunksize: Any
) -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise RefusedError("no more")

    results = server.map(jobs.echo, items(), chunksize=chunksize)
    found, error = first_error(results)
    assert found == list(range(10))
    assert type(error) is RefusedError
    assert list(results) == []
    # It is not an item's.
    kept = server.map(jobs.echo, items(), chunksize=chunksize, return_exceptions=True)
    assert first_error(kept)[0] == list(range(10))


def test_an_item_that_cannot_be_serialized(shared: pp.Server) -> None:
    items = [*range(20), threading.Lock(), *range(5)]
    for chunksize in (1, 7, 100):
        found, error = first_error(shared.map(jobs.echo, items, chunksize=chunksize))
        assert found == list(range(20))
        assert type(error) is pp.SerializationError
        assert str(error).startswith("item 20 of map(): cannot serialize argument 1 of 'echo'")
        assert "_thread.lock" in str(error)
    kept = list(shared.map(jobs.echo, iter(items), chunksize=9, return_exceptions=True))
    assert [n for n in kept if isinstance(n, int)] == [*range(20), *range(5)]
    assert type(kept[20]) is pp.SerializationError


def opened_at(number: int, bad: frozenset[int]) -> Any:
    """Returns what cannot be sent for bad numbers."""
    return threading.Lock() if number in bad else number


def test_a_result_that_cannot_be_serialized(shared: pp.Server) -> None:
    bad = [frozenset({11, 13, 29})] * 30
    for chunksize in (1, 5, 100):
        found, error = first_error(shared.map(opened_at, range(30), bad, chunksize=chunksize))
        assert found == list(range(11))
        assert type(error) is pp.SerializationError
        assert "item 11 of map(): cannot serialize the result" in str(error)
        assert "_thread.lock" in str(error)
    kept = list(shared.map(opened_at, range(30), bad, chunksize=8, return_exceptions=True))
    assert [type(kept[place]) for place in (11, 13, 29)] == [pp.SerializationError] * 3
    assert [n for n in kept if isinstance(n, int)] == [n for n in range(30) if n not in bad[0]]


def mixed(number: int) -> Any:
    """Returns, raises, or returns what cannot be sent."""
    if number % 3 == 1:
        raise RefusedError(number)
    return threading.Lock() if number % 3 == 2 else number


def test_failures_of_both_kinds_in_one_chunk(shared: pp.Server) -> None:
    kept = list(shared.map(mixed, range(9), chunksize=9, return_exceptions=True))
    assert [type(result) for result in kept] == [int, RefusedError, pp.SerializationError] * 3


class Unreadable:
    """Can be pickled, and not unpickled where it arrives."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __reduce__(self) -> tuple[Any, ...]:
        return read_elsewhere, (self.where,)


def read_elsewhere(where: str) -> str:
    """Reads what `Unreadable` has written, unless it is not to."""
    import os

    if ("PP_WORKER_MARK" in os.environ) == (where == "worker"):
        raise RefusedError(f"not in a {where}")
    return where


def test_an_item_that_the_worker_cannot_read(shared: pp.Server) -> None:
    items = [*range(5), Unreadable("worker"), *range(5)]
    for chunksize in (1, 4, 20):
        found, error = first_error(shared.map(jobs.echo, items, chunksize=chunksize))
        assert found == list(range(5))
        assert type(error) is RefusedError
    kept = list(shared.map(jobs.echo, items, chunksize=4, return_exceptions=True))
    assert [type(result) for result in kept] == [int] * 5 + [RefusedError] + [int] * 5


def test_a_result_that_cannot_be_read(shared: pp.Server) -> None:
    found, error = first_error(
        shared.map(lambda n: Unreadable("client") if n == 3 else n, range(6), chunksize=1)
    )
    assert found == [0, 1, 2]
    assert type(error) is pp.SerializationError
    assert type(error.__cause__) is RefusedError


def test_a_function_that_cannot_be_serialized(shared: pp.Server) -> None:
    lock = threading.Lock()
    with pytest.raises(pp.SerializationError, match="cannot serialize function"):
        shared.map(lambda n: (n, lock), range(3))


def test_a_function_that_cannot_be_loaded(shared: pp.Server) -> None:
    marker = Unreadable("worker")
    results = shared.map(lambda n: (n, marker), range(100))
    found, error = first_error(results)
    assert found == []
    assert type(error) is RefusedError


WRONG: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda s: s.map(3, [1]), TypeError, "func must be callable, not 'int'"),
    (lambda s: s.map(len), TypeError, "at least one iterable"),
    (lambda s: s.map(len, 3), TypeError, r"argument 2 of map\(\) must be iterable, not 'int'"),
    (lambda s: s.map(pow, [1], None), TypeError, r"argument 3 of map\(\) must be iterable"),
    (lambda s: s.map(len, [], chunksize=0), ValueError, "chunksize must be at least 1, not 0"),
    (lambda s: s.map(len, [], chunksize="all"), TypeError, "an int or \"auto\", not 'all'"),
    (lambda s: s.map(len, [], chunksize=1.5), TypeError, "chunksize must be an int"),
    (lambda s: s.map(len, [], chunksize=None), TypeError, "chunksize must be an int"),
    (lambda s: s.map(len, [], buffersize=0), ValueError, "buffersize must be at least 1"),
    (lambda s: s.map(len, [], buffersize="9"), TypeError, "buffersize must be an int or None"),
    (lambda s: s.map(len, [], timeout=-1), ValueError, "timeout must not be less than 0"),
    (lambda s: s.map(len, [], timeout=math.nan), ValueError, "timeout must not be less than 0"),
    (lambda s: s.map(len, [], timeout="1"), TypeError, "timeout must be a number or None"),
    (lambda s: s.map(len, [], size=1), TypeError, "size"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_wrong_arguments(
    shared: pp.Server, call: Callable[[pp.Server], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call(shared)


def test_an_iterable_whose_iter_raises(shared: pp.Server) -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise TypeError("its own")

    with pytest.raises(TypeError, match=r"^its own$"):
        shared.map(len, Broken())


def test_open_files_are_named(shared: pp.Server) -> None:
    with open(__file__) as file:
        _, error = first_error(shared.map(jobs.echo, [1, file]))
    assert "item 1 of map()" in str(error)
