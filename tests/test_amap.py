"""`Server.amap`: results for `async for`, items from anywhere, and a loop that goes on."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

import pp
from tests import jobs
from tests.amap import Counted, arriving, collected, first_error, map_threads, run, within
from tests.support import Gate, formatted

T = TypeVar("T")

# Each run tries others; a failure tells which.
SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


MAKES: list[Callable[[Iterable[int]], Any]] = [
    list,
    iter,
    lambda items: (item for item in items),
    arriving,
    Counted,
]


@pytest.mark.parametrize("make", MAKES, ids=["list", "iterator", "generator", "async", "class"])
@pytest.mark.parametrize("count", [0, 1, 7, 3000])
def test_every_kind_of_iterable(
    shared: pp.Server, make: Callable[[Iterable[int]], Any], count: int
) -> None:
    async def main() -> None:
        results = shared.amap(abs, make(range(-count, 0)))
        assert await collected(results) == list(range(count, 0, -1))
        assert await collected(results) == [], "nothing comes after the end"

    run(main())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_random_maps(server: pp.Server, seed: int, ordered: bool) -> None:
    print("seed", seed)
    rng = random.Random(seed)

    async def main() -> None:
        for _ in range(8):
            count = rng.choice([0, 1, 5, 200, 3000])
            found = await collected(
                server.amap(
                    jobs.add,
                    rng.choice(MAKES)(range(count)),
                    rng.choice(MAKES)(range(100, 100 + count + rng.randrange(3))),
                    chunksize=rng.choice(["auto", 1, rng.randrange(1, 400)]),
                    ordered=ordered,
                    buffersize=rng.choice([None, 1, rng.randrange(1, 500)]),
                )
            )
            expected = list(range(100, 100 + 2 * count, 2))
            assert found == expected if ordered else Counter(found) == Counter(expected)

    run(main())


def test_several_iterables_end_with_the_shortest(shared: pp.Server) -> None:
    async def main() -> None:
        endless = Counted(itertools.count())
        assert await collected(shared.amap(pow, endless, [2, 2, 2])) == [0, 1, 4]
        assert await collected(shared.amap(pow, [2, 3], Counted(itertools.count()))) == [1, 3]
        twos = itertools.repeat(2)
        assert await collected(shared.amap(pow, arriving(range(5)), twos)) == [0, 1, 4, 9, 16]
        both = shared.amap(jobs.add, arriving(range(5)), arriving(range(3)))
        assert await collected(both) == [0, 2, 4]
        assert await collected(shared.amap(jobs.add, arriving([]), itertools.count())) == []

    run(main())


def test_a_hundred_thousand_items(server: pp.Server) -> None:
    async def main() -> None:
        before = server.get_stats()["local"].njobs
        total = 0
        async for number in server.amap(abs, range(-100_000, 0)):
            total += number
        assert total == 100_000 * 100_001 // 2
        assert server.get_stats()["local"].njobs - before < 1000
        before = server.get_stats()["local"].njobs
        assert sum(await collected(server.amap(abs, Counted(range(100_000))))) == 4999950000
        assert server.get_stats()["local"].njobs - before < 20_000

    run(main())


def test_the_loop_goes_on_while_results_are_awaited(server: pp.Server, gate: Gate) -> None:
    async def main() -> None:
        results = server.amap(jobs.pass_gate, [gate.args()[0]], ["it"])
        task = asyncio.create_task(collected(results))
        await within(lambda: gate.inside() == ["it"])
        # Whoever blocked the loop would never get here.
        gate.open()
        assert len(await task) == 1

    run(main())


def test_a_generator_that_blocks_does_not_block_the_loop(server: pp.Server) -> None:
    here = threading.Event()
    go_on = threading.Event()
    threads = set()

    def items() -> Iterator[int]:
        threads.add(threading.current_thread().name)
        yield 1
        here.set()
        assert go_on.wait(20)
        yield 2

    async def main() -> None:
        results = server.amap(jobs.echo, items(), chunksize=1)
        task = asyncio.create_task(collected(results))
        await within(here.is_set)
        go_on.set()
        assert await task == [1, 2]

    run(main())
    assert threads == {"pp-amap"}


def test_items_are_taken_on_the_loop(shared: pp.Server) -> None:
    async def main() -> None:
        source = Counted(range(100))
        assert await collected(shared.amap(jobs.echo, source)) == list(range(100))
        assert source.threads == {threading.get_ident()}

    run(main())


def test_generators_see_the_variables_of_the_task(shared: pp.Server) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    def items() -> Iterator[int]:
        yield variable.get()

    async def main() -> None:
        variable.set(7)
        assert await collected(shared.amap(jobs.echo, items())) == [7]
        assert await collected(shared.amap(jobs.echo, aitems())) == [7]

    async def aitems() -> AsyncIterator[int]:
        yield variable.get()

    run(main())


def test_nothing_is_taken_before_the_first_result_is_asked_for(shared: pp.Server) -> None:
    async def main() -> None:
        source = Counted(range(10))
        results = shared.amap(jobs.echo, source)
        await asyncio.sleep(0.01)
        assert source.taken == 0
        assert map_threads() == []
        assert await collected(results) == list(range(10))

    run(main())


def test_a_map_that_is_made_outside_of_the_loop(shared: pp.Server) -> None:
    results = shared.amap(jobs.echo, Counted(range(10)))
    assert run(collected(results)) == list(range(10))
    never_used = shared.amap(jobs.echo, Counted(range(10)))
    del never_used
    gc.collect()


@pytest.mark.parametrize("buffersize", [1, 2, 50])
@pytest.mark.parametrize("chunksize", [1, 5, "auto"])
def test_no_more_is_taken_than_the_buffer_holds(
    server: pp.Server, buffersize: int, chunksize: Any
) -> None:
    async def main() -> None:
        one, two = Counted(itertools.count()), Counted(itertools.count())
        results = server.amap(jobs.add, one, two, chunksize=chunksize, buffersize=buffersize)
        for number in range(300):
            assert await anext(results) == 2 * number
            assert max(one.taken, two.taken) <= number + 1 + buffersize
        await results.aclose()

    run(main())


@pytest.mark.parametrize("ordered", [True, False])
def test_endless_input(server: pp.Server, ordered: bool) -> None:
    async def main() -> None:
        source = Counted(itertools.count())
        results = server.amap(jobs.echo, source, chunksize=10, ordered=ordered)
        some = [await anext(results) for _ in range(1000)]
        assert some == list(range(1000)) if ordered else len(set(some)) == 1000
        # As of `map`, and what is handed over at once.
        assert source.taken <= 1000 + 1024 + 10 * (8192 if ordered else 4 * 6 + 1)
        await results.aclose()
        taken = source.taken
        await asyncio.sleep(0.01)
        assert source.taken == taken

    run(main())


@pytest.mark.parametrize("buffersize", [1, None])
def test_items_that_depend_on_results(server: pp.Server, buffersize: int | None) -> None:
    """Each is given only when the result of the one before it has been seen."""
    seen: list[int] = [1]
    news = asyncio.Event()

    async def follow() -> AsyncIterator[int]:
        while seen[-1] < 60:
            news.clear()
            yield seen[-1]
            await news.wait()

    async def main() -> None:
        async for number in server.amap(lambda n: n + 1, follow(), buffersize=buffersize):
            seen.append(number)
            news.set()

    run(main())
    assert seen == list(range(1, 61))


def test_an_item_that_comes_while_others_run(server: pp.Server, gate: Gate) -> None:
    """It is sent although nothing has ended meanwhile."""
    directory = gate.args()[0]

    async def names() -> AsyncIterator[str]:
        yield "first"
        await within(lambda: gate.inside() == ["first"])
        yield "second"
        await within(lambda: gate.inside() == ["first", "second"])
        gate.open()

    async def main() -> None:
        results = server.amap(jobs.pass_gate, itertools.repeat(directory), names())
        assert len(set(await collected(results))) == 2

    run(main())


def test_the_first_exception_is_raised_in_its_place(shared: pp.Server) -> None:
    def refuse(number: int) -> int:
        if number >= 37:
            raise ValueError(f"number {number}")
        return number

    async def main() -> None:
        for source in (range(200), arriving(itertools.count())):
            results = shared.amap(refuse, source, chunksize=4)
            found, error = await first_error(results)
            assert found == list(range(37))
            assert type(error) is ValueError
            assert error.args == ("number 37",)
            assert "Remote traceback" in formatted(error)
            assert await collected(results) == []

    run(main())


def test_exceptions_as_results(shared: pp.Server) -> None:
    async def main() -> None:
        results = shared.amap(divmod, [1, 2, 3], [1, 0, 1], return_exceptions=True)
        kept = await collected(results)
        assert [type(result) for result in kept] == [tuple, ZeroDivisionError, tuple]

    run(main())


def stop(kind: type[Exception]) -> None:
    """Raises what ends iterations."""
    raise kind


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_what_ends_iterations_is_no_end(shared: pp.Server, kind: type[Exception]) -> None:
    async def main() -> None:
        _, error = await first_error(shared.amap(stop, [kind]))
        assert type(error) is RuntimeError
        assert kind.__name__ in str(error)

    run(main())


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("chunksize", [1, 3, "auto"])
def test_an_error_of_the_input_comes_after_earlier_results(
    server: pp.Server, chunksize: Any, is_async: bool
) -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise OSError("no more")

    async def main() -> None:
        source: Any = arriving(items()) if is_async else items()
        for other in ([], [itertools.repeat(0)], [Counted(itertools.count())]):
            results = server.amap(lambda number, *_: number, source, *other, chunksize=chunksize)
            found, error = await first_error(results)
            assert found == list(range(10))
            assert type(error) is OSError
            assert await collected(results) == []
            source = arriving(items()) if is_async else items()

    run(main())


def test_timeouts_end_nothing(lone: pp.Server, gate: Gate) -> None:
    async def main() -> None:
        directory = gate.args()[0]
        results = lone.amap(
            jobs.pass_gate, [directory] * 3, ["a", "b", "c"], chunksize=1, timeout=0.01
        )
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError, match=r"amap\(\) had no result within 0.01 s"):
                await anext(results)
        gate.open()
        found: list[int] = []
        while len(found) < 3:
            with suppress(TimeoutError):
                found.append(await anext(results))
        with pytest.raises(StopAsyncIteration):
            await anext(results)

    run(main())


def test_a_timeout_while_the_input_gives_nothing(shared: pp.Server) -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def items() -> AsyncIterator[int]:
            await go_on.wait()
            yield 5

        results = shared.amap(jobs.echo, items(), timeout=0.01)
        with pytest.raises(TimeoutError):
            await anext(results)
        go_on.set()
        while True:
            with suppress(TimeoutError):
                assert await anext(results) == 5
                break
        await results.aclose()

    run(main())
