"""Jobs that depend on others which fail, are cancelled, or are tried again; and what stays."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pp
from tests import jobs
from tests.failures.support import needs_proc
from tests.segments import opened
from tests.support import (
    Gate,
    MakeGate,
    MakeServer,
    RunScript,
    caught_from,
    eventually,
    formatted,
    held_up,
)

pytestmark = pytest.mark.timeout(60)

# Larger than what goes through the line.
BIG = 400_000


def inc(value: int) -> int:
    return value + 1


def ones(count: int) -> Any:
    return np.ones(count)


class Unloadable:
    """Can be pickled, and not read."""

    def __reduce__(self) -> Any:
        return jobs.fail, (LookupError("not to be read"),)


# Failures


def _assert_failed(job: pp.Job[Any], root: pp.Job[Any], kind: type, name: str = "") -> None:
    name = name or root.name
    error = job.exception()
    assert type(error) is pp.DependencyFailed, error
    assert type(error.__cause__) is kind
    assert (error.number, error.name) == (root.tid, name)
    assert f"job {root.tid} ({name})" in str(error)
    assert kind.__name__ in str(error)
    assert (job.state, job.attempts, job.node, job.started_at) == ("failed", 0, None, None)
    assert job.finished_at is not None
    with pytest.raises(pp.DependencyFailed):
        job()
    with pytest.raises(pp.DependencyFailed):
        job.result()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("how", ["argument", "after"])
def test_a_chain_fails_with_its_root(
    when: str, how: str, server: pp.Server, gate: Gate, tmp_path: Path
) -> None:
    def fail_there(*_: Any) -> None:
        raise LookupError("the root of it")

    def touch(*_: Any) -> None:
        (tmp_path / "ran").touch()

    held = held_up(server, gate)
    root = server.submit(fail_there, (held,), name=None)
    if when == "before":
        gate.open()
        assert root.exception() is not None
    chain = [root]
    for _ in range(20):
        last = chain[-1]
        if how == "after":
            chain.append(server.submit(touch, after=last))
        else:
            chain.append(server.submit(touch, ([last],)))
    gate.open()
    for job in chain[1:]:
        _assert_failed(job, root, LookupError)
    with pytest.raises(pp.DependencyFailed) as caught:
        chain[-1].result()
    assert "in fail_there" in formatted(caught.value), "where it was raised can be seen"
    assert not (tmp_path / "ran").exists()


def test_a_root_is_named_as_it_was_called(server: pp.Server) -> None:
    root = server.submit(jobs.fail, (LookupError(1),), name="loads the table")
    last = server.submit(inc, (server.submit(inc, (root,)),))
    _assert_failed(last, root, LookupError, "loads the table")
    del root
    gc.collect()
    with pytest.raises(pp.DependencyFailed, match="loads the table"):
        last.result()
    cancelled = server.submit(inc, (last,), after=[])
    assert isinstance(cancelled.exception(), pp.DependencyFailed)


def test_all_ways_to_fail_are_told(make_server: MakeServer) -> None:
    server = make_server(1, max_worker_deaths=1)
    roots: dict[type, pp.Job[Any]] = {
        SystemExit: server.submit(jobs.fail, (SystemExit(3),)),
        KeyboardInterrupt: server.submit(jobs.fail, (KeyboardInterrupt(),)),
        pp.WorkerDied: server.submit(__import__("os")._exit, (4,)),
        pp.SerializationError: server.submit(threading.Lock),
        pp.JobTimeout: server.submit(__import__("time").sleep, (100,), timeout=0.05),
    }
    for kind, root in roots.items():
        last = server.submit(inc, (server.submit(inc, (root,)),))
        _assert_failed(last, root, kind)


def test_a_diamond_with_two_failures_names_one(server: pp.Server, make_gate: MakeGate) -> None:
    gates = make_gate(), make_gate()

    def fail_after(directory: str, name: str, error: Exception) -> None:
        jobs.pass_gate(directory, name)
        raise error

    roots = [
        server.submit(fail_after, (*gate.args(), LookupError(number)))
        for number, gate in enumerate(gates)
    ]
    for gate in gates:
        gate.await_inside("job")
    middle = [server.submit(inc, (root,)) for root in roots]
    bottom = server.submit(jobs.add, tuple(middle), after=roots)
    gates[1].open()
    _assert_failed(bottom, roots[1], LookupError)
    assert middle[0].state == "queued", "it may still end well"
    gates[0].open()
    _assert_failed(middle[0], roots[0], LookupError)
    _assert_failed(bottom, roots[1], LookupError)


def test_a_failure_touches_dependants_only(server: pp.Server) -> None:
    good, bad = server.submit(inc, (1,)), server.submit(jobs.fail, (LookupError(1),))
    both = server.submit(jobs.add, (good, bad))
    beside = server.submit(inc, (good,))
    _assert_failed(both, bad, LookupError)
    assert (good.result(), beside.result()) == (2, 3)


def test_a_cause_that_cannot_be_read_is_told(server: pp.Server) -> None:
    class OddError(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("only this")

    def fail_oddly() -> None:
        raise OddError(1, 2)

    root = server.submit(fail_oddly)
    error = caught_from(server.submit(inc, (root,)))
    assert isinstance(error, pp.DependencyFailed)
    assert type(error.__cause__) is type(root.exception())
    assert "only this" in str(error)


def test_an_unpicklable_result_in_the_middle(server: pp.Server) -> None:
    start = server.submit(inc, (1,))
    middle = server.submit(lambda _: threading.Lock(), (start,))
    last = server.submit(inc, (server.submit(inc, (middle,)),))
    assert start.result() == 2
    _assert_failed(last, middle, pp.SerializationError)


def test_a_result_that_cannot_be_read_by_the_dependant(server: pp.Server) -> None:
    """It went well where it was made; who gets it fails, and says so."""
    made = server.submit(Unloadable)
    reader = server.submit(jobs.echo, ([made],))
    last = server.submit(inc, (reader,))
    assert isinstance(reader.exception(), LookupError)
    assert "not to be read" in str(reader.exception())
    _assert_failed(last, reader, LookupError)
    assert server.submit(inc, (1,), after=made).result() == 2


def test_printed_errors(make_server: MakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed job gives None there, and nevertheless no value."""
    server = make_server(1, errors="print")
    got: list[Any] = []
    root = server.submit(jobs.fail, (LookupError("told once"),))
    last = server.submit(inc, (root,), callback=got.append)
    with pytest.raises(pp.DependencyFailed):
        last.result()
    assert last() is None
    assert root() is None
    server.wait()
    printed = capsys.readouterr().out
    assert "DependencyFailed" in printed
    assert "told once" in printed
    assert got == [None]


