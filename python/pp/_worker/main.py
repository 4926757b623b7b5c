"""A worker's life: set up, run jobs, leave."""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import signal
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from pp import _core
from pp._errors import JobInterrupted, SerializationError
from pp._serialize.at_node import NODE, usable_path
from pp._serialize.failures import capture
from pp._serialize.load import LoadedFunction, load_function
from pp._serialize.values import dumps_result
from pp._worker.errors import JobErrors
from pp._worker.output import JobOutput
from pp._worker.share import Share


def main() -> None:
    """Runs jobs for the client at the other end of standard input."""
    session = _core.WorkerSession()
    try:
        settings = pickle.loads(session.settings())
        output, errors = _set_up(settings, session)
        _listen(session)
    except BaseException as error:
        session.fault(f"the worker could not be set up: {error!r}")
        raise
    try:
        session.run(
            load_function=_loader(settings["initializer"]),
            dump_result=dumps_result,
            describe=capture,
            output=output,
            errors=errors,
            share=Share(),
            serialization_error=SerializationError,
            protocol=settings["proto"],
            writable_buffers=settings["writable_buffers"],
            max_memory=settings["max_memory"],
        )
    except ConnectionError as error:
        _leave(session, str(error))
    except BaseException as error:
        # Not by the interpreter's own way out, which would wait for a job's threads.
        sys.excepthook(*sys.exc_info())
        _leave(session, f"the worker failed: {error!r}")


def _loader(initializer: tuple[bytes, bytes] | None) -> Callable[[bytes], LoadedFunction]:
    """What loads the functions of jobs."""
    if initializer is None:
        return load_function
    from pp._worker.initializer import Initializer  # noqa: PLC0415 - most workers need none

    return Initializer(*initializer).load_function


def _leave(session: _core.WorkerSession, reason: str) -> NoReturn:
    """Ends a worker that has lost its line, without a word on standard error: a job
    that closed descriptors may have opened a file of its own in its place.
    """
    try:
        session.fault(reason)
    finally:
        os._exit(1)


def _reset_signals() -> None:
    """Jobs find signals as programs do when they start, whatever the client does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _listen(session: _core.WorkerSession) -> None:
    """Lets a job end by `JobInterrupted` when its client wants it to."""
    worker = os.getpid()

    def look(_number: int, _frame: types.FrameType | None) -> None:
        # A fork that a job has made has not the memory where that is written.
        if os.getpid() == worker and session.is_to_end():
            raise JobInterrupted("the job was cancelled")

    if sys.platform != "win32":
        # What programs hardly use, and does nothing to those that do not listen.
        signal.signal(signal.SIGURG, look)


def _set_up(settings: dict[str, Any], session: _core.WorkerSession) -> tuple[JobOutput, JobErrors]:
    _reset_signals()
    # A crash leaves a traceback on standard error, which the client keeps.
    faulthandler.enable()
    sys.path[:] = settings["path"] if NODE is None else usable_path(tuple(settings["path"]))
    sys.argv[:] = settings["argv"]
    # Names of `__main__` mean the client's, which come by value; never this file's.
    sys.modules["__main__"] = types.ModuleType("__main__")
    output = JobOutput()
    sys.stdout = output
    errors = JobErrors(sys.stderr, session.note_errors)
    sys.stderr = errors
    # What was imported so far lives as long as the process.
    gc.freeze()
    return output, errors
