"""One contestant in one measure, in a process of its own.

    python -m benches.suite.cell '{"measure": ..., "contestant": ..., ...}'

The runner starts it. It tells the runner what it has measured by lines of JSON through
a pipe, since contestants and jobs may print what they like.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from typing import Any

from benches.suite import contestants, measures
from benches.suite.contestants.base import UnsupportedError
from benches.suite.effort import Effort
from benches.suite.environments import ROOT
from benches.suite.measures.base import Step, TooSlowError
from benches.suite.stage import Stage


@dataclass(frozen=True)
class Order:
    """What a cell is to do.

    Attributes:
        measure, contestant: their keys.
        effort: how much to measure.
        steps: which steps of the measure, by number.
        pipe: the descriptor to write to.
    """

    measure: str
    contestant: str
    effort: Effort
    steps: tuple[int, ...]
    pipe: int

    def as_text(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Order:
        """The opposite of `as_text`."""
        fields = json.loads(text)
        fields["effort"] = Effort(**fields["effort"])
        return cls(**fields)


def carry_out(order: Order) -> None:
    """Runs the steps, up to the first that breaks the contestant."""
    stage = Stage(contestants.load(order.contestant), order.effort)
    steps = measures.ALL[order.measure].steps(order.effort)
    for number in order.steps:
        said = _attempt(steps[number], stage)
        _tell(order, step=number, **said)
        if "failed" in said:
            # What is left is not to be trusted; the runner starts again with the next step.
            return
    stage.end()
    _tell(order, ended=True)


def _attempt(step: Step, stage: Stage) -> dict[str, Any]:
    try:
        return {"figures": step.run(stage)}
    except (UnsupportedError, TooSlowError) as reason:
        return {"skipped": str(reason)}
    except Exception as error:
        traceback.print_exc()
        return {"failed": _in_a_line(error)}


def _in_a_line(error: Exception) -> str:
    """An error as the report shows it, without names of directories of this machine."""
    line = (str(error).splitlines() or [""])[0]
    for directory, shown in ((str(ROOT), "."), (tempfile.gettempdir(), "TMP")):
        line = line.replace(directory, shown)
    return f"{type(error).__name__}: {line:.150}".rstrip(": ")


def _tell(order: Order, **said: Any) -> None:
    os.write(order.pipe, json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    asked = Order.from_text(sys.argv[1])
    os.set_inheritable(asked.pipe, False)
    carry_out(asked)
