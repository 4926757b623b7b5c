"""`Server.amap`: how it ends, by whomever, and what is left then."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import signal
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

import pp
from tests import jobs
from tests.amap import Counted, arriving, collected, first_error, map_threads, run, within
from tests.support import Gate, MakeServer, RunScript, eventually

T = TypeVar("T")

# Each run tries others; a failure tells which.
SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(3)]


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