def test_retries_of_a_dependant_are_not_used_up_by_its_root(server: pp.Server) -> None:
    root = server.submit(jobs.fail, (LookupError(1),))
    last = server.submit(inc, (root,), retries=3, backoff=0)
    _assert_failed(last, root, LookupError)


def test_dependants_get_what_a_retry_gives(server: pp.Server, tmp_path: Path) -> None:
    def third_time(directory: str) -> Any:
        tries = Path(directory) / "tries"
        count = len(tries.read_text()) if tries.exists() else 0
        tries.write_text("x" * (count + 1))
        if count < 2:
            raise LookupError(count)
        return np.full(BIG, count)

    root = server.submit(third_time, (str(tmp_path),), retries=2, backoff=0.01)
    last = server.submit(np.sum, (root,))
    after = server.submit(inc, (1,), after=root)
    assert last.result() == 2 * BIG
    assert after.result() == 2
    assert (root.attempts, last.attempts) == (3, 1)


# Cancelling


def test_cancelling_a_root_cancels_what_depends_on_it(server: pp.Server, gate: Gate) -> None:
    root = held_up(server, gate)
    first = server.submit(inc, (root,))
    second = server.submit(inc, (1,), after=first)
    beside = server.submit(inc, (5,))
    assert root.cancel()
    for job in (root, first, second):
        with pytest.raises(pp.JobCancelled):
            job.result()
        assert job.cancelled()
        assert job.state == "cancelled"
    assert f"job {root.tid} (pass_gate)" in str(caught_from(second))
    assert beside.result() == 6
    late = server.submit(inc, (first,))
    assert f"job {root.tid} (pass_gate)" in str(caught_from(late))
    assert late.cancelled()


