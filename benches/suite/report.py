"""Writes docs/benchmarks: the page, the plots and the raw results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benches.suite import contestants, goals, measures, tables
from benches.suite.measures.base import Measure
from benches.suite.results import Results

RAW = "results.json"

_INTRODUCTION = """\
# Benchmarks

This project beside what one would use instead, measured in one run on one machine.
`make bench` makes this page anew, in some 40 minutes. `make bench-quick` measures this project
and the standard library only, in under two, and prints the tables. Memory and idling can be
measured on Linux only. `python -m benches.suite --help` tells what else can be asked for.

Each measure of each contestant runs in a fresh process, once in each round, and the rounds are
interleaved: what disturbs the machine for a while disturbs all alike. Shown is the median
over the rounds, and in brackets the least and the greatest. The
[measures](../../benches/suite/measures) are short functions, the
[contestants](../../benches/suite/contestants) small adapters: read what they do before you
believe what they say. Absolute figures move with the machine, ratios do less."""

_PLOTS = {
    "rate": ("rate.svg", "No-op jobs per second"),
    "round_trip": ("round_trip.svg", "Round trip of one job"),
    "efficiency": ("efficiency.svg", "Efficiency over job length"),
    "arrays": ("arrays.svg", "100 MB there, and there and back"),
    "growth": ("growth.svg", "Cost of a job over the length of the queue"),
    "workers": ("workers.svg", "Jobs per second over the number of workers"),
}


def write(results: Results, directory: Path) -> None:
    """Writes everything into a directory."""
    # The only module that needs matplotlib.
    from benches.suite import plots  # noqa: PLC0415

    directory.mkdir(parents=True, exist_ok=True)
    results.save(directory / RAW)
    for key, (name, _) in _PLOTS.items():
        if key in results.outcomes:
            plots.PLOTS[key](results, directory / name)
    (directory / "README.md").write_text("\n\n".join(page(results)) + "\n")


def terminal(results: Results) -> str:
    """All tables, for a terminal."""
    parts = []
    for measure in measures.ALL.values():
        if measure.key in results.outcomes:
            parts.append(f"\n{measure.title}\n")
            for table in measure.tables:
                title = [f"{table.title}:"] if len(measure.tables) > 1 else []
                parts += [*title, tables.of_figures(tables.rows(results, measure, table)), ""]
            parts += [f"  {note}" for note in tables.notes(results, measure)]
    parts += ["\nGoals\n", tables.of_words(goals.rows(results))]
    return "\n".join(parts)


def page(results: Results) -> Iterator[str]:
    """The parts of the page."""
    yield _INTRODUCTION
    yield from _circumstances(results)
    yield "## What it has to reach"
    yield tables.of_words(goals.rows(results))
    for measure in measures.ALL.values():
        if measure.key in results.outcomes:
            yield from _section(results, measure)


def _circumstances(results: Results) -> Iterator[str]:
    effort = results.effort
    yield "## Machine and versions"
    described = [
        ["", ""],
        *([name, value] for name, value in results.machine.items()),
        ["date", results.date],
        ["command", f"`{results.command}`"],
        ["workers", str(effort.workers)],
        ["rounds", f"{effort.rounds}; for the others fewer of what is heavy"],
        ["duration", f"{results.minutes:.0f} minutes"],
    ]
    yield tables.of_words(described)
    rows = [["contestant", "version", "used here"]]
    for key, version in results.versions.items():
        kind = contestants.load(key)
        rows.append([kind.title, version or "not installed", kind.note])
    yield tables.of_words(rows)


def _section(results: Results, measure: Measure) -> Iterator[str]:
    yield f"## {measure.title}"
    yield measure.text
    if measure.key in _PLOTS:
        name, description = _PLOTS[measure.key]
        yield f"![{description}]({name})"
    for table in measure.tables:
        if len(measure.tables) > 1:
            yield f"**{table.title}**"
        yield tables.of_figures(tables.rows(results, measure, table))
    notes = tables.notes(results, measure)
    if notes:
        yield "\n".join(f"- {note}" for note in notes)
