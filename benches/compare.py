"""What small jobs cost, beside the standard library, in one run.

    python benches/compare.py [WORKERS]

Prints, for `pp.Server` and `concurrent.futures.ProcessPoolExecutor`, medians over
rounds in turn: seconds from making the executor to the first result; microseconds of
one round trip (median and 99th percentile); no-op jobs per second, submitted one call
at a time and then collected; and the memory of a worker that idles after that.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Protocol

import pp

ROUNDS = 5
TRIPS = 2_000
JOBS = 20_000


def noop(x: int) -> int:
    """The job: as little as a job can be."""
    return x


class Contestant(Protocol):
    """What is measured."""

    def submit(self, x: int) -> Callable[[], int]:
        """Submits `noop(x)`; the call waits for its result."""

    def end(self) -> None:
        """Ends the workers."""


class Pp:
    """`pp.Server`."""

    def __init__(self, workers: int) -> None:
        self._server = pp.Server(workers)

    def submit(self, x: int) -> Callable[[], int]:
        return self._server.submit(noop, (x,))

    def end(self) -> None:
        self._server.destroy()


class Futures:
    """`concurrent.futures.ProcessPoolExecutor`."""

    def __init__(self, workers: int) -> None:
        self._executor = ProcessPoolExecutor(workers)

    def submit(self, x: int) -> Callable[[], int]:
        return self._executor.submit(noop, x).result

    def end(self) -> None:
        self._executor.shutdown()


def first_result(make: Callable[[int], Contestant], workers: int) -> float:
    """Seconds from making the executor to its first result."""
    start = time.perf_counter()
    contestant = make(workers)
    contestant.submit(1)()
    seconds = time.perf_counter() - start
    contestant.end()
    return seconds


def round_trips(contestant: Contestant) -> list[float]:
    """Microseconds of single round trips, sorted."""
    trips = []
    for number in range(TRIPS):
        start = time.perf_counter()
        contestant.submit(number)()
        trips.append((time.perf_counter() - start) * 1e6)
    return sorted(trips)


def throughput(contestant: Contestant) -> float:
    """No-op jobs per second."""
    start = time.perf_counter()
    waits = [contestant.submit(number) for number in range(JOBS)]
    for number, wait in enumerate(waits):
        assert wait() == number
    return JOBS / (time.perf_counter() - start)


def worker_memory() -> float:
    """Median of the proportional set size of child processes, in MiB."""
    sizes = []
    for pid in children():
        with open(f"/proc/{pid}/smaps_rollup") as file:
            pss = next(line for line in file if line.startswith("Pss:"))
        sizes.append(int(pss.split()[1]) / 1024)
    return statistics.median(sizes)


def children() -> list[int]:
    """The numbers of this process's children."""
    found = []
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children") as file:
            found += [int(pid) for pid in file.read().split()]
    return found


def measure(make: Callable[[int], Contestant], workers: int) -> dict[str, float]:
    """One round for one contestant."""
    figures = {"first result, s": first_result(make, workers)}
    contestant = make(workers)
    contestant.submit(1)()
    trips = round_trips(contestant)
    figures["round trip p50, us"] = trips[len(trips) // 2]
    figures["round trip p99, us"] = trips[len(trips) * 99 // 100]
    figures["no-op jobs/s"] = throughput(contestant)
    if sys.platform == "linux":
        figures["memory of a worker, MiB"] = worker_memory()
    contestant.end()
    return figures


def main() -> None:
    """Measures and prints."""
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count() or 1
    contestants: dict[str, Any] = {"pp.Server": Pp, "ProcessPoolExecutor": Futures}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, make in contestants.items():
            rounds[name].append(measure(make, workers))
    print(f"Python {sys.version.split()[0]}, {workers} workers, medians of {ROUNDS} rounds")
    print(f"{'':26}" + "".join(f"{name:>22}" for name in contestants))
    for figure in rounds["pp.Server"][0]:
        medians = [statistics.median(r[figure] for r in rounds[name]) for name in contestants]
        print(f"{figure:26}" + "".join(f"{median:>22,.3f}" for median in medians))


if __name__ == "__main__":
    main()
