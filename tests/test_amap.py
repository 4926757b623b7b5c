"""`Server.amap`: results for `async for`, items from anywhere, and a loop that goes on."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import os
import random
import signal
import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, eventually, formatted

T = TypeVar("T")

# Each run tries others; a failure tells which.
SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


def run(main: Awaitable[T]) -> T:
    """Runs it in a loop that warns of all that is not done right, and leaves no thread."""

    async def checked() -> T:
        result = await main
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    result = asyncio.run(checked(), debug=True)
    eventually(lambda: not map_threads(), "the map's thread ends")
    return result


def map_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pp-amap"]


async def arriving(items: Iterable[T]) -> AsyncIterator[T]:
    """Items, some at once, some after others on the loop had their turn."""
    for place, item in enumerate(items):
        if place % 7 == 3:
            await asyncio.sleep(0)
        yield item


async def collected(results: AsyncIterator[T]) -> list[T]:
    return [result async for result in results]


async def first_error(results: AsyncIterator[Any]) -> tuple[list[Any], BaseException]:
    """What comes before an error, and the error."""
    found = []
    try:
        async for result in results:
            found.append(result)
    except BaseException as error:
        return found, error
    raise AssertionError(f"nothing was raised after {found}")


async def within(condition: Callable[[], object]) -> None:
    """Waits, on the loop, until it is true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nothing tells when other processes have begun
            await asyncio.sleep(0.005)


