"""What cannot be serialized is refused by `submit`, which says what and where."""

from __future__ import annotations

import dataclasses
import functools
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import define, marked_processes

LOCK = threading.Lock()


class Holder:
    """Holds something under a name."""

    def __init__(self, held: object) -> None:
        self.held_here = held

    def method(self) -> None:
        """Can be submitted as a bound method."""


@dataclasses.dataclass
class Record:
    """Has a field."""

    field_of_record: object


def closing_over(captured_value: object) -> Callable[[], object]:
    """A closure."""
    return lambda: captured_value


def with_default(default_value: object = LOCK) -> object:
    """Has a default that cannot be sent."""
    return default_value


def program(source: str) -> Any:
    """The function f of a program whose global `lock_of_program` is a lock."""
    namespace = define(source)
    namespace["lock_of_program"] = threading.Lock()
    return namespace["f"]


# A call of submit; and what its error has to name beside the lock: where it sits.
PLACES: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "argument": ((jobs.add, (1, LOCK)), (r"args\[1\]",)),
    "in a list": ((jobs.echo, ([1, 2, LOCK],)), (r"args\[0\]", r"\[2\]")),
    "in a dictionary": (
        (jobs.echo, ({"settings": {"guard": LOCK}},)),
        (r"args\[0\]", r"\['settings'\]", r"\['guard'\]"),
    ),
    "in a tuple in a list": ((jobs.echo, ([(0, LOCK)],)), (r"args\[0\]", r"\[0\]", r"\[1\]")),
    "attribute": ((jobs.echo, (Holder(LOCK),)), (r"args\[0\]", "held_here")),
    "attribute of an attribute": (
        (jobs.echo, (Holder(Record([LOCK])),)),
        (r"args\[0\]", "held_here", "field_of_record", r"\[0\]"),
    ),
    "global": ((program("def f(): return lock_of_program"),), ("lock_of_program", r"\bf\b")),
    "global of a helper": (
        (program("def f(): return helper()\ndef helper(): return lock_of_program"),),
        ("lock_of_program", "helper"),
    ),
    "closure": ((closing_over(LOCK),), ("captured_value",)),
    "in a closure": ((closing_over({"key": [LOCK]}),), ("captured_value", "key", r"\[0\]")),
    "default": (
        (program("def f(x=None): return x"),),
        ("default", r"\bx\b|__defaults__|0"),
    ),
    "partial": ((functools.partial(jobs.add, LOCK),), ("partial", r"\[0\]|argument 1")),
    "partial by keyword": ((functools.partial(jobs.add, right=LOCK),), ("right",)),
    "bound method": ((Holder(LOCK).method,), ("held_here",)),
    "depfunc": (
        (jobs.pid, (), (program("def f(): return lock_of_program"),)),
        ("lock_of_program",),
    ),
}
PLACES["default"][0][0].__defaults__ = (LOCK,)


@pytest.mark.parametrize("place", PLACES)
def test_the_error_names_the_object_and_its_place(shared: pp.Server, place: str) -> None:
    call, names = PLACES[place]
    with pytest.raises(pp.SerializationError) as caught:
        shared.submit(*call)
    for name in ("lock", *names):
        assert re.search(name, str(caught.value)), f"{name!r} is not in: {caught.value}"


def test_the_message_stays_short(shared: pp.Server) -> None:
    with pytest.raises(pp.SerializationError) as caught:
        shared.submit(jobs.echo, ({"text": "x" * 10**6, "y" * 10**6: LOCK},))
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("place", PLACES)
def test_a_refused_submit_leaves_the_server_as_it_was(server: pp.Server, place: str) -> None:
    call, _names = PLACES[place]
    for _ in range(2):
        with pytest.raises(pp.SerializationError):
            server.submit(*call)
    job = server.submit(jobs.echo, (1,))
    assert (job.tid, job()) == (0, 1)
    server.wait()


def a_generator() -> Any:
    return (n for n in range(3))


def a_frame() -> Any:
    return sys._getframe()


class RefusesToBePickled:
    """Raises an error of its own."""

    def __reduce__(self) -> Any:
        raise LookupError("I stay here")


class BrokenState:
    """Lies about how it is made."""

    def __reduce__(self) -> Any:
        return "no", "such", "thing"


class Self:
    """Is within itself, and so can have no end of a place."""

    def __init__(self) -> None:
        self.me = self
        self.lock = LOCK


