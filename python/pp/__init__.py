"""Parallel Python: run ordinary functions on all cores.

    import pp
    server = pp.Server()                  # one worker per usable core
    job = server.submit(abs, (-3,))
    print(job())                          # waits; returns the result or raises

A `Server` runs jobs in worker processes. `Server.submit` returns a `Job`; calling
the job waits for its result. What a job raises, `job()` raises.
"""

import typing as _typing

from pp._core import Job, Ref
from pp._decorator import JobFunction, job
from pp._errors import (
    AuthenticationError,
    DependencyFailed,
    DestroyedServerError,
    InitializerError,
    JobCancelled,
    JobError,
    JobInterrupted,
    JobTimeout,
    NodeLost,
    PPError,
    ResourceError,
    SerializationError,
    WorkerDied,
    WorkerStartError,
)
from pp._futures.several import (
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Waited,
    as_completed,
    wait,
)
from pp._server import Server, Statistics
from pp._template import Template
from pp._version import version

if _typing.TYPE_CHECKING:
    from pp._executor.executor import Executor

__version__ = version

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "AuthenticationError",
    "DependencyFailed",
    "DestroyedServerError",
    "Executor",
    "InitializerError",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFunction",
    "JobInterrupted",
    "JobTimeout",
    "NodeLost",
    "PPError",
    "Ref",
    "ResourceError",
    "SerializationError",
    "Server",
    "Statistics",
    "Template",
    "Waited",
    "WorkerDied",
    "WorkerStartError",
    "as_completed",
    "job",
    "version",
    "wait",
]


def __getattr__(name: str) -> _typing.Any:
    # Most programs need no executor, and `import pp` is to be quick.
    if name == "Executor":
        from pp._executor import Executor  # noqa: PLC0415

        globals()[name] = Executor
        return Executor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
