"""Several clients of a node share what it has beside processors: never more of it is given out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import groupby

import psutil
import pytest

import pp
from tests import jobs
from tests.cluster import jobs as jobs_of_nodes
from tests.cluster.conftest import MakeClient, MakeNode, MakeProgram
from tests.cluster.jobs import noted
from tests.failures.ledger import Ledger
from tests.support import Gate, MakeGate, caught_from, eventually

pytestmark = pytest.mark.timeout(60)

ONE = {"licence": 1}


def inside(ledger: Ledger, who: str) -> None:
    """Notes that it has come and that it goes."""
    ledger.note(f"in {who}")
    ledger.note(f"out {who}")


def visible(directory: str, name: str) -> str:
    """The GPUs that it was given."""
    jobs.pass_gate(directory, name)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def never_end(ledger: Ledger) -> None:
    """Runs until it is killed, which takes a moment for all that it has."""
    memory = b"\1" * (100 << 20)
    ledger.note(f"runs {os.getpid()}")
    while memory:
        with suppress(KeyboardInterrupt):
            time.sleep(60)


def hold(
    server: pp.Server, gate: Gate, name: str, needs: Mapping[str, float | str] | None = ONE
) -> pp.Job[int]:
    """A job that runs, and has what it needs."""
    job = server.submit(jobs.pass_gate, gate.args(name), resources=needs)
    gate.await_inside(name)
    return job


def test_clients_get_it_in_turn_and_never_at_once(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    node = make_node("--resources", "licence=1", workers=4)
    servers = {name: make_client(node) for name in ("a", "b", "c")}
    holder = hold(servers["a"], gate, "first")
    submitted = [
        server.submit(inside, (ledger, name), resources=ONE)
        for name, server in servers.items()
        for _ in range(20)
    ]
    for server in servers.values():
        assert server.submit(jobs.echo, (1,)).result() == 1, "others are not held up"
    assert ledger.words() == []
    gate.open()
    assert holder.result() is not None
    for job in submitted:
        job.result()
    words = ledger.words()
    assert len(words) == 120
    for came, went in zip(words[::2], words[1::2], strict=True):
        assert came.split() == ["in", went.split()[1]]
    # As long as all of them wait, none has it many times in a row.
    turns = [word.split()[1] for word in words[:80:2]]
    runs = [(who, len(list(run))) for who, run in groupby(turns)]
    assert max(length for _, length in runs) <= 5, runs


def test_each_gpu_is_one_clients(make_node: MakeNode, make_client: MakeClient, gate: Gate) -> None:
    node = make_node(workers=4, env={"CUDA_VISIBLE_DEVICES": "4,7"})
    first, second = make_client(node), make_client(node)
    given = [
        server.submit(visible, gate.args(name), resources={"gpu": 1})
        for server, name in ((first, "first"), (second, "second"))
    ]
    gate.await_inside("first", "second")
    late = [
        server.submit(visible, gate.args(name), resources={"gpu": 1})
        for server, name in ((first, "third"), (second, "fourth"))
    ]
    for server in (first, second):
        assert server.submit(jobs.echo, (1,)).result() == 1
    assert gate.inside() == ["first", "second"]
    gate.open()
    assert {job.result() for job in given} == {"4", "7"}
    assert {job.result() for job in late} <= {"4", "7"}


def test_parts_of_a_gpu_of_several_clients_are_never_more_than_a_whole(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    node = make_node(workers=8, env={"CUDA_VISIBLE_DEVICES": "4,7"})
    first, second = make_client(node), make_client(node)
    one = first.submit(visible, gate.args("one"), resources={"gpu": 0.6})
    gate.await_inside("one")
    other = second.submit(visible, gate.args("other"), resources={"gpu": 0.6})
    gate.await_inside("one", "other")
    large = second.submit(visible, gate.args("large"), resources={"gpu": 0.8})
    small = second.submit(visible, gate.args("small"), resources={"gpu": 0.4})
    gate.await_inside("one", "other", "small")
    assert second.submit(jobs.echo, (1,)).result() == 1
    assert gate.inside() == ["one", "other", "small"]
    gate.open()
    assert {one.result(), other.result()} == {"4", "7"}
    assert small.result() in ("4", "7")
    assert large.result() in ("4", "7")


def test_memory_is_counted_over_all_clients(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    node = make_node("--resources", "memory=1GiB", workers=4)
    first, second = make_client(node), make_client(node)
    needs: dict[str, float | str] = {"memory": "600MiB"}
    holder = hold(first, gate, "holder", needs)
    waits = second.submit(jobs.pass_gate, gate.args("waits"), resources=needs)
    eventually(lambda: waits.state == "queued", "it is given back")
    fits = second.submit(jobs.echo, (1,), resources={"memory": "300MiB"})
    assert fits.result() == 1
    assert gate.inside() == ["holder"]
    gate.open()
    assert holder.result() is not None
    assert waits.result() is not None
    error = caught_from(second.submit(jobs.echo, (1,), resources={"memory": "2GiB"}))
    assert isinstance(error, pp.ResourceError)


def test_what_one_node_has_given_to_others_is_got_from_another(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    nodes = [make_node("--resources", "licence=1", workers=4) for _ in range(2)]
    first, second = make_client(nodes[0]), make_client(*nodes)
    holder = hold(first, gate, "holder")
    submitted = [second.submit(jobs.echo, (n,), resources=ONE) for n in range(10)]
    assert [job.result() for job in submitted] == list(range(10))
    assert {job.node for job in submitted} == {nodes[1].name}
    gate.open()
    assert holder.result() is not None


def test_who_wants_much_gets_it_beside_others_who_want_little(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node("--resources", "licence=2", workers=4)
    narrow, wide = make_client(node), make_client(node)
    submitted = [narrow.submit(noted, (ledger, "narrow", 0.02), resources=ONE) for _ in range(300)]
    ledger.await_words("narrow", 2)
    assert wide.submit(noted, (ledger, "wide"), resources={"licence": 2}).result() == "wide"
    assert any(not job.done() for job in submitted)
    for job in submitted:
        job.cancel()


def test_a_client_that_cannot_take_it_does_not_keep_it_from_others(
    make_node: MakeNode, make_client: MakeClient, make_gate: MakeGate
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    busy, other = make_client(node), make_client(node)
    licence, long = make_gate(), make_gate()
    holder = hold(other, licence, "holder")
    waits = busy.submit(jobs.echo, (1,), resources=ONE)
    # Its only worker has something else to do now.
    runs = hold(busy, long, "long", None)
    submitted = [other.submit(jobs.echo, (n,), resources=ONE) for n in range(10)]
    licence.open()
    assert holder.result() is not None
    assert [job.result() for job in submitted] == list(range(10))
    assert not waits.done()
    long.open()
    assert (waits.result(), runs.result() is not None) == (1, True)


def test_what_a_killed_client_had_is_free_again(
    make_node: MakeNode, make_client: MakeClient, make_program: MakeProgram
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    program = make_program(
        """
        from tests.cluster.jobs import hold
        server = server_of()
        server.submit(hold, (ledger,), resources={"licence": 1})
        server.submit(hold, (ledger,), resources={"licence": 1})
        server.wait()
        """,
        node,
    )
    program.ledger.await_one("holds ")
    server = make_client(node)
    waits = server.submit(jobs.echo, (1,), resources=ONE)
    assert server.submit(jobs.echo, (2,)).result() == 2
    assert not waits.done()
    program.process.kill()
    assert waits.result() == 1


def test_what_a_killed_worker_had_is_free_again(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    first, second = make_client(node, max_worker_deaths=1), make_client(node)
    job = first.submit(jobs_of_nodes.hold, (ledger,), resources=ONE)
    pid = int(ledger.await_one("holds "))
    waits = second.submit(jobs.echo, (1,), resources=ONE)
    assert second.submit(jobs.echo, (2,)).result() == 2
    assert not waits.done()
    os.kill(pid, signal.SIGKILL)
    assert waits.result() == 1
    assert isinstance(caught_from(job), pp.WorkerDied)
    assert first.submit(jobs.echo, (3,), resources=ONE).result() == 3


def test_what_cancelled_and_late_jobs_had_is_free_again(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    first, second = make_client(node), make_client(node)
    held = hold(first, gate, "held")
    waits = second.submit(jobs.echo, (1,), resources=ONE)
    assert second.submit(jobs.echo, (2,)).result() == 2
    assert held.cancel()
    assert waits.result() == 1
    late = second.submit(jobs.pass_gate, gate.args("late"), resources=ONE, timeout=0.3)
    gate.await_inside("late")
    after = first.submit(jobs.echo, (3,), resources=ONE)
    assert isinstance(caught_from(late), pp.JobTimeout)
    assert after.result() == 3


def test_what_a_killed_job_had_is_had_by_the_next_one_of_the_same_client(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    server = make_client(node, cancel_grace=0)
    killed = server.submit(never_end, (ledger,), resources=ONE)
    ledger.await_one("runs ")
    # It comes to the node as soon as the job has ended for the client: its worker is there still.
    waits = server.submit(jobs.echo, (1,), resources=ONE)
    assert killed.cancel()
    assert waits.result() == 1


def test_what_a_killed_job_had_is_nobodys_before_its_worker_is_gone(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    first, second = make_client(node, cancel_grace=0), make_client(node)
    killed = first.submit(never_end, (ledger,), resources=ONE)
    pid = int(ledger.await_one("runs "))
    looks = second.submit(psutil.pid_exists, (pid,), resources=ONE)
    assert second.submit(psutil.pid_exists, (pid,)).result()
    assert killed.cancel()
    assert not looks.result()


def test_who_is_cancelled_while_it_waits_keeps_nobody_waiting(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    node = make_node("--resources", "licence=1", workers=3)
    first, second = make_client(node), make_client(node)
    holder = hold(first, gate, "holder")
    waits = second.submit(jobs.echo, (1,), resources=ONE)
    assert second.submit(jobs.echo, (2,)).result() == 2
    assert waits.cancel()
    eventually(waits.done, "it is cancelled")
    again = second.submit(jobs.echo, (3,), resources=ONE)
    gate.open()
    assert holder.result() is not None
    assert again.result() == 3
    assert first.submit(jobs.echo, (4,), resources=ONE).result() == 4


def test_who_does_not_come_when_it_is_its_turn_keeps_no_worker(
    make_node: MakeNode, make_client: MakeClient, make_gate: MakeGate
) -> None:
    node = make_node("--resources", "licence=1", workers=2)
    first, second = make_client(node), make_client(node)
    licence, long = make_gate(), make_gate()
    holder = hold(first, licence, "holder")
    waits = second.submit(jobs.echo, (1,), resources=ONE)
    assert second.submit(jobs.echo, (2,)).result() == 2
    # The node does not hear of it: the job is not there.
    assert waits.cancel()
    eventually(waits.done, "it is cancelled")
    licence.open()
    assert holder.result() is not None
    for name in ("one", "other"):
        first.submit(jobs.pass_gate, long.args(name))
    long.await_inside("one", "other")
    long.open()


def test_who_wants_more_processors_than_its_share_waits_for_them(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    node = make_node(workers=2)
    one, other = make_client(node), make_client(node, node_timeout=1)
    hold(one, gate, "one", None)
    wide = other.submit(jobs.echo, (1,), resources={"cpu": 2})
    error = caught_from(other.submit(jobs.echo, (2,), resources={"cpu": 3}))
    assert isinstance(error, pp.ResourceError)
    assert "the most that any machine has is 2" in str(error)
    assert not wide.done()
    gate.open()
    assert wide.result() == 1
