"""Does a job cost more when many are queued?"""

from __future__ import annotations

import statistics
from functools import partial

from benches.suite import gate, jobs
from benches.suite.effort import Effort
from benches.suite.measures.base import Figure, Figures, Measure, Step, Table, TooSlowError
from benches.suite.stage import Stage
from benches.suite.timing import affordable, seconds, warm_up

COUNTS = (1_000, 10_000, 100_000, 1_000_000)

# A contestant that needs longer for one queue is not asked for it.
_SECONDS = 15


def cost(count: int, stage: Stage) -> Figures:
    """Microseconds per job: submitted while the workers are held, collected when let go."""
    warm_up(stage)
    contestant = stage.contestant
    contestant.result(contestant.submit(jobs.noop, (0,)))
    few = affordable(
        stage.effort.shortened(0.2),
        lambda number: contestant.run_all(jobs.noop, zip(range(number))),
    )
    expected = count / few * stage.effort.seconds * 0.2
    if expected > _SECONDS * stage.effort.seconds:
        raise TooSlowError(f"would take {expected:.0f} s")
    repeats = max(1, min(15, 100_000 // count))
    times = [_once(count, stage) for _ in range(repeats)]
    return {str(count): statistics.median(times) / count * 1e6}


def _once(count: int, stage: Stage) -> float:
    handles: list[object] = []

    def submit() -> None:
        handles.extend(contestant.submit_all(jobs.noop, zip(range(count))))

    def collect() -> None:
        let_go()
        assert contestant.results(handles)[-1] == count - 1

    contestant = stage.contestant
    with gate.held(contestant, stage.effort.workers) as let_go:
        return seconds(submit) + seconds(collect)


def _steps(effort: Effort) -> list[Step]:
    counts = [count for count in COUNTS if count <= effort.jobs]
    return [Step((str(count),), partial(cost, count)) for count in counts]


MEASURE = Measure(
    key="growth",
    title="Growth with the queue",
    text=(
        "The cost of a no-op job when this many are queued: all are submitted while the workers "
        "are held, then the workers are let go and all results collected."
    ),
    tables=(
        Table(
            "Cost of a job, by the length of the queue",
            tuple(Figure(str(count), f"{count:,} jobs", "µs/job") for count in COUNTS),
        ),
    ),
    steps=_steps,
    peer_rounds=1,
)