def test_cancelling_a_dependant_leaves_the_others(server: pp.Server, gate: Gate) -> None:
    root = held_up(server, gate)
    first, other = server.submit(inc, (root,)), server.submit(inc, (root,))
    second = server.submit(inc, (first,))
    assert first.cancel() is True
    assert first.cancel() is False
    assert first.cancelled()
    assert second.cancelled()
    assert (root.running(), other.state) == (True, "queued")
    gate.open()
    assert other.result() == root.result() + 1
    assert root.state == "finished"


def test_cancelling_groups_of_those_that_wait(server: pp.Server, gate: Gate) -> None:
    root = held_up(server, gate)
    mine = [server.submit(inc, (root,), group="mine") for _ in range(100)]
    others = [server.submit(jobs.echo, (job,), group="others") for job in mine[:50]]
    free = [server.submit(inc, (root,), group="others") for _ in range(50)]
    assert server.cancel("mine") == 100
    assert all(job.cancelled() for job in (*mine, *others))
    gate.open()
    assert [job.result() for job in free] == [root.result() + 1] * 50


def test_a_job_that_fails_because_it_was_cancelled_is_no_failure(server: pp.Server) -> None:
    root = server.submit(inc, (1,), after=server.submit(jobs.pid))
    assert root.result() == 2
    assert root.cancel() is False
    assert server.submit(inc, (root,)).result() == 3


# Ends of servers


def test_destroy_with_those_that_wait(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(2)
    root = held_up(server, gate)
    waiting = [server.submit(inc, (root,)) for _ in range(100)]
    waiting.append(server.submit(inc, (waiting[-1],), after=waiting))
    server.destroy()
    for job in (root, *waiting):
        with pytest.raises(pp.DestroyedServerError):
            job.result()
        assert job.state == "failed"
    with pytest.raises(pp.DestroyedServerError):
        server.submit(inc, (root,))


def test_destroy_with_a_long_chain_that_nobody_holds(make_server: MakeServer) -> None:
    """Neither ends nor frees one in the other until the stack is full."""
    server = make_server(0)
    job = server.submit(inc, (0,))
    for _ in range(100_000):
        job = server.submit(inc, (job,))
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        job.result()


def test_a_program_may_end_while_jobs_wait(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp, time

        server = pp.Server(1)
        job = server.submit(time.sleep, (1000,))
        for _ in range(50_000):
            job = server.submit(abs, (job,))
        print("done")
        """
    )
    assert ran.out == "done\n"


# Memory


@needs_proc
def test_intermediate_results_are_freed(lone: pp.Server) -> None:
    def open_here() -> int:
        gc.collect()
        return opened()

    job = lone.submit(ones, (BIG,))
    for _ in range(30):
        job = lone.submit(np.add, (job, 1))
    assert job.result().sum() == 31 * BIG
    # The last, and at the most one that is kept for later use.
    eventually(lambda: open_here() <= 2, f"only the last is kept: {open_here()}")
    del job
    gc.collect()
    # One that ends lets go of what it needed.
    assert lone.submit(inc, (1,)).result() == 2
    eventually(lambda: open_here() <= 1, f"nothing is kept: {open_here()}")


@needs_proc
def test_results_are_kept_for_those_that_wait_only(lone: pp.Server, gate: Gate) -> None:
    made = [lone.submit(ones, (BIG + number,)) for number in range(8)]
    for job in made:
        job.wait()
    held = held_up(lone, gate)
    waiting = [lone.submit(np.sum, (job,), after=held) for job in made]
    del made, job
    gc.collect()
    assert opened() >= 8, "those that wait need them"
    for late in waiting[4:]:
        late.cancel()
    eventually(lambda: opened() <= 5, f"those of the cancelled go: {opened()}")
    gate.open()
    assert [job.result() for job in waiting[:4]] == [BIG + n for n in range(4)]
    eventually(lambda: opened() <= 1, f"all go: {opened()}")


@needs_proc
def test_failed_dependants_let_go_of_their_inputs(lone: pp.Server, gate: Gate) -> None:
    made = lone.submit(ones, (BIG,))
    root = lone.submit(jobs.fail, (LookupError(1),))
    last = lone.submit(np.add, (made, root))
    assert isinstance(last.exception(), pp.DependencyFailed)
    assert made.result().sum() == BIG
    del made
    gc.collect()
    eventually(lambda: opened() <= 1, f"what never ran keeps nothing: {opened()}")
