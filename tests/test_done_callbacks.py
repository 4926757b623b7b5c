"""What is called at the end of a job, in whatever way it ends."""

from __future__ import annotations

import functools
import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, eventually, held_up
from tests.test_threads import in_threads


def note(book: list[tuple[int, pp.Job[Any]]], number: int, job: pp.Job[Any]) -> None:
    """A callback that notes its number and its job."""
    book.append((number, job))


def test_done_callbacks_are_called_in_order_and_once(lone: pp.Server, gate: Gate) -> None:
    held_up(lone, gate)
    job = lone.submit(jobs.echo, (1,))
    called: list[tuple[int, pp.Job[int]]] = []
    for number in range(10):
        job.add_done_callback(functools.partial(note, called, number))
    assert not called
    gate.open()
    eventually(lambda: len(called) == 10)
    job.result()
    lone.wait()
    assert called == [(number, job) for number in range(10)]


def test_the_same_function_added_twice_is_called_twice(lone: pp.Server, gate: Gate) -> None:
    job = held_up(lone, gate)
    called: list[pp.Job[int]] = []
    job.add_done_callback(called.append)
    job.add_done_callback(called.append)
    gate.open()
    eventually(lambda: len(called) == 2)


def test_a_done_callback_of_an_ended_job_is_called_at_once(lone: pp.Server) -> None:
    job = lone.submit(jobs.echo, (1,))
    job.wait()
    threads: list[str] = []
    job.add_done_callback(lambda _job: threads.append(threading.current_thread().name))
    assert threads == [threading.current_thread().name]


