"""`await job`: jobs in asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeGate, MakeServer, RunScript, eventually, held_up
from tests.test_threads import in_threads

T = TypeVar("T")


async def until_true(condition: Any) -> None:
    """Lets the loop go on until the condition is true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "never happened"
        await asyncio.sleep(0.002)


async def awaited(job: pp.Job[T]) -> T:
    """What the job gives."""
    return await job


def test_await_gives_the_result(server: pp.Server) -> None:
    async def main() -> Any:
        job = server.submit(jobs.echo, ([1, 2],))
        result = await job
        assert result is job.result()
        assert await job is result, "it may be awaited again"
        return result

    assert asyncio.run(main()) == [1, 2]


def test_await_raises_what_the_job_raised(server: pp.Server) -> None:
    async def main() -> None:
        with pytest.raises(LookupError, match="not here"):
            await server.submit(jobs.fail, (LookupError("not here"),))
        with pytest.raises(pp.SerializationError):
            await server.submit(threading.Lock)

    asyncio.run(main())


def test_await_raises_where_failures_are_printed(make_server: MakeServer) -> None:
    server = make_server(1, errors="print")

    async def main() -> None:
        with pytest.raises(LookupError):
            await server.submit(jobs.fail, (LookupError(),))

    asyncio.run(main())


def test_a_job_that_has_ended_is_awaited_without_a_turn_of_the_loop(server: pp.Server) -> None:
    job = server.submit(jobs.echo, (1,))
    job.wait()
    steps = awaited(job)
    with pytest.raises(StopIteration) as stop:
        steps.send(None)
    assert stop.value.value == 1


def test_the_loop_goes_on_meanwhile(server: pp.Server, gate: Gate) -> None:
    async def main() -> Any:
        job = asyncio.ensure_future(awaited(held_up(server, gate)))
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.001)
            turns += 1
            assert not job.done()
        gate.open()
        return int(await job)

    assert asyncio.run(main()) > 0


def test_gather_and_as_completed_of_asyncio(server: pp.Server) -> None:
    async def main() -> None:
        submitted = [server.submit(jobs.echo, (n,)) for n in range(50)]
        assert await asyncio.gather(*submitted) == list(range(50))
        submitted = [server.submit(jobs.echo, (n,)) for n in range(50)]
        found = [await next_one for next_one in asyncio.as_completed(map(awaited, submitted))]
        assert sorted(found) == list(range(50))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(awaited(server.submit(jobs.echo, (n,)))) for n in range(9)]
        assert [task.result() for task in tasks] == list(range(9))

    asyncio.run(main())


def test_a_thousand_at_once(server: pp.Server) -> None:
    async def main() -> None:
        submitted = [server.submit(jobs.add, (n, 1)) for n in range(1000)]
        assert await asyncio.gather(*map(awaited, submitted)) == list(range(1, 1001))

    asyncio.run(main())


def test_many_await_the_same(server: pp.Server, gate: Gate) -> None:
    async def main() -> None:
        job = held_up(server, gate)
        tasks = [asyncio.ensure_future(awaited(job)) for _ in range(50)]
        await asyncio.sleep(0)
        gate.open()
        assert len(set(await asyncio.gather(*tasks))) == 1

    asyncio.run(main())


# Cancelling


def test_the_job_of_a_cancelled_task_is_cancelled(server: pp.Server, gate: Gate) -> None:
    async def main() -> None:
        job = held_up(server, gate)
        task = asyncio.ensure_future(awaited(job))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        with pytest.raises(pp.JobCancelled):
            job.result(20)

    asyncio.run(main())


def test_a_queued_job_of_a_cancelled_task_never_runs(lone: pp.Server, make_gate: MakeGate) -> None:
    gate, never = make_gate(), make_gate()

    async def main() -> None:
        held_up(lone, gate)
        job = lone.submit(jobs.pass_gate, never.args())
        task = asyncio.ensure_future(awaited(job))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert job.cancelled()

    asyncio.run(main())
    gate.open()
    assert lone.submit(jobs.echo, (1,)).result() == 1
    assert not never.inside()


def test_wait_for_cancels_what_takes_too_long(server: pp.Server, gate: Gate) -> None:
    async def main() -> None:
        job = held_up(server, gate)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(awaited(job), 0.05)
        with pytest.raises(pp.JobCancelled):
            await job
        again = held_up(server, gate, "again")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await again
        with pytest.raises(pp.JobCancelled):
            await again
        assert await asyncio.wait_for(awaited(server.submit(jobs.echo, (1,))), 20) == 1

    asyncio.run(main())


def test_a_job_that_is_shielded_goes_on(server: pp.Server, gate: Gate) -> None:
    async def main() -> Any:
        job = held_up(server, gate)
        task = asyncio.ensure_future(awaited(job))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.05)
        assert job.running()
        gate.open()
        return int(await task)

    assert asyncio.run(main()) > 0


def test_a_task_that_has_its_result_cancels_nothing(server: pp.Server) -> None:
    """The cancel comes after the job's end, and before the task has run again."""

    async def main() -> None:
        job = server.submit(jobs.echo, (1,))
        task = asyncio.ensure_future(awaited(job))
        await asyncio.sleep(0)
        job.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert job.result() == 1
        assert not job.cancelled()

    asyncio.run(main())


