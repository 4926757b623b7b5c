"""Networks of their own for tests: hosts as network namespaces, cables between them.

Nothing of the machine's own network is touched. Only Linux has this, and only root may do
it.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.cluster.lines import BadLine, Manner, make_interface

# The first three numbers of all addresses: a network that may be used by anybody.
PREFIX = "10.77.3"

_CLONE_NEWNET = 0x4000_0000


class ForbiddenError(Exception):
    """The system does not allow it, or does not have it."""


def _run(*words: str) -> None:
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=20)
    except FileNotFoundError as error:
        raise ForbiddenError(str(error)) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise ForbiddenError(f"`{' '.join(words)}`: {said}") from None


class Host:
    """A machine in a network: a namespace with one interface, `eth0`, and loopback."""

    def __init__(self, network: Network, number: int) -> None:
        self.address = f"{PREFIX}.{number}"
        self._network = network
        self._namespace = f"{network.name}-{number}"
        self._port = f"port{number}"
        network.make_namespace(self._namespace)
        ends = ["type", "veth", "peer", "name", self._port]
        network.inside("link", "add", "eth0", *ends)
        network.inside("link", "set", "eth0", "netns", self._namespace)
        self._inside("link", "set", "lo", "up")
        self._set_up()

    def _set_up(self) -> None:
        self._network.inside("link", "set", self._port, "master", "switch", "up")
        self._inside("addr", "add", f"{self.address}/24", "broadcast", "+", "dev", "eth0")
        self._inside("link", "set", "eth0", "up")

    @property
    def prefix(self) -> list[str]:
        """The beginning of a command that runs there."""
        return ["ip", "netns", "exec", self._namespace]

    def _inside(self, *words: str) -> None:
        _run("ip", "-n", self._namespace, *words)

    def unplug(self) -> None:
        """Pulls the cable: whatever is on its way is lost, and nobody is told."""
        self._network.inside("link", "set", self._port, "down")

    def plug_in(self) -> None:
        """Puts it back."""
        self._network.inside("link", "set", self._port, "up")

    def forget_ipv4(self) -> None:
        """Leaves it the address of IPv6 that each interface has by itself."""
        self._inside("-4", "addr", "flush", "dev", "eth0")

    def spoil(self, manner: Manner) -> None:
        """Replaces the line by a bad one: of the kernel, or one that is made here."""
        hub = ["ip", "netns", "exec", self._network.hub]
        words = ["root", "netem", *manner.as_netem()]
        try:
            _run(*self.prefix, "tc", "qdisc", "add", "dev", "eth0", *words)
        except ForbiddenError:
            return self._replace_line(manner)
        return _run(*hub, "tc", "qdisc", "add", "dev", self._port, *words)

    def _replace_line(self, manner: Manner) -> None:
        self._inside("link", "delete", "eth0")
        with self.entered():
            one = make_interface("eth0")
        with entered(self._network.hub):
            other = make_interface(self._port)
        self._network.call_at_end(BadLine(one, other, manner).close)
        self._set_up()

    def power_off(self) -> None:
        """Pulls the cable and kills all that runs there."""
        self.unplug()
        for process in self._processes():
            process.kill()

    def _processes(self) -> list[psutil.Process]:
        shown = subprocess.run(
            ["ip", "netns", "pids", self._namespace], check=True, capture_output=True, timeout=20
        )
        return [psutil.Process(int(pid)) for pid in shown.stdout.split()]

    def entered(self) -> AbstractContextManager[None]:
        """Within this, the calling thread is on that host, and so are for ever the threads
        that it starts. All else of the process stays where it is.
        """
        return entered(self._namespace)


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """The calling thread is in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    places = (Path("/proc/thread-self/ns/net"), Path("/run/netns", namespace))
    with places[0].open("rb") as home, places[1].open("rb") as away:
        try:
            _enter(libc, away.fileno())
            yield
        finally:
            _enter(libc, home.fileno())


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


class Network:
    """Some hosts at a switch."""

    def __init__(self) -> None:
        self.name = f"pp{uuid.uuid4().hex[:8]}"
        self.hub = f"{self.name}-hub"
        self._stack = ExitStack()
        self._count = 0

    def make_namespace(self, name: str) -> None:
        """Makes a namespace that lives as long as the network."""
        _run("ip", "netns", "add", name)
        self._stack.callback(_run, "ip", "netns", "delete", name)

    def call_at_end(self, end: Callable[[], None]) -> None:
        """Has something ended before the namespaces are."""
        self._stack.callback(end)

    def inside(self, *words: str) -> None:
        """Runs `ip` at the switch."""
        _run("ip", "-n", self.hub, *words)

    def host(self) -> Host:
        """Another host."""
        self._count += 1
        return Host(self, self._count)

    def __enter__(self) -> Self:
        try:
            self.make_namespace(self.hub)
            # All is forwarded at once, with no search for circles first.
            self.inside("link", "add", "switch", "type", "bridge", "forward_delay", "0")
            self.inside("link", "set", "switch", "up")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


# If this variable is "required", there must be networks.
WISH = "PP_TEST_NETWORKS"


@contextmanager
def network_or_skip() -> Iterator[Network]:
    """A network; skips the test where there can be none, or fails it if there must be."""
    give_up = pytest.fail if os.environ.get(WISH) == "required" else pytest.skip
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        give_up("network namespaces are for root")
    with ExitStack() as stack:
        try:
            network = stack.enter_context(Network())
            with network.host().entered():
                pass
        except (ForbiddenError, OSError) as error:
            give_up(f"this system does not allow networks of their own: {error}")
        yield network
