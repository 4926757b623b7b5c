"""Tracebacks as text, for readers at another process."""

from __future__ import annotations

import os
from types import TracebackType

# Frames of this package are of no use to the reader.
_OURS = __file__.rpartition(os.sep)[0].rpartition(os.sep)[0] + os.sep

# More frames, or longer messages, than anybody reads.
_MOST_FRAMES = 100
_MOST_TEXT = 10_000


def type_name(exc: BaseException) -> str:
    """The full name of an exception's type, as tracebacks have it."""
    kind = type(exc)
    module, name = str(kind.__module__), str(kind.__qualname__)
    return name if module in {"builtins", "__main__"} else f"{module}.{name}"


def message_of(exc: BaseException) -> str:
    """`str(exc)`, whatever happens in it."""
    try:
        return _shortened(str(exc))
    except Exception as error:
        return f"<str() of the exception raised {type(error).__name__}>"


def frames_text(exc: BaseException) -> str:
    """The frames of an exception's traceback, with source lines.

    Frames of this package, through which the job was called, are left out. Empty if the
    exception was never raised.
    """
    import traceback  # noqa: PLC0415 - with all that it imports, only for failures

    try:
        # Without the exception itself, its chain is not gone through.
        trace = _users(exc.__traceback__)
        stack = traceback.TracebackException(Exception, Exception(), trace).stack
        if len(stack) <= _MOST_FRAMES:
            return "".join(stack.format())
        half = _MOST_FRAMES // 2
        head = traceback.StackSummary.from_list(stack[:half])
        tail = traceback.StackSummary.from_list(stack[-half:])
        left_out = f"  [{len(stack) - 2 * half} more frames]\n"
        return "".join((*head.format(), left_out, *tail.format()))
    except Exception as error:
        return f"  (the frames cannot be shown: {type(error).__name__})\n"


def last_lines(exc: BaseException) -> str:
    """What a traceback ends with: type and message, without notes."""
    if isinstance(exc, (SyntaxError, NameError, AttributeError, ImportError)):
        # Python adds the offending line, or a guess at what was meant.
        try:
            return _alone(exc)
        except Exception:  # noqa: S110 - the plain form will do
            pass
    message = message_of(exc)
    return f"{type_name(exc)}: {message}\n" if message else f"{type_name(exc)}\n"


def _alone(exc: BaseException) -> str:
    import traceback  # noqa: PLC0415 - as above

    summary = traceback.TracebackException(
        type(exc), exc, exc.__traceback__, limit=1, lookup_lines=False, compact=True
    )
    summary.__notes__ = None
    return _shortened("".join(summary.format_exception_only()))


def _users(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that is not this package's."""
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS) or file == "<modules>"


def _shortened(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    return f"{text[:_MOST_TEXT]} ... ({len(text)} characters)"
