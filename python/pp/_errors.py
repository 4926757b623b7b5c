"""The errors that `pp` raises."""

from __future__ import annotations

import pickle
from concurrent.futures import BrokenExecutor, CancelledError


class PPError(Exception):
    """The base of all errors that `pp` itself raises."""


class JobError(PPError):
    """A job failed, and this says how.

    It stands in for what the job raised if that cannot be brought to the client, and
    is the base of the errors of jobs that could not run to their end.

    Args:
        *args: the text of the error, as for any exception.
        type_name: the full name of the type that the job raised, such as
            "mypackage.MyError"; None if the job raised nothing.
        message: `str()` of what the job raised; None if it raised nothing.
        traceback: the traceback in the worker, as text; None if there is none.

    The keywords become attributes.
    """

    def __init__(
        self,
        *args: object,
        type_name: str | None = None,
        message: str | None = None,
        traceback: str | None = None,
    ) -> None:
        super().__init__(*args)
        self.type_name = type_name
        self.message = message
        self.traceback = traceback


class JobCancelled(JobError, CancelledError):  # noqa: N818 - the name says what happened
    """The job was cancelled: `result()` has nothing to return.

    It is a `concurrent.futures.CancelledError` as well.
    """


class JobTimeout(JobError, TimeoutError):  # noqa: N818 - the name says what happened
    """The job ran for longer than its `timeout=`, and was ended.

    It is a `TimeoutError` as well.

    Args:
        *args: the text of the error, as for any exception.
        limit: how many seconds it was allowed to run at a time.

    The keywords become attributes.
    """

    def __init__(self, *args: object, limit: float = 0.0) -> None:
        super().__init__(*args)
        self.limit = limit


class ResourceError(JobError):
    """The job was not run, because no machine has what it needs: see `resources=`.

    Args:
        *args: the text of the error, as for any exception.
        resource: the name of what it needs too much of.

    The keywords become attributes.
    """

    def __init__(self, *args: object, resource: str = "") -> None:
        super().__init__(*args)
        self.resource = resource


class DependencyFailed(JobError):  # noqa: N818 - the name says what happened
    """The job was not run, because one that it depends on, directly or not, has failed.

    `__cause__` is what that one raised.

    Args:
        *args: the text of the error, as for any exception.
        number: the number (`tid`) of the job that failed first.
        name: what it is called.

    The keywords become attributes.
    """

    def __init__(self, *args: object, number: int = 0, name: str = "") -> None:
        super().__init__(*args)
        self.number = number
        self.name = name


class JobInterrupted(KeyboardInterrupt):
    """Raised within a job, at its worker, when it is cancelled while it runs.

    As a `KeyboardInterrupt`, it passes by `except Exception`, and leaves the job a moment to
    clear up before its worker is killed.
    """


class InitializerError(JobError, BrokenExecutor):
    """The initializer of the server's workers failed, so the job was not run.

    `__cause__` is what the initializer raised. It is a `concurrent.futures.BrokenExecutor` as
    well: a `pp.Executor` takes no more calls after it.
    """


class WorkerDied(JobError, BrokenExecutor):  # noqa: N818 - the name says what happened
    """The worker process died while it ran the job, as often as the server allows.

    It is a `concurrent.futures.BrokenExecutor` as well, for programs that look for that. Only
    this job has failed: the server, or the executor, goes on.

    Args:
        *args: the text of the error; by default it is made of what follows.
        exitcode: the exit code of the last worker; None if it has none.
        signal: the name of the signal that ended it, such as "SIGKILL"; None if it
            exited by itself.
        stderr: the last lines that it wrote to standard error.
        deaths: how many workers the job took down.
        hint: what the reason may be and what to do about it; None if unknown.

    The keywords become attributes.
    """

    def __init__(
        self,
        *args: object,
        exitcode: int | None = None,
        signal: str | None = None,
        stderr: str = "",
        deaths: int = 0,
        hint: str | None = None,
    ) -> None:
        super().__init__(*args)
        self.exitcode = exitcode
        self.signal = signal
        self.stderr = stderr
        self.deaths = deaths
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__() if self.args else self._describe()
        return text if self.hint is None else f"{text}\nHint: {self.hint}"

    def _describe(self) -> str:
        text = f"the job's worker process {self._ending()}"
        if self.deaths > 1:
            text += f"; it was the last of {self.deaths} that died of this job"
        lines = self.stderr.splitlines()
        if lines:
            text += "\nIts last lines on standard error:\n    " + "\n    ".join(lines)
        return text

    def _ending(self) -> str:
        if self.signal is not None:
            return f"was ended by {self.signal}"
        if self.exitcode is not None:
            return f"exited with code {self.exitcode}"
        return "died"


class WorkerStartError(WorkerDied):
    """No worker process could be started at all, so the job was not run."""

    def _describe(self) -> str:
        text = "no worker process could be started, so the job was not run"
        if self.signal is not None or self.exitcode is not None:
            text += f": the worker process {self._ending()}"
        lines = self.stderr.splitlines()
        if lines:
            text += "\nIts last lines on standard error:\n    " + "\n    ".join(lines)
        return text


class NodeLost(JobError):  # noqa: N818 - the name says what happened
    """The nodes that had the job were lost, as often as the server allows.

    Args:
        *args: the text of the error; by default it is made of what follows.
        node: the name of the last of them.
        losses: how many were lost.

    The keywords become attributes.
    """

    def __init__(self, *args: object, node: str = "", losses: int = 0) -> None:
        super().__init__(*args)
        self.node = node
        self.losses = losses

    def __str__(self) -> str:
        if self.args:
            return super().__str__()
        return f"{self.losses} nodes were lost while they had the job; the last was {self.node}"


class AuthenticationError(PPError):
    """There is no secret or certificate to prove by that one belongs to the cluster, or
    it cannot be used.
    """


class SerializationError(PPError, pickle.PicklingError):
    """Something cannot be sent to a worker, or back.

    The message names the object and says where it sits; `__cause__` is what the
    pickler raised.
    """


class DestroyedServerError(PPError, RuntimeError):
    """The server was destroyed before the job could end, or before it was submitted."""
