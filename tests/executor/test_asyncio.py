"""An executor in asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest

import pp
from tests import jobs
from tests.support import Gate


def test_calls_run_in_it(executor: pp.Executor) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, jobs.add, number, 1) for number in range(50)]
        results: list[int] = await asyncio.gather(*calls)
        return results

    assert asyncio.run(main()) == list(range(1, 51))


def test_what_a_call_raises_is_raised(executor: pp.Executor) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(executor, jobs.fail, LookupError("gone"))

    with pytest.raises(LookupError, match="gone"):
        asyncio.run(main())


def test_a_timeout_cancels_what_waits_and_not_what_runs(lone: pp.Executor, gate: Gate) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        runs = lone.submit(jobs.pass_gate, *gate.args("runs"))
        await asyncio.to_thread(gate.await_inside, "runs")
        waits = lone.submit(jobs.pass_gate, *gate.args("waits"))
        for future in (runs, waits):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(future), 0.01)
        assert waits.cancelled()
        assert not runs.cancelled()
        gate.open()
        assert await loop.run_in_executor(lone, jobs.echo, 1) == 1

    asyncio.run(main())
    assert gate.inside() == ["runs"]


def test_results_come_while_the_loop_works(executor: pp.Executor, gate: Gate) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        held = loop.run_in_executor(executor, jobs.pass_gate, *gate.args())
        beats = 0
        while not gate.inside() or beats < 5:
            await asyncio.sleep(0.001)
            beats += 1
        assert not held.done()
        gate.open()
        await held
        return beats

    assert asyncio.run(main()) >= 5


def test_only_thread_pools_can_be_the_default(executor: pp.Executor) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(TypeError):
            loop.set_default_executor(executor)

    asyncio.run(main())
    assert not isinstance(executor, concurrent.futures.ThreadPoolExecutor)
