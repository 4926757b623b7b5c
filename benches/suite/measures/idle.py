"""What it costs to have nothing to do."""

from __future__ import annotations

import os
import time

from benches.suite import jobs, memory
from benches.suite.measures.base import Figure, Figures, Measure, Table, one_step
from benches.suite.stage import Stage
from benches.suite.timing import affordable, warm_up


def idle(stage: Stage) -> Figures:
    """The processor time of client and workers in some seconds after many jobs."""
    memory.need_linux()
    warm_up(stage)

    def batch(count: int) -> list[object]:
        return stage.contestant.run_all(jobs.noop, zip(range(count)))

    batch(affordable(stage.effort, batch))
    time.sleep(0.5)
    pause = 1 + 2 * stage.effort.seconds
    before = memory.processor_time(os.getpid())
    time.sleep(pause)
    return {"idle": (memory.processor_time(os.getpid()) - before) * 1e3 / pause}


_TABLE = Table("Idle", (Figure("idle", "processor time", "ms/s"),))

MEASURE = Measure(
    key="idle",
    title="Idle afterwards",
    text=(
        "The processor time that client and workers together use in each second, beginning half "
        "a second after their last job."
    ),
    tables=(_TABLE,),
    steps=one_step(_TABLE, idle),
)
