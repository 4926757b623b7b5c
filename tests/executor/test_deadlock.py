"""Whatever goes wrong on the way of a call, its future ends, and the executor goes on."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from concurrent.futures import BrokenExecutor, Future, wait
from typing import Any, NoReturn

import pytest

import pp
from tests import jobs
from tests.executor.conftest import MakeExecutor
from tests.support import Gate


class FailsAtPickle:
    def __reduce__(self) -> NoReturn:
        raise ZeroDivisionError("at pickle")


class FailsAtUnpickle:
    def __reduce__(self) -> tuple[Any, ...]:
        return _divide, ()


class ExitsAtUnpickle:
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (3,)


class DiesAtPickle:
    """In workers only, or the test would end."""

    def __reduce__(self) -> tuple[Any, ...]:
        if "PP_WORKER_MARK" in os.environ:
            os._exit(3)
        return DiesAtPickle, ()


class DiesAtUnpickle:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


class UnreadableError(Exception):
    """It pickles, and does not unpickle."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(first)


def _divide() -> NoReturn:
    raise ZeroDivisionError("at unpickle")


def give(kind: type[Any]) -> Any:
    return kind()


def give_lock() -> Any:
    return threading.Lock()


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raise_unreadable() -> None:
    raise UnreadableError(1, 2)


# What to call, with what; and what the future fails with.
AILMENTS: dict[str, tuple[Any, tuple[Any, ...], type[BaseException]]] = {
    "function that cannot be pickled": (threading.Lock().acquire, (), pickle.PicklingError),
    "argument that cannot be pickled": (jobs.echo, (threading.Lock(),), pickle.PicklingError),
    "argument that fails at pickle": (jobs.echo, (FailsAtPickle(),), pickle.PicklingError),
    "argument that fails at unpickle": (jobs.echo, (FailsAtUnpickle(),), ZeroDivisionError),
    "argument that exits at unpickle": (jobs.echo, (ExitsAtUnpickle(),), SystemExit),
    "argument that dies at unpickle": (jobs.echo, (DiesAtUnpickle(),), BrokenExecutor),
    "call that exits": (sys.exit, (3,), SystemExit),
    "call that ends its worker": (os._exit, (3,), BrokenExecutor),
    "call that kills its worker": (kill_self, (), BrokenExecutor),
    "result that cannot be pickled": (give_lock, (), pickle.PicklingError),
    "result that fails at pickle": (give, (FailsAtPickle,), pickle.PicklingError),
    "result that dies at pickle": (give, (DiesAtPickle,), BrokenExecutor),
    "result that fails at unpickle": (give, (FailsAtUnpickle,), pp.SerializationError),
    "result that exits at unpickle": (give, (ExitsAtUnpickle,), SystemExit),
    "error that cannot be unpickled": (raise_unreadable, (), pp.JobError),
}


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("ailment", AILMENTS)
def test_it_fails_alone(make_executor: MakeExecutor, ailment: str, waits: bool) -> None:
    call, args, expected = AILMENTS[ailment]
    executor = make_executor(1, max_worker_deaths=2)
    before = executor.submit(jobs.echo, 1)
    future = executor.submit(call, *args)
    after = executor.submit(jobs.echo, 2)
    called: list[Future[Any]] = []
    future.add_done_callback(called.append)
    if not waits:
        assert wait([future], 40).done == {future}
    error = future.exception(None if waits else 0)
    assert isinstance(error, expected), error
    assert (before.result(), after.result()) == (1, 2)
    assert executor.submit(jobs.echo, 3).result() == 3
    executor.shutdown()
    assert called == [future]


def test_a_job_that_kills_its_workers_says_which_way(make_executor: MakeExecutor) -> None:
    executor = make_executor(2)
    error = executor.submit(os._exit, 7).exception()
    assert isinstance(error, pp.WorkerDied)
    assert (error.exitcode, error.deaths) == (7, 3)
    assert isinstance(executor.submit(os._exit, 7).exception(), BrokenExecutor)
    assert executor.submit(jobs.echo, 1).result() == 1


def test_a_worker_that_is_killed_costs_nothing(lone: pp.Executor, gate: Gate) -> None:
    future = lone.submit(jobs.pass_gate, *gate.args())
    waiting = lone.submit(jobs.echo, 1)
    gate.await_inside("job")
    (worker,) = lone._server._engine.worker_pids()
    os.kill(worker, signal.SIGKILL)
    gate.open()
    assert future.result() != worker
    assert waiting.result() == 1


def test_shutdown_with_something_that_cannot_be_pickled(make_executor: MakeExecutor) -> None:
    with make_executor(1) as executor:
        future = executor.submit(jobs.echo, FailsAtPickle())
    assert isinstance(future.exception(0), pickle.PicklingError)


def test_calls_that_are_submitted_while_another_is_pickled(executor: pp.Executor) -> None:
    results: list[Future[int]] = []

    class Submits:
        def __reduce__(self) -> tuple[Any, ...]:
            results.append(executor.submit(jobs.echo, 1))
            return int, ()

    assert executor.submit(jobs.echo, Submits()).result() == 0
    assert [future.result() for future in results] == [1]


def test_crossing_submits_cancels_and_waits_of_many_threads(executor: pp.Executor) -> None:
    """Each future ends in exactly one way."""
    ends: list[str] = []

    def work(number: int) -> None:
        futures = [executor.submit(jobs.echo, each) for each in range(100)]
        cancelled = {each for each in range(number, 100, 3) if futures[each].cancel()}
        wait(futures)
        for each, future in enumerate(futures):
            if each in cancelled:
                assert future.cancelled()
                ends.append("cancelled")
            else:
                assert future.result() == each
                ends.append("finished")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 300
