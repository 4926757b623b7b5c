"""How many jobs a second."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benches.suite import jobs
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import affordable, seconds, warm_up

THREADS = 4


def one_by_one(stage: Stage) -> Figures:
    """Submits no-op jobs one by one, then collects the results."""
    return {"single": _rate(stage, lambda count: _batch(stage, count))}


def four_threads(stage: Stage) -> Figures:
    """The same by four threads at once, each with its share of the jobs."""

    def batch(count: int) -> None:
        share = count // THREADS
        threads = [
            threading.Thread(target=checked, args=(lambda: _batch(stage, share),))
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def checked(action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            failures.append(error)

    failures: list[Exception] = []
    return {"threads": _rate(stage, batch)}


def busy_interpreter(stage: Stage) -> Figures:
    """The same while another Python thread computes, and lets go of the GIL only when asked."""
    with _busy_thread():
        return {"busy": _rate(stage, lambda count: _batch(stage, count))}


def _rate(stage: Stage, batch: Callable[[int], None]) -> float:
    warm_up(stage)
    count = affordable(stage.effort, batch)
    return count / seconds(lambda: batch(count))


def _batch(stage: Stage, count: int) -> None:
    results = stage.contestant.run_all(jobs.noop, zip(range(count)))
    assert len(results) == count
    assert results[-1] == count - 1


@contextmanager
def _busy_thread() -> Iterator[None]:
    def compute() -> None:
        while not ended:
            pass

    ended: list[bool] = []
    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        ended.append(True)
        thread.join()


MEASURE = Measure(
    key="rate",
    title="No-op jobs per second",
    text=(
        "Jobs that do nothing are submitted one by one, each with a call of its own, and then "
        "collected in order; the same by four threads at once; and the same while another "
        "Python thread computes. Ten thousands to a million jobs, according to speed. The limit "
        "is what the client has to do at least: pickle the arguments, unpickle the result."
    ),
    tables=(
        Table(
            "No-op jobs per second",
            (
                Figure("single", "one by one", "jobs/s", limit="pickle", better="more"),
                Figure("threads", "four threads", "jobs/s", limit="pickle", better="more"),
                Figure("busy", "with a busy thread", "jobs/s", limit="pickle", better="more"),
            ),
        ),
    ),
    steps=lambda _: [
        Step(("single",), one_by_one),
        Step(("threads",), four_threads),
        Step(("busy",), busy_interpreter),
    ],
)
