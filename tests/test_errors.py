"""`job()` raises what the job raised; errors tell the truth about where."""

from __future__ import annotations

import gc
import pickle
import weakref
from pathlib import Path
from typing import NoReturn

import pytest

import pp
from tests import jobs
from tests.support import RunPython, RunScript, caught_from, formatted, marked_processes


def outer_function(value: int) -> None:
    """Calls one that raises."""
    inner_function(value + 1)


def inner_function(value: int) -> NoReturn:
    """Raises."""
    raise ValueError(f"value is {value}")  # the line that raises


def test_the_type_and_the_message_are_the_jobs_own(shared: pp.Server) -> None:
    error = caught_from(shared.submit(outer_function, (1,)))
    assert type(error) is ValueError
    assert error.args == ("value is 2",)


def test_the_workers_frames_and_lines_can_be_read(shared: pp.Server) -> None:
    text = formatted(caught_from(shared.submit(outer_function, (1,))))
    for line in (
        "in outer_function",
        "inner_function(value + 1)",
        "in inner_function",
        'raise ValueError(f"value is {value}")  # the line that raises',
        "ValueError: value is 2",
    ):
        assert line in text
    assert str(Path(__file__)) in text


def test_the_callers_own_frames_are_there_too(shared: pp.Server) -> None:
    text = formatted(caught_from(shared.submit(outer_function, (1,))))
    assert "in caught_from" in text
    assert "in test_the_callers_own_frames_are_there_too" not in text


def test_asking_again_raises_the_same_and_no_longer_text(shared: pp.Server) -> None:
    job = shared.submit(outer_function, (1,))
    first = formatted(caught_from(job))
    assert [formatted(caught_from(job)) for _ in range(3)] == [first] * 3


def test_a_job_that_raised_can_be_forgotten(shared: pp.Server) -> None:
    class Witness:
        """Lives in the frame that asked the job."""

    def ask() -> weakref.ref[Witness]:
        witness = Witness()
        job = shared.submit(outer_function, (1,))
        with pytest.raises(ValueError, match="value is 2"):
            job()
        return weakref.ref(witness)

    forgotten = ask()
    gc.collect()
    assert forgotten() is None


def test_the_remote_traceback_does_not_hide_in_str(shared: pp.Server) -> None:
    assert str(caught_from(shared.submit(outer_function, (1,)))) == "value is 2"


