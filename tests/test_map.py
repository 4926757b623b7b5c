"""`Server.map`: what comes out, in which order, and how much is taken in."""

from __future__ import annotations

import gc
import itertools
import operator
import random
import threading
from collections import Counter, UserList, deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, define, eventually

# Each run tries others; a failure tells which.
SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


class Counted:
    """An iterator that knows how many items were taken from it."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self.taken = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        self.taken += 1
        return item


def test_results_in_order(shared: pp.Server) -> None:
    assert list(shared.map(operator.neg, range(1000))) == [-n for n in range(1000)]


@pytest.mark.parametrize(
    "make",
    [list, tuple, deque, dict.fromkeys, iter, UserList, lambda items: (x for x in items)],
    ids=["list", "tuple", "deque", "dict", "iterator", "UserList", "generator"],
)
@pytest.mark.parametrize("count", [0, 1, 2, 7, 5000])
def test_every_kind_of_iterable(
    shared: pp.Server, make: Callable[[Iterable[int]], Iterable[int]], count: int
) -> None:
    assert list(shared.map(operator.neg, make(range(count)))) == [-n for n in range(count)]


@pytest.mark.parametrize(
    "numbers",
    [range(0), range(5, 5000, 7), range(1000, -1000, -3), range(2**70, 2**70 + 50), range(10**25)],
    ids=str,
)
def test_ranges(shared: pp.Server, numbers: range) -> None:
    found = list(itertools.islice(shared.map(operator.neg, numbers), 3000))
    assert found == [-n for n in itertools.islice(numbers, 3000)]


def test_items_of_any_kind(shared: pp.Server) -> None:
    items: list[Any] = [None, "text", b"bytes", [1, [2]], {"a": Fraction(1, 3)}, (1, 2, 3), 1.5]
    assert list(shared.map(jobs.echo, items)) == items
    assert list(shared.map(jobs.echo, iter(items), chunksize=3)) == items
    assert list(shared.map(jobs.echo, "text")) == list("text")


def test_tuples_are_items_and_no_ranges(shared: pp.Server) -> None:
    triples = [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    assert list(shared.map(jobs.echo, triples, chunksize=2)) == triples
    assert list(shared.map(jobs.echo, (1, 2, 3), chunksize=3)) == [1, 2, 3]
    assert list(shared.map(jobs.echo, iter([(1, 2, 3)]))) == [(1, 2, 3)]


@pytest.mark.parametrize("chunksize", [1, 3, 1000, "auto"])
def test_several_iterables_end_with_the_shortest(shared: pp.Server, chunksize: Any) -> None:
    expected = list(map(pow, range(2, 40), [2] * 30))
    options = {"chunksize": chunksize}
    assert list(shared.map(pow, range(2, 40), [2] * 30, **options)) == expected
    assert list(shared.map(pow, iter(range(2, 40)), [2] * 30, **options)) == expected
    assert list(shared.map(pow, range(2, 32), itertools.repeat(2), **options)) == expected
    assert list(shared.map(pow, [], itertools.count(), **options)) == []
    powers = shared.map(pow, range(9), (3,) * 9, itertools.repeat(5), **options)
    assert list(powers) == [pow(n, 3, 5) for n in range(9)]


def test_iterables_are_taken_from_as_by_the_builtin(shared: pp.Server) -> None:
    ours, theirs = Counted(range(9)), Counted(range(9))
    assert list(shared.map(jobs.add, ours, [1, 2])) == list(map(jobs.add, theirs, [1, 2]))
    assert ours.taken == theirs.taken


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_random_maps(server: pp.Server, seed: int, ordered: bool) -> None:
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(20):
        items = [rng.randrange(-1000, 1000) for _ in range(rng.choice([0, 1, 5, 200, 3000]))]
        source: Iterable[int] = rng.choice([items, tuple(items), iter(items)])
        found = server.map(
            operator.neg,
            source,
            chunksize=rng.choice(["auto", 1, rng.randrange(1, 400)]),
            ordered=ordered,
            buffersize=rng.choice([None, 1, rng.randrange(1, 500)]),
        )
        expected = [-item for item in items]
        assert list(found) == expected if ordered else Counter(found) == Counter(expected)


def test_any_callable(shared: pp.Server) -> None:
    factor = 3

    def times(number: int) -> int:
        return factor * number

    assert list(shared.map(times, range(5))) == [0, 3, 6, 9, 12]
    assert list(shared.map(lambda n: n + factor, [1, 2])) == [4, 5]
    assert list(shared.map("-".join, ["ab", "cd"])) == ["a-b", "c-d"]
    assert list(shared.map(str, range(3))) == ["0", "1", "2"]


def test_the_function_is_as_it_was_at_the_call(lone: pp.Server, gate: Gate) -> None:
    program = define(
        """
        LEVEL, seen = 1, []

        def level(number):
            seen.append(number)
            return LEVEL, len(seen)
        """
    )
    blocker = lone.submit(jobs.pass_gate, gate.args())
    mapped = lone.map(program["level"], range(50), chunksize=10)
    program["LEVEL"] = 2
    program["seen"].append("changed")
    gate.open()
    # Each job has the list as it was, and its ten items share it.
    assert list(mapped) == [(1, place) for place in range(1, 11)] * 5
    assert blocker()
    assert program["seen"] == ["changed"]
    assert next(iter(lone.map(program["level"], [0]))) == (2, 2)


def test_functions_and_items_of_the_main_program(run_script: RunScript) -> None:
    ran = run_script("""
        import pp

        class Point:
            def __init__(self, x):
                self.x = x

        def moved(point):
            return Point(point.x + STEP)

        STEP = 10
        with pp.Server(2) as server:
            points = list(server.map(moved, map(Point, range(300))))
        print(all(type(p) is Point for p in points), [p.x for p in points] == [*range(10, 310)])
    """)
    assert ran.out == "True True\n"


def test_as_completed(server: pp.Server, gate: Gate) -> None:
    def wait_first(number: int, gate: tuple[str, str]) -> int:
        if number == 0:
            jobs.pass_gate(*gate)
        return number

    found = server.map(wait_first, range(50), [gate.args()] * 50, ordered=False, chunksize=1)
    rest = [next(found) for _ in range(49)]
    assert sorted(rest) == list(range(1, 50))
    gate.open()
    assert list(found) == [0]


def test_workers_go_on_behind_an_item_that_takes_long(server: pp.Server, gate: Gate) -> None:
    def wait_first(number: int) -> int:
        if number == 0:
            jobs.pass_gate(*args)
        return number

    args = gate.args()
    taken = Counted(range(400))
    found = server.map(wait_first, taken, chunksize=1, timeout=0.01)
    gate_open = threading.Event()

    def first() -> int:
        while True:
            try:
                return next(found)
            except TimeoutError:
                if taken.taken == 400 and not gate_open.is_set():
                    gate_open.set()
                    gate.open()

    assert first() == 0
    assert gate_open.is_set(), "all others were taken meanwhile"
    assert [first() for _ in range(399)] == list(range(1, 400))


@pytest.mark.parametrize("buffersize", [1, 2, 7, 100])
@pytest.mark.parametrize("chunksize", [1, 5, "auto"])
def test_no_more_is_taken_than_the_buffer_holds(
    server: pp.Server, buffersize: int, chunksize: Any
) -> None:
    source = Counted(itertools.count())
    found = server.map(operator.neg, source, chunksize=chunksize, buffersize=buffersize)
    assert source.taken == 0
    for number in range(500):
        assert next(found) == -number
        assert source.taken <= number + 1 + buffersize
    found.close()


def test_nothing_is_taken_before_the_first_result_is_asked_for(shared: pp.Server) -> None:
    source = Counted(range(10))
    found = shared.map(operator.neg, source)
    assert source.taken == 0
    assert list(found) == [-n for n in range(10)]


@pytest.mark.parametrize("ordered", [True, False])
def test_endless_input(server: pp.Server, ordered: bool) -> None:
    source = Counted(itertools.count())
    found = server.map(jobs.echo, source, chunksize=10, ordered=ordered)
    some = list(itertools.islice(found, 2000))
    assert some == list(range(2000)) if ordered else len(set(some)) == 2000
    # Three jobs for each worker, and thrice as many that are ready; in order, more as long
    # as one that comes first is late.
    assert source.taken <= 2000 + 10 * (8192 if ordered else 4 * 6 + 1)
    taken = source.taken
    # Nobody takes anything while nobody asks.
    gc.collect()
    assert source.taken == taken
    found.close()


def test_a_generator_may_wait_for_results(server: pp.Server) -> None:
    """What it gives depends on results that it has to see first."""
    results: deque[int] = deque([1])

    def follow() -> Iterator[int]:
        while results[-1] < 200:
            yield results[-1]

    for number in server.map(lambda n: n + 1, follow(), buffersize=1):
        results.append(number)
    assert list(results) == list(range(1, 201))


def test_what_is_ready_is_not_held_up_by_a_generator_that_waits(server: pp.Server) -> None:
    seen: list[int] = []
    arrived = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        # It takes long; what was given so far ends meanwhile.
        eventually(lambda: server.get_stats()["local"].njobs >= 3)
        yield 3
        # All three have to have been handed out before this is asked for.
        arrived.set()
        # The one after them may have ended, too, by now.
        assert seen[:3] == [0, 1, 2], seen
        yield 4

    for number in server.map(jobs.echo, items(), chunksize=1):
        seen.append(number)
    assert seen == [0, 1, 2, 3, 4]
    assert arrived.is_set()


def test_the_classes_of_numbers_that_chunks_are_cut_by(make_server: MakeServer) -> None:
    """Items that take long are sent one by one, short ones many at a time."""
    server = make_server(1)

    def jobs_for(function: Callable[[int], int], count: int) -> int:
        before = server.get_stats()["local"].njobs
        assert list(server.map(function, range(count))) == list(range(count))
        return server.get_stats()["local"].njobs - before

    def slow(number: int) -> int:
        import time

        time.sleep(0.01)
        return number

    assert jobs_for(slow, 30) == 30
    assert jobs_for(jobs.echo, 100_000) < 1000
    assert jobs_for(jobs.echo, 0) == 0


def test_items_that_turn_out_long_are_given_back(make_server: MakeServer) -> None:
    """A large chunk whose items become slow does not keep what others could run."""
    server = make_server(2)

    def slow_at_last(number: int) -> int:
        import time

        if number >= 20_000:
            time.sleep(0.02)
        return number

    def workers(number: int) -> tuple[int, int]:
        return slow_at_last(number), jobs.pid()

    found = list(server.map(workers, range(20_080)))
    assert [number for number, _ in found] == list(range(20_080))
    shares = Counter(worker for _, worker in found[20_000:])
    assert len(shares) == 2
    assert min(shares.values()) >= 20, shares


def test_numbers_of_jobs_and_output(server: pp.Server, capsys: pytest.CaptureFixture[str]) -> None:
    """What items print appears once, in order."""
    lines = [f"line {number}" for number in range(500)]
    assert list(server.map(jobs.say, lines, chunksize=7)) == [1] * 500
    printed = capsys.readouterr().out.splitlines()
    assert printed == lines


def test_types() -> None:
    """Checked by mypy: the results have the type that the function returns."""

    def check(server: pp.Server) -> None:
        numbers: Iterator[int] = server.map(len, ["a"])
        texts: Iterator[str] = server.map(lambda a, b: f"{a}{b}", [1], ["b"])
        either: Iterator[int | BaseException] = server.map(len, ["a"], return_exceptions=True)
        many: Iterator[float] = server.map(max, [1.0], [2.0], [3.0], [4.0], [5.0], [6.0])
        del numbers, texts, either, many

    assert callable(check)
