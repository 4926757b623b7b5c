"""The initializer of a server runs in the workers of its nodes, too."""

from __future__ import annotations

import threading

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.support import caught_from, define

PROGRAM = """
    table = None

    def prepare(content):
        global table
        table = content

    def look(key):
        return table[key]
    """


def test_workers_of_nodes_run_it(make_node: MakeNode, make_client: MakeClient) -> None:
    program = define(PROGRAM)
    server = make_client(make_node(), initializer=program["prepare"], initargs=({"k": 7},))
    assert [server.submit(program["look"], ("k",))() for _ in range(5)] == [7] * 5


def test_one_that_fails_there_fails_the_jobs(make_node: MakeNode, make_client: MakeClient) -> None:
    server = make_client(make_node(), initializer=jobs.fail, initargs=(LookupError("no table"),))
    error = caught_from(server.submit(jobs.echo, (1,)))
    assert isinstance(error, pp.InitializerError)
    assert isinstance(error.__cause__, LookupError)


def test_another_version_of_python_runs_it(
    make_node: MakeNode, make_client: MakeClient, other_python: str
) -> None:
    def prepare(content: dict[str, int]) -> None:
        global pp_test_table
        pp_test_table = content

    def look(key: str) -> int:
        return pp_test_table[key]

    server = make_client(make_node(python=other_python), initializer=prepare, initargs=({"k": 7},))
    assert server.submit(look, ("k",))() == 7


pp_test_table: dict[str, int] = {}


def test_what_cannot_travel_is_refused_before_any_node_is_asked() -> None:
    with pytest.raises(pp.SerializationError):
        pp.Server(0, ("127.0.0.1:1",), secret="a secret", initializer=threading.Lock().acquire)
