"""What a step of a chain costs whose results are large: `python -m benches.chains`.

Two nodes on loopback, one worker each. Each job adds one to the array of the job before. Medians
for each step, and ratios to the same addition in this process, in this run.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import string
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import pp
from benches.suite.contestants.nodes import Node

_MB = 1_000_000
_STEPS = 8
_HOST = "127.0.0.1"

Array = NDArray[np.float64]


def _make(size: int) -> Array:
    return np.ones(size // 8)


def _step(array: Array) -> Array:
    return array + 1


def _top(array: Array) -> float:
    return float(array[-1])


def _here(size: int) -> float:
    array = _make(size)
    start = time.perf_counter()
    for _ in range(_STEPS):
        array = _step(array)
    return (time.perf_counter() - start) / _STEPS


def _chain(server: pp.Server, size: int, place: Callable[[int], str]) -> float:
    """Seconds for each step of a chain whose steps run at these places."""
    start = time.perf_counter()
    job = server.submit(_make, (size,), resources={place(0): 1})
    for number in range(_STEPS):
        job = server.submit(_step, (job,), resources={place(number + 1): 1})
    if server.submit(_top, (job,)).result() != _STEPS + 1:
        raise ValueError("a step is missing")
    return (time.perf_counter() - start) / _STEPS


def _by_hand(server: pp.Server, size: int, place: Callable[[int], str]) -> float:
    """The same, where each result comes here and goes back."""
    start = time.perf_counter()
    array = server.submit(_make, (size,), resources={place(0): 1}).result()
    for number in range(_STEPS):
        array = server.submit(_step, (array,), resources={place(number + 1): 1}).result()
    return (time.perf_counter() - start) / _STEPS


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--size", type=int, default=100, help="of each result, in MB")
    asked = parser.parse_args()
    size = asked.size * _MB
    letters = string.ascii_lowercase + string.digits
    secret = "pp2-" + "".join(secrets.choice(letters) for _ in range(52))
    command = [sys.executable, "-m", "pp._daemon", "-i", _HOST, "-p", "0", "-w", "1"]
    nodes = [Node([*command, "--resources", f"{name}=9"], secret) for name in ("one", "two")]
    names = [f"{_HOST}:{node.port()}" for node in nodes]
    ways: dict[str, Callable[[pp.Server], float]] = {
        "handed on at one node": lambda server: _chain(server, size, lambda _: "one"),
        "from node to node": lambda server: _chain(server, size, lambda n: ("one", "two")[n % 2]),
        "through this process": lambda server: _by_hand(server, size, lambda _: "one"),
    }
    try:
        with pp.Server(0, names, secret=secret) as server:
            for name in ("one", "two"):
                server.submit(_make, (8,), resources={name: 1}).result()
            times: dict[str, list[float]] = {way: [] for way in ways}
            here = []
            for number in range(asked.rounds + 1):
                here.append(_here(size))
                for way, run in ways.items():
                    times[way].append(run(server))
                if number == 0:
                    # It warms up.
                    here.clear()
                    times = {way: [] for way in ways}
            base = statistics.median(here)
            print(f"a step of {asked.size} MB, here: {1e3 * base:.0f} ms")
            for way, all_of_it in times.items():
                step = statistics.median(all_of_it)
                print(f"{way:24}{1e3 * step:6.0f} ms{step / base:8.2f} x")
    finally:
        for node in nodes:
            node.end()


if __name__ == "__main__":
    main()
