"""Any number of threads may submit, wait and be called back at once."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript


def in_threads(number: int, function: Callable[[int], Any]) -> list[Any]:
    """What `function(0)`, `function(1)`, ... return, each in a thread of its own."""
    barrier = threading.Barrier(number)

    def run(index: int) -> Any:
        barrier.wait(30)
        return function(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_many_threads_submit_and_wait(server: pp.Server) -> None:
    def client(index: int) -> list[int]:
        own = [server.submit(jobs.add, (index, n), group=index % 3) for n in range(100)]
        server.wait(index % 3)
        return [job() for job in own]

    assert in_threads(16, client) == [[i + n for n in range(100)] for i in range(16)]


def test_threads_share_a_function_that_is_new_to_all(server: pp.Server) -> None:
    def shift(value: int) -> int:
        return value + offset

    offset = 7
    results = in_threads(12, lambda index: server.submit(shift, (index,))())
    assert results == [index + 7 for index in range(12)]


def test_tids_are_unique_over_threads(server: pp.Server) -> None:
    tids = in_threads(8, lambda _i: [server.submit(jobs.echo, (1,)).tid for _ in range(50)])
    assert sorted(tid for some in tids for tid in some) == list(range(400))
    server.wait()


def test_servers_in_several_threads(make_server: MakeServer) -> None:
    def client(index: int) -> int:
        return make_server(1).submit(jobs.add, (index, 1))()  # type: ignore[no-any-return]

    assert in_threads(4, client) == [1, 2, 3, 4]


def test_a_job_may_be_collected_by_another_thread(server: pp.Server) -> None:
    made = [server.submit(jobs.echo, (n,)) for n in range(8)]
    assert in_threads(8, lambda index: made[7 - index]()) == list(range(7, -1, -1))


def test_a_job_that_several_threads_wait_for_prints_once(
    server: pp.Server, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    def held(directory: str, name: str) -> str:
        print("printed by", name)
        jobs.pass_gate(directory, name)
        return name

    job = server.submit(held, gate.args("job"))
    gate.await_inside("job")
    waiting = threading.Barrier(9)

    def collect(_index: int) -> str:
        waiting.wait(30)
        return job()

    with ThreadPoolExecutor(8) as pool:
        collected = [pool.submit(collect, index) for index in range(8)]
        waiting.wait(30)
        gate.open()
        assert [each.result(30) for each in collected] == ["job"] * 8
    assert capsys.readouterr().out == "printed by job\n"


def test_a_callback_that_several_threads_wait_for_runs_once(server: pp.Server) -> None:
    called: list[int] = []
    for number in range(30):
        job = server.submit(jobs.echo, (number,), callback=called.append)

        def wait(index: int, job: pp.Job[Any] = job) -> int:
            (job.wait, job, server.wait)[index % 3]()
            return len(called)

        assert in_threads(6, wait) == [number + 1] * 6
    assert called == list(range(30))


WAITS = {
    "job()": "job()",
    "job.wait()": "job.wait()",
    "server.wait()": "server.wait()",
    "server.wait(group)": "server.wait('default')",
}


@pytest.mark.parametrize("wait", WAITS)
def test_waiting_releases_the_gil(run_script: RunScript, tmp_path: Path, wait: str) -> None:
    # The job ends only when another thread of the client has run Python code, again
    # and again, while the main thread waits. In a process of its own: a wait that kept
    # the GIL could not be interrupted.
    ran = run_script(
        f"""
        import os, sys, threading, time
        import pp

        def work(path):
            while not os.path.exists(path):
                time.sleep(0.005)
            return "done"

        def progress():
            while not waiting.is_set():
                pass
            for step in range(100_000):
                pass
            open(sys.argv[1], "w").close()

        waiting = threading.Event()
        server = pp.Server(1)
        job = server.submit(work, (sys.argv[1],))
        thread = threading.Thread(target=progress)
        thread.start()
        waiting.set()
        {WAITS[wait]}
        print(job())
        thread.join()
        """,
        str(tmp_path / "gate"),
        timeout=30,
    )
    assert ran.out == "done\n"


def test_destroy_wakes_all_who_wait(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    running = server.submit(jobs.pass_gate, gate.args())
    queued = server.submit(jobs.echo, (1,))
    gate.await_inside("job")
    waits: list[Callable[[], object]] = [
        running, running.wait, queued, queued.wait, server.wait, lambda: server.wait("default"),
    ]  # fmt: skip
    started = threading.Barrier(len(waits) + 1)

    def wait(call: Callable[[], object]) -> None:
        started.wait(30)
        with pytest.raises(pp.DestroyedServerError):
            call()

    with ThreadPoolExecutor(len(waits)) as pool:
        ended = [pool.submit(wait, call) for call in waits]
        started.wait(30)
        server.destroy()
        for each in ended:
            each.result(30)


def test_several_threads_may_destroy(make_server: MakeServer) -> None:
    server = make_server(2)
    server.submit(jobs.echo, (1,))()
    assert in_threads(6, lambda _index: server.destroy()) == [None] * 6


def test_a_callback_may_submit_and_wait_for_other_jobs(server: pp.Server) -> None:
    found: list[int] = []

    def callback(value: int) -> None:
        others = [server.submit(jobs.add, (value, n), group="others") for n in range(5)]
        server.wait("others")
        found.append(sum(job() for job in others))

    for value in range(4):
        server.submit(jobs.echo, (value,), callback=callback)
    server.wait()
    assert sorted(found) == [10, 15, 20, 25]


def test_callbacks_of_callbacks(server: pp.Server) -> None:
    found: list[int] = []

    def callback(value: int) -> None:
        if value:
            server.submit(jobs.add, (value, -1), callback=callback).wait()
        found.append(value)

    server.submit(jobs.echo, (5,), callback=callback).wait()
    assert found == [0, 1, 2, 3, 4, 5]


def test_callbacks_wait_while_all_workers_are_busy(lone: pp.Server, gate: Gate) -> None:
    found: list[Any] = []

    def callback(value: int) -> None:
        found.append(lone.submit(jobs.echo, ("after the gate",))())

    lone.submit(jobs.echo, (1,), callback=callback)
    held = lone.submit(jobs.pass_gate, gate.args())
    gate.await_inside("job")
    gate.open()
    held()
    lone.wait()
    assert found == ["after the gate"]


# Where a deadlock would be no surprise, the program runs in a process of its own.
KNOTS = {
    "its own job": """
        def callback(value):
            submitted.wait()
            job.wait()
            print(value, job())
        job = server.submit(echo, (7,), callback=callback)
        submitted.set()
        server.wait()
        """,
    "all jobs": """
        def callback(value):
            submitted.wait()
            server.wait()
            print(value, other.finished and 7)
        job = server.submit(echo, (7,), callback=callback)
        other = server.submit(echo, (8,))
        submitted.set()
        server.wait()
        """,
    "all jobs of its group": """
        def callback(value):
            submitted.wait()
            server.wait("default")
            print(value, other.finished and 7)
        job = server.submit(echo, (7,), callback=callback)
        other = server.submit(echo, (8,))
        submitted.set()
        server.wait("default")
        """,
    "a job whose callback waits for this one": """
        def callback(pair, other, own):
            submitted.wait()
            found.append((pair[other](), own))
        found = []
        for turn in range(50):
            submitted.clear()
            pair = []
            for n in (0, 1):
                args = (pair, 1 - n)
                pair.append(server.submit(echo, (n,), callback=callback, callbackargs=args))
            threads = [threading.Thread(target=job.wait) for job in pair]
            for thread in threads:
                thread.start()
            submitted.set()
            for thread in threads:
                thread.join()
        print(7, 7 if sorted(found) == [(0, 1)] * 50 + [(1, 0)] * 50 else found)
        """,
}


@pytest.mark.parametrize("knot", KNOTS)
def test_a_callback_may_wait_for(run_script: RunScript, knot: str) -> None:
    head = """\
        import threading
        import pp
        def echo(value):
            return value
        submitted = threading.Event()
        server = pp.Server(2)
        """
    source = textwrap.dedent(head) + textwrap.dedent(KNOTS[knot])
    assert run_script(source, timeout=20).out == "7 7\n"


def test_the_first_submits_of_a_program_do_not_block_each_other(run_script: RunScript) -> None:
    """What is made once in a process is made by whichever comes first.

    On one processor, a thread that lets go of the GIL for that loses it for sure.
    """
    ran = run_script(
        """
        import os
        import sys
        import threading
        import pp
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        sys.setswitchinterval(1e-6)
        server = pp.Server(1)
        def echo(value):
            return value
        # From now on it is known, but nobody has gone the quick way yet.
        assert server.submit(echo, (0,))() == 0
        def work(start, found):
            start.wait()
            for n in range(20):
                found.append(server.submit(echo, (n,))() == n)
        found = []
        start = threading.Barrier(12)
        threads = [threading.Thread(target=work, args=(start, found)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(len(found), all(found))
        """,
        timeout=40,
    )
    assert ran.out == "240 True\n"
