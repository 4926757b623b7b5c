"""Graphs of jobs, long, wide and random."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pytest

import pp
from tests import graphs, jobs
from tests.support import (
    Gate,
    MakeServer,
    held_up,
)

pytestmark = pytest.mark.timeout(60)


def inc(value: int) -> int:
    return value + 1


# Graphs


@pytest.mark.parametrize("sort", ["value", "after"])
def test_a_chain_of_100_000(sort: str, server: pp.Server) -> None:
    job = server.submit(jobs.echo, (0,))
    for _ in range(100_000):
        if sort == "value":
            job = server.submit(inc, (job,))
        else:
            job = server.submit(jobs.echo, (1,), after=job)
    assert job.result() == (100_000 if sort == "value" else 1)


@pytest.mark.parametrize("way", ["fails", "is cancelled"])
def test_a_long_chain_ends_at_its_root(way: str, server: pp.Server, gate: Gate) -> None:
    root = held_up(server, gate)
    job = first = server.submit(jobs.fail if way == "fails" else inc, (root,))
    for _ in range(100_000):
        job = server.submit(inc, (job,))
    if way == "fails":
        gate.open()
        # It is given a number, which cannot be raised.
        assert isinstance(job.exception(), pp.DependencyFailed)
        assert isinstance(job.exception().__cause__, TypeError)  # type: ignore[union-attr]
    else:
        assert root.cancel()
        with pytest.raises(pp.JobCancelled):
            job.result()
    assert first.done()


def test_a_wide_fan(server: pp.Server) -> None:
    root = server.submit(inc, (0,))
    fan = [server.submit(jobs.add, (root, number)) for number in range(20_000)]
    assert server.submit(sum, (fan,)).result() == sum(range(1, 20_001))
    assert server.submit(inc, (1,), after=fan).result() == 2


def test_a_lattice_of_diamonds(server: pp.Server) -> None:
    """Each job gets two neighbours of the layer before: the numbers are binomial."""
    size = 60
    layer = [server.submit(jobs.echo, (1,))]
    for _ in range(size):
        between = [server.submit(jobs.add, pair) for pair in itertools.pairwise(layer)]
        layer = [server.submit(jobs.echo, (1,)), *between, server.submit(jobs.echo, (1,))]
    values = [job.result() for job in layer]
    row = [1]
    for _ in range(size):
        row = [1, *(a + b for a, b in itertools.pairwise(row)), 1]
    assert values == row


def test_a_reduction_by_a_tree(server: pp.Server) -> None:
    layer = [server.submit(jobs.echo, (number,)) for number in range(2**16)]
    while len(layer) > 1:
        layer = [server.submit(jobs.add, layer[n : n + 2]) for n in range(0, len(layer), 2)]
    assert layer[0].result() == sum(range(2**16))


@pytest.mark.parametrize("ncpus", [1, 3])
def test_random_graphs(ncpus: int, make_server: MakeServer) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    server = make_server(ncpus)
    for _ in range(8):
        steps = graphs.layered(dice, layers=dice.randint(1, 30), width=dice.randint(1, 20))
        submitted: list[pp.Job[int]] = []
        for step in steps:
            args = graphs.nested(dice, [submitted[other] for other in step.inputs])
            after = [submitted[other] for other in step.after]
            options: dict[str, Any] = {"after": after} if after else {}
            submitted.append(server.submit(graphs.work, (step.number, args), **options))
        assert [job.result() for job in submitted] == graphs.expected(steps)


def test_threads_build_graphs_at_once(server: pp.Server) -> None:
    roots = [server.submit(inc, (number,)) for number in range(100)]

    def build(found: list[int]) -> None:
        layer = roots
        for _ in range(10):
            shifted = layer[1:] + layer[:1]
            layer = [server.submit(jobs.add, pair) for pair in zip(layer, shifted, strict=True)]
        found.extend(job.result() for job in layer)

    results: list[list[int]] = [[] for _ in range(6)]
    threads = [threading.Thread(target=build, args=(found,)) for found in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plain = list(range(1, 101))
    for _ in range(10):
        plain = [a + b for a, b in zip(plain, plain[1:] + plain[:1], strict=True)]
    assert results == [plain] * 6
