"""Draws what `make quality` has measured: `python -m benches.quality FILE.csv FILE.svg`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas  # type: ignore[import-not-found]
from matplotlib.ticker import FuncFormatter  # type: ignore[import-not-found]

from benches.style import FAINT, OURS, WIDTH, count_of, heading, save

Rows = dict[tuple[str, str], dict[str, float]]

# Told apart by colour and by marker, so that either is enough.
_POLICIES = {
    "fifo": ("FIFO to idle", "#9ca3af", "s"),
    "dask": ("Dask, as documented", "#0072b2", "h"),
    "ray": ("Ray, as documented", "#7b3294", ">"),
    "pp": ("Parallel Python", OURS, "o"),
}


def read(path: Path) -> Rows:
    """The figures of a table, by workload and policy."""
    with path.open(newline="") as file:
        return {
            (row.pop("workload"), row.pop("policy")): {key: float(it) for key, it in row.items()}
            for row in csv.DictReader(file)
        }


def draw(rows: Rows, path: Path) -> None:
    """Four panels over the workloads."""
    names = list(dict.fromkeys(workload for workload, _ in rows))
    canvas = Canvas(figsize=(WIDTH, 2.2 + 0.42 * len(names)), layout="constrained")
    seeds = "means over five seeds, 64 slots on 8 machines"
    heading(canvas, f"The same work under four policies: {seeds}")
    panels = list(canvas.subplots(2, 2, sharey=True).flat)
    _points(panels[0], rows, names, "excess", "Makespan above the bound, %")
    _points(panels[1], rows, names, "delay_ms", "Mean wait of a job that is ready, ms")
    _points(panels[2], rows, names, "moved_mb", "Moved between machines, MB")
    _points(panels[3], rows, names, "each", "Messages for each job")
    handles, labels = panels[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    save(canvas, path)


def _figure(row: dict[str, float], key: str) -> float:
    if key == "excess":
        return 100 * (row["ratio"] - 1)
    if key == "each":
        return row["messages"] / row["jobs"]
    return row[key]


def _points(panel: Any, rows: Rows, names: list[str], key: str, title: str) -> None:
    places = range(len(names))
    for policy, (label, color, marker) in _POLICIES.items():
        values = [_figure(rows[name, policy], key) for name in names]
        # Ours is a ring: what is as good shows inside.
        fill, size = ("none", 7.5) if policy == "pp" else (color, 4.5)
        style = {"markeredgecolor": color, "markerfacecolor": fill, "markersize": size}
        panel.plot(values, places, marker, label=label, markeredgewidth=1.4, **style)
    if key == "excess":
        oracle = [100 * (rows[name, "pp"]["oracle"] - 1) for name in names]
        panel.plot(oracle, places, "|", color=FAINT, markersize=9, label="if all were known")
        panel.set_xscale("symlog", linthresh=1)
        panel.axvline(5, color=FAINT, linestyle="--", linewidth=1)
    elif key != "each":
        panel.set_xscale("symlog", linthresh=1)
    panel.set_title(title)
    panel.set_yticks(places, names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_xlim(left=0)
    panel.xaxis.set_major_formatter(FuncFormatter(count_of))


if __name__ == "__main__":
    draw(read(Path(sys.argv[1])), Path(sys.argv[2]))
