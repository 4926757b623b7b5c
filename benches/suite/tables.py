"""The tables of the report and of the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from benches.suite import contestants, measures, wording
from benches.suite.measures.base import Figure, Measure, Table
from benches.suite.results import Outcome, Results

Rows = list[list[str]]


def of_figures(rows: Rows) -> str:
    """Rows, the first of which is the heading, as a Markdown table of numbers."""
    return _markdown(rows, ":")


def of_words(rows: Rows) -> str:
    """The same, for words: aligned at the left."""
    return _markdown(rows, "-")


def _markdown(rows: Rows, mark: str) -> str:
    """A table that also reads well as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    marks = ["-" * (widths[0] + 2), *("-" * (width + 1) + mark for width in widths[1:])]
    return "\n".join([lines[0], "|" + "|".join(marks) + "|", *lines[1:]])


def rows(results: Results, measure: Measure, table: Table) -> Rows:
    """The heading, a row for each contestant, and how this project compares."""
    found = [["", *(_heading(figure) for figure in table.figures)]]
    for contestant in measured(results, measure):
        title = contestants.load(contestant).title
        outcomes = results.outcomes[measure.key][contestant]
        cells = [
            wording.outcome(outcomes[figure.key]) if figure.key in outcomes else "-"
            for figure in table.figures
        ]
        if contestant == measure.own:
            title, cells = f"**{title}**", [f"**{cell}**" for cell in cells]
        found.append([title, *cells])
    return found + list(_comparisons(results, measure, table))


def measured(results: Results, measure: Measure) -> list[str]:
    """The contestants of a measure, in their order."""
    order = [*contestants.ALL, contestants.MACHINE]
    return [key for key in order if key in results.outcomes.get(measure.key, {})]


def notes(results: Results, measure: Measure) -> list[str]:
    """Why there are cells without a figure, or with figures of fewer rounds."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for contestant in measured(results, measure):
        title = contestants.load(contestant).title
        for key, figure in measure.figures().items():
            outcome = results.outcomes[measure.key][contestant].get(key, Outcome())
            name = figure.label if len(measure.tables) == 1 else key
            for failure in dict.fromkeys(outcome.failures):
                some = "fails in some rounds" if outcome.values else "fails"
                reasons.setdefault(f"{some}, `{failure}`", {}).setdefault(title, []).append(name)
            if outcome.skipped and not outcome.values:
                reasons.setdefault(outcome.skipped, {}).setdefault(title, []).append(name)
    return [
        f"{reason}: "
        + "; ".join(title + _of_several(measure, names) for title, names in who.items())
        for reason, who in reasons.items()
    ]


def _of_several(measure: Measure, names: list[str]) -> str:
    """Which figures, if there are others."""
    return f" ({', '.join(names)})" if len(measure.figures()) > 1 else ""


def best_peer(results: Results, measure: Measure, figure: Figure) -> tuple[str, float] | None:
    """The best of the others, and its figure."""
    peers = [
        (value, key)
        for key, value in results.medians(measure.key, figure.key)
        if key not in {measure.own, contestants.MACHINE}
    ]
    if not peers:
        return None
    value, key = max(peers) if figure.better == "more" else min(peers)
    return key, value


def _heading(figure: Figure) -> str:
    return f"{figure.label}, {figure.unit}" if figure.unit else figure.label


def _comparisons(results: Results, measure: Measure, table: Table) -> Iterator[list[str]]:
    if measure.key == measures.LIMITS:
        return
    peers = [_advantage(results, measure, figure) for figure in table.figures]
    if any(peers):
        yield ["*times as good as the best peer*", *peers]
    limits = [_limit(results, figure) for figure in table.figures]
    if any(limit is not None for limit in limits):
        shown = ["" if limit is None else wording.number(limit) for limit in limits]
        yield ["*limit*", *shown]
        yield ["*pp, in limits*", *_in_limits(results, measure, table, limits)]


def _advantage(results: Results, measure: Measure, figure: Figure) -> str:
    own = results.median(measure.key, measure.own, figure.key)
    best = best_peer(results, measure, figure)
    if own is None or best is None or figure.better == "neither" or own <= 0 or best[1] <= 0:
        return ""
    factor = own / best[1] if figure.better == "more" else best[1] / own
    return f"{wording.ratio(factor)} ({contestants.load(best[0]).title})"


def _limit(results: Results, figure: Figure) -> float | None:
    if not figure.limit:
        return None
    return results.median(measures.LIMITS, contestants.MACHINE, figure.limit)


def _in_limits(
    results: Results, measure: Measure, table: Table, limits: list[float | None]
) -> Iterator[str]:
    for figure, limit in zip(table.figures, limits, strict=True):
        own = results.median(measure.key, measure.own, figure.key)
        yield wording.ratio(own / limit) if own is not None and limit else ""
