"""Executors whose calls run on nodes."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor, CancelledError, wait
from typing import Any

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.nodes import SECRET
from tests.support import Gate


def test_an_executor_may_have_nodes_only(make_node: MakeNode) -> None:
    node = make_node()
    with pp.Executor(0, ppservers=(node.name,), secret=SECRET) as executor:
        assert list(executor.map(jobs.add, range(50), range(50))) == list(range(0, 100, 2))
        assert executor.submit(int, "ff", base=16).result() == 255
        assert executor._max_workers == 2
        error = executor.submit(jobs.fail, LookupError("gone")).exception()
        assert isinstance(error, LookupError)
        assert isinstance(executor.submit(os._exit, 3).exception(), BrokenExecutor)


def test_what_a_node_runs_is_not_cancelled(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    server = make_client(make_node(workers=1))
    with pp.Executor(server=server) as executor:
        runs = executor.submit(jobs.pass_gate, *gate.args("runs"))
        gate.await_inside("runs")
        waiting = [executor.submit(jobs.pass_gate, *gate.args(f"job{n}")) for n in range(50)]
        answers = [future.cancel() for future in waiting]
        assert any(answers)
        assert not runs.cancel()
        gate.open()
        wait([runs, *waiting])
    assert runs.result()
    ran = {f"job{n}" for n, future in enumerate(waiting) if not future.cancelled()}
    assert set(gate.inside()) == {"runs"} | ran
    for future, answer in zip(waiting, answers, strict=True):
        assert future.cancelled() or not answer
        if future.cancelled():
            with pytest.raises(CancelledError):
                future.result()


def test_shutdown_cancels_what_nodes_have_not_begun(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    server = make_client(make_node(workers=1))
    executor = pp.Executor(server=server)
    futures = [executor.submit(jobs.pass_gate, *gate.args(f"job{n}")) for n in range(30)]
    gate.await_inside("job0")
    executor.shutdown(wait=False, cancel_futures=True)
    gate.open()
    executor.shutdown()
    assert all(future.done() for future in futures)
    finished = [n for n, future in enumerate(futures) if not future.cancelled()]
    assert gate.inside() == sorted(f"job{n}" for n in finished)
    assert 0 in finished
    assert len(finished) < 30


def test_a_failed_initializer_at_a_node_breaks_it(make_node: MakeNode) -> None:
    node = make_node()
    options: dict[str, Any] = {"ppservers": (node.name,), "secret": SECRET}
    with pp.Executor(
        0, initializer=jobs.fail, initargs=(LookupError("no table"),), **options
    ) as executor:
        with pytest.raises(BrokenExecutor, match="no table"):
            executor.submit(jobs.echo, 1).result()
        with pytest.raises(BrokenExecutor, match="no table"):
            executor.submit(jobs.echo, 1)
