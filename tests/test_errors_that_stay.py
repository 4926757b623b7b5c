"""Exceptions that cannot travel, and errors that are printed as in the classic."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

import pp
from tests import jobs
from tests.support import MakeServer, caught_from, formatted


class LockError(Exception):
    """Cannot be pickled."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class TwoError(Exception):
    """Can be pickled, and cannot be unpickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class ReduceError(Exception):
    """Raises when it is pickled."""

    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


def raise_made(kind: str) -> NoReturn:
    made: dict[str, Callable[[], Exception]] = {
        "LockError": lambda: LockError("the message"),
        "TwoError": lambda: TwoError("the message", "more"),
        "ReduceError": lambda: ReduceError("the message"),
    }
    error = made[kind]()
    raise error  # here


@pytest.mark.parametrize("kind", ["LockError", "TwoError", "ReduceError"])
def test_exceptions_that_cannot_travel_arrive_as_job_errors(shared: pp.Server, kind: str) -> None:
    worker = shared.submit(jobs.pid)()
    error = caught_from(shared.submit(raise_made, (kind,)))
    assert type(error) is pp.JobError
    assert error.type_name is not None
    assert error.type_name.endswith(kind)
    assert error.message is not None
    assert error.message.startswith("the message")
    assert error.traceback is not None
    assert "in raise_made" in error.traceback
    assert "raise error  # here" in error.traceback
    assert "raise error  # here" in formatted(error)
    assert kind in str(error)
    assert "the message" in str(error)
    assert shared.submit(jobs.pid)() == worker


class StrError(Exception):
    """Cannot even be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


def raise_str_raises() -> NoReturn:
    raise StrError


def test_exceptions_that_cannot_be_printed(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_str_raises))
    assert isinstance(error, pp.JobError)
    assert error.type_name is not None
    assert error.type_name.endswith("StrError")
    assert shared.submit(jobs.echo, (1,))() == 1


def raise_caused_by_unpicklable() -> NoReturn:
    try:
        raise LockError("the cause")
    except LockError as error:
        raise ValueError("the effect") from error


def test_a_cause_that_cannot_travel_does_not_spoil_the_error(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_caused_by_unpicklable))
    assert type(error) is ValueError
    text = formatted(error)
    assert "the cause" in text
    assert "LockError" in text


def fail_inside() -> None:
    raise ValueError("value is 1")


def test_errors_may_be_printed_as_in_the_classic(
    make_server: MakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(1, errors="print")
    job = server.submit(fail_inside)
    assert job() is None
    out = capsys.readouterr().out
    assert "ValueError: value is 1" in out
    assert "in fail_inside" in out
    assert job() is None
    assert capsys.readouterr().out == ""
    assert server.submit(jobs.echo, (1,))() == 1


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (threading.Lock, "SerializationError"),
        (lambda: os._exit(9), "WorkerDied"),
        (lambda: raise_made("LockError"), "JobError"),
    ],
    ids=["result", "death", "exception"],
)
def test_all_kinds_of_failures_are_printed(
    make_server: MakeServer,
    capsys: pytest.CaptureFixture[str],
    function: Callable[[], Any],
    name: str,
) -> None:
    server = make_server(1, errors="print", max_worker_deaths=1)
    assert server.submit(function)() is None
    assert name in capsys.readouterr().out


def test_what_was_printed_comes_before_the_printed_error(
    make_server: MakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def speak_and_fail() -> None:
        print("spoken")
        raise ValueError("failed")

    server = make_server(1, errors="print")
    server.submit(speak_and_fail)()
    out = capsys.readouterr().out
    assert out.startswith("spoken\n")
    assert "ValueError: failed" in out
