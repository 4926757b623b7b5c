"""Jobs as futures at nodes: cancelled there, and known from there."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

import psutil
import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import hold, kill_node, noted, slowly, where
from tests.failures.cancelling import DEAF, HEARS, heedless, in_sleep
from tests.failures.ledger import PATIENCE, Ledger
from tests.failures.support import ends_cancelled, is_alive, started
from tests.support import MakeServer, eventually

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(sys.platform != "linux", reason="stops, kills and looks into /proc"),
]


def test_a_job_that_waits_at_a_node_never_runs(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node)
    holds, _ = started(server, ledger, hold)
    waiting = [server.submit(noted, (ledger, f"job {n}")) for n in range(100)]
    for job in waiting[::2]:
        assert job.cancel() is True
    for job in waiting[::2]:
        ends_cancelled(job)
    assert not holds.done()
    ledger.note("go")
    assert [job.result() for job in waiting[1::2]] == [f"job {n}" for n in range(1, 100, 2)]
    assert [ledger.count(f"job {n}") for n in range(100)] == [0, 1] * 50


@pytest.mark.parametrize("what", ["in_python", "in_sleep", "in_a_lock"])
def test_a_running_job_is_asked_to_end(
    what: str, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node("--name", "far", workers=1)
    server = make_client(node)
    job, worker = started(server, ledger, HEARS[what])
    after = [server.submit(noted, (ledger, f"job {n}")) for n in range(20)]
    if what != "in_python":
        eventually(lambda: psutil.Process(worker).status() == "sleeping", "it waits")
    assert job.running()
    assert job.cancel() is True
    ends_cancelled(job)
    assert [other.result() for other in after] == [f"job {n}" for n in range(20)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(20))
    assert server.submit(where).result() == ("far", worker), "the same worker goes on"
    assert (job.node, job.worker_pid, job.attempts) == (node.name, worker, 1)
    assert len(ledger.after("holds ")) == 1


@pytest.mark.parametrize("what", ["heedless", "in_c", "has_its_own_handler", "stops_itself"])
def test_the_worker_of_a_job_that_goes_on_is_replaced(
    what: str, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node, max_worker_deaths=1, max_node_losses=1)
    job, worker = started(server, ledger, DEAF[what])
    after = [server.submit(noted, (ledger, f"job {n}")) for n in range(20)]
    if what == "stops_itself":
        eventually(lambda: psutil.Process(worker).status() == "stopped", "it stops")
    assert job.cancel() is True
    ends_cancelled(job)
    assert [other.result(PATIENCE) for other in after] == [f"job {n}" for n in range(20)]
    assert all(ledger.count(f"job {n}") == 1 for n in range(20))
    assert not is_alive(worker)
    assert len(ledger.after("holds ")) == 1


def test_a_job_that_returns_instead(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    def run(ledger: Ledger) -> str:
        try:
            ledger.note(f"holds {os.getpid()}")
            time.sleep(1000)
        except KeyboardInterrupt:
            return "returned"
        return "not interrupted"

    server = make_client(make_node(workers=1))
    job, _ = started(server, ledger, run)
    assert job.cancel() is True
    assert job.result(PATIENCE) == "returned"
    assert (job.state, job.cancelled()) == ("finished", False)


def test_many_are_cancelled(make_node: MakeNode, make_client: MakeClient, ledger: Ledger) -> None:
    nodes = [make_node(workers=2), make_node(workers=1)]
    server = make_client(*nodes)
    mine = [server.submit(time.sleep, (1000,), group="mine") for _ in range(1000)]
    others = [server.submit(slowly, (n, 0.001)) for n in range(300)]
    assert server.cancel("mine") == 1000
    for job in mine:
        ends_cancelled(job)
    assert [job.result(PATIENCE) for job in others] == list(range(300))
    assert server.cancel() == 0


def test_cancels_race_with_the_ends_of_jobs(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    server = make_client(make_node(workers=2))
    for turn in range(20):
        submitted = [
            server.submit(noted, (ledger, f"job {turn} {n}", 0.0005 * (n % 3))) for n in range(60)
        ]
        for job in submitted[::2]:
            job.cancel()
            time.sleep(0.0003)
        for number, job in enumerate(submitted):
            try:
                assert job.result(PATIENCE) == f"job {turn} {number}"
            except pp.JobCancelled:
                assert number % 2 == 0
                assert job.cancelled()
            assert ledger.count(f"job {turn} {number}") <= 1
    assert not [word for word in ledger.words() if not word.startswith("job ")]


# Through others


def test_through_a_gateway(make_node: MakeNode, make_client: MakeClient, ledger: Ledger) -> None:
    behind = make_node("--name", "behind", workers=1)
    gateway = make_node("--name", "gate", "--ppservers", behind.name, workers=0)
    server = make_client(gateway)
    eventually(lambda: server.get_active_nodes()[gateway.name] == 1, "all of it is there")
    for what in (in_sleep, heedless):
        job, _worker = started(server, ledger, what)
        after = [server.submit(noted, (ledger, f"{what.__name__} {n}")) for n in range(10)]
        cancelled = after.pop(5)
        assert cancelled.cancel()
        assert job.cancel() is True
        ends_cancelled(job)
        ends_cancelled(cancelled)
        assert all(other.result(PATIENCE) for other in after)
    words = [word for word in ledger.words() if not word.startswith("holds ")]
    assert len(words) == len(set(words)) == 18
    job_there = server.submit(where)
    name, pid = job_there.result()
    assert name == "behind"
    assert job_there.worker_pid == pid
    assert job_there.attempts == 1


# Nodes that go


def test_a_node_dies_while_its_job_is_being_cancelled(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    """It is not run elsewhere."""
    doomed = make_node(workers=1)
    server = make_client(doomed, max_node_losses=1)
    job, _ = started(server, ledger, heedless)
    assert job.cancel()
    staying = make_node(workers=1)
    del staying
    doomed.kill()
    ends_cancelled(job)
    make_node(workers=1, port=doomed.port)
    assert server.submit(slowly, (1,)).result(PATIENCE) == 1
    assert len(ledger.after("holds ")) == 1


def test_a_node_that_is_silent_is_given_up_with_its_cancelled_jobs(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node, node_timeout=2)
    job, _ = started(server, ledger, in_sleep)
    waiting = server.submit(noted, (ledger, "waiting"))
    node.freeze()
    assert job.cancel()
    assert waiting.cancel()
    ends_cancelled(job)
    ends_cancelled(waiting)
    node.thaw()
    assert server.submit(slowly, (1,)).result(PATIENCE) == 1
    assert "waiting" not in ledger.words()


def test_the_server_ends_while_jobs_are_being_cancelled(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node)
    job, worker = started(server, ledger, heedless)
    assert job.cancel()
    server.destroy()
    assert job.done()
    eventually(lambda: not is_alive(worker), "the node ends it")
    assert make_client(node).submit(slowly, (1,)).result(PATIENCE) == 1


def test_a_worker_of_a_node_is_killed_while_its_job_is_being_cancelled(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    server = make_client(make_node(workers=1), max_worker_deaths=1)
    job, worker = started(server, ledger, heedless)
    after = server.submit(noted, (ledger, "after"))
    assert job.cancel()
    os.kill(worker, signal.SIGKILL)
    ends_cancelled(job)
    assert after.result(PATIENCE) == "after"
    assert len(ledger.after("holds ")) == 1


# What is known of jobs at nodes


def test_where_a_job_ran(make_node: MakeNode, make_client: MakeClient, ledger: Ledger) -> None:
    node = make_node(workers=1)
    server = make_client(node)
    before = time.time()
    job, worker = started(server, ledger, hold)
    waiting = server.submit(where)
    assert (job.state, job.node, job.worker_pid, job.attempts) == ("running", node.name, None, 1)
    assert repr(job) == f"<pp.Job {job.tid} hold running at {node.name}, group 'default'>"
    assert (waiting.state, waiting.node) == ("queued", None)
    ledger.note("go")
    job.result()
    assert waiting.result()[1] == worker
    for each in (job, waiting):
        assert (each.state, each.node, each.worker_pid, each.attempts) == (
            "finished",
            node.name,
            worker,
            1,
        )
        started_at, finished_at = each.started_at, each.finished_at
        assert started_at is not None
        assert finished_at is not None
        slack = 0.1
        assert before - slack < each.submitted_at < started_at + slack
        assert started_at <= finished_at < time.time() + slack
        assert f"{node.name}, process {worker}" in each._repr_html_()


def test_local_jobs_and_those_at_nodes_are_told_apart(
    make_node: MakeNode, make_server: MakeServer, make_client: MakeClient
) -> None:
    node = make_node("--name", "far", workers=1)
    server = make_client(node, ncpus=1)
    submitted = [server.submit(_slow_where) for _ in range(60)]
    seen = set()
    for job in submitted:
        name, pid = job.result()
        assert job.worker_pid == pid
        assert job.node == (node.name if name == "far" else "local")
        seen.add(job.node)
    assert seen == {"local", node.name}


def _slow_where() -> tuple[str | None, int]:
    time.sleep(0.02)
    return where()


def test_what_a_job_wrote_there(make_node: MakeNode, make_client: MakeClient) -> None:
    def write(times: int) -> None:
        print("to out")
        for number in range(times):
            print(f"to err {number}", file=sys.stderr)
        logging.getLogger("there").warning("beware")

    server = make_client(make_node(workers=1))
    short, long = server.submit(write, (1,)), server.submit(write, (200_000,))
    quiet = server.submit(slowly, (1,))
    pp.wait([short, long, quiet])
    assert short.stdout == long.stdout == "to out\n"
    assert short.stderr == "to err 0\nbeware\n"
    assert long.stderr.endswith("to err 199999\nbeware\n")
    assert 2**20 - 100 <= len(long.stderr) <= 2**20
    assert (quiet.stdout, quiet.stderr) == ("", "")


@pytest.mark.parametrize("lines", [1, 100_000])
@pytest.mark.parametrize("behind_a_gateway", [False, True])
def test_what_a_job_wrote_there_before_it_was_cancelled(
    behind_a_gateway: bool,
    lines: int,
    make_node: MakeNode,
    make_client: MakeClient,
    ledger: Ledger,
) -> None:
    def write(ledger: Ledger, lines: int) -> None:
        print("to out\n" * lines, end="")
        print("to err", file=sys.stderr)
        hold(ledger)

    node = make_node("--name", "far", workers=1)
    if behind_a_gateway:
        node = make_node("--name", "gate", "--ppservers", node.name, workers=0)
    server = make_client(node)
    job = server.submit(write, (ledger, lines))
    worker = int(ledger.await_one("holds "))
    waits = server.submit(where)
    assert waits.cancel()
    assert job.cancel()
    ends_cancelled(job)
    ends_cancelled(waits)
    assert (job.stdout, job.stderr) == ("to out\n" * lines, "to err\n")
    assert (job.node, job.worker_pid, job.attempts) == (node.name, worker, 1)
    assert (waits.stdout, waits.node, waits.attempts) == ("", None, 0)


def test_where_a_job_ran_whose_worker_was_killed_there(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    def die_once_and_go_on(ledger: Ledger) -> None:
        if ledger.note("die") == 1:
            os._exit(1)
        heedless(ledger)

    node = make_node(workers=1)
    job = make_client(node).submit(die_once_and_go_on, (ledger,))
    worker = int(ledger.await_one("holds "))
    assert job.cancel()
    ends_cancelled(job)
    assert (job.node, job.worker_pid, job.attempts) == (node.name, worker, 2)


def test_what_a_job_wrote_there_before_it_raised(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    def write() -> None:
        print("to out")
        print("to err", file=sys.stderr)
        raise LookupError("there")

    job = make_client(make_node(workers=1)).submit(write)
    with pytest.raises(LookupError):
        job.result()
    assert (job.stdout, job.stderr) == ("to out\n", "to err\n")


def test_attempts_at_nodes_are_counted(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    def die_once(ledger: Ledger) -> str:
        if ledger.note("die") == 1:
            os._exit(1)
        return "lived"

    job = make_client(make_node(workers=1)).submit(die_once, (ledger,))
    assert job.result() == "lived"
    assert job.attempts == 2


def test_a_job_whose_node_was_lost(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node, max_node_losses=1)
    job = server.submit(kill_node, (ledger,))
    assert isinstance(job.exception(60), pp.NodeLost)
    assert job.state == "failed"
    assert job.worker_pid is None
    assert job.attempts == 1


def test_asyncio_and_waiting(make_node: MakeNode, make_client: MakeClient) -> None:
    import asyncio

    server = make_client(make_node(workers=2))
    submitted = [server.submit(slowly, (n, 0.002)) for n in range(50)]
    assert {job.result() for job in pp.as_completed(submitted, 60)} == set(range(50))

    async def main() -> list[Any]:
        job = server.submit(time.sleep, (1000,))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await job
        with pytest.raises(pp.JobCancelled):
            await job
        return await asyncio.gather(*(server.submit(jobs.echo, (n,)) for n in range(50)))

    assert asyncio.run(main()) == list(range(50))
