"""How long it takes to begin."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from benches.suite.measures.base import Figure, Figures, Measure, Step, Table
from benches.suite.stage import Stage
from benches.suite.timing import seconds

_PROGRAM = """\
{imports}

def noop(x):
    return x

if __name__ == "__main__":
    print({expression}, flush=True)
"""

_IMPORT = """\
import time
start = time.perf_counter()
{imports}
print(time.perf_counter() - start)
"""


def first_result(stage: Stage) -> Figures:
    """From the start of the interpreter until a small program prints the result of a job."""
    expression = stage.kind.program.format(workers=stage.effort.workers)
    return {"first": first_result_of(stage.kind.imports, expression)}


def first_result_of(imports: str, expression: str) -> float:
    """Seconds until a program prints what this expression is, which is the result of a job."""
    program = _PROGRAM.format(imports=imports, expression=expression)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "first.py")
        with open(path, "w") as file:
            file.write(program)
        return until_first_line([sys.executable, path])


def until_first_line(command: list[str]) -> float:
    """Seconds until a program prints the line "1"."""

    def wait() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "1":
                return
        raise RuntimeError("the program ended without a result")

    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    took = seconds(wait)
    process.communicate()
    return took


def import_time(stage: Stage) -> Figures:
    """The import statement alone, in an interpreter that has just started."""
    command = [sys.executable, "-c", _IMPORT.format(imports=stage.kind.imports)]
    times = [float(subprocess.check_output(command)) * 1e3 for _ in range(5)]
    return {"import": statistics.median(times)}


MEASURE = Measure(
    key="start",
    title="Starting",
    text=(
        "The time from the start of the interpreter until a small program with two workers "
        "has the result of its first job; and that of the import alone, in a fresh "
        "interpreter, the median of five. The limit is a program that only prints."
    ),
    tables=(
        Table(
            "Starting",
            (
                Figure("first", "first result", "s", limit="python start"),
                Figure("import", "import", "ms"),
            ),
        ),
    ),
    steps=lambda _: [Step(("first",), first_result), Step(("import",), import_time)],
)
