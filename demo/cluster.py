"""Three nodes on this machine, one of which does not live to see the end."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import comparison
import pp
import primes

NODES = 3

# Seconds that nodes may take to be found. They take one or two.
PATIENCE = 30.0


@contextmanager
def node(name: str, discovery: int, secret: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `ppserver` with one worker, at a port of its own."""
    flags = ["--name", name, "-w", "1", "-p", "0", "--discovery-port", str(discovery), "-q"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pp._daemon", *flags],
        env={**os.environ, "PP_SECRET": secret},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port at which nobody else looks for nodes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def await_nodes(server: pp.Server, count: int) -> None:
    """Waits until so many nodes were found. Ends the program if they are not."""
    deadline = time.monotonic() + PATIENCE
    while len(server.get_active_nodes()) <= count:
        if time.monotonic() > deadline:
            sys.exit(f"Not all nodes were found: {server.get_active_nodes()}")
        time.sleep(0.05)


def run(quick: bool) -> None:
    """Runs jobs on three nodes, kills one of them half-way, and checks all results."""
    limits = range(10_000, 13_000, 50) if quick else range(60_000, 90_000, 500)
    comparison.title(4, f"A cluster: {len(limits)} jobs on {NODES} nodes, one of which is killed")
    discovery, secret = free_port(), secrets.token_hex(32)
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(node(f"node-{number}", discovery, secret))
            for number in range(1, NODES + 1)
        ]
        server = stack.enter_context(pp.Server(0, (f"*:{discovery}",), secret=secret))
        start = time.perf_counter()
        await_nodes(server, NODES)
        print(f"  {NODES} nodes found after {time.perf_counter() - start:.1f} s")
        jobs = [server.submit(primes.sum_primes, (limit,)) for limit in limits]
        sums = [job() for job in jobs[: len(jobs) // 2]]
        nodes[1].kill()
        print(f"  after {len(sums)} results, one node was killed (SIGKILL)")
        sums += [job() for job in jobs[len(sums) :]]
        if sums != [primes.sum_primes(limit) for limit in limits]:
            sys.exit("The jobs' results are not those of the plain loop: please report this.")
        print(f"  all {len(sums)} results are right\n")
        server.print_stats()
