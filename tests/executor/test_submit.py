"""Calls that are submitted to an executor, and what becomes of them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import threading
from typing import Any

import pytest

import pp
from tests import jobs
from tests.executor.conftest import MakeExecutor
from tests.support import Gate, MakeServer, formatted


def capture(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def caught_from_future(future: concurrent.futures.Future[Any]) -> BaseException:
    try:
        future.result()
    except BaseException as error:
        return error
    raise AssertionError(f"{future} raised nothing")


def test_it_is_an_executor_and_its_futures_are_futures(executor: pp.Executor) -> None:
    future = executor.submit(jobs.add, 2, 3)
    assert isinstance(executor, concurrent.futures.Executor)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result() == 5
    assert future.exception() is None
    assert future.done()
    assert not future.running()
    assert not future.cancelled()


def test_it_takes_all_kinds_of_arguments(executor: pp.Executor) -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((1,), {}),
        ((1, "two"), {"three": 3}),
        ((), {"self": 1, "fn": 2, "args": 3, "kwargs": 4}),
    ]
    futures = [executor.submit(capture, *args, **kwargs) for args, kwargs in calls]
    assert [future.result() for future in futures] == calls
    with pytest.raises(TypeError):
        executor.submit()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="fn must be callable, not 'int'"):
        executor.submit(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        executor.submit(fn=abs)  # type: ignore[call-arg]


def test_keywords_go_to_any_callable(executor: pp.Executor) -> None:
    offset = 10

    class Adder:
        def __init__(self, base: int) -> None:
            self.base = base

        def add(self, number: int) -> int:
            return self.base + number

    futures = [
        executor.submit(int, "ff", base=16),
        executor.submit(lambda number: number + offset, number=1),
        *[executor.submit(Adder(base).add, number=1) for base in (1, 2)],
    ]
    assert [future.result() for future in futures] == [255, 11, 2, 3]


def test_a_function_with_keywords_is_sent_as_it_is_at_each_submit(lone: pp.Executor) -> None:
    content = [1]

    def look(*, more: int) -> list[int]:
        return [*content, more]

    first = lone.submit(look, more=2)
    content.append(7)
    assert first.result() == [1, 2]
    assert lone.submit(look, more=2).result() == [1, 7, 2]


def test_many_functions_with_keywords(lone: pp.Executor) -> None:
    def make(number: int) -> Any:
        return lambda *, to: number + to

    functions = [make(number) for number in range(150)]
    for _ in range(2):
        futures = [lone.submit(function, to=1) for function in functions]
        assert [future.result() for future in futures] == list(range(1, 151))


def test_what_a_call_raises_is_raised_with_its_traceback(executor: pp.Executor) -> None:
    future = executor.submit(jobs.fail, LookupError("gone"))
    errors = [caught_from_future(future), caught_from_future(future)]
    assert errors == [future.exception()] * 2
    assert isinstance(errors[0], LookupError)
    assert "in fail\n" in formatted(errors[0])
    assert "state=finished raised LookupError" in repr(future)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_call_may_raise_anything(executor: pp.Executor, error: BaseException) -> None:
    future = executor.submit(jobs.fail, error)
    assert type(future.exception()) is type(error)
    assert executor.submit(jobs.echo, 1).result() == 1


def test_calls_run_in_other_processes_at_once(executor: pp.Executor) -> None:
    pids = [executor.submit(jobs.pid).result() for _ in range(10)]
    assert os.getpid() not in pids


def test_what_a_call_prints_is_printed_once(
    executor: pp.Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    future = executor.submit(jobs.say, "one", "two")
    assert [future.result(), future.result()] == [2, 2]
    concurrent.futures.wait([future])
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_worker_is_replaced_after_so_many_calls(make_executor: MakeExecutor) -> None:
    executor = make_executor(1, max_tasks_per_child=2)
    pids = [executor.submit(jobs.pid).result() for _ in range(6)]
    assert len(set(pids)) == 3


def test_it_uses_a_given_server_and_leaves_it(server: pp.Server, make_server: MakeServer) -> None:
    with pp.Executor(server=server) as executor:
        assert executor.submit(jobs.echo, 1).result() == 1
        assert executor._max_workers == 2
    assert server.submit(jobs.echo, (2,))() == 2
    with pytest.raises(TypeError, match="max_workers, proto"):
        pp.Executor(2, server=server, proto=4)
    with pytest.raises(TypeError, match="initializer"):
        pp.Executor(server=server, initializer=print)
    with pytest.raises(TypeError, match=r"pp\.Server"):
        pp.Executor(server=executor)  # type: ignore[arg-type]


def test_futures_of_a_server_that_is_destroyed_say_so(make_server: MakeServer, gate: Any) -> None:
    server = make_server(1)
    executor = pp.Executor(server=server)
    futures = [executor.submit(jobs.pass_gate, *gate.args()), executor.submit(jobs.echo, 1)]
    gate.await_inside("job")
    server.destroy()
    for future in futures:
        assert isinstance(future.exception(20), pp.DestroyedServerError)
    with pytest.raises(RuntimeError):
        executor.submit(jobs.echo, 1)
    executor.shutdown()


@pytest.mark.parametrize("workers", [0, -1])
def test_there_must_be_workers(workers: int) -> None:
    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        pp.Executor(workers)
    with pytest.raises(TypeError, match="max_workers, not ncpus"):
        pp.Executor(ncpus=2)
    with pytest.raises(TypeError, match="max_workers must be an int or None, not '3'"):
        pp.Executor("3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="are the same"):
        pp.Executor(1, max_tasks_per_child=1, max_jobs_per_worker=1)


def end_of_child(executor: pp.Executor, future: Any) -> int:
    """How a forked child ends that tries what it can; 7 is as it should be."""
    child = os.fork()
    if child == 0:
        # It must not wait for ever, and has no test to end it.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        try:
            repr(future)
            future.done()
            if future._job is not None:
                with contextlib.suppress(pp.PPError):
                    future._job.add_done_callback(print)
            executor.shutdown()
            executor.submit(jobs.echo, 1)
        except pp.PPError:
            os._exit(7)
        os._exit(8)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_has_no_part_in_it(executor: pp.Executor) -> None:
    assert executor.submit(jobs.echo, 1).result() == 1
    pending = executor.submit(jobs.echo, 2)
    assert end_of_child(executor, pending) == 7
    assert pending.result() == 2


def test_a_forked_child_minds_no_locks_of_threads_that_it_has_not(
    executor: pp.Executor, gate: Gate
) -> None:
    pending = executor.submit(jobs.pass_gate, *gate.args("runs"))
    server = executor._server
    held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with pending._condition, server._callbacks._lock:
            held.set()
            may_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert end_of_child(executor, pending) == 7
    finally:
        may_go.set()
        gate.open()
        thread.join()
    pending.result()


def test_a_fork_while_ends_are_told_harms_neither(executor: pp.Executor) -> None:
    for _ in range(30):
        futures = [executor.submit(jobs.echo, number) for number in range(20)]
        assert end_of_child(executor, futures[-1]) == 7
        assert [future.result() for future in futures] == list(range(20))


def test_after_its_end_it_can_still_be_looked_at(executor: pp.Executor) -> None:
    executor.shutdown()
    assert executor._max_workers >= 1
    assert "Executor" in repr(executor)
