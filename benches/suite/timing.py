"""How times are taken."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from time import perf_counter

from benches.suite import jobs
from benches.suite.effort import Effort
from benches.suite.stage import Stage


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    start = perf_counter()
    action()
    return perf_counter() - start


def affordable(effort: Effort, batch: Callable[[int], object], most: int | None = None) -> int:
    """How many jobs `batch(count)` can do in the time that is aimed at.

    Tries with more and more, until it is the jobs that take the time and not the call.
    """
    most = min(most or effort.jobs, effort.jobs)
    fewer, count = 10, 40
    took_before = seconds(partial(batch, fewer))
    if took_before > effort.seconds:
        return fewer
    while True:
        took = seconds(partial(batch, count))
        long_enough = took > effort.seconds / 8 and took > 2 * took_before
        if long_enough or took > effort.seconds or count >= most:
            pace = (count - fewer) / max(took - took_before, took / 10)
            return max(10, min(most, int(pace * effort.seconds)))
        count, fewer, took_before = min(count * 4, most), count, took


def repeated(
    action: Callable[[], object], aim: float, prepare: Callable[[], object] = lambda: None
) -> float:
    """The median time of `action`, repeated for about `aim` seconds after a first time.

    What takes long is done once, and the first time counts. `prepare` is not timed.
    """
    prepare()
    first = seconds(action)
    if first > aim:
        return first
    times: list[float] = []
    while sum(times) < aim and len(times) < 1_000:
        prepare()
        times.append(seconds(action))
    return statistics.median(times)


def percentile(ordered: list[float], percent: float) -> float:
    """The value that this share of the sorted values does not exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def warm_up(stage: Stage) -> None:
    """Lets all workers start, and learn the job."""
    stage.contestant.run_all(jobs.where, [()] * stage.effort.workers * 4)
    stage.contestant.run_all(jobs.noop, zip(range(100)))
