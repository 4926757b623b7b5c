"""What is sent: arrays, bytes and frames."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

SIZES = {"1 KB": 10**3, "1 MB": 10**6, "100 MB": 10**8, "1 GB": 10**9}
KINDS = ("numpy", "bytes")

_BLOCK = 10**6


def make(kind: str, size: int) -> Any:
    """Data of this size that cannot be compressed."""
    block = os.urandom(min(size, _BLOCK)) * max(1, size // _BLOCK)
    if kind == "bytes":
        return block
    return import_module("numpy").frombuffer(block).copy()


class Fresh:
    """Data of which a copy is made for each use: some contestants remember what they sent."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def renew(self) -> None:
        """Makes the next copy."""
        value = self.value
        self.value = bytes(memoryview(value)) if isinstance(value, bytes) else value.copy()


def frame() -> Any:
    """A data frame of about 100 MB: numbers, times and a category."""
    numpy, pandas = import_module("numpy"), import_module("pandas")
    count = 1_000_000
    generator = numpy.random.default_rng(0)
    columns = {f"float{index}": generator.random(count) for index in range(8)}
    columns |= {f"int{index}": generator.integers(0, 1000, count) for index in range(3)}
    columns["time"] = pandas.date_range("2026-01-01", periods=count, freq="s")
    columns["kind"] = pandas.Categorical.from_codes(columns["int0"] % 4, list("abcd"))
    return pandas.DataFrame(columns)
