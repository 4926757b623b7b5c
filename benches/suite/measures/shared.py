"""One large array for many jobs."""

from __future__ import annotations

import statistics
from collections import deque
from functools import partial
from time import perf_counter
from typing import Any

from benches.suite import jobs
from benches.suite.contestants.base import UnsupportedError
from benches.suite.measures import data
from benches.suite.measures.base import Figure, Figures, Measure, Table, one_step
from benches.suite.stage import Stage
from benches.suite.timing import repeated, seconds, warm_up

JOBS = 200


def shared(stage: Stage) -> Figures:
    """Sends an array to one job; then another one to 200 jobs, by the library's own means."""
    contestant = stage.contestant
    fresh = data.Fresh(data.make("numpy", data.SIZES["100 MB"]))

    warm_up(stage)

    def send() -> None:
        contestant.call(jobs.pick, (fresh.value, 7))

    once = repeated(send, stage.effort.seconds, fresh.renew)
    try:
        # A different array each time: nobody may know it already.
        times = [seconds(partial(_share, stage, fresh.value + turn)) for turn in (1, 2, 3)]
        many = statistics.median(times)
    except UnsupportedError:
        many = _send_again_and_again(stage, fresh.value)
    return {"once": once * 1e3, "many": many * 1e3, "ratio": many / once}


def _share(stage: Stage, array: Any) -> None:
    known = stage.contestant.share(array)
    results = stage.contestant.run_all(jobs.pick, ((known, index) for index in range(JOBS)))
    assert results == array[:JOBS].tolist()


def _send_again_and_again(stage: Stage, array: Any) -> float:
    """Seconds for all jobs, from as many as there is time for.

    A job in the queue may hold a copy, so no more are submitted than there are workers.
    """
    contestant = stage.contestant
    pending: deque[Any] = deque()
    start, done = perf_counter(), 0
    while done < JOBS and perf_counter() - start < 3 * stage.effort.seconds:
        pending.append(contestant.submit(jobs.pick, (array, done)))
        done += 1
        if len(pending) == stage.effort.workers:
            contestant.result(pending.popleft())
    contestant.results(list(pending))
    return (perf_counter() - start) / done * JOBS


_TABLE = Table(
    "One array for many jobs",
    (
        Figure("once", "for one job", "ms", limit="memcpy 100 MB"),
        Figure("many", f"for {JOBS} jobs", "ms", limit="memcpy 100 MB"),
        Figure("ratio", f"{JOBS} jobs to one", "x", better="neither"),
    ),
)

MEASURE = Measure(
    key="shared",
    title="One array for many jobs",
    text=(
        f"An array of 100 MB goes to one job that uses one element of it; then a new one to "
        f"{JOBS} jobs, shared by the means that the library has for it (sent anew with each job "
        "by those that have none, and then extrapolated from as many as a few seconds allow)."
    ),
    tables=(_TABLE,),
    steps=one_step(_TABLE, shared),
    peer_rounds=2,
)
