"""How plots look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]

WIDTH = 8.6  # inches, of 100 pixels each: as wide as a README is shown
OURS = "#c2410c"
INK = "#1f2937"
FAINT = "#6b7280"

mpl.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": "#d1d5db",
        "axes.labelcolor": INK,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e5e7eb",
        "xtick.color": FAINT,
        "ytick.color": INK,
        "figure.facecolor": "white",
        "svg.hashsalt": "benchmarks",  # equal figures give equal files
    }
)


def heading(canvas: Any, text: str) -> None:
    """Writes a heading above all that is drawn."""
    canvas.suptitle(text, x=0.01, ha="left", fontsize=11, fontweight="bold")


def count_of(value: float, _: object = None) -> str:
    """A number as it stands at an axis."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def save(canvas: Any, path: Path) -> None:
    """Writes what is drawn, the same for the same figures."""
    canvas.savefig(path, format="svg", metadata={"Date": None})
