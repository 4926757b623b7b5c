"""Draws what `make scale` has measured: `python -m benches.scale FILE.csv FILE.svg`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas  # type: ignore[import-not-found]
from matplotlib.ticker import FuncFormatter, NullLocator  # type: ignore[import-not-found]

from benches.style import FAINT, OURS, WIDTH, count_of, heading, save

Rows = list[dict[str, float]]


def read(path: Path) -> Rows:
    """The rows of a table of numbers."""
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def draw(rows: Rows, path: Path) -> None:
    """Four panels over the number of nodes."""
    canvas = Canvas(figsize=(WIDTH, 5.4), layout="constrained")
    jobs = max(row["jobs"] for row in rows)
    heading(canvas, f"Up to {rows[-1]['nodes']:,.0f} nodes of 64 workers, {jobs:,.0f} jobs")
    panels = list(canvas.subplots(2, 2).flat)
    _line(panels[0], rows, "decisions_per_s", "Decisions per second of real time")
    _line(panels[1], rows, "bytes_per_job", "Bytes of memory for each queued job")
    _line(panels[2], rows, "utilisation", "Part of the time that workers are busy")
    _line(panels[3], rows, "makespan_s", "Makespan in seconds, and the bound (dashed)")
    nodes = [row["nodes"] for row in rows]
    panels[3].plot(nodes, [row["ideal_s"] for row in rows], color=FAINT, linestyle="--")
    for panel in panels[2:]:
        panel.set_xlabel("nodes")
    save(canvas, path)


def _line(panel: Any, rows: Rows, key: str, title: str) -> None:
    nodes, values = [row["nodes"] for row in rows], [row[key] for row in rows]
    panel.plot(nodes, values, color=OURS, marker="o")
    for place, value in zip(nodes, values, strict=True):
        text = f"{value:,.0f}" if value >= 10 else f"{value:.3g}"
        panel.annotate(text, (place, value), (2, 5), textcoords="offset points", color=OURS)
    panel.set_title(title)
    panel.set_xscale("log")
    panel.set_xticks(nodes, [count_of(number) for number in nodes])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(count_of))
    panel.set_ylim(0, max(values) * 1.25)
    panel.margins(x=0.15)


if __name__ == "__main__":
    draw(read(Path(sys.argv[1])), Path(sys.argv[2]))
