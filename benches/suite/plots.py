"""The plots of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas  # type: ignore[import-not-found]
from matplotlib.ticker import FuncFormatter, NullLocator  # type: ignore[import-not-found]

from benches import style
from benches.style import FAINT, INK, OURS, WIDTH, count_of, save
from benches.suite import contestants, measures, wording
from benches.suite.measures import efficiency, growth, workers
from benches.suite.results import Results

_PEER = "#94a3b8"

# Told apart by colour and by marker, so that either is enough.
_LINES = {
    "pp": (OURS, "o"),
    "pool": ("#0072b2", "s"),
    "futures": ("#56b4e9", "D"),
    "loky": ("#009e73", "^"),
    "joblib": ("#cc79a7", "v"),
    "mpire": ("#b8860b", "P"),
    "classic": ("#374151", "X"),
    "ppft": ("#9ca3af", "<"),
    "ray": ("#7b3294", ">"),
    "dask": ("#8b4513", "h"),
}


def rate(results: Results, path: Path) -> None:
    """Bars: jobs per second in the four ways that are measured."""
    panels = [
        ("rate", "single", "Submitted one by one"),
        ("rate", "threads", "… from four threads"),
        ("rate", "busy", "… beside a busy thread"),
        ("map", "items", "Map over a million items"),
    ]
    canvas, axes = _panels(results, panels, "No-op jobs per second")
    for axis, (measure, figure, title) in zip(axes, panels, strict=True):
        _bars(axis, results, measure, figure, title)
    save(canvas, path)


def arrays(results: Results, path: Path) -> None:
    """Bars: milliseconds for 100 MB, one way and both ways."""
    panels = [
        ("arrays", f"{kind} 100 MB {suffix}", f"{title}, {way}")
        for kind, title in (("numpy", "Numpy array"), ("bytes", "Bytes"))
        for suffix, way in (("in", "in"), ("out", "in and out"))
    ]
    canvas, axes = _panels(results, panels, "Milliseconds for 100 MB to a job")
    limit = results.median(measures.LIMITS, contestants.MACHINE, "memcpy 100 MB")
    for axis, (measure, figure, title) in zip(axes, panels, strict=True):
        _bars(axis, results, measure, figure, title)
        _limit_line(axis, limit, "one memcpy")
    save(canvas, path)


def round_trip(results: Results, path: Path) -> None:
    """Points: the percentiles of a round trip."""
    found = _sorted(results, "round_trip", "p50", reverse=False)
    canvas = Canvas(figsize=(WIDTH, 0.9 + 0.3 * len(found)), layout="constrained")
    axis = canvas.subplots()
    points = (("p50", "o", 8.0), ("p99", "|", 11.0), ("p999", "x", 5.0))
    for row, (contestant, _) in enumerate(found):
        color = OURS if contestant == contestants.OURS else "#475569"
        shown = [
            (value, marker, size)
            for key, marker, size in points
            if (value := results.median("round_trip", contestant, key)) is not None
        ]
        values = [value for value, _, _ in shown]
        axis.plot(values, [row] * len(values), color=color, linewidth=1.5, alpha=0.5)
        for value, marker, size in shown:
            axis.plot(value, row, marker, color=color, markersize=size, markeredgewidth=2)
        axis.annotate(
            f"{wording.number(values[0])} µs",
            (values[0], row),
            (0, 7),
            textcoords="offset points",
            ha="center",
            color=color,
            fontsize=8,
        )
    _rows(axis, [contestant for contestant, _ in found])
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(_duration))
    axis.set_title("Round trip of one job:  ● p50   | p99   x p99.9")
    _limit_line(
        axis, results.median(measures.LIMITS, contestants.MACHINE, "pipe p50"), "pipes, p50"
    )
    save(canvas, path)


def efficiency_over_length(results: Results, path: Path) -> None:
    """Lines: efficiency over the length of the jobs."""
    canvas = Canvas(figsize=(WIDTH, 3.8), layout="constrained")
    style.heading(canvas, "Efficiency: the time that jobs need at least, over the time they take")
    left, right = canvas.subplots(1, 2, sharey=True)
    for axis, job, title in (
        (left, "spin", "Busy for a time"),
        (right, "work", "In need of a processor's time"),
    ):
        xs = efficiency.MILLISECONDS
        _lines(axis, results, "efficiency", xs, [f"{job} {x}" for x in xs])
        axis.set_xscale("log")
        axis.set_xticks(xs, [f"{x:g} ms" for x in xs])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(title)
        axis.set_xlabel("length of each job")
    left.set_ylim(0, 1.03)
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    _legend(canvas, left, point=0)
    save(canvas, path)


def growth_with_queue(results: Results, path: Path) -> None:
    """Lines: the cost of a job over the length of the queue."""
    canvas = Canvas(figsize=(WIDTH, 3.8), layout="constrained")
    axis = canvas.subplots()
    _lines(axis, results, "growth", growth.COUNTS, [str(count) for count in growth.COUNTS])
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(growth.COUNTS, [f"{count:,}" for count in growth.COUNTS])
    axis.yaxis.set_major_formatter(FuncFormatter(_duration))
    axis.set_title("Cost of a no-op job, by the number of jobs queued")
    axis.set_xlabel("jobs queued (a line ends where a queue would take too long)")
    _legend(canvas, axis)
    save(canvas, path)


def growth_with_workers(results: Results, path: Path) -> None:
    """Lines: jobs per second over the number of workers."""
    canvas = Canvas(figsize=(WIDTH, 3.8), layout="constrained")
    axis = canvas.subplots()
    _lines(axis, results, "workers", workers.COUNTS, [str(count) for count in workers.COUNTS])
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(workers.COUNTS, [str(count) for count in workers.COUNTS])
    axis.yaxis.set_major_formatter(FuncFormatter(count_of))
    axis.set_title("No-op jobs per second, by the number of workers")
    processors = results.machine.get("processors for this process", "?")
    axis.set_xlabel(f"workers, on {processors} processors")
    _legend(canvas, axis)
    save(canvas, path)


PLOTS: dict[str, Callable[[Results, Path], None]] = {
    "rate": rate,
    "round_trip": round_trip,
    "efficiency": efficiency_over_length,
    "arrays": arrays,
    "growth": growth_with_queue,
    "workers": growth_with_workers,
}


def _panels(
    results: Results, panels: Sequence[tuple[str, str, str]], heading: str
) -> tuple[Any, list[Any]]:
    """Two by two, as high as the rows need."""
    rows = max(len(_known(results, measure)) for measure, _, _ in panels)
    canvas = Canvas(figsize=(WIDTH, 2 * (0.9 + 0.23 * rows)), layout="constrained")
    style.heading(canvas, f"{heading} (logarithmic scale)")
    return canvas, list(canvas.subplots(2, 2).flat)


def _bars(axis: Any, results: Results, measure: str, figure: str, title: str) -> None:
    """One bar for each contestant, the best on top, with its value; or why there is none."""
    better = measures.ALL[measure].figures()[figure].better
    found = _sorted(results, measure, figure, reverse=better == "more")
    for row, (contestant, value) in enumerate(found):
        ours = contestant == contestants.OURS
        axis.barh(row, value, height=0.72, color=OURS if ours else _PEER)
        axis.annotate(
            wording.number(value),
            (value, row),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            fontweight="bold" if ours else "normal",
        )
    known = {contestant for contestant, _ in found}
    missing = [key for key in _known(results, measure) if key not in known]
    axis.set_xscale("log")
    values = [value for _, value in found] or [1.0, 10.0]
    # Room on the right for the value of the longest bar; a bar's length says little on a
    # logarithmic scale, so that the shortest is merely visible.
    axis.set_xlim(min(values) / 3, max(values) * 12)
    for row, contestant in enumerate(missing, start=len(found)):
        failed = results.outcome(measure, contestant, figure).failures
        axis.annotate(
            "fails" if failed else "has no such call",
            (0.01, row),
            xycoords=axis.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=FAINT,
            style="italic",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    _rows(axis, [contestant for contestant, _ in found] + missing)
    axis.xaxis.set_major_formatter(FuncFormatter(count_of))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(visible=False, axis="y")
    axis.set_title(title)


def _lines(
    axis: Any, results: Results, measure: str, xs: Sequence[float], figures: Sequence[str]
) -> None:
    for contestant in reversed(_known(results, measure)):
        color, marker = _LINES[contestant]
        points = [
            (x, value)
            for x, figure in zip(xs, figures, strict=True)
            if (value := results.median(measure, contestant, figure)) is not None
        ]
        if points:
            axis.plot(
                *zip(*points, strict=True),
                color=color,
                marker=marker,
                markersize=5,
                linewidth=2.8 if contestant == contestants.OURS else 1.2,
                label=contestants.load(contestant).title,
            )


def _legend(canvas: Any, axis: Any, point: int = -1) -> None:
    """At the right, in the order of the lines' last points, or of others."""
    handles, labels = axis.get_legend_handles_labels()
    order = sorted(
        range(len(handles)),
        key=lambda index: float(handles[index].get_ydata()[point]),
        reverse=True,
    )
    canvas.legend(
        [handles[index] for index in order],
        [labels[index] for index in order],
        loc="outside right center",
        frameon=False,
        fontsize=8,
    )


