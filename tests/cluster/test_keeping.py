"""Results that stay at the nodes that have made them: where they are used, how they come, and
what becomes of them when their nodes go.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode, MakeProgram, MakeProxy
from tests.cluster.nodes import Node
from tests.cluster.proxy import Proxy
from tests.cluster.test_graphs import new_dice
from tests.failures.ledger import PATIENCE, Ledger
from tests.segments import opened
from tests.support import Gate, caught_from, eventually
from tests.terms import crowd
from tests.test_shares import most_at_once

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="nodes are looked into"),
]

# Bytes of a result.
SIZE = 8_000_000
# Numbers in one of many.
SMALL = 40_000
# More than what is said beside data, functions and their modules among it.
LITTLE = SIZE // 2

MakePair = Callable[..., tuple[Node, Node]]


def made(ledger: Ledger, number: int = 7) -> NDArray[np.float64]:
    """A large result, once it may be made; notes each time that it is."""
    ledger.await_words("go")
    ledger.note("made")
    return np.full(SIZE // 8, number, float)


def more(array: NDArray[np.float64], ledger: Ledger | None = None) -> NDArray[np.float64]:
    """Another one, of one."""
    if ledger:
        ledger.note("more")
    return array + 1


def total(array: NDArray[np.float64]) -> float:
    """A small result."""
    return float(array.sum())


def total_of(both: list[Any]) -> float:
    """The same of what is deep in it."""
    return total(both[1]["second"])


def pass_and_total(array: NDArray[np.float64], *gate: str) -> float:
    """The same, once the gate is open."""
    jobs.pass_gate(*gate)
    return total(array)


@pytest.fixture
def make_pair(make_node: MakeNode) -> MakePair:
    """Two nodes: the first has the resource "first", the second "second"."""

    def make(**options: Any) -> tuple[Node, Node]:
        first = make_node("--name", "first", "--resources", "first=9", **options)
        second = make_node("--name", "second", "--resources", "second=9", **options)
        return first, second

    return make


FIRST = {"first": 1}
SECOND = {"second": 1}


def through(
    make_client: MakeClient, make_proxy: MakeProxy, *nodes: Node, **options: Any
) -> tuple[pp.Server, list[Proxy]]:
    """A server that reaches the nodes through proxies; so do nodes that the client sends to
    each other.
    """
    proxies = [make_proxy(node) for node in nodes]
    return make_client(*proxies, **options), proxies


def at(ledger: Ledger, server: pp.Server, resources: dict[str, int], gate: Gate) -> pp.Job[Any]:
    """A large result that has been made and lies where there are these resources: a job that
    needs it waits for the gate.
    """
    result = server.submit(made, (ledger,), resources=resources)
    held = server.submit(pass_and_total, (result, *gate.args("held")), resources=resources)
    ledger.note("go")
    gate.await_inside("held")
    assert not held.done()
    return result


# Where results are


def test_a_result_stays_where_jobs_use_it(
    make_node: MakeNode, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    server, (proxy,) = through(make_client, make_proxy, make_node(workers=2))
    first = server.submit(made, (ledger,))
    second = server.submit(more, (first,))
    third = server.submit(total_of, ([first, {"second": second}],))
    ledger.note("go")
    assert third.result() == SIZE
    assert proxy.received[0] < LITTLE, "no result has gone through the client"
    assert sum(map(len, proxy.sent)) < LITTLE
    assert first.result().sum() == 7 * SIZE / 8
    assert proxy.received[0] > SIZE, "it comes when it is asked for"
    before = proxy.received[0]
    assert first.result() is first.result()
    assert server.submit(total, (first,)).result() == 7 * SIZE / 8
    assert proxy.received[0] < before + LITTLE
    assert len(proxy.sent[0]) < LITTLE, "it is still there"


def test_a_result_goes_from_node_to_node(
    make_pair: MakePair, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    server, (first, second) = through(make_client, make_proxy, *make_pair(workers=1))
    job = server.submit(made, (ledger,), resources=FIRST)
    sums = [server.submit(total, (job,), resources=SECOND) for _ in range(5)]
    ledger.note("go")
    assert [one.result() for one in sums] == [7 * SIZE / 8] * 5
    assert {one.node for one in sums} == {second.name}
    assert first.received[0] < LITTLE
    assert len(second.sent[0]) < LITTLE
    assert SIZE < sum(first.received[1:]) < SIZE + LITTLE, "once, and not through the client"


def test_it_goes_through_the_client_where_nodes_do_not_reach_each_other(
    make_pair: MakePair, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    server, (first, second) = through(make_client, make_proxy, *make_pair(workers=1))
    first.shut()
    job = server.submit(made, (ledger,), resources=FIRST)
    again = [server.submit(more, (job,), resources=SECOND) for _ in range(3)]
    back = server.submit(total, (again[2],), resources=FIRST)
    ledger.note("go")
    assert back.result() == SIZE
    assert SIZE < first.received[0] < SIZE + LITTLE, "once"
    assert len(second.sent[0]) > SIZE
    assert ledger.count("made") == 1


def test_local_workers_get_what_lies_at_a_node(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    server = make_client(make_node("--resources", "first=9", workers=1), ncpus=1)
    job = server.submit(made, (ledger,), resources=FIRST)
    # The node has no room for it.
    both = server.submit(pass_and_total, (job, *gate.args("there")), resources=FIRST)
    here = server.submit(total, (job,))
    ledger.note("go")
    gate.await_inside("there")
    assert here.result() == 7 * SIZE / 8
    assert here.node == "local"
    gate.open()
    assert both.result() == 7 * SIZE / 8
    assert ledger.count("made") == 1


def test_jobs_prefer_the_node_that_has_their_data(
    make_node: MakeNode, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    nodes = [make_node("--name", f"node{n}", workers=2) for n in range(2)]
    server, proxies = through(make_client, make_proxy, *nodes)
    chains = [server.submit(made, (ledger, n)) for n in range(4)]
    for _ in range(6):
        chains = [server.submit(more, (job,)) for job in chains]
    ends = [server.submit(total, (job,)) for job in chains]
    ledger.note("go")
    assert [job.result() for job in ends] == [(n + 6) * SIZE / 8 for n in range(4)]
    assert all(proxy.received[0] < LITTLE for proxy in proxies)
    # 24 results were handed on.
    moved = sum(sum(proxy.received[1:]) for proxy in proxies)
    assert moved < 8 * SIZE, f"{moved / SIZE} of 24 were moved"


def test_plain_results_come_at_once(
    make_node: MakeNode, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    server, (proxy,) = through(make_client, make_proxy, make_node(workers=1))
    ledger.note("go")
    job = server.submit(made, (ledger,))
    pp.wait([job])
    assert proxy.received[0] > SIZE
    assert server.submit(total, (job,)).result() == 7 * SIZE / 8


def test_behind_a_gateway_results_stay_at_the_gateway(
    make_node: MakeNode, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    leaf = make_node(workers=1)
    gateway = make_node("--ppservers", leaf.name, workers=0)
    server, (proxy,) = through(make_client, make_proxy, gateway)
    job = server.submit(made, (ledger,))
    last = server.submit(total, (server.submit(more, (job,)),))
    ledger.note("go")
    assert last.result() == SIZE
    assert proxy.received[0] < LITTLE
    assert job.result().sum() == 7 * SIZE / 8


def test_nodes_keep_nothing_that_nobody_refers_to(
    make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server = make_client(node)

    def held() -> int:
        names = [str(path.readlink()) for path in Path(f"/proc/{node.process.pid}/fd").iterdir()]
        return sum("pp-data" in name for name in names)

    job = server.submit(made, (ledger,))
    for _ in range(40):
        job = server.submit(more, (job,))
    ledger.note("go")
    assert server.submit(total, (job,)).result() == 47 * SIZE / 8
    assert server.submit(total, (job,)).result() == 47 * SIZE / 8
    del job
    # Those that are kept for reuse are given up after three seconds.
    eventually(lambda: held() == 0, "segments are closed")


# Asking for results


def test_a_result_is_brought_in_asyncio(
    make_pair: MakePair, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    server = make_client(*make_pair(workers=2))
    job = at(ledger, server, FIRST, gate)

    async def ask() -> float:
        return total(await job)

    assert asyncio.run(ask()) == 7 * SIZE / 8
    gate.open()


def test_a_result_that_does_not_come_in_time(
    make_pair: MakePair, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = at(ledger, server, FIRST, gate)
    first.freeze()
    assert job.done()
    assert job.state == "finished"
    with pytest.raises(TimeoutError, match="not brought in time"):
        job.result(timeout=0.05)
    with pytest.raises(TimeoutError):
        job.exception(timeout=0)
    first.thaw()
    assert total(job.result(PATIENCE)) == 7 * SIZE / 8
    assert job.exception() is None
    gate.open()


def test_a_result_that_was_left_behind_is_told_after_the_end(
    make_pair: MakePair, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    server = make_client(*make_pair(workers=2))
    job = at(ledger, server, FIRST, gate)
    asked = at(ledger, server, FIRST, gate)
    assert total(asked.result()) == 7 * SIZE / 8
    server.destroy()
    error = caught_from(job)
    assert isinstance(error, pp.DestroyedServerError)
    assert "left at a node" in str(error)
    assert total(asked.result()) == 7 * SIZE / 8


def test_a_failed_job_is_looked_into_with_what_lay_at_a_node(
    make_pair: MakePair, make_client: MakeClient, ledger: Ledger
) -> None:
    server = make_client(*make_pair(workers=1))
    job = server.submit(made, (ledger,), resources=FIRST)
    failed = server.submit(divide, (job,), resources=SECOND)
    ledger.note("go")
    assert isinstance(failed.exception(), ZeroDivisionError)
    record = failed._record()
    assert record is not None
    assert sum(map(len, record[2])) > SIZE


def divide(array: NDArray[np.float64]) -> float:
    """Fails."""
    return total(array) / 0


# When nodes go


def test_a_result_is_made_again_when_its_node_is_lost(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    first.kill()
    needs = server.submit(total, (job,), resources=SECOND)
    again(make_node, first)
    assert needs.result(PATIENCE) == 7 * SIZE / 8
    assert ledger.count("made") == 2
    assert total(job.result(PATIENCE)) == 7 * SIZE / 8
    assert ledger.count("made") == 2, "once for all"
    assert job.node == first.name
    assert job.state == "finished"
    server.wait()
    assert ledger.count("made") == 2


def again(make_node: MakeNode, node: Node) -> Node:
    """A node like the first one of a pair, in its place."""
    return make_node("--resources", "first=9", workers=2, port=node.port)


def test_who_asks_for_a_result_that_was_lost_gets_it(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    first.kill()
    with pytest.raises(TimeoutError):
        job.result(timeout=0.1)
    again(make_node, first)
    assert total(job.result(PATIENCE)) == 7 * SIZE / 8
    assert ledger.count("made") == 2


def test_a_chain_is_made_again_whose_middle_nobody_has_kept(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = server.submit(made, (ledger,), resources=FIRST)
    for _ in range(4):
        job = server.submit(more, (job, ledger), resources=FIRST)
    held = server.submit(pass_and_total, (job, *gate.args("held")), resources=FIRST)
    ledger.note("go")
    gate.await_inside("held")
    gate.open()
    assert held.result() == 11 * SIZE / 8
    first.kill()
    last = server.submit(total, (job,), resources=SECOND)
    again(make_node, first)
    assert last.result(PATIENCE) == 11 * SIZE / 8
    assert (ledger.count("made"), ledger.count("more")) == (2, 8)


def test_a_node_is_lost_while_another_gets_a_result_from_it(
    make_pair: MakePair,
    make_node: MakeNode,
    make_client: MakeClient,
    make_proxy: MakeProxy,
    ledger: Ledger,
    gate: Gate,
) -> None:
    first, second = make_pair(workers=2)
    server, (proxy, _) = through(make_client, make_proxy, first, second)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    server.wait()
    first.freeze()
    needs = server.submit(total, (job,), resources=SECOND)
    eventually(lambda: len(proxy.sent) > 1, "the other node asks for it")
    first.kill()
    again(make_node, first)
    assert needs.result(PATIENCE) == 7 * SIZE / 8
    assert ledger.count("made") == 2


def fails_again(ledger: Ledger) -> NDArray[np.float64]:
    """Succeeds once."""
    ledger.await_words("go")
    if ledger.note("made") > 1:
        raise LookupError("not again")
    return np.ones(SIZE // 8)


def test_a_result_that_cannot_be_made_again_says_why(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = server.submit(fails_again, (ledger,), resources=FIRST)
    held = server.submit(pass_and_total, (job, *gate.args("held")), resources=FIRST)
    ledger.note("go")
    gate.await_inside("held")
    gate.open()
    held.wait()
    first.kill()
    needs = server.submit(total, (job,), resources=SECOND)
    again(make_node, first)
    with pytest.raises(LookupError, match="not again"):
        job.result(PATIENCE)
    error = caught_from(needs)
    assert isinstance(error, pp.DependencyFailed)
    assert "not again" in str(error) or isinstance(error.__cause__, LookupError)
    server.wait()


def test_jobs_that_wait_for_a_result_to_be_made_again_can_be_cancelled(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    server.wait()
    first.kill()
    needs = [server.submit(total, (job,), resources=SECOND) for _ in range(3)]
    eventually(lambda: server.get_active_nodes().get(first.name) is None, "it is lost")
    assert needs[0].cancel()
    assert needs[0].cancelled()
    again(make_node, first)
    assert needs[1].result(PATIENCE) == needs[2].result(PATIENCE) == 7 * SIZE / 8


def test_a_node_that_leaves_hands_over_what_it_keeps(
    make_pair: MakePair, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    server.wait()
    first.terminate()
    assert first.wait() == 0
    assert server.submit(total, (job,), resources=SECOND).result() == 7 * SIZE / 8
    assert total(job.result()) == 7 * SIZE / 8
    assert ledger.count("made") == 1


def combined(ledger: Ledger, *arrays: NDArray[np.int64]) -> NDArray[np.int64]:
    """One of several; noted."""
    time.sleep(0.01)
    ledger.note("combined")
    return sum(arrays[1:], arrays[0]) % 1_000_003


def layers_of(
    server: pp.Server, ledger: Ledger, dice: random.Random, depth: int, width: int
) -> list[tuple[pp.Job[Any], int]]:
    """The last of many layers of large results, each of up to three of the layer before; and
    what they must be.
    """
    layer = [(server.submit(np.full, (SMALL, n, np.int64)), n) for n in range(width)]
    for _ in range(depth):
        chosen = [dice.sample(layer, dice.randint(1, 3)) for _ in range(width)]
        layer = [
            (
                server.submit(combined, (ledger, *(job for job, _ in inputs))),
                sum(value for _, value in inputs) % 1_000_003,
            )
            for inputs in chosen
        ]
    return layer


@pytest.mark.parametrize("ncpus", [0, 1])
def test_a_graph_of_large_results_outlives_its_nodes(
    ncpus: int, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    dice = new_dice()
    nodes = [make_node(workers=1) for _ in range(3)]
    server = make_client(*nodes, ncpus=ncpus, node_timeout=2)
    last = layers_of(server, ledger, dice, depth=8, width=12)
    for number, many in enumerate((15, 45)):
        ledger.await_words("combined", many)
        nodes[number].kill()
        make_node(workers=1, port=nodes[number].port)
    ledger.await_words("combined", 70)
    # Its connections stay; it comes back as another one.
    nodes[2].freeze()
    for job, expected in last[:6]:
        array = job.result(60)
        assert (array[0], array[-1], len(array)) == (expected, expected, SMALL)
    nodes[2].thaw()
    sums = [server.submit(np.max, (job,)) for job, _ in last]
    assert [job.result(60) for job in sums] == [expected for _, expected in last]
    server.wait()
    assert server.cancel() == 0


def reduced(array: NDArray[np.float64], others: NDArray[np.float64] | float) -> Any:
    """A fraction of it."""
    return array[: SMALL // 2] + others


def test_what_small_results_were_made_of_is_not_kept(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node(workers=1))
    job: Any = 0.0
    for _ in range(20):
        array = np.ones(SIZE // 8)
        job = server.submit(reduced, (array, job))
        server.submit(total, (job,)).result()
    # Those that are free are closed after three seconds.
    eventually(lambda: opened() <= 3, "the arguments are given up")
    assert job.result()[0] == 20


def test_a_program_ends_whose_result_does_not_come(
    make_node: MakeNode, make_program: MakeProgram
) -> None:
    node = make_node(workers=2)
    program = make_program(
        """
        import asyncio
        import numpy as np
        import pp
        from tests.cluster.jobs import daemon_pid
        from tests.cluster.nodes import freeze

        server = server_of(node_timeout=60)
        daemon = server.submit(daemon_pid).result()
        job = server.submit(slowly, (np.ones(1_000_000), 0.3))
        server.submit(len, (job,)).result()

        async def ask():
            freeze(daemon)
            try:
                await asyncio.wait_for(job, 0.2)
            except TimeoutError:
                print("too late", flush=True)

        asyncio.run(ask())
        print("over", flush=True)
        """,
        node,
    )
    assert program.ends() == 0
    assert program.out().split() == ["too", "late", "over"]


def test_cancelling_everything_leaves_what_has_ended(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    server.wait()
    first.kill()
    with pytest.raises(TimeoutError):
        job.result(timeout=0.1)
    assert server.cancel() == 0
    again(make_node, first)
    assert total(job.result(PATIENCE)) == 7 * SIZE / 8
    assert server.submit(total, (job,), resources=SECOND).result() == 7 * SIZE / 8


def test_what_could_not_be_made_again_is_tried_again(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger, gate: Gate
) -> None:
    first, second = make_pair(workers=2)
    server = make_client(first, second, node_timeout=1)
    job = at(ledger, server, FIRST, gate)
    gate.open()
    server.wait()
    first.kill()
    needs = server.submit(total, (job,), resources=SECOND)
    assert isinstance(caught_from(job), pp.ResourceError), "nobody has what it needs"
    assert isinstance(caught_from(needs), pp.DependencyFailed)
    again(make_node, first)
    eventually(lambda: first.name in server.get_active_nodes(), "it is back")
    assert server.submit(total, (job,), resources=SECOND).result() == 7 * SIZE / 8
    assert total(job.result()) == 7 * SIZE / 8


def test_what_is_made_again_keeps_to_the_limit_of_its_group(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    first, second = make_pair(workers=3)
    server = make_client(first, second)
    server.set_group("few", limit=1)
    made_by = [server.submit(crowded, (ledger,), group="few", resources=FIRST) for _ in range(3)]
    sums = [server.submit(total, (job,), resources=FIRST) for job in made_by]
    ledger.note("go")
    server.wait()
    first.kill()
    again(make_node, first)
    sums += [server.submit(total, (job,), resources=SECOND) for job in made_by]
    assert {job.result(PATIENCE) for job in sums} == {float(SIZE // 8)}
    assert most_at_once(ledger) == 1


def crowded(ledger: Ledger) -> NDArray[np.float64]:
    """A large result; notes how many are made at once."""
    ledger.await_words("go")
    crowd(ledger, 0.05)
    return np.ones(SIZE // 8)


def test_a_failed_job_is_looked_into_when_its_input_was_lost(
    make_pair: MakePair, make_node: MakeNode, make_client: MakeClient, ledger: Ledger
) -> None:
    first, second = make_pair(workers=1)
    server = make_client(first, second)
    job = server.submit(made, (ledger,), resources=FIRST)
    failed = server.submit(divide, (job,), resources=FIRST)
    ledger.note("go")
    assert isinstance(failed.exception(), ZeroDivisionError)
    first.kill()
    again(make_node, first)
    record = failed._record()
    assert record is not None
    assert sum(map(len, record[2])) > SIZE
    assert ledger.count("made") == 2


def test_what_a_callback_gets_comes_at_once(
    make_node: MakeNode, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    server, (proxy,) = through(make_client, make_proxy, make_node(workers=1))
    got: list[float] = []
    job = server.submit(made, (ledger,), callback=lambda array: got.append(total(array)))
    needs = server.submit(total, (job,))
    ledger.note("go")
    job.wait()
    assert got == [7 * SIZE / 8]
    assert proxy.received[0] > SIZE
    assert needs.result() == 7 * SIZE / 8


def test_a_long_chain_comes_back_now_and_then(
    make_node: MakeNode, make_client: MakeClient, make_proxy: MakeProxy, ledger: Ledger
) -> None:
    node = make_node(workers=1)
    server, (proxy,) = through(make_client, make_proxy, node)
    job = server.submit(made, (ledger,))
    for _ in range(70):
        job = server.submit(more, (job,))
    last = server.submit(total, (job,))
    ledger.note("go")
    assert last.result() == 77 * SIZE / 8
    assert 2 * SIZE <= proxy.received[0] < 3 * SIZE, "two of seventy"
