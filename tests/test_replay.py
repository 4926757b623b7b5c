"""Failed jobs as they are recorded: `job.save(path)`, and what is in the file."""

from __future__ import annotations

import os
import pickle
import random
import stat
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pp
from pp._replay import debugging, recording
from tests import jobs
from tests.support import Gate, MakeServer, held_up

pytestmark = pytest.mark.timeout(60)

BIG = 400_000


def failed(server: pp.Server, function: Any, *args: Any, **options: Any) -> pp.Job[Any]:
    """A job that has failed."""
    job = server.submit(function, args, **options)
    assert job.exception() is not None
    return job


def fail_with(*args: Any, **named: Any) -> None:
    raise LookupError(args, named)


def again(job: pp.Job[Any], path: Path) -> Any:
    """What the job raises when it is run once more from a file."""
    job.save(path)
    try:
        debugging.run(recording.load(path))
    except BaseException as error:
        return error
    return None


# What is recorded


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "none": (),
    "small": (1, "two", None, [3.0]),
    "long": (b"x" * 300_000,),
    "deep": ([{"a": ({"b": [1]},)}],),
    "array": (np.arange(BIG),),
    "arrays": (np.arange(BIG), {"b": np.ones((100, 100))}, np.zeros(0)),
}


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("memory", [None, 0])
def test_the_very_arguments_come_again(
    name: str, memory: int | None, make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(1, shared_memory=memory)
    args = ARGUMENTS[name]
    job = failed(server, fail_with, *args, kwargs={"key": args})
    error = again(job, tmp_path / "job")
    assert isinstance(error, LookupError)
    np.testing.assert_equal(error.args, (args, {"key": args}))


def test_results_and_refs_come_again(server: pp.Server, tmp_path: Path) -> None:
    small, large = server.submit(jobs.echo, ([1],)), server.submit(np.ones, (BIG,))
    ref = server.put(np.full(BIG, 2))
    job = failed(server, fail_with, small, [large, ref], small)
    del large, ref
    error = again(job, tmp_path / "job")
    one, (two, three), last = error.args[0]
    assert (one, two.sum(), three.sum()) == ([1], BIG, 2 * BIG)
    assert last is one


def test_arguments_are_as_they_were_given(server: pp.Server, tmp_path: Path) -> None:
    given = [1]

    def spoil(values: list[int]) -> None:
        values.append(2)
        raise LookupError(values)

    job = failed(server, spoil, given)
    given.append(3)
    for _ in range(2):
        assert again(job, tmp_path / "job").args == ([1, 2],)


def test_it_can_be_saved_after_the_end_of_its_server(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server(1)
    job = failed(server, fail_with, np.ones(BIG))
    server.destroy()
    assert again(job, tmp_path / "job").args[0][0].sum() == BIG


def test_all_ways_to_fail_are_recorded(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(1, max_worker_deaths=1)
    retried = failed(server, fail_with, 1, retries=2, backoff=0)
    assert again(retried, tmp_path / "job").args == ((1,), {})
    # What they would do here is left out.
    for job in (
        failed(server, os._exit, 3),
        failed(server, time.sleep, 1000, timeout=0.2),
        failed(server, jobs.fail, SystemExit(4)),
    ):
        job.save(tmp_path / "job")
        loaded = recording.load(tmp_path / "job")
        assert loaded.number == job.tid
        assert loaded.name == job.name
        assert loaded.error.startswith(type(job.exception()).__name__)
        assert len(loaded.arguments()) == 1


def test_a_result_that_cannot_be_sent_can_be_looked_at(
    server: pp.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = failed(server, threading.Lock)
    assert type(job.debug()) is type(threading.Lock())
    assert "returned this time" in capsys.readouterr().err


def test_failures_that_print(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(1, errors="print")
    job = failed(server, fail_with, 5)
    assert again(job, tmp_path / "job").args == ((5,), {})


def test_an_error_that_cannot_be_shown(server: pp.Server, tmp_path: Path) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    def fail_mutely() -> None:
        raise MuteError

    job = failed(server, fail_mutely)
    assert type(again(job, tmp_path / "job")).__name__ == "MuteError"


# What cannot be recorded


def test_only_what_has_run_and_failed(make_server: MakeServer, gate: Gate, tmp_path: Path) -> None:
    server = make_server(2)
    path = tmp_path / "job"
    held = held_up(server, gate)
    waiting = server.submit(jobs.echo, (held,))
    cancelled = server.submit(jobs.echo, (held,))
    assert cancelled.cancel()
    late = server.submit(jobs.echo, (failed(server, fail_with, 1),))
    assert isinstance(late.exception(), pp.DependencyFailed)
    well = server.submit(jobs.echo, (1,))
    assert well.result() == 1
    for job, text in [
        (held, "has not ended"),
        (waiting, "has not ended"),
        (cancelled, "only jobs that were run and have failed"),
        (late, "only jobs that were run and have failed"),
        (well, "only jobs that were run and have failed"),
    ]:
        for act in (job.debug, lambda job=job: job.save(path)):
            with pytest.raises(pp.PPError, match=text):
                act()
    server.destroy()
    with pytest.raises(pp.PPError, match="only jobs that were run and have failed"):
        waiting.save(path)
    assert not list(tmp_path.glob("*job*"))


# Files


def test_the_file_is_for_its_owner_alone(server: pp.Server, tmp_path: Path) -> None:
    """It holds the arguments, secrets among them."""
    before = os.umask(0o022)
    try:
        job = failed(server, fail_with, "a password")
        path = tmp_path / "job"
        path.touch(0o666)
        for _ in range(2):
            job.save(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_file_is_replaced_whole_or_not_at_all(server: pp.Server, tmp_path: Path) -> None:
    job = failed(server, fail_with, 1)
    path = tmp_path / "job"
    path.write_text("before")
    job.save(str(path))
    assert recording.load(path).arguments() == (1,)
    (tmp_path / "folder" / "full").mkdir(parents=True)
    for wrong in (tmp_path / "none" / "job", tmp_path / "folder", path / "below"):
        with pytest.raises(OSError):  # noqa: PT011 - any of them
            job.save(wrong)
    with pytest.raises(TypeError):
        job.save(5)  # type: ignore[arg-type]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "job"]


def test_what_a_killed_program_has_left_is_no_hindrance(server: pp.Server, tmp_path: Path) -> None:
    """A process of the same number may have died while it wrote."""
    job = failed(server, fail_with, 1)
    (tmp_path / f".job.{os.getpid()}.part").write_text("half")
    job.save(tmp_path / "job")
    assert recording.load(tmp_path / "job").arguments() == (1,)


def test_threads_save_to_one_path(server: pp.Server, tmp_path: Path) -> None:
    job = failed(server, fail_with, b"x" * 3_000_000)
    errors: list[BaseException] = []

    def save() -> None:
        try:
            for _ in range(20):
                job.save(tmp_path / "job")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert recording.load(tmp_path / "job").arguments() == (b"x" * 3_000_000,)
    assert [entry.name for entry in tmp_path.iterdir()] == ["job"]


def test_damaged_files_are_refused(server: pp.Server, tmp_path: Path) -> None:
    job = failed(server, fail_with, 1)
    path = tmp_path / "job"
    job.save(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(pp.PPError, match=r"is damaged|is no recorded job"):
            recording.load(path)
    first = whole.index(b"\n") + 1
    dice = random.Random(1)
    for _ in range(2000):
        spoilt = bytearray(whole)
        spoilt[dice.randrange(first, len(whole))] = dice.randrange(256)
        path.write_bytes(spoilt)
        try:
            loaded = recording.load(path)
        except pp.PPError:
            continue
        assert isinstance(loaded, recording.Recording)


@pytest.mark.parametrize(
    "content",
    [
        (),
        ("name",) * 7,
        ("name",) * 9,
        [],
        None,
        "eight888",
        {n: n for n in range(8)},
        (1, 2, 3, 4, 5, 6, 7, 8),
        ("name", 1, "error", "3.11.0", "2", b"f", b"m", (1,)),
    ],
)
def test_other_content_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "job"
    path.write_bytes(recording._MAGIC + pickle.dumps(content))
    with pytest.raises(pp.PPError, match=r"is damaged|is no recorded job"):
        recording.load(path)