@pytest.mark.parametrize("end", ["value", "raised", "cancelled", "died", "destroyed"])
def test_done_callbacks_are_called_whatever_the_end(
    end: str, make_server: MakeServer, gate: Gate
) -> None:
    server = make_server(1, max_worker_deaths=1)
    held_up(server, gate)
    functions: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "raised": (jobs.fail, (LookupError(),)),
        "died": (os._exit, (1,)),
    }
    job = server.submit(*functions.get(end, (jobs.echo, (1,))))
    seen: list[tuple[bool, str]] = []
    job.add_done_callback(lambda j: seen.append((j.done(), j.state)))
    if end == "cancelled":
        job.cancel()
    if end == "destroyed":
        server.destroy()
    else:
        gate.open()
    eventually(lambda: seen)
    states = {"value": "finished", "cancelled": "cancelled"}
    assert seen == [(True, states.get(end, "failed"))]
    job.add_done_callback(lambda j: seen.append((j.done(), "later")))
    assert seen[1:] == [(True, "later")]


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_a_done_callback_raises_is_logged(
    error: type[BaseException], lone: pp.Server, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    job = held_up(lone, gate)
    called: list[str] = []

    def fail(_job: pp.Job[int]) -> None:
        called.append("first")
        raise error("from the callback")

    job.add_done_callback(fail)
    job.add_done_callback(lambda _job: called.append("second"))
    gate.open()
    eventually(lambda: len(called) == 2)
    assert called == ["first", "second"]
    assert job.result() > 0
    eventually(lambda: "from the callback" in caplog.text)
    assert f"a done callback of job {job.tid} raised" in caplog.text


def test_what_it_raises_at_once_is_logged_too(
    lone: pp.Server, caplog: pytest.LogCaptureFixture
) -> None:
    job = lone.submit(jobs.echo, (1,))
    job.wait()
    job.add_done_callback(lambda _job: jobs.fail(LookupError("from the callback")))
    assert "from the callback" in caplog.text


def test_what_is_no_function_is_refused(lone: pp.Server) -> None:
    job = lone.submit(jobs.echo, (1,))
    for wrong in (None, 1, "print"):
        with pytest.raises(TypeError, match="callable"):
            job.add_done_callback(wrong)  # type: ignore[arg-type]
    assert job.result() == 1


def test_done_callbacks_from_many_threads_while_jobs_end(server: pp.Server) -> None:
    """Each is called once, whether it came before or after the end."""
    lock = threading.Lock()
    called: list[tuple[int, int]] = []

    def take(job: pp.Job[int], index: int) -> None:
        assert job.done()
        with lock:
            called.append((job.tid, index))

    for _ in range(20):
        called.clear()
        submitted = [server.submit(jobs.echo, (n,)) for n in range(50)]

        def add(index: int, submitted: list[pp.Job[int]] = submitted) -> None:
            for job in submitted:
                job.add_done_callback(lambda j: take(j, index))

        in_threads(6, add)
        eventually(lambda: len(called) == 300)
        server.wait()
        assert len(set(called)) == len(called) == 300


def test_a_done_callback_may_do_what_it_likes(server: pp.Server, gate: Gate) -> None:
    """Submit, wait, and add others, to its own job, too."""
    job = held_up(server, gate)
    log: list[object] = []

    def outer(ended: pp.Job[int]) -> None:
        log.append("outer")
        log.append(server.submit(jobs.add, (1, 2)).result())
        ended.add_done_callback(lambda _job: log.append("inner"))
        other = server.submit(jobs.echo, (4,))
        other.add_done_callback(lambda j: log.append(j.result()))
        log.append("outer ends")

    job.add_done_callback(outer)
    job.add_done_callback(lambda _job: log.append("next"))
    gate.open()
    eventually(lambda: len(log) == 6)
    assert log[:2] == ["outer", 3]
    assert set(log[2:]) == {"inner", "outer ends", "next", 4}


def test_done_callbacks_beside_a_callback(server: pp.Server, gate: Gate) -> None:
    log: list[object] = []
    job = server.submit(jobs.pass_gate, gate.args(), callback=lambda _pid: log.append("callback"))
    job.add_done_callback(lambda j: log.append(("done", j.finished)))
    gate.open()
    job.result()
    assert log[0] == "callback"
    eventually(lambda: len(log) == 2)
    assert log[1] == ("done", True)


def test_a_done_callback_is_none_that_server_wait_waits_for_twice(server: pp.Server) -> None:
    """`server.wait()` returns though a done callback waits for it."""
    waited = threading.Event()
    job = server.submit(jobs.echo, (1,))
    released: list[bool] = []
    job.add_done_callback(lambda _job: released.append(waited.wait(20)))
    server.wait()
    waited.set()
    eventually(lambda: released == [True])


def test_a_callback_that_is_given_is_not_called_for_a_cancelled_job(
    lone: pp.Server, gate: Gate
) -> None:
    held_up(lone, gate)
    called: list[object] = []
    job = lone.submit(jobs.echo, (1,), callback=called.append)
    done: list[str] = []
    job.add_done_callback(lambda j: done.append(j.state))
    assert job.cancel()
    eventually(lambda: done == ["cancelled"])
    gate.open()
    lone.wait()
    assert job.finished
    assert not called


def test_jobs_of_a_dropped_server_go_on(make_gate: Callable[[], Gate]) -> None:
    """Nobody refers to the server any more: its jobs end, and their callbacks are called then."""
    for is_known_before in (True, False):
        gate = make_gate()
        server = pp.Server(1)
        job = held_up(server, gate)
        seen: list[tuple[bool, str]] = []

        def look(ended: pp.Job[int], seen: list[tuple[bool, str]] = seen) -> None:
            seen.append((ended.done(), ended.state))

        if is_known_before:
            job.add_done_callback(look)
        del server
        gc.collect()
        if not is_known_before:
            job.add_done_callback(look)
        assert not seen
        gate.open()
        assert job.result() > 0
        eventually(seen.__len__)
        assert seen == [(True, "finished")]
        del job


def test_done_callbacks_of_a_dropped_server_outlive_their_jobs_names(gate: Gate) -> None:
    """What is to be called keeps the job, and with it what runs it."""
    server = pp.Server(1)
    job = held_up(server, gate)
    del server
    gc.collect()
    seen: list[int] = []
    for _ in range(3):
        job.add_done_callback(lambda ended: seen.append(ended.result()))
    del job
    gc.collect()
    gate.open()
    eventually(lambda: len(seen) == 3)
    gc.collect()


def test_a_program_ends_though_done_callbacks_are_to_come(run_script: RunScript) -> None:
    ran = run_script(
        """
        import time
        import pp

        if __name__ == "__main__":
            server = pp.Server(1)
            job = server.submit(time.sleep, (100,))
            job.add_done_callback(lambda j: print(j.state))
            other = pp.Server(1).submit(time.sleep, (100,))
            other.add_done_callback(lambda j: None)
            print("end of the program", flush=True)
        """
    )
    assert ran.out.splitlines()[0] == "end of the program"
