"""The benchmark suite's command.

python -m benches.suite --quick
python -m benches.suite --out docs/benchmarks
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benches.suite import contestants, environments, machine, measures, report
from benches.suite.effort import FULL, QUICK, Effort
from benches.suite.results import Results
from benches.suite.runner import Runner

# What was measured so far, beside the results of an earlier run.
_PART = "results.part.json"


def main(arguments: Sequence[str]) -> int:
    """Measures and reports. Returns the exit code for the shell."""
    options = _parser().parse_args(arguments)
    if options.again is not None:
        report.write(Results.load(options.again), options.out or options.again.parent)
        return 0
    chosen = options.contestants or (contestants.QUICK if options.quick else contestants.ALL)
    measured = list(options.only or (measures.QUICK if options.quick else measures.ALL))
    if measures.LIMITS not in measured:
        measured.append(measures.LIMITS)
    results = Results(
        machine=machine.describe(),
        versions={key: environments.version(key) for key in chosen},
        command=" ".join(["python -m benches.suite", *arguments]),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        effort=_effort(options),
    )
    # Whoever ends this run by a signal gets what was measured, and finds no process left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        Runner(results, chosen, measured, keep=lambda r: _keep(r, options.out)).run()
    except KeyboardInterrupt:
        print(report.terminal(results))
        if options.out is not None:
            print(f"interrupted; --again {options.out / _PART} writes the page of what there is")
        return 130
    print(report.terminal(results))
    if options.out is not None:
        report.write(results, options.out)
        (options.out / _PART).unlink()
    return 0


def _keep(results: Results, directory: Path | None) -> None:
    """Half an hour's work is not to be lost."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        results.save(directory / _PART)


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    asked = {
        name: getattr(options, name)
        for name in ("workers", "rounds", "seconds", "jobs")
        if getattr(options, name) is not None
    }
    return replace(effort, **asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benches.suite",
        description="Measures this project beside others.",
        epilog=f"Measures: {', '.join(measures.ALL)}. Contestants: {', '.join(contestants.ALL)}.",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round of this project and the standard library",
    )
    parser.add_argument("--only", type=_measures, metavar="A,B", help="these measures")
    parser.add_argument("--contestants", type=_contestants, metavar="A,B", help="these contestants")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {FULL.rounds}")
    parser.add_argument("--workers", type=int, metavar="N", help=f"default {FULL.workers}")
    parser.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help=f"what each timing aims at; default {FULL.seconds}",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="at most; default a million")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write page, plots and raw results")
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="write the page from these raw results"
    )
    return parser


def _measures(text: str) -> tuple[str, ...]:
    return _listed(text, tuple(measures.ALL))


def _contestants(text: str) -> tuple[str, ...]:
    return _listed(text, contestants.ALL)


def _listed(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
