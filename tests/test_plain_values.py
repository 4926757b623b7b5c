"""Small plain values have a quick way of their own through pickling: same values, same types."""

from __future__ import annotations

import enum
import math
import pickle
import random
import struct
from typing import Any

import pytest

import pp
from tests import jobs

SEEDS = [1, 20, 300]

ATOMS: list[Any] = [
    None,
    True,
    False,
    *(
        sign * (2**bits + step)
        for bits in (0, 7, 8, 15, 16, 31, 32, 63, 64, 200)
        for step in (-1, 0, 1)
        for sign in (1, -1)
    ),
    0.0,
    -0.0,
    1.5,
    math.inf,
    -math.inf,
    5e-324,
    1j,
    "",
    "a",
    "é",
    "日本語",
    "\x00",
    "\ud800",
    "𝄞" * 30,
    "x" * 127,
    "x" * 128,
    "x" * 255,
    "x" * 256,
    b"",
    b"\x80\x05.",
    b"b" * 120,
    b"b" * 300,
    bytearray(b"array"),
    [],
    {},
    (),
]


class Number(int):
    """Looks like an int, and is none."""


class Text(str):
    """Looks like a string, and is none."""

    __slots__ = ()


class Colour(enum.IntEnum):
    RED = 1


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types, and zeroes with their signs."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    return bool(one == other)


def some_value(choose: random.Random, depth: int) -> Any:
    if depth and choose.random() < 0.4:
        kind = choose.choice((tuple, tuple, tuple, list))
        return kind(some_value(choose, depth - 1) for _ in range(choose.randrange(7)))
    return choose.choice(ATOMS)


@pytest.mark.parametrize("value", ATOMS, ids=lambda value: repr(value)[:30])
def test_one_comes_back_as_it_went(value: Any, server: pp.Server) -> None:
    assert same(server.submit(jobs.echo, (value,))(), value)


@pytest.mark.parametrize("seed", SEEDS)
def test_nested_ones_come_back_as_they_went(seed: int, server: pp.Server) -> None:
    choose = random.Random(seed)
    values = [some_value(choose, 6) for _ in range(2000)]
    submitted = [server.submit(jobs.echo, (value,)) for value in values]
    for value, job in zip(values, submitted, strict=True):
        assert same(job(), value), f"seed {seed}: {value!r}"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_travels_is_a_pickle_like_any_other(seed: int, server: pp.Server) -> None:
    """`raw_result` has Python's own unpickler read what the worker wrote."""
    choose = random.Random(seed)
    for _ in range(200):
        value = some_value(choose, 4)
        raw = server.submit(jobs.echo, (value,))(True)
        assert isinstance(raw, bytes)
        assert same(pickle.loads(raw)[0], value), f"seed {seed}: {value!r}"


@pytest.mark.parametrize("value", [Number(5), Text("five"), Colour.RED, (Number(1), Text("t"))])
def test_what_looks_plain_and_is_not_keeps_its_type(value: Any, server: pp.Server) -> None:
    result = server.submit(jobs.echo, (value,))()
    assert type(result) is type(value)
    assert result == value


def test_several_arguments(server: pp.Server) -> None:
    for count in range(12):
        args = tuple(range(count))
        assert server.submit(jobs.echo, (args,))() == args
        assert server.submit(lambda *items: items, args)() == args


@pytest.mark.parametrize("proto", [0, 1, 2, 3, 4, 5])
def test_each_protocol(proto: int, make_server: Any) -> None:
    server = make_server(1, proto=proto)
    for value in (7, -1.5, "text", (1, (2, None)), b"bytes"):
        assert same(server.submit(jobs.echo, (value,))(), value)
