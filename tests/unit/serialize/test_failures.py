"""What a job raises is what the client gets."""

from __future__ import annotations

import pickle
import re
import threading
import traceback
from typing import Any

import pytest

from pp._errors import JobError, SerializationError
from pp._serialize.failures import capture, print_classic, restore, unreadable_result

EXCEPTIONS = """
class Plain(Exception):
    pass

class WithState(Exception):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code

class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

class Unpicklable(Exception):
    def __init__(self):
        import threading
        super().__init__("held")
        self.lock = threading.Lock()

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

class BadReduce(Exception):
    def __reduce__(self):
        raise RuntimeError("not me")

class BecomesOther(Exception):
    def __reduce__(self):
        return str, ("text",)

class EndsTheProcess(Exception):
    def __reduce__(self):
        return exit, (3,)
def exit(code):
    raise SystemExit(code)

class Stubborn(Exception):
    def __setattr__(self, name, value):
        raise AttributeError("I never change")
"""


@pytest.fixture
def raised(worker: Any, define: Any) -> Any:
    """What comes of a job whose body is the given source text."""

    def raised(body: str) -> BaseException:
        lines = "\n".join("    " + line for line in body.splitlines())
        program = define(f"{EXCEPTIONS}\ndef f():\n{lines}")
        raised.program = program  # type: ignore[attr-defined]
        try:
            worker.call(program["f"])
        except BaseException as error:
            return error
        raise AssertionError("nothing was raised")

    return raised


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_the_same_type_with_arguments_and_attributes(raised: Any) -> None:
    error = raised("e = Plain(1, 'two'); e.extra = [3]; raise e")
    assert type(error) is raised.program["Plain"]
    assert error.args == (1, "two")
    assert error.extra == [3]


def test_arguments_that_init_has_made_itself(raised: Any) -> None:
    error = raised("raise WithState(5)")
    assert type(error) is raised.program["WithState"]
    assert (str(error), error.code) == ("code 5", 5)


BUILTIN = {
    "ValueError('x')": ("args", ("x",)),
    "KeyError('k')": ("args", ("k",)),
    "OSError(2, 'gone', 'a/b')": ("filename", "a/b"),
    "FileNotFoundError(2, 'gone')": ("errno", 2),
    "UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')": ("reason", "bad"),
    "StopIteration(3)": ("value", 3),
    "SystemExit(3)": ("code", 3),
    "KeyboardInterrupt()": ("args", ()),
    "GeneratorExit()": ("args", ()),
    "ImportError('no', name='m', path='p')": ("name", "m"),
    "SyntaxError('bad', ('f.py', 3, 5, 'x ='))": ("lineno", 3),
    "NameError('n', name='n')": ("name", "n"),
    "AttributeError('a', name='a')": ("name", "a"),
    "RecursionError()": ("args", ()),
    "MemoryError()": ("args", ()),
}


@pytest.mark.parametrize("expression", BUILTIN)
def test_builtin_exceptions(raised: Any, expression: str) -> None:
    error = raised(f"raise {expression}")
    name, value = BUILTIN[expression]
    assert type(error) is type(eval(expression))
    assert getattr(error, name) == value


def test_the_remote_traceback_is_shown(raised: Any) -> None:
    error = raised("x = 1\nreturn x / 0")
    text = shown(error)
    assert re.search(r"Remote traceback \(worker process \d+\):", text)
    assert re.search(r'File "<program>", line \d+, in f', text)
    assert "ZeroDivisionError: division by zero" in text
    assert "_serialize" not in error.__notes__[-1]


def test_source_lines_are_shown(run_program: Any) -> None:
    printed = run_program("""
        import traceback
        def fails(x):
            return x / 0
        try:
            call(fails, 1)
        except ZeroDivisionError as error:
            traceback.print_exception(error, file=__import__("sys").stdout)
        """)
    assert printed.count("return x / 0") == 1
    assert "program.py" in printed


def test_source_lines_of_what_is_on_no_disk_are_shown(run_program: Any) -> None:
    printed = run_program("""
        import linecache
        text = "def fails(x):\\n    return x / 0\\n"
        linecache.cache["<cell 1>"] = (len(text), None, text.splitlines(True), "<cell 1>")
        exec(compile(text, "<cell 1>", "exec"))
        try:
            call(fails, 1)
        except ZeroDivisionError as error:
            print(error.__notes__[-1])
        """)
    assert 'File "<cell 1>", line 2, in fails' in printed
    assert "    return x / 0" in printed


