"""Parallel Python: run ordinary functions on all cores.

    import pp
    server = pp.Server()                  # one worker per usable core
    job = server.submit(abs, (-3,))
    print(job())                          # waits; returns the result or raises

A `Server` runs jobs in worker processes. `Server.submit` returns a `Job`; calling
the job waits for its result. What a job raises, `job()` raises.
"""

from pp._core import Job, Ref
from pp._decorator import JobFunction, job
from pp._errors import (
    AuthenticationError,
    DependencyFailed,
    DestroyedServerError,
    JobCancelled,
    JobError,
    JobInterrupted,
    JobTimeout,
    NodeLost,
    PPError,
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

__version__ = version

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "AuthenticationError",
    "DependencyFailed",
    "DestroyedServerError",
    "Job",
    "JobCancelled",
    "JobError",
    "JobFunction",
    "JobInterrupted",
    "JobTimeout",
    "NodeLost",
    "PPError",
    "Ref",
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
