"""The programs that people see first: examples, demo, README."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A program in a document, and the output that the document promises.
PROGRAM = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)

TABLE = " job count | % of all jobs | job time sum | time per job | job server\n"


def run(*arguments: str, program: str | None = None, log: str = r"\Z") -> str:
    """Runs Python and returns what it printed; fails unless all went well.

    The program may write to standard error what matches `log`; by default nothing.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        input=program,
        cwd=ROOT / "examples",
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(log, done.stderr)
    return done.stdout


def example(name: str, log: str = r"\Z") -> str:
    """What an example prints."""
    return run(str(ROOT / "examples" / f"{name}.py"), log=log)


def documented_programs() -> list[object]:
    """The programs of the documents, each with its output."""
    return [
        pytest.param(*found.groups(), id=f"{document}-{number}")
        for document in ("README.md", "docs/classic.md")
        for number, found in enumerate(
            PROGRAM.finditer((ROOT / document).read_text(encoding="utf-8")), 1
        )
    ]


def test_every_example_is_tested() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    names = [path.stem for path in (ROOT / "examples").glob("*.py")]
    assert names
    assert [name for name in names if f'example("{name}"' not in here] == []


def test_primes() -> None:
    printed = example("primes")
    assert "sum of the primes below   20000:   21171191\n" in printed
    assert "sum of the primes below  100000:  454396537\n" in printed
    assert TABLE in printed
    assert re.search(r"^ +5 \| +100\.00 \| +[\d.]+ \| +[\d.]+ \| local$", printed, re.MULTILINE)
    assert "\n0 active tasks, " in printed


def test_md5_reversal() -> None:
    assert "found in part 17 of 40: 829314\n" in example("md5_reversal")


def test_callback() -> None:
    printed = example("callback")
    assert printed == "20 callbacks, 2000000 points\npi is about 3.1423\n"


def test_dynamic_ncpus() -> None:
    printed = example("dynamic_ncpus")
    for ncpus in (1, 2, 4):
        assert f"{ncpus} workers: 12 jobs, all 3.14159265, in " in printed
    assert "0 workers: finished is False\n" in printed
    assert printed.endswith("one worker per usable core: 3.14159265\n")


def test_quicksort() -> None:
    printed = example("quicksort")
    assert "sorted:   [0, 1, 2] ... [199997, 199998, 199999], by " in printed
    assert printed.endswith("all there and in order: True\n")


def test_map() -> None:
    printed = example("map")
    assert "9592 primes below 100000\n" in printed
    assert "more than 300 steps: 26623, 307 steps\n" in printed
    assert printed.endswith("shares: [2.0, ZeroDivisionError('division by zero'), 4.0]\n")


def test_pipeline() -> None:
    printed = example("pipeline")
    read = re.search(r"^(\d+) of \1 modules read, at last \w+/\w+\.py$", printed, re.MULTILINE)
    assert read
    assert int(read[1]) > 50
    again = re.search(r"^(\d+) of them at the second attempt$", printed, re.MULTILINE)
    assert again
    assert 0 < int(again[1]) < int(read[1])
    rows = re.findall(r"^(\w+) +(\d+) +(\d+) +\d+ +\d+  \w+, \S.*$", printed, re.MULTILINE)
    assert {name for name, _, _ in rows} == {"asyncio", "email", "json", "logging", "unittest"}
    assert sum(int(modules) for _, modules, _ in rows) == int(read[1])
    lines = [int(lines) for _, _, lines in rows]
    assert lines == sorted(lines, reverse=True)


def test_template() -> None:
    printed = example("template")
    assert "from  60001 to  80000:  77031 takes 350 steps\n" in printed
    assert printed.endswith("the longest way of all: 156159, 382 steps\n")


def test_error_handling() -> None:
    # Each death of a worker is a warning in the log.
    died = r"(worker process \d+ ended with exit code 7 .*\n){2}"
    printed = example("error_handling", log=died)
    assert "    ZeroDivisionError: division by zero\n" in printed
    assert "    WorkerDied, exit code 7, 2 workers: " in printed
    assert "    the others: [1.0, 0.5, 0.25, 0.2, 0.125, 0.1]\n" in printed
    assert "    SerializationError: cannot serialize argument 1 " in printed
    assert "args[0] is a '_thread.lock' object" in printed
    assert "    DestroyedServerError: cannot submit jobs: " in printed
    assert "ZeroDivisionError: division by zero\n    the result is None\n" in printed


def test_demo() -> None:
    # One of its nodes is killed, which the log tells.
    printed = run(str(ROOT / "demo"), "--quick", log=r"node is gone \(node: \S+, reason: .*\)\n")
    assert printed.count("times as fast, with equal results\n") == 2
    assert "sum of the primes below    10,000:       5,736,396\n" in printed
    assert re.search(r"^  used most: +self [\d,]+, ", printed, re.MULTILINE)
    assert TABLE in printed
    assert "  3 nodes found after " in printed
    assert "  all 60 results are right\n" in printed


@pytest.mark.parametrize(("program", "output"), documented_programs())
def test_documented_program(program: str, output: str) -> None:
    assert run("-", program=program) == output
