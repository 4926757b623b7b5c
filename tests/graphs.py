"""Graphs of jobs: what each does, random ones, and what must come of them.

Workers may import this module; it is kept light.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Values stay below it: a small prime keeps the jobs quick, and lets a wrong order show.
_MODULUS = 1_000_003


@dataclass
class Box:
    """An object that holds others."""

    content: Any
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Step:
    """A job of a graph: the numbers of those whose results it gets, and that it is after."""

    number: int
    inputs: list[int]
    after: list[int]


def combine(number: int, values: list[int]) -> int:
    """What a job gives; the order of what it gets matters."""
    result = number + 1
    for value in values:
        result = (result * 31 + value) % _MODULUS
    return result


def numbers_in(value: Any) -> list[int]:
    """All numbers in nested containers, in their order. Bytes are but a weight."""
    if isinstance(value, bytes):
        return []
    if isinstance(value, int):
        return [value]
    if isinstance(value, dict):
        return [found for item in value.values() for found in numbers_in(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in numbers_in(item)]
    if isinstance(value, Box):
        return numbers_in(value.content) + numbers_in(value.more)
    raise TypeError(f"no number, and holds none: {value!r}")


def work(number: int, nested: Any) -> int:
    """A job that gets the results of others, however deep."""
    return combine(number, numbers_in(nested))


def nested(dice: random.Random, values: list[Any]) -> Any:
    """The values in their order, in containers of any kind."""
    if len(values) <= 1 or dice.random() < 0.4:
        kinds: list[Callable[[Any], Any]] = [list, tuple, Box, lambda own: dict(enumerate(own))]
        return dice.choice(kinds)(list(values))
    cut = dice.randrange(len(values) + 1)
    parts = [nested(dice, values[:cut]), nested(dice, values[cut:])]
    pairs: list[Callable[[Any], Any]] = [list, tuple, lambda both: Box(both[0], {"rest": both[1]})]
    return dice.choice(pairs)(parts)


def layered(dice: random.Random, layers: int, width: int) -> list[Step]:
    """A random graph: each job gets results of a few before it, and is after some others."""
    steps: list[Step] = []
    for layer in range(layers):
        before = len(steps)
        for _ in range(dice.randint(1, width)):
            number = len(steps)
            # Mostly of the last layer, sometimes of any, sometimes one of them twice.
            first = max(0, before - width) if dice.random() < 0.8 else 0
            choice = range(first, before)
            inputs = dice.choices(choice, k=dice.randint(0, 4)) if layer else []
            after = dice.choices(choice, k=dice.randint(0, 2)) if layer else []
            steps.append(Step(number, inputs, after))
    return steps


def expected(steps: list[Step]) -> list[int]:
    """What the jobs of a graph give."""
    values: list[int] = []
    for step in steps:
        values.append(combine(step.number, [values[other] for other in step.inputs]))
    return values