def test_causes_and_contexts(raised: Any) -> None:
    error = raised(
        "try:\n"
        "    try:\n"
        "        {}['key']\n"
        "    except KeyError:\n"
        "        raise WithState(1)\n"
        "except Plain.__base__ as e:\n"
        "    raise Plain('end') from e"
    )
    assert type(error.__cause__) is raised.program["WithState"]
    assert error.__cause__.code == 1
    assert error.__suppress_context__
    assert error.__context__ is error.__cause__
    assert isinstance(error.__cause__.__context__, KeyError)
    assert not error.__cause__.__suppress_context__
    text = shown(error)
    assert "direct cause" in text
    assert "During handling" in text
    assert text.count("Remote traceback") == 3


def test_a_suppressed_context(raised: Any) -> None:
    error = raised("try:\n    1/0\nexcept ZeroDivisionError:\n    raise Plain() from None")
    assert error.__cause__ is None
    assert isinstance(error.__context__, ZeroDivisionError)
    assert error.__suppress_context__
    assert "ZeroDivisionError" not in shown(error)


def test_notes_are_kept(raised: Any) -> None:
    error = raised("e = Plain('x'); e.add_note('first'); e.add_note('second'); raise e")
    assert error.__notes__[:2] == ["first", "second"]
    assert "Remote traceback" in error.__notes__[2]
    assert len(error.__notes__) == 3


def test_chains_that_run_into_themselves(raised: Any) -> None:
    error = raised("a = Plain('a'); b = Plain('b'); a.__cause__ = b; b.__cause__ = a; raise a")
    assert error.__cause__.__cause__ is error
    assert "Plain: a" in shown(error)


def test_exceptions_that_contain_each_other(raised: Any) -> None:
    error = raised("a = Plain(); b = Plain(a); a.args = (b,); a.__cause__ = b; raise a")
    assert type(error) is type(error.__cause__) is raised.program["Plain"]
    assert error.args[0] is error.__cause__
    assert "it contains itself" in str(error.__cause__.args[0])


def test_long_chains_are_cut(raised: Any) -> None:
    error = raised(
        "e = None\n"
        "for n in range(5000):\n    new = Plain(n)\n    new.__cause__ = e\n    e = new\n"
        "raise e"
    )
    length, following = 0, error
    while following is not None:
        length, following = length + 1, following.__cause__
    assert error.args == (4999,)
    assert 10 < length <= 100


def test_groups(raised: Any) -> None:
    error = raised(
        "def make(kind):\n"
        "    try:\n        raise kind('member')\n"
        "    except Plain.__base__ as e:\n        return e\n"
        "first = make(ValueError)\nfirst.__cause__ = KeyError('why')\n"
        "inner = ExceptionGroup('inner', [make(Plain)])\n"
        "raise ExceptionGroup('outer', [first, inner])"
    )
    assert isinstance(error, ExceptionGroup)
    assert error.message == "outer"
    first, inner = error.exceptions
    assert isinstance(first, ValueError)
    assert isinstance(first.__cause__, KeyError)
    assert isinstance(inner, ExceptionGroup)
    assert type(inner.exceptions[0]) is raised.program["Plain"]
    assert "Remote traceback" in first.__notes__[-1]


STAND_INS = {
    "TwoArguments(1, 2)": ("TwoArguments", "1 and 2", "cannot be unpickled"),
    "Unpicklable()": ("Unpicklable", "held", "cannot be pickled"),
    "BadReduce('b')": ("BadReduce", "b", "cannot be pickled"),
    "BecomesOther('o')": ("BecomesOther", "o", "no exception"),
    "EndsTheProcess('e')": ("EndsTheProcess", "e", "cannot be unpickled"),
}


@pytest.mark.parametrize("expression", STAND_INS)
def test_what_cannot_travel_arrives_as_a_job_error(raised: Any, expression: str) -> None:
    error = raised(f"raise {expression}")
    kind, message, why = STAND_INS[expression]
    assert type(error) is JobError
    assert (error.type_name, error.message) == (kind, message)
    assert f"{kind}: {message}" in str(error)
    assert why in str(error)
    assert error.traceback is not None
    assert re.search(r'File "<program>", line \d+, in f', error.traceback)
    assert "Remote traceback" in shown(error)
    assert pickle.loads(pickle.dumps(error)).type_name == kind