OBJECTS: dict[str, tuple[Callable[[], Any], str]] = {
    "generator": (a_generator, "generator"),
    "thread": (threading.current_thread, "lock|[Tt]hread"),
    "event": (threading.Event, "lock|Condition|Event"),
    "frame": (sys._getframe, "frame"),
    "own error": (RefusesToBePickled, "I stay here"),
    "broken reduce": (BrokenState, "BrokenState"),
    "cycle": (Self, "lock"),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_kinds_of_objects(shared: pp.Server, kind: str) -> None:
    make, name = OBJECTS[kind]
    with pytest.raises(pp.SerializationError, match=name):
        shared.submit(jobs.echo, ([make()],))
    assert shared.submit(jobs.echo, (1,))() == 1


def test_files_and_sockets(shared: pp.Server, tmp_path: Path) -> None:
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(pp.SerializationError, match="TextIOWrapper"),
    ):
        shared.submit(jobs.echo, (file,))
    with socket.socket() as connection, pytest.raises(pp.SerializationError, match="socket"):
        shared.submit(jobs.echo, (connection,))


def test_the_reason_is_the_errors_cause(shared: pp.Server) -> None:
    with pytest.raises(pp.SerializationError) as caught:
        shared.submit(jobs.echo, (RefusesToBePickled(),))
    assert isinstance(caught.value.__cause__, LookupError)


def test_servers_and_jobs_stay_here(shared: pp.Server) -> None:
    with pytest.raises(pp.SerializationError, match="Server"):
        shared.submit(jobs.echo, (shared,))
    with pytest.raises(pp.SerializationError, match="Server"):
        shared.submit(shared.get_ncpus)
    job = shared.submit(jobs.echo, (1,))
    with pytest.raises(pp.SerializationError, match=r"Job.*argument of a job"):
        shared.submit(lambda: job)
    assert job() == 1


def test_what_is_nested_too_deeply(shared: pp.Server) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(pp.SerializationError, match=r"deep|recursi"):
        shared.submit(jobs.echo, (deep,))
    assert shared.submit(jobs.echo, (1,))() == 1


def test_it_is_an_error_of_this_package_and_of_pickle(shared: pp.Server) -> None:
    import pickle

    with pytest.raises(pickle.PicklingError) as caught:
        shared.submit(jobs.echo, (LOCK,))
    assert isinstance(caught.value, pp.PPError)


def test_interrupts_while_pickling_are_not_serialization_errors(shared: pp.Server) -> None:
    class Interrupted:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.submit(jobs.echo, (Interrupted(),))
    assert shared.submit(jobs.echo, (1,))() == 1


class BreaksOnArrival:
    """Can be sent, and cannot be received."""

    def __reduce__(self) -> Any:
        return arrive, ()


def arrive() -> None:
    """Unpickles `BreaksOnArrival`."""
    raise ValueError("broken on arrival")


def test_what_breaks_on_arrival_fails_the_job_alone(shared: pp.Server) -> None:
    worker = shared.submit(jobs.pid)()
    job = shared.submit(jobs.echo, (BreaksOnArrival(),))
    with pytest.raises((pp.PPError, ValueError), match="broken on arrival"):
        job()
    held = BreaksOnArrival()
    with pytest.raises((pp.PPError, ValueError), match="broken on arrival"):
        shared.submit(lambda: held)()
    assert shared.submit(jobs.pid)() == worker
    assert len(marked_processes()) == 1


def unpicklable_results() -> dict[str, Callable[[], Any]]:
    """Functions whose results cannot be sent, and words for what."""
    import _thread

    return {
        "lock": _thread.allocate_lock,
        "generator": a_generator,
        "frame": a_frame,
    }


@pytest.mark.parametrize("kind", unpicklable_results())
def test_results_that_cannot_be_sent(shared: pp.Server, kind: str) -> None:
    worker = shared.submit(jobs.pid)()
    job = shared.submit(unpicklable_results()[kind])
    for _ in range(2):
        with pytest.raises(pp.SerializationError, match=kind):
            job()
    assert job.finished
    assert shared.submit(jobs.pid)() == worker


def test_results_name_the_place(shared: pp.Server) -> None:
    job = shared.submit(lambda: {"answer": [1, threading.Lock()]})
    with pytest.raises(pp.SerializationError) as caught:
        job()
    for word in ("lock", "result", r"\['answer'\]", r"\[1\]"):
        assert re.search(word, str(caught.value)), f"{word} is not in: {caught.value}"


def test_results_that_break_on_arrival(shared: pp.Server) -> None:
    worker = shared.submit(jobs.pid)()
    job = shared.submit(BreaksOnArrival)
    with pytest.raises(pp.SerializationError, match="broken on arrival"):
        job()
    assert shared.submit(jobs.pid)() == worker
