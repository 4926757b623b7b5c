"""Real networks: lines that lose, delay and reorder, that are pulled out, hosts that go."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import pp
from tests import jobs
from tests.cluster.checks import Tally
from tests.cluster.conftest import MakeNode
from tests.cluster.jobs import hold, noted, size, slowly, where
from tests.cluster.lines import Manner
from tests.cluster.networks import PREFIX, Host, Network, network_or_skip
from tests.cluster.nodes import SECRET, Node
from tests.failures.ledger import Ledger
from tests.support import MakeServer, eventually

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="needs network namespaces"),
]

PORT = 60_000
Start = Callable[..., Node]
Use = Callable[..., pp.Server]


@pytest.fixture
def network() -> Iterator[Network]:
    """A switch with nobody at it."""
    with network_or_skip() as made:
        yield made


@pytest.fixture
def start(make_node: MakeNode) -> Start:
    """Starts a node on a host, as anybody would: on all addresses, on the usual port."""

    def make(on: Host, **options: object) -> Node:
        words = ["--name", on.address]
        options = {"host": "::", "port": PORT, "workers": 1, **options}
        return make_node(*words, prefix=on.prefix, **options)

    return make


@pytest.fixture
def use(network: Network, make_server: MakeServer) -> Use:
    """Makes a server on a host of its own, which has no workers itself."""
    own = network.host()

    def make(*names: str, on: Host | None = None, **options: object) -> pp.Server:
        with (on or own).entered():
            return make_server(0, names, secret=SECRET, **options)

    return make


def await_nodes(server: pp.Server, *hosts: Host) -> None:
    """Waits until the nodes on these hosts are used, and no others."""
    wanted = {f"{host.address}:{PORT}" for host in hosts}

    def used() -> set[str]:
        return set(server.get_active_nodes()) - {"local"}

    eventually(lambda: used() == wanted, f"{wanted} are used, not {used()}", patience=30)


def places_of(server: pp.Server, jobs_each: int = 20) -> set[str | None]:
    """Where jobs run, if all nodes get some."""

    def run() -> tuple[str | None, int]:
        import os
        import time

        time.sleep(0.03)
        return os.environ.get("PP_NODE"), os.getpid()

    return {job()[0] for job in [server.submit(run) for _ in range(jobs_each)]}


# Finding


@pytest.mark.parametrize("pattern", ["*", f"{PREFIX}.*"])
def test_nodes_are_found_and_those_that_come_later_and_go(
    pattern: str, network: Network, start: Start, use: Use
) -> None:
    first, second = network.host(), network.host()
    early = start(first)
    server = use(pattern)
    await_nodes(server, first)
    late = start(second)
    await_nodes(server, first, second)
    assert places_of(server) == {first.address, second.address}
    early.terminate()
    assert early.wait() == 0
    await_nodes(server, second)
    late.kill()
    await_nodes(server)
    waiting = server.submit(where)
    start(first)
    assert waiting()[0] == first.address


def test_only_what_the_pattern_says_is_used(network: Network, start: Start, use: Use) -> None:
    host = network.host()
    start(host)
    elsewhere, here = use("10.77.4.*"), use(f"{PREFIX}.*")
    await_nodes(here, host)
    assert elsewhere.get_active_nodes() == {"local": 0}


def test_a_found_node_that_is_restarted_is_used_again_and_again(
    network: Network, start: Start, use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    host = network.host()
    node = start(host)
    server = use("*", node_timeout=1)
    for workers in (2, 3, 1):
        await_nodes(server, host)
        assert server.submit(jobs.echo, (workers,))() == workers
        node.kill()
        node = start(host, workers=workers)
        eventually(lambda: server.get_active_nodes().get(f"{host.address}:{PORT}") == workers)  # noqa: B023
    for _ in range(3):
        host.unplug()
        await_nodes(server)
        host.plug_in()
        await_nodes(server, host)
    assert server.submit(jobs.echo, (1,))() == 1
    # It never took the node for another one of the same.
    assert "the same node as" not in caplog.text


# Bad lines


def test_lines_that_lose_delay_and_reorder(network: Network, start: Start, use: Use) -> None:
    hosts = [network.host(), network.host()]
    for host in hosts:
        host.spoil(Manner(loss=0.05, delay=0.02, jitter=0.005))
        start(host, workers=2)
    server = use("*", node_timeout=10)
    await_nodes(server, *hosts)
    tally = Tally()
    submitted = [server.submit(slowly, (i, 0.001), callback=tally) for i in range(1_000)]
    content = os.urandom(400_000)
    large = [server.submit(jobs.echo, (content,)) for _ in range(4)]
    ref = server.put(content)
    shared = [server.submit(size, (ref,)) for _ in range(20)]
    assert [job() for job in submitted] == list(range(1_000))
    assert all(job() == content for job in large)
    assert {job() for job in shared} == {len(content)}
    server.wait()
    assert tally.ends == Counter(range(1_000))
    assert all(stats.njobs > 0 for name, stats in server.get_stats().items() if name != "local")


def test_a_line_with_a_long_way_is_kept_busy(network: Network, start: Start, use: Use) -> None:
    host = network.host()
    host.spoil(Manner(delay=0.05))
    start(host, workers=2)
    server = use(host.address)
    submitted = [server.submit(jobs.echo, (i,)) for i in range(5_000)]
    assert [job() for job in submitted] == list(range(5_000))


# Cables that are pulled


def test_a_partition_that_heals(network: Network, start: Start, use: Use, ledger: Ledger) -> None:
    cut, kept = network.host(), network.host()
    lost = start(cut)
    start(kept)
    server = use(cut.address, kept.address, node_timeout=1)
    await_nodes(server, cut, kept)
    tally = Tally()
    submitted = [server.submit(noted, (ledger, str(i), 0.02), callback=tally) for i in range(150)]
    submitted[20]()
    cut.unplug()
    assert [job() for job in submitted] == [str(i) for i in range(150)]
    await_nodes(server, kept)
    lost.await_log("client left")
    cut.plug_in()
    await_nodes(server, cut, kept)
    assert places_of(server) == {cut.address, kept.address}
    server.wait()
    assert [tally.ends[str(i)] for i in range(150)] == [1] * 150


def test_a_client_that_is_cut_off_from_all_goes_on_when_it_is_back(
    network: Network, start: Start, use: Use
) -> None:
    own, hosts = network.host(), [network.host(), network.host()]
    for host in hosts:
        start(host)
    # Where the first loss of a node ends a job: no job is to blame for a cable.
    server = use("*", on=own, node_timeout=1, max_node_losses=1)
    await_nodes(server, *hosts)
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(150)]
    for done in (20, 60):
        submitted[done]()
        own.unplug()
        await_nodes(server)
        own.plug_in()
        await_nodes(server, *hosts)
    assert [job() for job in submitted] == list(range(150))


def test_a_host_that_is_powered_off(network: Network, start: Start, use: Use) -> None:
    doomed, kept = network.host(), network.host()
    start(doomed, workers=2)
    start(kept)
    server = use("*", node_timeout=1)
    await_nodes(server, doomed, kept)
    submitted = [server.submit(slowly, (i, 0.02)) for i in range(200)]
    submitted[20]()
    doomed.power_off()
    assert [job() for job in submitted] == list(range(200))
    await_nodes(server, kept)
    doomed.plug_in()
    start(doomed)
    await_nodes(server, doomed, kept)


def test_jobs_of_a_client_that_vanishes_are_ended(
    network: Network, start: Start, use: Use, ledger: Ledger
) -> None:
    own, host = network.host(), network.host()
    node = start(host)
    server = use(host.address, on=own, node_timeout=1)
    running = server.submit(hold, (ledger,))
    ledger.await_one("holds ")
    own.unplug()
    # It has nothing from it but silence.
    node.await_log("nothing was heard of it")
    other = use(host.address)
    assert other.submit(where)()[0] == host.address
    ledger.note("go")
    own.plug_in()
    assert running()[0] == host.address
    assert len(set(ledger.after("holds "))) == 2


# Several of each


def test_several_nodes_of_one_host_are_found(network: Network, start: Start, use: Use) -> None:
    host = network.host()
    ports = [PORT, PORT + 1, PORT + 2]
    nodes = [start(host, port=port) for port in ports]
    server = use("*")
    wanted = {f"{host.address}:{port}" for port in ports}
    eventually(lambda: wanted == set(server.get_active_nodes()) - {"local"}, "all are used")
    nodes[0].kill()
    eventually(lambda: len(server.get_active_nodes()) == 3)
    start(host, port=ports[0])
    eventually(lambda: wanted == set(server.get_active_nodes()) - {"local"}, "it is back")


def test_a_node_by_many_names_is_one(network: Network, start: Start, use: Use) -> None:
    host = network.host()
    node = start(host, workers=2)
    server = use("*", host.address, f"{PREFIX}.*", f"{PREFIX}.[{host.address.split('.')[-1]}]")
    for _ in range(3):
        await_nodes(server, host)
        assert len(server.get_active_nodes()) == 2
        assert server.submit(where)()[0] == host.address
        node.kill()
        await_nodes(server)
        node = start(host, workers=2)
    await_nodes(server, host)


def test_nodes_are_found_where_there_is_only_ipv6(network: Network, start: Start, use: Use) -> None:
    own, host = network.host(), network.host()
    for one in (own, host):
        one.forget_ipv4()
    node = start(host, host="::")
    server = use("*", on=own)
    eventually(lambda: len(server.get_active_nodes()) == 2, "it is found", patience=30)
    assert [job() for job in [server.submit(slowly, (i,)) for i in range(20)]] == list(range(20))
    (name,) = set(server.get_active_nodes()) - {"local"}
    assert name.startswith("[fe80::")
    assert name.endswith(f"]:{node.port}")


@pytest.mark.parametrize("family", ["0.0.0.0", "::"])
def test_a_node_is_named_by_an_address_that_can_be_used_elsewhere(
    family: str, network: Network, start: Start, use: Use
) -> None:
    """By which of its addresses it answers first is chance; how it is called is not."""
    host = network.host()
    for _ in range(4):
        node = start(host, host=family)
        server = use("*")
        await_nodes(server, host)
        server.destroy()
        node.kill()
