"""Random graphs of jobs with fates, and what may become of each job.

Workers may import this module; it is kept light.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections import Counter
from typing import Any

import pp
from tests import graphs
from tests.failures.ledger import Ledger
from tests.graphs import Step

# What becomes of a job, and how often that is so in a hundred.
FATES = {"well": 70, "large": 8, "raises": 3, "flaky": 8, "hangs": 2, "hangs once": 3, "dies": 6}

# The fates after which there may be a value.
GOOD = ("well", "large", "flaky", "hangs once", "dies")

# Seconds for jobs that would run for ever; enough for a fresh worker to load its modules.
LIMIT = 1.0


class FateError(Exception):
    """What jobs raise that are to."""


def live(ledger: Ledger, number: int, fate: str, nested: Any) -> Any:
    """A job of a graph."""
    count = ledger.note(f"job {number}")
    if fate == "raises" or (fate == "flaky" and count <= 2):
        raise FateError(number)
    if fate == "hangs" or (fate == "hangs once" and count == 1):
        time.sleep(1000)
    if fate == "dies" and count == 1:
        os._exit(9)
    value = graphs.work(number, nested)
    # Beyond what goes through the line.
    return graphs.Box(value, {"pad": bytes(300_000)}) if fate == "large" else value


class Drama:
    """A random graph that is submitted, and watched.

    Args:
        dice: whose numbers decide about everything.
        ledger: where jobs note that they run.
        layers, width: how large it is.
        fates: of the jobs, with weights.
    """

    def __init__(
        self,
        dice: random.Random,
        ledger: Ledger,
        layers: int,
        width: int,
        fates: dict[str, int] | None = None,
    ) -> None:
        self.dice = dice
        self.ledger = ledger
        self.steps = graphs.layered(dice, layers, width)
        chances = fates or FATES
        self.fates = dice.choices(list(chances), list(chances.values()), k=len(self.steps))
        self.jobs: list[pp.Job[Any]] = []
        self.cancelled: set[int] = set()
        self.ends: Counter[int] = Counter()

    def submit(self, server: pp.Server) -> None:
        """Submits all jobs."""
        for step, fate in zip(self.steps, self.fates, strict=True):
            nested = graphs.nested(self.dice, [self.jobs[other] for other in step.inputs])
            options: dict[str, Any] = {"after": [self.jobs[other] for other in step.after]}
            if fate in ("flaky", "hangs once"):
                options |= {"retries": 5, "backoff": 0.001}
            if fate in ("hangs", "hangs once"):
                options["timeout"] = LIMIT
            if self.dice.random() < 0.2:
                options["priority"] = self.dice.randint(-3, 3)
            group = self.dice.choice(["one", "two", "three"])
            args = (self.ledger, step.number, fate, nested)
            job = server.submit(live, args, group=group, **options)
            job.add_done_callback(functools.partial(self._ended, step.number))
            self.jobs.append(job)

    def _ended(self, number: int, _job: pp.Job[Any]) -> None:
        self.ends[number] += 1

    def cancel_some(self, count: int) -> None:
        """Cancels a few jobs, whatever they do at the moment."""
        for number in self.dice.sample(range(len(self.jobs)), min(count, len(self.jobs))):
            if self.jobs[number].cancel():
                self.cancelled.add(number)

    def check(self, patience: float) -> Counter[str]:
        """Every job ends in a way that it may; how many ended how."""
        done, not_done = pp.wait(self.jobs, patience)
        assert not not_done, f"{len(not_done)} never end, as {list(not_done)[:3]}"
        assert len(done) == len(self.jobs)
        runs = Counter(self.ledger.words())
        ways: Counter[str] = Counter()
        values: dict[int, int] = {}
        for step, job in zip(self.steps, self.jobs, strict=True):
            error = pp.JobCancelled() if job.cancelled() else job.exception()
            if error is None:
                found = graphs.numbers_in(job.result())
                values[step.number] = found[0]
                expected = graphs.combine(step.number, [values[i] for i in step.inputs])
                assert found == [expected], (step, job)
            fault = self._fault(step, error, runs[f"job {step.number}"])
            assert fault is None, (fault, step, self.fates[step.number], job, repr(error))
            ways["value" if error is None else type(error).__name__] += 1
        return ways

    def _fault(self, step: Step, error: BaseException | None, runs: int) -> str | None:
        """Why the end of a job is none that it may have."""
        fate = self.fates[step.number]
        needed = {*step.inputs, *step.after}
        bad = [other for other in needed if self.jobs[other].state != "finished"]
        was_cancelled = step.number in self.cancelled
        if bad:
            return self._fault_of_dependant(bad, error, runs, was_cancelled=was_cancelled)
        if isinstance(error, pp.JobCancelled):
            return None if was_cancelled else "nobody has cancelled it"
        if error is None:
            return None if fate in GOOD and runs else "it has no value"
        allowed = {"raises": FateError, "hangs": pp.JobTimeout}.get(fate)
        # Its first attempts may have been over before it began to count.
        if fate == "hangs once":
            allowed = pp.JobTimeout
        return None if allowed is not None and isinstance(error, allowed) else "it failed"

    def _fault_of_dependant(
        self, bad: list[int], error: BaseException | None, runs: int, *, was_cancelled: bool
    ) -> str | None:
        if runs:
            return "it has begun without what it needs"
        if isinstance(error, pp.JobCancelled):
            is_due = was_cancelled or any(self.jobs[other].cancelled() for other in bad)
            return None if is_due else "nobody has cancelled what it needs"
        if not isinstance(error, pp.DependencyFailed):
            return "it does not say that it depends on others"
        roots = {self._root(other) for other in bad if not self.jobs[other].cancelled()}
        if error.number not in roots:
            return f"its roots are {roots}, not {error.number}"
        return None if isinstance(error.__cause__, (FateError, pp.JobTimeout)) else "a wrong cause"

    def _root(self, number: int) -> int:
        error = self.jobs[number].exception()
        return error.number if isinstance(error, pp.DependencyFailed) else self.jobs[number].tid
