"""What is large, and what is full: shared memory, logs, lines."""

from __future__ import annotations

import os
import sys

import pytest

import pp
from tests import jobs
from tests.cluster.checks import assert_usable
from tests.cluster.conftest import MakeClient, MakeNode, MakeProxy
from tests.cluster.jobs import size, slowly
from tests.cluster.nodes import SECRET
from tests.support import MakeServer

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(sys.platform != "linux", reason="stops, kills and looks into /proc"),
]


def test_small_jobs_pass_what_is_large(
    make_node: MakeNode, make_proxy: MakeProxy, make_server: MakeServer
) -> None:
    proxy = make_proxy(make_node(workers=2))
    server = make_server(0, (proxy.name,), secret=SECRET, node_timeout=60)
    assert server.submit(slowly, (0,))() == 0
    proxy.hold()
    large = server.submit(size, (bytes(300_000_000),))
    for number in range(25):
        # As much as may lie in the buffers of the system; 250 MB in all.
        small = server.submit(slowly, (number,))
        proxy.allow(10_000_000)
        assert small() == number
    assert not large.finished
    proxy.allow(None)
    assert large() == 300_000_000


@pytest.mark.parametrize("limit", [0, 1_000_000])
def test_nodes_without_much_shared_memory(
    limit: int, make_node: MakeNode, make_client: MakeClient
) -> None:
    server = make_client(make_node("--shared-memory", str(limit)))
    _check_large(server)


def test_a_node_whose_shared_memory_is_full(
    make_node: MakeNode, make_client: MakeClient, full_shared_memory: list[str]
) -> None:
    node = make_node(prefix=full_shared_memory)
    _check_large(make_client(node))
    assert_usable(node, make_client)


def test_a_client_without_shared_memory(make_node: MakeNode, make_client: MakeClient) -> None:
    _check_large(make_client(make_node(), shared_memory=0))


def _check_large(server: pp.Server) -> None:
    content = os.urandom(5_000_000)
    for _ in range(3):
        submitted = [server.submit(jobs.echo, (content,)) for _ in range(8)]
        assert all(job() == content for job in submitted)
    ref = server.put(content)
    assert {job() for job in [server.submit(size, (ref,)) for _ in range(20)]} == {5_000_000}


def test_a_log_that_cannot_be_written_stops_nobody(
    make_node: MakeNode, make_client: MakeClient
) -> None:
    # /dev/full is a disk without room.
    shell = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh"]
    node = make_node(prefix=shell)
    server = make_client(node)
    assert [job() for job in [server.submit(slowly, (i,)) for i in range(20)]] == list(range(20))
    server.destroy()
    assert_usable(node, make_client)
    node.terminate()
    assert node.wait() == 0


@pytest.fixture
def full_shared_memory() -> list[str]:
    """The beginning of a command that runs with a /dev/shm of its own, which has next to
    no room. Skips the test where the system does not allow that.
    """
    import subprocess

    own = 'mount -t tmpfs -o size=64k none /dev/shm && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", own, "sh"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", b"").decode().strip() or error
        pytest.skip(f"needs a mount namespace: {why}")
    return prefix
