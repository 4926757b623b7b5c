"""Measures everything, in rounds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benches.suite import contestants, environments, measures, processes
from benches.suite.cell import Order
from benches.suite.measures.base import Measure, Step
from benches.suite.results import Results


class Runner:
    """Runs cells one after the other, collects what they say, and keeps it after each measure.

    In each round every contestant has its turn in every measure, so that what disturbs
    the machine for a while disturbs all alike.
    """

    def __init__(
        self,
        results: Results,
        chosen: Sequence[str],
        measured: Sequence[str],
        keep: Callable[[Results], None] = lambda _: None,
    ) -> None:
        self._results = results
        self._chosen = chosen
        self._measures = [measures.ALL[key] for key in measured]
        self._keep = keep
        # A contestant that hung in a step is not waited for again.
        self._hopeless: set[tuple[str, str, int]] = set()
        self._told: set[tuple[str, str, str]] = set()

    def run(self) -> None:
        """Measures. What was measured so far is kept if it is interrupted."""
        start = time.monotonic()
        processes.adopt_orphans()
        try:
            for turn in range(self._results.effort.rounds):
                for measure in self._measures:
                    self._measure(turn, measure)
                    self._results.minutes = (time.monotonic() - start) / 60
                    self._keep(self._results)
        finally:
            processes.end_descendants()

    def _measure(self, turn: int, measure: Measure) -> None:
        on_machine = measure.key == measures.LIMITS
        chosen = [key for key in self._chosen if key in measure.contestants]
        for contestant in (contestants.MACHINE,) if on_machine else chosen:
            own = contestant in {measure.own, contestants.MACHINE}
            if turn >= measure.peer_rounds and not own:
                continue
            start = time.monotonic()
            self._run_steps(measure, contestant)
            _say(
                f"round {turn + 1}, {measure.key:10} {contestant:12} "
                f"{time.monotonic() - start:5.1f} s  {self._summary(measure, contestant)}"
            )

    def _run_steps(self, measure: Measure, contestant: str) -> None:
        steps = measure.steps(self._results.effort)
        left = [
            number
            for number in range(len(steps))
            if (measure.key, contestant, number) not in self._hopeless
        ]
        while left:
            left = self._run_cell(measure, contestant, steps, left)

    def _run_cell(
        self, measure: Measure, contestant: str, steps: list[Step], left: list[int]
    ) -> list[int]:
        """Runs the steps that are left in one process; returns those that are left then."""
        order = Order(measure.key, contestant, self._results.effort, tuple(left), pipe=-1)
        with processes.scratch() as directory:
            try:
                cell = processes.Cell(order, environments.of(contestant), Path(directory))
            except OSError as error:
                self._note(measure, contestant, steps[left[0]], {"failed": f"not there: {error}"})
                return left[1:]
            try:
                for position, number in enumerate(left):
                    said = cell.hear(measure.patience)
                    self._note(measure, contestant, steps[number], said)
                    if "failed" in said:
                        if said.get("late"):
                            self._hopeless.add((measure.key, contestant, number))
                        self._tell_failure(measure, contestant, said["failed"], cell.log_tail())
                        return left[position + 1 :]
                if "failed" in cell.hear(processes.END_PATIENCE):
                    _say(f"{measure.key}, {contestant}: did not end by itself\n{cell.log_tail()}")
            finally:
                cell.end()
        return []

    def _tell_failure(self, measure: Measure, contestant: str, failure: str, log: str) -> None:
        """Shows what the cell printed, if this failure is a new one."""
        told = (measure.key, contestant, failure)
        _say(f"{measure.key}, {contestant}: {failure}" + ("" if told in self._told else f"\n{log}"))
        self._told.add(told)

    def _note(self, measure: Measure, contestant: str, step: Step, said: dict[str, Any]) -> None:
        figures = said.get("figures", {})
        for key in step.keys:
            outcome = self._results.outcome(measure.key, contestant, key)
            if key in figures:
                outcome.values.append(figures[key])
            elif "failed" in said:
                outcome.failures.append(said["failed"])
            else:
                outcome.skipped = said.get("skipped", "too few to tell")

    def _summary(self, measure: Measure, contestant: str) -> str:
        parts = []
        for key, figure in measure.figures().items():
            outcome = self._results.outcome(measure.key, contestant, key)
            if outcome.values:
                parts.append(f"{key} {outcome.values[-1]:,.6g} {figure.unit}".strip())
        return "; ".join(parts)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
