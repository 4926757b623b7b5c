"""A worker's life: set up, run jobs, leave."""

from __future__ import annotations

import faulthandler
import gc
import pickle
import sys
import types
from typing import Any

from pp import _core
from pp._errors import SerializationError
from pp._serialize.failures import capture
from pp._serialize.load import load_function
from pp._serialize.values import dumps_result
from pp._worker.output import JobOutput


def main() -> None:
    """Runs jobs for the client at the other end of standard input."""
    session = _core.WorkerSession()
    try:
        settings = pickle.loads(session.settings())
        output = _set_up(settings)
    except BaseException as error:
        session.fault(f"the worker could not be set up: {error!r}")
        raise
    session.run(
        load_function=load_function,
        dump_result=dumps_result,
        describe=capture,
        take_output=output.take,
        serialization_error=SerializationError,
        protocol=settings["proto"],
    )


def _set_up(settings: dict[str, Any]) -> JobOutput:
    # A crash leaves a traceback on standard error, which the client keeps.
    faulthandler.enable()
    sys.path[:] = settings["path"]
    sys.argv[:] = settings["argv"]
    # Names of `__main__` mean the client's, which come by value; never this file's.
    sys.modules["__main__"] = types.ModuleType("__main__")
    output = JobOutput()
    sys.stdout = output
    # What was imported so far lives as long as the process.
    gc.freeze()
    return output
