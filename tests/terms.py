"""Jobs for the tests of what can be asked for a job.

Workers import this module: it is kept light, for what it takes counts as part of the first job.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import NoReturn

from tests.failures.ledger import Ledger

_turns = itertools.count()


class OwnError(Exception):
    """One of the tests'."""


class MoreOwnError(OwnError):
    """A special one."""


def noted(ledger: Ledger, word: str, seconds: float = 0.0) -> str:
    """Notes that it begins; gives the word back after a while."""
    ledger.note(word)
    if seconds:
        time.sleep(seconds)
    return word


def lasting(word: str, seconds: float) -> tuple[int, str]:
    """How many of these its worker has begun before; the word."""
    turn = next(_turns)
    time.sleep(seconds)
    return turn, word


def turn() -> int:
    """How many of these its worker has begun before."""
    return next(_turns)


def spin(ledger: Ledger) -> NoReturn:
    """Computes for ever."""
    ledger.note("holds")
    while True:
        pass


def sleep(ledger: Ledger) -> None:
    """Sleeps for longer than any test takes."""
    ledger.note("holds")
    time.sleep(1000)


def fails_first(ledger: Ledger, times: int, error: BaseException, word: str = "tried") -> int:
    """Raises the first times that it is run; says how often it was run then."""
    count = ledger.note(word)
    print(f"attempt {count}")
    if count <= times:
        raise error
    return count


def slow_first(ledger: Ledger, times: int) -> int:
    """Takes too long the first times that it is run; says how often it was run then."""
    count = ledger.note("tried")
    if count <= times:
        time.sleep(1000)
    return count


def crowd(ledger: Ledger, seconds: float = 0.004, fate: str = "well") -> None:
    """Notes when it is there; then it returns, raises or dies."""
    ledger.note("in")
    time.sleep(seconds)
    ledger.note("out")
    if fate == "raises":
        raise OwnError
    if fate == "dies":
        os._exit(1)
