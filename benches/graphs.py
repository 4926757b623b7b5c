"""What a job costs in a graph, and by itself: `python -m benches.graphs`.

All jobs do nothing. Seconds from the first submit until the last result is here, for each job:
medians of some rounds, and ratios to jobs that do not depend on each other, in this run.
"""

from __future__ import annotations

import argparse
import functools
import random
import statistics
import time
from collections.abc import Callable

import pp

_LAYER = 100
_SEED = 7


def _nothing(*inputs: object) -> None:
    del inputs


Graph = Callable[[pp.Server, int], None]


def _alone(server: pp.Server, count: int) -> None:
    jobs = [server.submit(_nothing, (None,)) for _ in range(count)]
    pp.wait(jobs)


def _chain(server: pp.Server, count: int) -> None:
    job = server.submit(_nothing)
    for _ in range(count - 1):
        job = server.submit(_nothing, (job,))
    job.result()


def _fan(server: pp.Server, count: int) -> None:
    """One, all others that need it, and one that needs them."""
    first = server.submit(_nothing)
    middle = [server.submit(_nothing, (first,)) for _ in range(count - 2)]
    server.submit(_nothing, (middle,)).result()


def _lattice(server: pp.Server, count: int) -> None:
    """A square, where each needs its neighbours above and to the left."""
    side = int(count**0.5)
    row: list[pp.Job[None]] = [server.submit(_nothing)]
    for _ in range(side - 1):
        row.append(server.submit(_nothing, (row[-1],)))
    for _ in range(side - 1):
        below = [server.submit(_nothing, (row[0],))]
        for above in row[1:]:
            below.append(server.submit(_nothing, (above, below[-1])))
        row = below
    row[-1].result()


def _layers(server: pp.Server, count: int) -> None:
    """Layers of 100, where each needs up to three of the layer before."""
    layer = [server.submit(_nothing) for _ in range(_LAYER)]
    for needs in _wiring(count // _LAYER - 1):
        layer = [server.submit(_nothing, tuple([layer[i] for i in each])) for each in needs]
    pp.wait(layer)


@functools.cache
def _wiring(layers: int) -> list[list[list[int]]]:
    """Of each job in each layer: which of the layer before it needs."""
    draw = random.Random(_SEED)  # noqa: S311 - no secret
    every = range(_LAYER)
    return [[draw.sample(every, draw.randint(1, 3)) for _ in every] for _ in range(layers)]


def _tree(server: pp.Server, count: int) -> None:
    """Leaves that are joined two by two."""
    layer = [server.submit(_nothing) for _ in range(count // 2)]
    while len(layer) > 1:
        pairs = zip(layer[::2], layer[1::2], strict=False)
        rest = layer[len(layer) // 2 * 2 :]
        layer = [server.submit(_nothing, pair) for pair in pairs] + rest
    layer[0].result()


_GRAPHS: dict[str, Graph] = {
    "independent": _alone,
    "tree": _tree,
    "layers": _layers,
    "fan": _fan,
    "lattice": _lattice,
    "chain": _chain,
}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    parser.add_argument("--jobs", type=int, default=100_000, help="about so many in each graph")
    parser.add_argument("--workers", type=int, help="default: one for each processor")
    asked = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in _GRAPHS}
    with pp.Server(asked.workers or "autodetect") as server:
        _alone(server, 1_000)
        # Drawn once, and not while it is measured.
        _layers(server, asked.jobs)
        for _ in range(asked.rounds):
            for name, run in _GRAPHS.items():
                start = time.perf_counter()
                run(server, asked.jobs)
                times[name].append((time.perf_counter() - start) / asked.jobs)
        workers = server.get_ncpus()
    base = statistics.median(times["independent"])
    print(f"{asked.jobs:,} jobs, {workers} workers; for each job:")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:12}{1e6 * median:7.2f} us{median / base:7.1f} x")


if __name__ == "__main__":
    main()
