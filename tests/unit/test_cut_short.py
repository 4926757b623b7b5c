"""What a worker does for a job may be cut short anywhere, and is whole for the next job."""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from pp._errors import JobInterrupted
from pp._serialize.shipped import _Finder
from pp._worker.errors import JobErrors
from pp._worker.output import JobOutput

# More lines than any of these functions runs.
LINES = 40


@pytest.fixture(autouse=True)
def own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts back what these replace."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)


def cut_short(line: int, function: Callable[[], object]) -> bool:
    """Calls `function`, which is interrupted before so many lines have run; whether it was."""
    left = line

    def trace(_frame: types.FrameType, event: str, _arg: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                raise JobInterrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except JobInterrupted:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("line", range(1, LINES))
def test_whatever_is_kept_of_standard_error_was_noted(line: int) -> None:
    noted: list[bool] = []
    errors = JobErrors(io.StringIO(), lambda: noted.append(True))
    was_cut = cut_short(line, lambda: errors.write("text"))
    assert bool(noted) >= bool(errors.take())
    assert was_cut or line > 3
    errors.write("next")
    assert errors.take() == b"next"


@pytest.mark.parametrize("line", range(1, LINES))
def test_output_that_was_being_taken_is_gone_with_the_next_call(line: int) -> None:
    output = JobOutput()
    output.write("a long text of the job that was cut short\n")
    cut_short(line, output.take)
    output.take()
    assert output.tell() == 0
    output.write("next\n")
    assert output.take() == b"next\n"


@pytest.mark.parametrize("line", range(1, LINES))
def test_modules_that_were_being_replaced_are_replaced(
    line: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "module_that_was_sent"
    finder = _Finder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    old, new = ((name, False, "<sent>", f"VALUE = {value}\n") for value in (1, 2))
    finder.update([old])
    try:
        assert __import__(name).VALUE == 1
        cut_short(line, lambda: finder.update([new]))
        finder.update([new])
        assert __import__(name).VALUE == 2
    finally:
        sys.modules.pop(name, None)
