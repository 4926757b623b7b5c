"""Resources of nodes: they say what they have, and get no more jobs than that is for."""

from __future__ import annotations

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.support import Gate, caught_from


def test_jobs_go_to_the_node_that_has_what_they_need(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    plain, special = make_node(workers=2), make_node("--resources", "licence=1", workers=1)
    server = make_client(plain, special)
    submitted = [server.submit(jobs.echo, (n,), resources={"licence": 1}) for n in range(10)]
    assert [job.result() for job in submitted] == list(range(10))
    assert {job.node for job in submitted} == {special.name}


def test_no_node_gets_more_than_it_has(
    make_node: MakeNode, make_client: MakeClient, gate: Gate
) -> None:
    nodes = [make_node("--resources", "licence=1", workers=3) for _ in range(2)]
    server = make_client(*nodes)
    for number in range(5):
        server.submit(jobs.pass_gate, gate.args(f"{number}"), resources={"licence": 1})
    gate.await_inside("0", "1")
    assert gate.inside() == ["0", "1"]
    gate.open()
    server.wait()


def test_a_job_of_several_processors_runs_where_they_are(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    narrow, wide = make_node(workers=1), make_node(workers=3)
    server = make_client(narrow, wide)
    job = server.submit(jobs.variables, ("OMP_NUM_THREADS",), resources={"cpu": 3})
    assert job.result() == {"OMP_NUM_THREADS": "3"}
    assert job.node == wide.name


def test_what_no_node_has_is_told_when_none_has_come_with_it(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node(workers=1), node_timeout=1)
    error = caught_from(server.submit(jobs.echo, (1,), resources={"licence": 1}))
    assert isinstance(error, pp.ResourceError)
    assert error.resource == "licence"
    assert server.submit(jobs.echo, (1,)).result() == 1


def test_a_node_that_comes_with_it_is_waited_for(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    first = make_node(workers=1)
    server = make_client(first, node_timeout=30)
    job = server.submit(jobs.echo, (1,), resources={"licence": 1})
    assert job.state == "queued"
    first.kill()
    make_node("--resources", "licence=1", workers=1, port=first.port)
    assert job.result() == 1


@pytest.mark.parametrize("text", ["licence", "licence=", "=1", "licence=many", "cpu=3", "gpu=-1"])
def test_wrong_resources_of_a_node(text: str, make_node: MakeNode) -> None:
    with pytest.raises(AssertionError, match="resources"):
        make_node("--resources", text)
