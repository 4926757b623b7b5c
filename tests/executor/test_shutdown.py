"""The end of executors, and of programs that have some."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.conftest import PACKAGE_PARENT
from tests.executor.conftest import MakeExecutor
from tests.support import Gate, MakeGate, RunScript, eventually, marked_processes


def test_after_it_nothing_is_taken(executor: pp.Executor) -> None:
    assert executor.submit(jobs.echo, 1).result() == 1
    executor.shutdown()
    executor.shutdown()
    for attempt in (executor.submit, lambda *args: executor.map(args[0], [args[1]])):
        with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
            attempt(jobs.echo, 1)
    assert not marked_processes()


def test_as_a_context_manager_it_finishes_all() -> None:
    with pp.Executor(2) as executor:
        futures = [executor.submit(jobs.echo, number) for number in range(200)]
    assert all(future.done() for future in futures)
    assert [future.result() for future in futures] == list(range(200))
    assert not marked_processes()


def test_without_waiting_pending_calls_are_finished(lone: pp.Executor, gate: Gate) -> None:
    futures = [lone.submit(jobs.pass_gate, *gate.args(f"job{number}")) for number in range(3)]
    lone.shutdown(wait=False)
    assert not any(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="after shutdown"):
        lone.submit(jobs.echo, 1)
    gate.open()
    assert all(future.result() for future in futures)
    eventually(lambda: not marked_processes(), "the workers end")


def test_waiting_is_for_all_that_runs(lone: pp.Executor, gate: Gate) -> None:
    future = lone.submit(jobs.pass_gate, *gate.args())
    ended = threading.Event()

    def shut_down() -> None:
        lone.shutdown()
        ended.set()

    thread = threading.Thread(target=shut_down)
    thread.start()
    gate.await_inside("job")
    assert not ended.is_set()
    gate.open()
    thread.join()
    assert future.done()


@pytest.mark.parametrize("waits", [True, False])
def test_what_has_not_begun_can_be_cancelled(lone: pp.Executor, gate: Gate, waits: bool) -> None:
    runs = lone.submit(jobs.pass_gate, *gate.args("first"))
    waiting = [lone.submit(jobs.pass_gate, *gate.args(f"job{number}")) for number in range(50)]
    gate.await_inside("first")
    lone.shutdown(wait=False, cancel_futures=True)
    assert all(future.cancelled() for future in waiting)
    gate.open()
    if waits:
        lone.shutdown(wait=True)
        assert runs.done()
    assert runs.result()
    with pytest.raises(CancelledError):
        waiting[0].result()
    assert gate.inside() == ["first"]


def test_when_it_returns_the_callbacks_have_run(lone: pp.Executor, gate: Gate) -> None:
    called: list[Future[Any]] = []

    def callback(future: Future[Any]) -> None:
        time.sleep(0.05)
        called.append(future)

    future = lone.submit(jobs.pass_gate, *gate.args())
    future.add_done_callback(callback)
    gate.open()
    lone.shutdown()
    assert called == [future]


@pytest.mark.parametrize("waits", [True, False])
def test_a_callback_may_shut_it_down(make_executor: MakeExecutor, gate: Gate, waits: bool) -> None:
    executor = make_executor(1)
    done = threading.Event()

    def callback(_future: Future[Any]) -> None:
        executor.shutdown(wait=waits)
        done.set()

    future = executor.submit(jobs.pass_gate, *gate.args())
    later = executor.submit(jobs.echo, 2)
    future.add_done_callback(callback)
    gate.open()
    assert done.wait(30)
    assert later.result() == 2
    executor.shutdown()
    assert not marked_processes()


def test_a_callback_may_wait_for_another_executor(
    executor: pp.Executor, make_executor: MakeExecutor, make_gate: MakeGate
) -> None:
    other = make_executor(1)
    gates = make_gate(), make_gate()
    pending = other.submit(jobs.pass_gate, *gates[1].args())
    seen: list[bool] = []

    def callback(_future: Future[Any]) -> None:
        gates[1].open()
        other.shutdown()
        seen.append(pending.done())

    future = executor.submit(jobs.pass_gate, *gates[0].args())
    future.add_done_callback(callback)
    gates[0].open()
    executor.shutdown()
    assert seen == [True]


def test_a_callback_may_shut_down_another_executor_of_its_server(
    server: pp.Server, gate: Gate
) -> None:
    first, second = pp.Executor(server=server), pp.Executor(server=server)
    done = threading.Event()

    def callback(_future: Future[Any]) -> None:
        second.shutdown()
        done.set()

    future = first.submit(jobs.pass_gate, *gate.args("first"))
    pending = second.submit(jobs.pass_gate, *gate.args("second"))
    future.add_done_callback(callback)
    gate.open()
    assert done.wait(30)
    assert pending.result()


def test_one_that_is_dropped_finishes_what_it_has(gate: Gate) -> None:
    executor = pp.Executor(1)
    futures = [executor.submit(jobs.pass_gate, *gate.args(f"job{number}")) for number in range(3)]
    called: list[int] = []
    futures[2].add_done_callback(lambda future: called.append(future.result()))
    known = weakref.ref(executor)
    del executor
    assert known() is None
    gate.open()
    assert all(future.result() for future in futures)
    eventually(lambda: called, "the callback runs")
    eventually(lambda: not marked_processes(), "the workers end")


def test_one_that_is_dropped_without_work_ends_its_workers() -> None:
    executor = pp.Executor(1)
    assert executor.submit(jobs.echo, 1).result() == 1
    del executor
    gc.collect()
    eventually(lambda: not marked_processes(), "the workers end")


def test_futures_do_not_keep_it(gate: Gate) -> None:
    executor = pp.Executor(1)
    future = executor.submit(jobs.echo, 1)
    wait([future])
    server = weakref.ref(executor._server)
    del executor
    eventually(lambda: server() is None, "its server is freed")
    assert future.result() == 1


EXIT = """
    import sys
    import time
    import pp

    def slowly(number):
        time.sleep(0.2)
        return number

    def say(future):
        print("callback", future.result(), flush=True)
    """


def test_at_the_end_of_the_program_pending_work_is_finished(run_script: RunScript) -> None:
    ran = run_script(
        EXIT
        + """
    executor = pp.Executor(2)
    for number in range(4):
        executor.submit(slowly, number).add_done_callback(say)
    print("end", flush=True)
    """
    )
    first, *callbacks = ran.out.splitlines()
    assert first == "end"
    assert sorted(callbacks) == [f"callback {number}" for number in range(4)]


@pytest.mark.parametrize(
    "ending",
    [
        "executor.shutdown(wait=False)",
        "del executor",
        "keeps = (executor, [executor])",
        "raise SystemExit",
        "server.set_ncpus(2)",
    ],
)
def test_however_the_executor_was_left(run_script: RunScript, ending: str) -> None:
    ran = run_script(
        EXIT
        + f"""
    server = pp.Server(1)
    executor = pp.Executor(server=server) if "server" in {ending!r} else pp.Executor(1)
    executor.submit(slowly, 1).add_done_callback(say)
    {ending}
    """
    )
    assert ran.out == "callback 1\n"


def test_what_a_callback_submits_at_the_end_is_refused(run_script: RunScript) -> None:
    ran = run_script(
        EXIT
        + """
    executor = pp.Executor(1)

    def again(future):
        # The main thread comes to its end meanwhile.
        try:
            while True:
                executor.submit(abs, 1)
                time.sleep(0.01)
        except RuntimeError as error:
            print(error)
        try:
            pp.Executor(1).submit(abs, 1)
        except RuntimeError as error:
            print(error)

    executor.submit(slowly, 1).add_done_callback(again)
    """
    )
    refusal = "cannot schedule new futures after interpreter shutdown\n"
    assert ran.out == refusal * 2


def test_a_thread_that_lives_longer_is_refused(run_script: RunScript) -> None:
    ran = run_script(
        EXIT
        + """
    import threading
    executor = pp.Executor(1)
    executor.submit(abs, 1).result()

    def later():
        threading.main_thread().join()
        while True:
            try:
                executor.submit(abs, 2).result()
            except RuntimeError as error:
                print(error)
                return

    threading.Thread(target=later).start()
    """
    )
    assert ran.out == "cannot schedule new futures after interpreter shutdown\n"


def test_a_forked_child_ends_without_its_parents_work(run_script: RunScript) -> None:
    ran = run_script(
        EXIT
        + """
    import os
    executor = pp.Executor(1)
    executor.submit(slowly, 1).add_done_callback(say)
    child = os.fork()
    if child == 0:
        sys.exit(5)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    """
    )
    assert sorted(ran.out.splitlines()) == ["callback 1", "child 5"]


def test_ctrl_c_ends_a_program_that_waits_at_its_end(tmp_path: Path, gate: Gate) -> None:
    script = tmp_path / "waits.py"
    script.write_text(
        "import pp\nfrom tests.jobs import pass_gate\n"
        f"pp.Executor(1).submit(pass_gate, *{gate.args()!r})\nprint('end', flush=True)\n"
    )
    path = os.pathsep.join((PACKAGE_PARENT, os.getcwd()))
    program = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        gate.await_inside("job")
        assert program.stdout is not None
        assert program.stdout.readline() == b"end\n"
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=30)
    finally:
        program.kill()
        program.communicate()
    assert b"KeyboardInterrupt" in said