def _rows(axis: Any, keys: Sequence[str]) -> None:
    """Names for the rows of a horizontal plot, from the top down."""
    axis.set_yticks(range(len(keys)), [contestants.load(key).title for key in keys])
    axis.tick_params(axis="y", length=0)
    # Below the last row there is room for the name of a limit.
    axis.set_ylim(len(keys), -0.7)
    for key, label in zip(keys, axis.get_yticklabels(), strict=True):
        if key == contestants.OURS:
            label.set(color=OURS, fontweight="bold")


def _limit_line(axis: Any, limit: float | None, name: str) -> None:
    if limit is None:
        return
    left, _ = axis.get_xlim()
    axis.set_xlim(left=min(left, limit / 1.5))
    axis.axvline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0.9)
    axis.annotate(
        name,
        (limit, 0),
        (3, 2),
        xycoords=axis.get_xaxis_transform(),
        textcoords="offset points",
        fontsize=7.5,
        color=FAINT,
    )


def _known(results: Results, measure: str) -> list[str]:
    """The contestants of a measure, in their order."""
    return [key for key in contestants.ALL if key in results.outcomes.get(measure, {})]


def _sorted(
    results: Results, measure: str, figure: str, *, reverse: bool
) -> list[tuple[str, float]]:
    found = [
        (key, value)
        for key in _known(results, measure)
        if (value := results.median(measure, key, figure)) is not None
    ]
    return sorted(found, key=lambda item: item[1], reverse=reverse)


def _duration(microseconds: float, _: object) -> str:
    if microseconds >= 1e3:
        return f"{microseconds / 1e3:g} ms"
    return f"{microseconds:g} µs"
