"""What a job wrote, on standard output and error, is kept with it."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate


def test_what_a_job_wrote(shared: pp.Server, capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        print("to out")
        print("to err", file=sys.stderr)
        sys.stdout.write("more")
        sys.stderr.write("even more")

    job = shared.submit(write)
    other = shared.submit(jobs.echo, (1,))
    job.wait()
    assert job.stdout == "to out\nmore"
    assert job.stderr == "to err\neven more"
    assert not capsys.readouterr().out, "it is not printed before it is asked"
    job.result()
    assert capsys.readouterr().out == "to out\nmore"
    assert job.stdout == "to out\nmore"
    other.wait()
    assert (other.stdout, other.stderr) == ("", "")


def test_what_a_job_wrote_before_it_raised(shared: pp.Server) -> None:
    def write() -> None:
        print("to out")
        print("to err", file=sys.stderr)
        raise LookupError

    job = shared.submit(write)
    job.wait()
    assert (job.stdout, job.stderr) == ("to out\n", "to err\n")


def test_nothing_is_there_before_the_end(shared: pp.Server, gate: Gate) -> None:
    def write(*args: str) -> None:
        print("said", file=sys.stderr)
        print("said")
        jobs.pass_gate(*args)

    job = shared.submit(write, gate.args(), (jobs.pass_gate,))
    gate.await_inside("job")
    assert (job.stdout, job.stderr) == ("", "")
    gate.open()
    job.wait()
    assert (job.stdout, job.stderr) == ("said\n", "said\n")


def test_what_was_logged_is_on_standard_error(lone: pp.Server) -> None:
    def log() -> None:
        logging.getLogger("some.where").warning("beware of %s", "dogs")

    def log_by_handler() -> None:
        logging.basicConfig(format="%(levelname)s %(message)s", force=True)
        logging.getLogger().error("found")

    first, second = lone.submit(log), lone.submit(log_by_handler)
    third = lone.submit(log)
    for job in (first, second, third):
        job.wait()
    assert first.stderr == "beware of dogs\n"
    assert second.stderr == "ERROR found\n"
    assert third.stderr == "WARNING beware of dogs\n", "the handler is still there, and works"


def test_tracebacks_and_warnings_are_on_standard_error(shared: pp.Server) -> None:
    def write() -> None:
        import traceback
        import warnings

        try:
            raise LookupError("caught")
        except LookupError:
            traceback.print_exc()
        warnings.warn("look out", stacklevel=1)

    job = shared.submit(write)
    job.wait()
    assert "LookupError: caught" in job.stderr
    assert "UserWarning: look out" in job.stderr


def test_text_that_is_no_text(shared: pp.Server) -> None:
    """Lone surrogates, as file names that are no UTF-8 have them."""
    text = "caf\xe9 \u20ac \U0001f600 \udc80 \ud800\n"

    def write() -> None:
        sys.stdout.write(text)
        sys.stderr.write(text)

    job = shared.submit(write)
    job.wait()
    assert job.stderr == text
    assert job.stdout == text


def test_much_is_cut_to_the_end(shared: pp.Server) -> None:
    def write_lines() -> None:
        for number in range(200_000):
            print(f"line {number:06d}", file=sys.stderr)

    def write_one() -> None:
        sys.stderr.write("x" * 3_000_000 + "end")

    lines, one = shared.submit(write_lines), shared.submit(write_one)
    after = shared.submit(jobs.echo, (1,))
    for job in (lines, one, after):
        job.wait()
    assert lines.stderr.endswith("line 199998\nline 199999\n")
    assert 2**20 - 100 <= len(lines.stderr) <= 2**20
    assert one.stderr.endswith("xend")
    assert len(one.stderr) == 2**20
    assert after.stderr == ""


def test_standard_error_of_a_job_is_a_text_file(shared: pp.Server) -> None:
    def use() -> list[Any]:
        err: Any = sys.stderr
        err.buffer.write(b"bytes\n")
        err.flush()
        err.reconfigure(line_buffering=True)
        err.writelines(["a\n", "b\n"])
        found = [err.writable(), err.fileno(), err.isatty(), err.encoding, err.closed]
        err.close()
        print("still there", file=err)
        for wrong in (b"bytes", 1):
            try:
                err.write(wrong)
            except TypeError:
                found.append("TypeError")
        return found

    job = shared.submit(use)
    assert job.result() == [True, 2, False, "utf-8", False, "TypeError", "TypeError"]
    assert job.stderr == "a\nb\nstill there\n"


def test_a_job_that_replaces_standard_error_takes_it_from_no_other(lone: pp.Server) -> None:
    def replace() -> None:
        import io

        sys.stderr = io.StringIO()
        print("into it", file=sys.stderr)

    def write() -> None:
        print("to err", file=sys.stderr)

    lone.submit(replace).wait()
    job = lone.submit(write)
    job.wait()
    assert job.stderr == "to err\n"


def test_a_thread_that_a_job_left_writes_and_harms_nothing(lone: pp.Server) -> None:
    def leave() -> None:
        def write() -> None:
            for _ in range(20_000):
                print("y" * 50, file=sys.stderr)

        threading.Thread(target=write, daemon=True).start()

    lone.submit(leave).wait()
    submitted = [lone.submit(jobs.echo, (n,)) for n in range(3000)]
    assert [job.result() for job in submitted] == list(range(3000))
    assert not any("Traceback" in job.stderr for job in submitted)