def test_a_job_that_others_cancel_is_no_cancelled_task(server: pp.Server, gate: Gate) -> None:
    """`JobCancelled` is the job's, not asyncio's: the task goes on."""

    async def main() -> str:
        job = held_up(server, gate)
        task = asyncio.ensure_future(awaited(job))
        await asyncio.sleep(0)
        assert job.cancel()
        with pytest.raises(pp.JobCancelled) as caught:
            await task
        assert not isinstance(caught.value, asyncio.CancelledError)
        assert not task.cancelled()
        return "went on"

    assert asyncio.run(main()) == "went on"


def test_one_of_two_tasks_is_cancelled(server: pp.Server, gate: Gate) -> None:
    """The job is cancelled with either."""

    async def main() -> None:
        job = held_up(server, gate)
        first, second = (asyncio.ensure_future(awaited(job)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(pp.JobCancelled):
            await second
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_a_failing_task_group_cancels_its_jobs(server: pp.Server, gate: Gate) -> None:
    held: list[pp.Job[int]] = []

    async def main() -> None:
        held.append(held_up(server, gate))
        async with asyncio.TaskGroup() as group:
            group.create_task(awaited(held[0]))
            group.create_task(awaited(server.submit(jobs.fail, (LookupError(),))))

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.group_contains(LookupError)
    with pytest.raises(pp.JobCancelled):
        held[0].result(20)


# Loops


def test_a_loop_that_is_closed_before_the_end(
    server: pp.Server, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    job = held_up(server, gate)
    loop = asyncio.new_event_loop()
    coroutine = awaited(job)

    async def begin() -> None:
        # No task of the loop's, so that its end cancels nothing.
        future = coroutine.send(None)
        assert isinstance(future, asyncio.Future)

    loop.run_until_complete(begin())
    loop.close()
    gate.open()
    assert job.result() > 0
    ended: list[bool] = []
    job.add_done_callback(lambda j: ended.append(j.done()))
    eventually(lambda: ended == [True])
    coroutine.close()
    assert not job.cancelled()
    assert not caplog.records
    assert server.submit(jobs.echo, (1,), callback=ended.append).result() == 1


def test_the_end_of_a_loop_cancels_its_tasks_jobs(server: pp.Server, gate: Gate) -> None:
    held: list[pp.Job[int]] = []
    tasks: list[asyncio.Task[Any]] = []

    async def main() -> None:
        held.append(held_up(server, gate))
        tasks.append(asyncio.create_task(awaited(held[0])))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert tasks[0].cancelled()
    with pytest.raises(pp.JobCancelled):
        held[0].result(20)


def test_loops_in_several_threads_share_jobs(server: pp.Server) -> None:
    common = [server.submit(jobs.echo, (n,)) for n in range(50)]

    def run(index: int) -> list[int]:
        async def main() -> Any:
            own = [server.submit(jobs.add, (index, n)) for n in range(50)]
            assert await asyncio.gather(*map(awaited, common)) == list(range(50))
            return await asyncio.gather(*map(awaited, own))

        return asyncio.run(main())

    assert in_threads(6, run) == [[index + n for n in range(50)] for index in range(6)]


def test_the_server_is_destroyed_meanwhile(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    submitted = [held_up(server, gate), *(server.submit(jobs.echo, (n,)) for n in range(10))]

    async def main() -> Any:
        tasks = [asyncio.ensure_future(awaited(job)) for job in submitted]
        await asyncio.sleep(0)
        await asyncio.to_thread(server.destroy)
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(each) for each in asyncio.run(main())} == {pp.DestroyedServerError}


def test_a_job_of_a_dropped_server_does_not_block_the_loop(gate: Gate) -> None:
    server = pp.Server(1)
    job = held_up(server, gate)
    del server
    gc.collect()

    async def main() -> Any:
        task = asyncio.ensure_future(awaited(job))
        await asyncio.sleep(0.01)
        # Reached only if the loop goes on.
        gate.open()
        return int(await task)

    assert asyncio.run(main()) > 0


def test_outside_of_a_loop(server: pp.Server, gate: Gate) -> None:
    job = held_up(server, gate)
    coroutine: Coroutine[Any, Any, Any] = awaited(job)
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    gate.open()
    assert job.result() > 0


def test_an_ordinary_callback_has_run_when_await_returns(server: pp.Server) -> None:
    async def main() -> None:
        for number in range(20):
            called: list[int] = []
            assert await server.submit(jobs.echo, (number,), callback=called.append) == number
            assert called == [number]

    asyncio.run(main())


def test_await_blocks_no_loop_for_a_callback(server: pp.Server) -> None:
    """A callback that needs the loop, to end, gets it."""

    had: list[str] = []

    async def main() -> Any:
        loop = asyncio.get_running_loop()

        def callback(_result: int) -> None:
            told = asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "the loop"), loop)
            had.append(told.result(20))

        job = server.submit(jobs.echo, (1,), callback=callback)
        await until_true(job.done)
        return await job

    assert asyncio.run(main()) == 1
    assert had == ["the loop"]


def test_ctrl_c_ends_the_loop_and_the_job(run_script: RunScript) -> None:
    ran = run_script(
        """
        import asyncio, os, signal, threading, time
        import pp

        async def main(job):
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            await job

        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with pp.Server(1) as server:
                job = server.submit(time.sleep, (100,))
                try:
                    asyncio.run(main(job))
                except KeyboardInterrupt:
                    print("interrupted")
                try:
                    job.result(20)
                except pp.JobCancelled:
                    print("cancelled")
        """
    )
    assert ran.out == "interrupted\ncancelled\n"