BUILTIN: list[BaseException] = [
    ValueError("text"),
    ValueError(),
    KeyError("key"),
    IndexError(1, "two", [3]),
    ZeroDivisionError("division by zero"),
    FileNotFoundError(2, "No such file or directory", "somewhere"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    StopIteration("value"),
    RecursionError("deep"),
    MemoryError("much"),
    SyntaxError("bad", ("file.py", 3, 5, "x = = 1\n")),
    ImportError("no module", name="nothing", path="here"),
    AttributeError("no attribute", name="a", obj=None),
    AssertionError("not so"),
    NotImplementedError(),
    TimeoutError("late"),
    Warning("hm"),
]


@pytest.mark.parametrize("error", BUILTIN, ids=repr)
def test_builtin_exceptions(shared: pp.Server, error: BaseException) -> None:
    raised = caught_from(shared.submit(jobs.fail, (error,)))
    assert type(raised) is type(error)
    assert raised.args == error.args
    assert str(raised) == str(error)
    kept = pickle.loads(pickle.dumps(error))
    for attribute in ("errno", "filename", "name", "object", "lineno", "value"):
        assert getattr(raised, attribute, None) == getattr(kept, attribute, None)
    assert "in fail" in formatted(raised)


def recurse(depth: int) -> int:
    """Does not end."""
    return recurse(depth + 1) + 1


def test_a_recursion_without_end_costs_its_job_only(shared: pp.Server) -> None:
    worker = shared.submit(jobs.pid)()
    error = caught_from(shared.submit(recurse, (0,)))
    assert type(error) is RecursionError
    assert len(formatted(error)) < 20_000
    assert shared.submit(jobs.pid)() == worker


class CustomError(Exception):
    """Has attributes."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, code)
        self.code = code
        self.extra: object = None


def raise_custom() -> NoReturn:
    error = CustomError("custom", 7)
    error.extra = {"k": [1]}
    error.add_note("a note of the user's")
    raise error


def test_exceptions_of_the_users_own(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_custom))
    assert type(error) is CustomError
    assert (error.args, error.code, error.extra) == (("custom", 7), 7, {"k": [1]})
    assert "a note of the user's" in error.__notes__
    assert "a note of the user's" in formatted(error)


def raise_from() -> None:
    try:
        int("x")
    except ValueError as error:
        raise KeyError("from") from error


def raise_while() -> None:
    try:
        int("x")
    except ValueError:
        raise KeyError("while")  # noqa: B904 (this is the test)


def raise_from_none() -> None:
    try:
        int("x")
    except ValueError:
        raise KeyError("from none") from None


def raise_chain() -> None:
    try:
        raise_from()
    except KeyError as error:
        raise OSError("chain") from error


def raise_group() -> NoReturn:
    raise ExceptionGroup("several", [ValueError("one"), CustomError("two", 2)])


def test_the_cause_is_kept(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_from))
    assert type(error) is KeyError
    assert type(error.__cause__) is ValueError
    text = formatted(error)
    assert "invalid literal for int()" in text
    assert "The above exception was the direct cause" in text
    assert 'int("x")' in text


def test_the_context_is_kept(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_while))
    assert error.__cause__ is None or type(error.__cause__) is not ValueError
    assert type(error.__context__) is ValueError
    assert not error.__suppress_context__
    assert "During handling of the above exception" in formatted(error)


def test_a_suppressed_context_stays_suppressed(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_from_none))
    assert error.__suppress_context__
    assert error.__cause__ is None
    assert "invalid literal" not in formatted(error)


def test_a_chain_is_kept(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_chain))
    chain: list[type[BaseException]] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(type(link))
        link = link.__cause__
    assert chain == [OSError, KeyError, ValueError]


def test_groups_of_exceptions(shared: pp.Server) -> None:
    error = caught_from(shared.submit(raise_group))
    assert isinstance(error, ExceptionGroup)
    assert error.message == "several"
    assert [type(each) for each in error.exceptions] == [ValueError, CustomError]


MAIN = """
import sys, traceback
import pp

class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

def outer(x):
    return inner(x)

def inner(x):
    raise Refused(x)  # of the main program

server = pp.Server(1)
for function in (outer, lambda x: inner(x)):
    try:
        server.submit(function, (3,))()
    except Refused as error:
        print(type(error) is Refused, error.code)
        traceback.print_exc(file=sys.stdout)
"""


def test_functions_of_main_have_their_lines(run_script: RunScript) -> None:
    out = run_script(MAIN).out
    assert out.count("True 3\n") == 2
    assert out.count("raise Refused(x)  # of the main program") == 2
    assert out.count("in inner") == 2
    assert "in outer" in out
    assert "in <lambda>" in out
    assert "script.py" in out


@pytest.mark.parametrize("way", ["-c", "-", "-i"])
def test_functions_of_a_main_without_a_file_have_their_frames(
    run_python: RunPython, way: str
) -> None:
    if way == "-c":
        out = run_python("-c", MAIN).out
    else:
        source = MAIN.replace("\nserver", "\n\nserver") + "\n"
        out = run_python(way, *["-q"] * (way == "-i"), stdin=source, quiet=way == "-").out
    assert out.count("True 3\n") == 2
    assert out.count("in inner") == 2
    assert "in outer" in out


def test_an_uncaught_error_of_a_job_ends_the_program_as_usual(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        def work():
            raise ValueError("nobody catches this")

        server = pp.Server(1)
        server.submit(work)()
        """,
        returncode=1,
        quiet=False,
    )
    assert 'raise ValueError("nobody catches this")' in ran.err
    assert ran.err.endswith("ValueError: nobody catches this\n")


class Own(BaseException):
    """Not an Exception."""


@pytest.mark.parametrize(
    "error", [SystemExit(3), SystemExit(), KeyboardInterrupt(), GeneratorExit(), Own()], ids=repr
)
def test_what_ends_programs_ends_the_job_and_not_the_worker(
    shared: pp.Server, error: BaseException
) -> None:
    worker = shared.submit(jobs.pid)()
    raised = caught_from(shared.submit(jobs.fail, (error,)))
    assert type(raised) is type(error)
    assert raised.args == error.args
    assert shared.submit(jobs.pid)() == worker
    assert [process.pid for process in marked_processes()] == [worker]


def test_the_hierarchy_of_errors() -> None:
    for child, parent in (
        (pp.JobError, pp.PPError),
        (pp.WorkerDied, pp.JobError),
        (pp.SerializationError, pp.PPError),
        (pp.DestroyedServerError, pp.PPError),
        (pp.PPError, Exception),
    ):
        assert issubclass(child, parent)
