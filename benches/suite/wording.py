"""How figures are written."""

from __future__ import annotations

import math

from benches.suite.results import Outcome


def number(value: float) -> str:
    """Three digits that count, and commas: 1,230,000 or 0.0123."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, min(digits, 6))}f}"


def round_number(value: float) -> str:
    """The same, without zeros at its end: 10 and not 10.0."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def outcome(found: Outcome) -> str:
    """The median, and the least and the greatest of the rounds."""
    median = found.median
    if median is None:
        return "fails" if found.failures else "-"
    if len(found.values) == 1:
        return number(median)
    return f"{number(median)} ({number(min(found.values))}..{number(max(found.values))})"


def ratio(value: float) -> str:
    """A ratio, with two digits that count."""
    return f"{value:,.0f} x" if value >= 10 else f"{value:.2g} x"
