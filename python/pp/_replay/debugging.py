"""Running a recorded job in this process, under the debugger."""

from __future__ import annotations

import bdb
import pdb  # noqa: T100 - it is what this is for
import sys
import traceback
from types import FrameType, TracebackType
from typing import Any

from pp._replay.recording import Recording
from pp._serialize.load import load_function

__all__ = ["debug", "run"]

# Where the debugger does not stop.
_OWN = "pp.*"


def run(recording: Recording) -> Any:
    """Runs a recorded job in this process, and gives what it returns.

    Raises:
        BaseException: whatever it raises.
    """
    target = load_function(recording.function).target
    return target(*recording.arguments())


def debug(recording: Recording, step: bool = False) -> Any:
    """Runs a recorded job in this process under the debugger.

    Args:
        recording: the job.
        step: whether to stop at its first line. If not, the debugger begins where the job
            raises.

    Returns:
        What it returns; None if it raises, once the debugger is left.
    """
    target = load_function(recording.function).target
    arguments = recording.arguments()
    debugger = _FromFirstLine(skip=[_OWN], nosigint=True)
    try:
        if step:
            return debugger.runcall(target, *arguments)
        result = target(*arguments)
    except bdb.BdbQuit:
        return None
    except BaseException as error:
        error.__traceback__ = _without_own(error.__traceback__)
        traceback.print_exception(error)
        _look_into(error)
        return None
    sys.stderr.write(f"{recording.name} returned this time: {result!r:.1000}\n")
    return result


class _FromFirstLine(pdb.Pdb):
    """Stops at the first line of what is called, and not at the call before it, which it would
    see where one of this package's functions is in between.
    """

    _has_begun = False

    def user_call(self, frame: FrameType, argument_list: None) -> None:
        if self._has_begun:
            super().user_call(frame, argument_list)
        self._has_begun = True

    def user_line(self, frame: FrameType) -> None:
        self._has_begun = True
        super().user_line(frame)


def _look_into(error: BaseException) -> None:
    """Begins the debugger where an exception was raised."""
    debugger = pdb.Pdb(nosigint=True)
    debugger.reset()
    debugger.interaction(None, error.__traceback__)


def _without_own(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame on that is not of this package."""
    first = trace
    while first is not None and _is_own(first):
        first = first.tb_next
    return first or trace


def _is_own(trace: TracebackType) -> bool:
    name = str(trace.tb_frame.f_globals.get("__name__", ""))
    return name == "pp" or name.startswith("pp.")
