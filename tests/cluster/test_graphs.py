"""Graphs of jobs, retries, timeouts, priorities and shares, where nodes run the jobs."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any

import numpy as np
import psutil
import pytest

import pp
from tests import graphs, jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import daemon_pid, slowly, version, where
from tests.cluster.nodes import Node
from tests.failures.cancelling import heedless
from tests.failures.graphs import Drama
from tests.failures.ledger import PATIENCE, Ledger
from tests.support import Gate, eventually
from tests.terms import OwnError, crowd, fails_first, noted, sleep, slow_first, turn
from tests.test_shares import most_at_once

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="stops, kills and looks into /proc"),
]

BIG = 400_000

# Shorter than any patience, longer than what a quick job takes on a busy machine.
SHORT = 0.5


def new_dice() -> random.Random:
    """By PP_TEST_SEED, if that is set; the seed is printed."""
    seed = int(os.environ.get("PP_TEST_SEED", random.randrange(2**32)))
    print(f"PP_TEST_SEED={seed}")
    return random.Random(seed)


def ends_well(drama: Drama, server: pp.Server) -> None:
    """All jobs end once, in ways that they may."""
    ways = drama.check(90)
    server.wait()
    eventually(lambda: len(drama.ends) == len(drama.jobs), "all ends are told")
    assert set(drama.ends.values()) == {1}, "each once"
    print(f"{len(drama.jobs)} jobs: {dict(ways)}")
    assert server.submit(jobs.echo, (1,)).result(PATIENCE) == 1
    assert server.cancel() == 0


# Dependencies


def test_results_go_between_nodes(make_node: MakeNode, make_client: MakeClient) -> None:
    nodes = [make_node("--name", f"node{n}", workers=1) for n in range(2)]
    server = make_client(*nodes)
    layer = [server.submit(slowly, (n, 0.02)) for n in range(64)]
    names = {server.submit(lambda x: (x, where())[1][0], (job,)) for job in layer}
    while len(layer) > 1:
        layer = [server.submit(jobs.add, layer[n : n + 2]) for n in range(0, len(layer), 2)]
    assert layer[0].result() == sum(range(64))
    assert {job.result() for job in names} <= {"node0", "node1"}


@pytest.mark.parametrize("memory", [None, 0])
def test_large_results_go_between_nodes(
    memory: int | None, make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(*(make_node(workers=2) for _ in range(2)), shared_memory=memory)
    made = [server.submit(np.full, (BIG, n)) for n in range(12)]
    both = [server.submit(np.add, (made[n], made[(n + 1) % 12])) for n in range(12)]
    sums = [server.submit(np.sum, ([made[n], both[n], made[n]],)) for n in range(12)]
    for number, job in enumerate(sums):
        expected = number * 2 + number + (number + 1) % 12
        assert job.result() == expected * BIG
    mixed = server.submit(lambda a, *, b: (a.sum(), b.sum()), (made[1],), kwargs={"b": both[3]})
    assert mixed.result() == (BIG, 7 * BIG)


def test_local_workers_and_nodes_share_a_graph(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    dice = new_dice()
    server = make_client(make_node(workers=2), ncpus=1)
    drama = Drama(dice, ledger, 25, 10, {"well": 90, "large": 10})
    drama.submit(server)
    assert set(drama.check(90)) == {"value"}
    assert all(ledger.count(f"job {step.number}") == 1 for step in drama.steps)


def test_a_graph_with_everything(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    dice = new_dice()
    server = make_client(*(make_node(workers=2) for _ in range(2)), max_worker_deaths=1000)
    server.set_group("two", weight=3)
    server.set_group("three", limit=1)
    drama = Drama(dice, ledger, dice.randint(10, 25), 10)
    drama.submit(server)
    drama.cancel_some(dice.randint(0, 4))
    ends_well(drama, server)


@pytest.mark.parametrize("how", ["killed", "stopped", "frozen"])
def test_a_node_goes_in_the_middle(
    how: str, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    dice = new_dice()
    doomed, other = make_node(workers=2), make_node(workers=2)
    options: dict[str, Any] = {"max_worker_deaths": 1000, "max_node_losses": 1000}
    server = make_client(doomed, other, node_timeout=1.5, **options)
    fates = {"well": 70, "large": 12, "raises": 3, "flaky": 10, "hangs": 2, "dies": 3}
    drama = Drama(dice, ledger, 40, 12, fates)
    drama.submit(server)
    # In the middle, as far as can be: a third has begun.
    eventually(lambda: len(ledger.words()) > len(drama.steps) // 3 or _all_done(drama), "a third")
    if how == "killed":
        doomed.kill()
    elif how == "stopped":
        doomed.terminate()
    else:
        doomed.freeze()
    ends_well(drama, server)


def _all_done(drama: Drama) -> bool:
    return all(job.done() for job in drama.jobs)


def test_the_only_node_goes_and_comes_back(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    """Results that are needed later are not lost with the node that made them."""
    node = make_node(workers=2)
    server = make_client(node, max_node_losses=10)
    made = [server.submit(np.full, (BIG, n)) for n in range(6)]
    for job in made:
        job.wait()
    node.kill()
    sums = [server.submit(np.sum, (job,)) for job in made]
    total = server.submit(sum, (sums,))
    assert total.state == "queued"
    make_node(workers=2, port=node.port)
    assert total.result(PATIENCE) == 15 * BIG


def test_through_a_gateway(make_node: MakeNode, make_client: MakeClient, ledger: Ledger) -> None:
    dice = new_dice()
    behind = [make_node(workers=2) for _ in range(2)]
    names = ",".join(node.name for node in behind)
    gateway = make_node("--ppservers", names, workers=0)
    options: dict[str, Any] = {"max_worker_deaths": 1000, "max_node_losses": 1000}
    server = make_client(gateway, **options)
    eventually(lambda: server.get_active_nodes()[gateway.name] == 4, "all of it is there")
    server.set_group("three", limit=1)
    drama = Drama(dice, ledger, 30, 10)
    drama.submit(server)
    eventually(lambda: len(ledger.words()) > len(drama.steps) // 3 or _all_done(drama), "a third")
    behind[0].kill()
    drama.cancel_some(2)
    ends_well(drama, server)


def test_failures_at_nodes_name_their_root(make_node: MakeNode, make_client: MakeClient) -> None:
    server = make_client(*(make_node(workers=1) for _ in range(2)))
    root = server.submit(jobs.fail, (LookupError("far away"),), name="the root")
    job = root
    for _ in range(10):
        job = server.submit(jobs.echo, ([job],))
    error = job.exception()
    assert isinstance(error, pp.DependencyFailed)
    assert (error.number, error.name) == (root.tid, "the root")
    assert isinstance(error.__cause__, LookupError)


def test_cancelling_at_nodes_spreads(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    server = make_client(make_node(workers=1))
    root = server.submit(sleep, (ledger,))
    ledger.await_words("holds")
    waiting = [server.submit(jobs.echo, ([root],)) for _ in range(50)]
    last = server.submit(jobs.echo, (waiting,))
    beside = server.submit(jobs.echo, (5,))
    assert root.cancel()
    assert beside.result(PATIENCE) == 5
    pp.wait([root, *waiting, last], PATIENCE)
    assert all(job.cancelled() for job in (root, *waiting, last))


def test_a_node_of_another_python(
    make_node: MakeNode, make_client: MakeClient, other_python: str, ledger: Ledger
) -> None:
    """Results of one version are read by the other."""
    mine, theirs = make_node(workers=1), make_node(workers=1, python=other_python)
    server = make_client(mine, theirs)
    made = [server.submit(slowly, ({"n": n, "b": b"x" * 200_000}, 0.02)) for n in range(40)]
    got = [server.submit(lambda d: (d["n"], len(d["b"]), version()), (job,)) for job in made]
    results = [job.result() for job in got]
    assert [result[:2] for result in results] == [(n, 200_000) for n in range(40)]
    assert {result[2] for result in results} <= {sys.version_info[:2], theirs_of(other_python)}


def theirs_of(python: str) -> tuple[int, int]:
    """The version of an interpreter."""
    import subprocess

    code = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, said.split())
    return major, minor


@pytest.mark.parametrize("retry_on", [OwnError, (OSError, OwnError), Exception, TimeoutError])
def test_keywords_and_retries_on_another_python(
    retry_on: Any, make_node: MakeNode, make_client: MakeClient, other_python: str, ledger: Ledger
) -> None:
    server = make_client(make_node(workers=1, python=other_python))

    class LocalError(OwnError):
        pass

    given = {"ledger": ledger, "times": 1, "error": LocalError()}
    job = server.submit(fails_first, kwargs=given, retries=1, retry_on=retry_on, backoff=0)
    if retry_on is TimeoutError:
        assert isinstance(job.exception(), OwnError)
        assert job.attempts == 1
    else:
        assert job.result() == 2


# Timeouts


def says_and_sleeps() -> None:
    """Prints, and does not end."""
    print("so far")
    time.sleep(PATIENCE)


def test_what_was_printed_before_a_timeout_is_kept(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node(workers=1))
    # Loading its module is part of the time.
    job = server.submit(says_and_sleeps, timeout=3)
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)
    assert job.stdout == "so far\n"


def test_timeouts_at_nodes(make_node: MakeNode, make_client: MakeClient, ledger: Ledger) -> None:
    server = make_client(make_node(workers=1), max_worker_deaths=1)
    assert server.submit(turn).result() == 0
    worker = server.submit(jobs.pid).result()
    job = server.submit(sleep, (ledger,), timeout=SHORT)
    behind = [server.submit(noted, (ledger, f"job {n}")) for n in range(20)]
    error = job.exception(PATIENCE)
    assert isinstance(error, pp.JobTimeout)
    assert error.limit == SHORT
    assert job.attempts == 1
    assert [other.result() for other in behind] == [f"job {n}" for n in range(20)]
    assert server.submit(jobs.pid).result() == worker
    deaf = server.submit(heedless, (ledger,), timeout=SHORT)
    assert isinstance(deaf.exception(PATIENCE), pp.JobTimeout)
    assert server.submit(jobs.pid).result() != worker
    eventually(lambda: not psutil.pid_exists(worker), "the worker has gone")


def test_waiting_at_a_node_is_no_running(
    make_node: MakeNode, make_client: MakeClient, gate: Gate, ledger: Ledger
) -> None:
    server = make_client(make_node(workers=1))
    for job in [server.submit(turn, timeout=SHORT + 20) for _ in range(300)]:
        job.result()
    held = server.submit(jobs.pass_gate, gate.args())
    gate.await_inside("job")
    waiting = [server.submit(turn, timeout=SHORT) for _ in range(100)]
    waiting.append(server.submit(jobs.echo, (held,), timeout=SHORT))
    started = time.monotonic()
    eventually(lambda: time.monotonic() > started + 2 * SHORT, "time passes")
    gate.open()
    assert [job.exception() for job in waiting] == [None] * 101


def test_many_short_ones_never_time_out(make_node: MakeNode, make_client: MakeClient) -> None:
    server = make_client(*(make_node(workers=1) for _ in range(2)))
    submitted = [server.submit(slowly, (n, 0.005), timeout=1.5) for n in range(600)]
    assert [job.exception() for job in submitted] == [None] * 600


def test_timeouts_through_a_gateway(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    behind = make_node(workers=1)
    gateway = make_node("--ppservers", behind.name, workers=0)
    server = make_client(gateway)
    job = server.submit(sleep, (ledger,), timeout=SHORT)
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)
    retried = server.submit(
        slow_first, (ledger, 1), timeout=2 * SHORT, retries=5, backoff=0.01, retry_on=TimeoutError
    )
    assert retried.result(PATIENCE) >= 2
    assert retried.attempts >= 2


def test_a_limit_holds_where_the_job_comes_to(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    """The node that had it first is lost; the other one knows the limit, too."""
    nodes = [make_node(workers=1) for _ in range(2)]
    server = make_client(*nodes, max_node_losses=3)
    daemon = {server.submit(daemon_pid).result() for _ in range(1)}.pop()
    job = server.submit(_kills_then_sleeps, (ledger,), timeout=3)
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)
    assert ledger.count("ran") == 2
    assert daemon in {node.process.pid for node in nodes}


def _kills_then_sleeps(ledger: Ledger) -> None:
    if ledger.note("ran") == 1:
        os.kill(daemon_pid(), 9)
    time.sleep(1000)


def test_limits_of_large_jobs_and_of_small_ones_that_pass_them(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    """What is said of a job goes along with it, however its arguments travel."""
    node = make_node(workers=2)
    server = make_client(node)
    for _ in range(5):
        submitted = []
        for number in range(30):
            large = np.full(200_000 + number, number, dtype="u1")
            text = "x" * (300_000 + number)
            submitted.append(server.submit(len, (large,), timeout=50))
            submitted.append(server.submit(len, ("x" * number,)))
            submitted.append(server.submit(len, (text,), timeout=40))
            submitted.append(server.submit(len, ("x" * number,), timeout=30))
        for number in range(30):
            sizes = [job.result(PATIENCE) for job in submitted[4 * number : 4 * number + 4]]
            assert sizes == [200_000 + number, number, 300_000 + number, number]
    assert node.log().count("client joined") == 1, node.log()
    job = server.submit(_sleeps_on, (ledger, np.ones(BIG)), timeout=SHORT)
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)


def _sleeps_on(ledger: Ledger, data: Any) -> int:
    ledger.note("holds")
    time.sleep(1000)
    return len(data)


@pytest.mark.parametrize("timeout", [1e-12, 1e-9, 0.0005])
def test_the_shortest_limits(
    timeout: float, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    server = make_client(make_node(workers=1))
    job = server.submit(sleep, (ledger,), timeout=timeout)
    assert isinstance(job.exception(PATIENCE), pp.JobTimeout)


# Retries


def test_retries_at_nodes(make_node: MakeNode, make_client: MakeClient, ledger: Ledger) -> None:
    server = make_client(*(make_node(workers=1) for _ in range(2)))
    job = server.submit(fails_first, (ledger, 2, OwnError()), retries=2, backoff=0.01)
    assert job.result() == 3
    assert job.attempts == 3
    assert job.stdout == "attempt 3\n"
    other = server.submit(
        fails_first, (ledger, 99, OwnError(), "other"), retries=9, retry_on=OSError, backoff=0
    )
    assert isinstance(other.exception(), OwnError)
    assert (other.attempts, ledger.count("other")) == (1, 1)
    third = server.submit(fails_first, (ledger, 99, OwnError(), "third"), retries=2, backoff=0)
    assert isinstance(third.exception(), OwnError)
    assert (third.attempts, ledger.count("third")) == (3, 3)


def test_retries_through_a_gateway(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    """Only who has submitted it tries it again: no gateway does so, too."""
    behind = [make_node(workers=1) for _ in range(2)]
    gateway = make_node("--ppservers", ",".join(node.name for node in behind), workers=0)
    server = make_client(gateway)
    job = server.submit(fails_first, (ledger, 99, OwnError()), retries=2, backoff=0)
    assert isinstance(job.exception(), OwnError)
    assert (job.attempts, ledger.count("tried")) == (3, 3)


# Priorities and shares


def test_the_most_urgent_begin_first_at_nodes(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    server = make_client(make_node(workers=1))
    held = server.submit(jobs.pass_gate, gate.args())
    gate.await_inside("job")
    low = [server.submit(turn) for _ in range(20)]
    high = [server.submit(turn, priority=1) for _ in range(20)]
    gate.open()
    assert held.result() > 0
    turns = sorted(job.result() for job in high)
    # A few are sent ahead, and one start in 16 goes to who has waited longest.
    assert turns[-1] <= 25, turns
    assert sorted(turns + [job.result() for job in low]) == list(range(40))


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("gateway", [False, True])
def test_limits_hold_across_nodes(
    limit: int, gateway: bool, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    nodes: list[Node] = [make_node(workers=2) for _ in range(2)]
    if gateway:
        nodes = [make_node("--ppservers", ",".join(node.name for node in nodes), workers=0)]
    server = make_client(*nodes, ncpus=1)
    eventually(lambda: sum(server.get_active_nodes().values()) == 5, "all are there")
    server.set_group("few", limit=limit)
    others = [server.submit(slowly, (n, 0.002)) for n in range(100)]
    warm = [server.submit(crowd, (ledger, 0.0), group="few") for _ in range(60)]
    submitted = [server.submit(crowd, (ledger, 0.01), group="few") for _ in range(40)]
    for job in (*warm, *submitted, *others):
        job.result()
    assert ledger.count("in") == 100
    assert most_at_once(ledger) <= limit


def test_a_held_group_at_nodes(make_node: MakeNode, make_client: MakeClient) -> None:
    server = make_client(make_node(workers=2))
    server.set_group("held", limit=0)
    held = [server.submit(jobs.echo, (n,), group="held") for n in range(20)]
    assert [job.result() for job in [server.submit(jobs.echo, (n,)) for n in range(200)]]
    assert {job.state for job in held} == {"queued"}
    server.set_group("held", limit=2)
    assert [job.result() for job in held] == list(range(20))


# Replays


def test_what_a_node_has_failed_can_be_recorded(
    make_node: MakeNode, make_client: MakeClient, tmp_path: Any
) -> None:
    from pp._replay import debugging, recording

    server = make_client(make_node(workers=1))
    made = server.submit(np.ones, (BIG,))
    job = server.submit(graphs.work, (1, [made]))
    assert isinstance(job.exception(), TypeError)
    job.save(tmp_path / "job")
    loaded = recording.load(tmp_path / "job")
    assert loaded.arguments()[1][0].sum() == BIG
    with pytest.raises(TypeError, match="no number"):
        debugging.run(loaded)