def test_members_of_a_chain_that_cannot_travel(raised: Any) -> None:
    error = raised("raise Plain('end') from TwoArguments(1, 2)")
    assert type(error) is raised.program["Plain"]
    assert type(error.__cause__) is JobError
    assert error.__cause__.type_name == "TwoArguments"
    group = raised("raise ExceptionGroup('all', [TwoArguments(1, 2), Plain('fine')])")
    assert isinstance(group, ExceptionGroup)
    assert [type(member).__name__ for member in group.exceptions] == ["JobError", "Plain"]


def test_exceptions_without_a_text(raised: Any) -> None:
    error = raised("raise Unprintable('x')")
    assert type(error) is raised.program["Unprintable"]
    assert "Unprintable" in shown(error)


def test_exceptions_that_cannot_be_changed(raised: Any) -> None:
    error = raised("raise Stubborn('x')")
    # Its attributes cannot be set when it is unpickled, nor can its notes.
    assert type(error).__name__ == "Stubborn"
    assert error.args == ("x",)


def test_deep_recursion_is_told_shortly(raised: Any) -> None:
    error = raised("def a(n): return b(n)\ndef b(n): return a(n)\nreturn a(1)")
    assert isinstance(error, RecursionError)
    text = shown(error)
    assert "more frames" in text
    assert len(text) < 20_000


def test_what_cannot_be_returned(raised: Any) -> None:
    error = raised("import threading\nreturn [1, {'key': threading.Lock()}]")
    assert isinstance(error, SerializationError)
    assert "at result[1]['key'] there is a '_thread.lock' object" in str(error)
    assert isinstance(error.__cause__, TypeError)
    error = raised("return (n for n in [])")
    assert "Return list(...) of it instead." in str(error)


def test_what_is_returned_but_cannot_be_read(raised: Any) -> None:
    error = raised("class Bad:\n    def __reduce__(self): return int, ('no number',)\nreturn Bad()")
    assert isinstance(error, SerializationError)
    assert "the result of job 7" in str(error)
    assert isinstance(error.__cause__, ValueError)


def test_the_classic_text(worker: Any, raised: Any) -> None:
    raised("try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise TwoArguments(1, 2) from e")
    text = worker.classic_text()
    first, second, *_ = text.splitlines()
    assert first == "An error has occurred during the function execution"
    assert second == "Traceback (most recent call last):"
    assert "ZeroDivisionError: division by zero" in text
    assert "direct cause" in text
    assert text.endswith("TwoArguments: 1 and 2\n")


def test_where_it_happened_can_be_said() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        data = capture(error, where="while it read the arguments")
    assert ", while it read the arguments)" in restore(data).__notes__[0]


def test_never_raised_exceptions() -> None:
    error = restore(capture(ValueError("x")))
    assert re.match(r"Raised in worker process \d+", error.__notes__[0])


def test_capture_itself_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from pp._serialize import failures

    def broken(*args: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(failures, "frames_text", broken)
    error = restore(capture(ValueError("x")))
    assert isinstance(error, JobError)
    assert error.type_name == "ValueError"


def test_it_is_readable_without_the_users_class(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("gone")
    exec("class Mine(Exception): pass", vars(module))
    monkeypatch.setitem(sys.modules, "gone", module)
    module.Mine.__module__ = "gone"
    from pp._serialize import references

    monkeypatch.setattr(references, "travels_by_name", lambda *_: True)
    data = capture(module.Mine("text"))
    monkeypatch.delitem(sys.modules, "gone")
    error = restore(data)
    assert isinstance(error, JobError)
    assert (error.type_name, error.message) == ("gone.Mine", "text")
    assert "gone.Mine: text" in print_classic(data)


def test_unreadable_results_name_the_job() -> None:
    error = unreadable_result(ValueError("why"), 12)
    assert "job 12" in str(error)
    assert "ValueError: why" in str(error)
    assert isinstance(error.__cause__, ValueError)


def test_locks_do_not_hurt() -> None:
    error = ValueError(threading.Lock())
    assert isinstance(restore(capture(error)), JobError)