class Counted:
    """An asynchronous iterator that knows how many items were taken from it."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self.taken = 0
        self.threads: set[int] = set()

    def __aiter__(self) -> Counted:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            self.taken += 1
            self.threads.add(threading.get_ident())
            return item
        raise StopAsyncIteration


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


WAYS = ["close", "drop", "break", "cancel", "timeout"]


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("how", WAYS)
def test_what_has_not_begun_is_dropped(
    lone: pp.Server, make_gate: Callable[[], Gate], how: str, is_async: bool
) -> None:
    """Whatever ends the map, only the item that had begun by then has run."""
    gate = make_gate()
    gate_of_first = make_gate()
    gate_of_first.open()
    first, others = gate_of_first.args()[0], gate.args()[0]

    async def main() -> None:
        places: Iterable[str] = itertools.chain([first], itertools.repeat(others))
        source: Any = Counted(places) if is_async else places
        results = lone.amap(jobs.pass_gate, source, map(str, itertools.count()), chunksize=1)
        assert await anext(results) > 0
        task = asyncio.create_task(collected(results))
        # It waits for the next result from here on.
        await asyncio.sleep(0)
        await within(lambda: gate.inside() == ["1"])
        if how == "cancel":
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        elif how == "timeout":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0.01)
        else:
            # Wakes whoever waits for a result.
            await results.aclose()
            assert await task == []
        if how in ("cancel", "timeout"):
            assert await collected(results) == [], "it has ended"
        await within(lambda: len(asyncio.all_tasks()) == 1)
        if is_async:
            taken = source.taken
            await asyncio.sleep(0.01)
            assert source.taken == taken

    async def dropped() -> None:
        results: Any = lone.amap(
            jobs.pass_gate,
            Counted(itertools.chain([first], itertools.repeat(others))),
            map(str, itertools.count()),
            chunksize=1,
        )
        if how == "drop":
            assert await anext(results) > 0
            del results
        else:
            async for _ in results:
                break
            results = None
        gc.collect()
        await within(lambda: len(asyncio.all_tasks()) == 1)

    run(dropped() if how in ("drop", "break") else main())
    gate.open()
    lone.wait()
    assert gate.inside() in ([], ["1"])
    assert lone.submit(jobs.echo, (1,))() == 1


def test_closing_runs_what_the_input_has_to_do_at_its_end(shared: pp.Server) -> None:
    done: list[str] = []

    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            done.append("input")

    async def main() -> None:
        results = shared.amap(jobs.echo, items())
        assert await anext(results) == 1
        await results.aclose()
        assert done == ["input"]
        await results.aclose()

    run(main())


def test_close_before_the_first_result(shared: pp.Server) -> None:
    async def main() -> None:
        source = Counted(range(3))
        results = shared.amap(jobs.echo, source)
        await results.aclose()
        assert await collected(results) == []
        assert source.taken == 0

    run(main())


def test_a_loop_that_ends_within_a_map(server: pp.Server) -> None:
    """The results are still referred to: nobody closes them, but the loop."""
    kept: list[Any] = []

    async def main() -> None:
        for source in (itertools.count(), arriving(itertools.count())):
            results = server.amap(jobs.echo, source)
            kept.append(results)
            assert await anext(results) == 0

    asyncio.run(main())
    eventually(lambda: not map_threads(), "the map's threads end with the loop")
    server.wait()
    assert server.submit(jobs.echo, (1,))() == 1
    for results in kept:
        # What was handed over before is there. Then comes the end.
        some = asyncio.run(collected(results))
        assert some == list(range(1, len(some) + 1))


def test_a_loop_that_is_closed_without_a_word(server: pp.Server) -> None:
    loop = asyncio.new_event_loop()
    results = server.amap(jobs.echo, Counted(itertools.count()), chunksize=1, buffersize=1)
    assert loop.run_until_complete(anext(results)) == 0
    pumps = asyncio.all_tasks(loop)
    assert len(pumps) == 1
    for pump in pumps:
        pump.cancel()
    loop.run_until_complete(asyncio.wait(pumps))
    loop.close()
    del results
    gc.collect()
    eventually(lambda: not map_threads(), "the thread ends")


def test_two_loops(server: pp.Server) -> None:
    kept: list[Any] = []

    async def begin() -> None:
        kept.append(server.amap(jobs.pass_gate, ["/"], ["nobody"], timeout=0))
        with pytest.raises(TimeoutError):
            await anext(kept[0])

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    other = asyncio.new_event_loop()
    with pytest.raises(RuntimeError, match="two event loops"):
        other.run_until_complete(anext(kept[0]))
    other.close()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_nothing_is_kept_alive(shared: pp.Server) -> None:
    class Thing:
        pass

    async def main() -> None:
        thing = Thing()
        ref = weakref.ref(thing)

        def items(held: Thing) -> Iterator[int]:
            yield from range(10)
            del held

        results = shared.amap(jobs.echo, items(thing))
        del thing
        assert await anext(results) == 0
        await results.aclose()
        await within(lambda: gc.collect() >= 0 and ref() is None)

    run(main())


def test_several_tasks_share_a_map(server: pp.Server) -> None:
    async def main() -> None:
        results = server.amap(jobs.echo, arriving(range(3000)), chunksize=10)
        shares = await asyncio.gather(*(collected(results) for _ in range(4)))
        assert sorted(itertools.chain(*shares)) == list(range(3000))

    run(main())


def test_several_maps_at_once(server: pp.Server) -> None:
    async def main() -> None:
        found = await asyncio.gather(
            *(collected(server.amap(jobs.add, range(500), [n] * 500)) for n in range(8))
        )
        assert found == [list(range(n, 500 + n)) for n in range(8)]

    run(main())


def test_a_map_whose_input_is_a_map(server: pp.Server) -> None:
    async def main() -> None:
        inner = server.amap(jobs.echo, range(2000))
        outer = server.amap(jobs.add, inner, itertools.repeat(1))
        assert await collected(outer) == list(range(1, 2001))
        # And one that blocks.
        outer = server.amap(jobs.add, server.map(jobs.echo, range(2000)), itertools.repeat(1))
        assert await collected(outer) == list(range(1, 2001))

    run(main())


def test_a_map_in_a_callback(server: pp.Server) -> None:
    sums: list[int] = []

    def use(number: int) -> None:
        sums.append(sum(asyncio.run(collected(server.amap(jobs.echo, range(number))))))

    for number in range(4):
        server.submit(jobs.echo, (number,), callback=use)
    server.wait()
    assert sorted(sums) == [0, 0, 1, 3]


@pytest.mark.parametrize("is_async", [True, False])
def test_workers_that_are_killed(make_server: MakeServer, is_async: bool) -> None:
    """No result is lost, and none comes twice."""
    seed = SEEDS[0]
    print("seed", seed)
    rng = random.Random(seed)
    server = make_server(2, max_worker_deaths=1000)

    async def main() -> None:
        source: Any = Counted(range(20_000)) if is_async else range(20_000)
        kills = sorted(rng.sample(range(10_000), 4))
        found: list[int] = []
        async for number in server.amap(jobs.echo, source, chunksize=50):
            found.append(number)
            if kills and len(found) > kills[0]:
                kills.pop(0)
                with suppress(ProcessLookupError, IndexError):
                    os.kill(rng.choice(server._engine.worker_pids()), signal.SIGKILL)
        assert not kills
        assert found == list(range(20_000))

    run(main())


@pytest.mark.parametrize("is_async", [True, False])
def test_a_server_that_is_destroyed(make_server: MakeServer, gate: Gate, is_async: bool) -> None:
    server = make_server(1)

    async def main() -> None:
        names: Any = map(str, itertools.count())
        places = itertools.repeat(gate.args()[0])
        results = server.amap(
            jobs.pass_gate, places, Counted(names) if is_async else names, chunksize=1
        )
        task = asyncio.create_task(first_error(results))
        await within(lambda: gate.inside() == ["0"])
        await asyncio.to_thread(server.destroy)
        found, error = await task
        assert found == []
        assert type(error) is pp.DestroyedServerError
        assert await collected(results) == []
        with pytest.raises(pp.DestroyedServerError):
            server.amap(jobs.echo, [1])

    run(main())


def test_a_server_that_is_destroyed_while_the_input_gives_nothing(
    make_server: MakeServer,
) -> None:
    server = make_server(1)

    async def main() -> None:
        waits = asyncio.Event()
        go_on = asyncio.Event()

        async def items() -> AsyncIterator[int]:
            waits.set()
            await go_on.wait()
            yield 1

        task = asyncio.create_task(first_error(server.amap(jobs.echo, items())))
        await waits.wait()
        server.destroy()
        go_on.set()
        assert type((await task)[1]) is pp.DestroyedServerError

    run(main())


def test_what_items_print(shared: pp.Server, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"line {number}" for number in range(50)]
    assert run(collected(shared.amap(jobs.say, lines, chunksize=7))) == [1] * 50
    assert capsys.readouterr().out.splitlines() == lines


def test_the_end_of_the_program_within_a_map(run_script: RunScript) -> None:
    """Neither the loop nor a generator that blocks for ever is waited for."""
    ran = run_script("""
        import asyncio, threading
        import pp

        def items():
            yield 1
            yield 2
            threading.Event().wait()

        async def main():
            async for number in server.amap(abs, items(), chunksize=1, buffersize=1):
                print(number, flush=True)
                if number == 2:
                    return

        server = pp.Server(1)
        asyncio.run(main())
        kept = server.amap(abs, items(), chunksize=1, buffersize=1)
        loop = asyncio.new_event_loop()
        print(loop.run_until_complete(anext(kept)))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    """)
    assert ran.out == "1\n2\n1\n"


WRONG: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda s: s.amap(3, [1]), TypeError, "func must be callable, not 'int'"),
    (lambda s: s.amap(len), TypeError, r"amap\(\) needs at least one iterable"),
    (lambda s: s.amap(len, 3), TypeError, r"argument 2 of amap\(\) must be iterable"),
    (lambda s: s.amap(len, arriving([]), 3), TypeError, r"argument 3 of amap\(\) must be"),
    (lambda s: s.amap(len, [], buffersize=0), ValueError, "buffersize must be at least 1"),
    (lambda s: s.amap(len, [], progress=3), TypeError, "progress must be a bool"),
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
        numbers: AsyncIterator[int] = server.amap(len, ["a"])
        arrived: AsyncIterator[int] = server.amap(len, arriving(["a"]))
        texts: AsyncIterator[str] = server.amap(lambda a, b: f"{a}{b}", [1], arriving(["b"]))
        either: AsyncIterator[int | BaseException] = server.amap(len, ["a"], return_exceptions=True)
        del numbers, arrived, texts, either

    assert callable(check)
