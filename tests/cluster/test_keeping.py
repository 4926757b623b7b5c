"""Results that stay at the nodes that have made them: where they are used, and how they come."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pp
from tests.cluster.conftest import (
    KeepResult,
    MakeClient,
    MakeNode,
    MakePair,
    MakeProgram,
    MakeProxy,
)
from tests.cluster.keeping import (
    FIRST,
    LITTLE,
    SECOND,
    SIZE,
    SMALL,
    at,
    divide,
    made,
    more,
    pass_and_total,
    through,
    total,
    total_of,
)
from tests.failures.ledger import PATIENCE, Ledger
from tests.segments import opened
from tests.support import Gate, caught_from, eventually

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="nodes are looked into"),
]

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


def test_a_result_is_brought_in_asyncio(gate: Gate, keep_result: KeepResult) -> None:
    kept = keep_result()
    job = kept.job

    async def ask() -> float:
        return total(await job)

    assert asyncio.run(ask()) == 7 * SIZE / 8
    gate.open()


def test_a_result_that_does_not_come_in_time(gate: Gate, keep_result: KeepResult) -> None:
    kept = keep_result()
    first, job = kept.first, kept.job
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
    ledger: Ledger, gate: Gate, keep_result: KeepResult
) -> None:
    kept = keep_result()
    server, job = kept.server, kept.job
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


# What comes here all the same


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
    assert len(proxy.sent[0]) > SIZE, "it was not left there, so the other job got it from here"


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
