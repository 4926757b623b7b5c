"""Jobs on nodes, as a user of a cluster sees them."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import size, slowly, where
from tests.cluster.nodes import SECRET
from tests.support import MakeServer, caught_from, eventually


def test_jobs_run_on_a_node_and_results_come_back(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node("--name", "far", workers=2)
    server = make_client(node)
    names, pids = zip(*(job() for job in [server.submit(where) for _ in range(20)]), strict=True)
    assert set(names) == {"far"}
    assert os.getpid() not in pids
    assert 1 <= len(set(pids)) <= 2
    assert server.get_active_nodes() == {"local": 0, node.name: 2}


def test_many_jobs_over_several_nodes_and_local_workers(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    nodes = [make_node(workers=1) for _ in range(2)]
    server = make_client(*nodes, ncpus=1)
    submitted = [server.submit(slowly, (i,)) for i in range(200)]
    assert [job() for job in submitted] == list(range(200))
    stats = server.get_stats()
    assert set(stats) == {"local", *(node.name for node in nodes)}
    assert sum(node.njobs for node in stats.values()) == 200
    assert all(node.njobs > 10 for node in stats.values())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("count", [1, 5])
def test_threads_that_wait_for_one_job_after_the_other(
    count: int, make_node: MakeNode, make_client: MakeClient
) -> None:
    """Whoever waits reads from few nodes himself, and misses nothing; nor do others."""
    server = make_client(*[make_node(workers=1) for _ in range(count)])

    def alternate(number: int) -> int:
        for turn in range(400):
            # Some are read in several goes, of which the last may be another thread's.
            value = (number, turn, bytes(3_000_000 if turn % 40 == number else turn))
            if server.submit(jobs.echo, (value,))() != value:
                return turn
        return -1

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(alternate, range(4))) == [-1] * 4


@pytest.mark.timeout(120)
def test_large_arguments_that_are_not_wanted_any_more_hold_nobody_up(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    """Their memory is freed where they were on their way, while others wait for jobs."""
    server = make_client(make_node(workers=1))
    ended = threading.Event()

    def go_and_come() -> int:
        turns = 0
        while not ended.is_set():
            assert server.submit(jobs.echo, (turns,))() == turns
            turns += 1
        return turns

    with ThreadPoolExecutor(2) as threads:
        waiters = [threads.submit(go_and_come) for _ in range(2)]
        for number in range(300):
            contents = [bytes([number % 251, other]) * 2_000_000 for other in range(4)]
            large = [server.submit(size, (one,), group="large") for one in contents]
            # As `map` does when it is closed early.
            server._groups["large"].withdraw()
            for job in large:
                with suppress(pp.JobCancelled):
                    assert job() == 4_000_000
        ended.set()
        assert all(waiter.result() > 0 for waiter in waiters)


def test_what_a_job_raises_and_prints_comes_back(
    make_node: MakeNode, make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    def shout(text: str) -> None:
        print(text)
        raise KeyError(text)

    server = make_client(make_node())
    error = caught_from(server.submit(shout, ("hello",)))
    assert isinstance(error, KeyError)
    assert capsys.readouterr().out == "hello\n"


def test_large_arguments_and_results_go_through(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node())
    array = np.arange(2_000_000, dtype=np.int64)
    text = "x" * 3_000_000

    def double(array: np.ndarray, text: str) -> tuple[np.ndarray, str]:
        return array * 2, text

    for _ in range(3):
        doubled, same = server.submit(double, (array, text))()
        assert np.array_equal(doubled, array * 2)
        assert same == text


def test_a_reference_is_sent_once_and_used_by_many(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node())
    ref = server.put(np.ones(500_000))

    def total(array: np.ndarray, factor: int) -> float:
        return float(array.sum()) * factor

    submitted = [server.submit(total, (ref, n)) for n in range(50)]
    assert [job() for job in submitted] == [500_000.0 * n for n in range(50)]


def test_a_node_with_little_room_gets_references_again(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node("--cache", "5000000", workers=2))
    refs = [server.put(np.full(300_000, float(n))) for n in range(6)]

    def first(array: np.ndarray) -> float:
        return float(array[0])

    for _ in range(5):
        submitted = [server.submit(first, (ref,)) for ref in refs for _ in range(3)]
        assert [job() for job in submitted] == [float(n) for n in range(6) for _ in range(3)]


def test_maps_run_on_nodes(make_node: MakeNode, make_client: MakeClient) -> None:
    server = make_client(make_node(), make_node())
    assert list(server.map(jobs.echo, range(50_000))) == list(range(50_000))


def test_a_job_that_kills_its_worker_fails_and_the_node_lives(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node(), max_worker_deaths=2)
    with pytest.raises(pp.WorkerDied) as caught:
        server.submit(os._exit, (7,))()
    assert (caught.value.exitcode, caught.value.deaths) == (7, 2)
    assert server.submit(jobs.echo, (1,))() == 1


def test_nodes_that_come_later_are_used(make_node: MakeNode, make_server: MakeServer) -> None:
    early = make_node()
    port = early.port
    early.kill()
    server = make_server(0, (early.name,), secret=SECRET)
    job = server.submit(jobs.echo, (5,))
    assert server.get_active_nodes() == {"local": 0}
    make_node(port=port)
    assert job() == 5
    assert server.get_active_nodes() == {"local": 0, early.name: 2}


def test_local_workers_do_the_work_while_nodes_are_down(make_server: MakeServer) -> None:
    server = make_server(1, ("127.0.0.1:1", "no-such-host.invalid"), secret=SECRET)
    assert server.submit(jobs.echo, (5,))() == 5


def test_a_node_that_is_told_to_end_gives_jobs_back(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    going, staying = make_node(workers=1), make_node(workers=1)
    server = make_client(going, staying)
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(100)]
    submitted[10]()
    going.terminate()
    assert [job() for job in submitted] == list(range(100))
    assert going.wait() == 0
    eventually(lambda: server.get_active_nodes() == {"local": 0, staying.name: 1})
    assert server.submit(jobs.echo, (1,))() == 1


def test_jobs_fail_where_nobody_is_left_if_that_is_wanted(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node()
    server = make_client(node, on_no_nodes="raise", node_timeout=0.3)
    assert server.submit(jobs.echo, (1,))() == 1
    node.kill()
    for _ in range(2):
        with pytest.raises(pp.NodeLost, match=r"no local workers.*no node"):
            server.submit(jobs.echo, (1,))()
    make_node(port=node.port)
    eventually(lambda: node.name in server.get_active_nodes())
    assert server.submit(jobs.echo, (1,))() == 1


def test_who_waits_for_a_node_that_never_came_is_told_once(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_server(0, ("127.0.0.1:1",), secret=SECRET, node_timeout=0.3)
    server.submit(jobs.echo, (1,))
    eventually(lambda: "no node has come" in caplog.text)
    server.submit(jobs.echo, (2,))
    # It would be told again by now.
    with pytest.raises(AssertionError):
        eventually(lambda: caplog.text.count("no node has come") > 1, patience=1)


def test_who_submits_after_the_last_node_has_gone_is_told(
    make_node: MakeNode, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    node = make_node()
    server = make_client(node, node_timeout=0.3)
    assert server.submit(jobs.echo, (1,))() == 1
    node.kill()
    eventually(lambda: node.name not in server.get_active_nodes())
    assert "no node is left" not in caplog.text
    waiting = server.submit(jobs.echo, (2,))
    eventually(lambda: "no node is left" in caplog.text)
    make_node(port=node.port)
    assert waiting() == 2


def test_clients_share_a_node_and_see_nothing_of_each_other(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    node = make_node(workers=2)
    one, two = make_client(node), make_client(node)
    first = [one.submit(slowly, (i, 0.02)) for i in range(50)]
    second = [two.submit(where) for _ in range(5)]
    pids = {job()[1] for job in second}
    assert [job() for job in first] == list(range(50))
    assert pids.isdisjoint({job()[1] for job in [one.submit(where) for _ in range(5)]})


def test_a_gateway_serves_for_those_behind_it(make_node: MakeNode, make_client: MakeClient) -> None:
    behind = [make_node("--name", f"behind-{n}", workers=1) for n in range(2)]
    gateway = make_node(
        "--name", "gate", "--ppservers", ",".join(node.name for node in behind), workers=1
    )
    server = make_client(gateway)
    eventually(lambda: server.get_active_nodes()[gateway.name] == 3, "all are behind the gateway")
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(60)]
    assert [job() for job in submitted] == list(range(60))
    names = {job()[0] for job in [server.submit(_where_slowly) for _ in range(30)]}
    assert names == {"gate", "behind-0", "behind-1"}


def test_a_node_that_dials_a_gateway_serves_there(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    gateway = make_node("--name", "gate", workers=0)
    server = make_client(gateway)
    job = server.submit(where)
    hidden = make_node("--name", "hidden", "--dial", gateway.name, workers=2)
    assert job()[0] == "hidden"
    assert server.get_active_nodes() == {"local": 0, gateway.name: 2}
    other = make_client(gateway)
    submitted = [other.submit(slowly, (i,)) for i in range(50)]
    assert [job() for job in submitted] == list(range(50))
    hidden.kill()
    eventually(lambda: server.get_active_nodes() == {"local": 0, gateway.name: 0})
    job = server.submit(where)
    make_node("--name", "again", "--dial", gateway.name, workers=1)
    assert job()[0] == "again"


def _where_slowly() -> tuple[str | None, int]:
    import os
    import time

    time.sleep(0.05)
    return os.environ.get("PP_NODE"), os.getpid()


def test_nodes_in_a_circle_are_found_out(make_node: MakeNode, make_client: MakeClient) -> None:
    first = make_node(workers=1)
    port = first.port
    second = make_node("--ppservers", first.name, workers=1)
    first.kill()
    first = make_node("--ppservers", second.name, workers=1, port=port)
    server = make_client(first)
    submitted = [server.submit(slowly, (i,)) for i in range(50)]
    assert [job() for job in submitted] == list(range(50))
    first.await_log("stands above itself")
