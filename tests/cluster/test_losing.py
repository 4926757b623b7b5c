"""What becomes of results that stay at nodes when their nodes go."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pp
from tests.cluster.conftest import KeepResult, MakeClient, MakeNode, MakePair, MakeProxy
from tests.cluster.keeping import (
    FIRST,
    SECOND,
    SIZE,
    SMALL,
    again,
    at,
    divide,
    made,
    more,
    pass_and_total,
    through,
    total,
)
from tests.cluster.test_graphs import new_dice
from tests.failures.ledger import PATIENCE, Ledger
from tests.support import Gate, caught_from, eventually
from tests.terms import crowd
from tests.test_shares import most_at_once

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="nodes are killed and frozen"),
]


def test_a_result_is_made_again_when_its_node_is_lost(
    make_node: MakeNode, ledger: Ledger, lose_result: KeepResult
) -> None:
    kept = lose_result()
    server, first, job = kept.server, kept.first, kept.job
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


def test_who_asks_for_a_result_that_was_lost_gets_it(
    make_node: MakeNode, ledger: Ledger, lose_result: KeepResult
) -> None:
    kept = lose_result()
    first, job = kept.first, kept.job
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
    make_node: MakeNode, lose_result: KeepResult
) -> None:
    kept = lose_result()
    server, first, job = kept.server, kept.first, kept.job
    needs = [server.submit(total, (job,), resources=SECOND) for _ in range(3)]
    eventually(lambda: server.get_active_nodes().get(first.name) is None, "it is lost")
    assert needs[0].cancel()
    assert needs[0].cancelled()
    again(make_node, first)
    assert needs[1].result(PATIENCE) == needs[2].result(PATIENCE) == 7 * SIZE / 8


def test_a_node_that_leaves_hands_over_what_it_keeps(
    ledger: Ledger, gate: Gate, keep_result: KeepResult
) -> None:
    kept = keep_result()
    server, first, job = kept.server, kept.first, kept.job
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


def test_cancelling_everything_leaves_what_has_ended(
    make_node: MakeNode, lose_result: KeepResult
) -> None:
    kept = lose_result()
    server, first, job = kept.server, kept.first, kept.job
    with pytest.raises(TimeoutError):
        job.result(timeout=0.1)
    assert server.cancel() == 0
    again(make_node, first)
    assert total(job.result(PATIENCE)) == 7 * SIZE / 8
    assert server.submit(total, (job,), resources=SECOND).result() == 7 * SIZE / 8


def test_what_could_not_be_made_again_is_tried_again(
    make_node: MakeNode, lose_result: KeepResult
) -> None:
    kept = lose_result(node_timeout=1)
    server, first, job = kept.server, kept.first, kept.job
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
