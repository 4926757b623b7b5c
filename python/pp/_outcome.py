"""What the client makes of a job's end."""

from __future__ import annotations

import pickle
import sys
import traceback

from pp._errors import (
    DependencyFailed,
    JobCancelled,
    JobError,
    JobTimeout,
    NodeLost,
    ResourceError,
    WorkerDied,
    WorkerStartError,
)
from pp._logging import logger
from pp._serialize.failures import restore, unreadable_result
from pp._serialize.values import loads

__all__ = [
    "dependency_cancelled",
    "dependency_failed",
    "no_worker",
    "node_lost",
    "print_failure",
    "print_output",
    "raise_failure",
    "raw_result",
    "raw_result_of",
    "restore",
    "timed_out",
    "unreadable_result",
    "unsatisfiable",
    "worker_died",
]

_OOM_HINT = (
    "the kernel's out-of-memory killer was at work on this machine meanwhile: "
    "run fewer workers at a time (ncpus=...) or give each job less data"
)
_KILL_HINT = (
    "SIGKILL is also how the out-of-memory killer of the kernel or of a container "
    "ends processes: see `dmesg`, or the container's memory limit"
)


def print_output(output: bytes) -> None:
    """Prints what a job printed. Never raises: the result must not be lost with it."""
    text = output.decode("utf-8", "surrogatepass")
    out = sys.stdout
    if out is None:
        return
    try:
        try:
            out.write(text)
        except UnicodeEncodeError:
            encoding = getattr(out, "encoding", None) or "utf-8"
            out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        out.flush()
    except (OSError, ValueError) as error:
        logger.warning("what a job printed cannot be shown: %r", error)


def raw_result(body: bytes, output: bytes) -> bytes:
    """The classic's raw result: the pickled pair of result and output."""
    return raw_result_of(loads(body), output)


def raw_result_of(result: object, output: bytes) -> bytes:
    """As `raw_result`, for a result that was read already."""
    return pickle.dumps((result, output.decode("utf-8", "surrogatepass")))


def raise_failure(error: BaseException) -> BaseException | None:
    """For `errors="raise"`: `job()` raises the error."""
    return error


def print_failure(error: BaseException) -> BaseException | None:
    """For `errors="print"`: prints the error, and `job()` returns None."""
    print("An error has occurred during the function execution")
    print("".join(traceback.format_exception(error)), end="")
    return None


def unsatisfiable(*, resource: str | None, wanted: int, most: int) -> JobError:
    """The error of a job that no machine could ever run."""
    from pp._resources import amount_text  # noqa: PLC0415 - it is hardly ever needed

    name = "cpu" if resource is None else resource
    needs, has = amount_text(resource, wanted), amount_text(resource, most)
    return ResourceError(
        f"the job was not run: it needs {needs} of {name!r}, and the most that any machine has is "
        f"{has}. Ask for less by resources=, or let a machine have more: by its number of workers "
        "for cpu; by resources= of the Server, or --resources of ppserver, for all else",
        resource=name,
    )


def worker_died(
    *,
    deaths: int,
    memory: int,
    pid: int,
    exitcode: int | None,
    signal: str | None,
    stderr: str,
    killed_because: str | None,
    oom_suspected: bool,
) -> JobError:
    """The error of a job that took its workers down."""
    limited = f"\nIts memory was limited to {memory} bytes by resources=" if memory else ""
    return WorkerDied(
        _death_text(deaths, pid, exitcode, signal, stderr, killed_because) + limited,
        exitcode=exitcode,
        signal=signal,
        stderr=stderr,
        deaths=deaths,
        hint=_hint(signal, killed_because, oom_suspected),
    )


def no_worker(
    *,
    reason: str,
    pid: int = 0,
    exitcode: int | None = None,
    signal: str | None = None,
    stderr: str = "",
    killed_because: str | None = None,
    oom_suspected: bool = False,
) -> JobError:
    """The error of a job for which no worker could be started."""
    del pid
    return WorkerStartError(
        "no worker process could be started with "
        f"{sys.executable!r}, so the job was not run: {reason}" + _last_lines(stderr),
        exitcode=exitcode,
        signal=signal,
        stderr=stderr,
        deaths=0,
        hint=_hint(signal, killed_because, oom_suspected),
    )


def timed_out(*, limit: float) -> JobError:
    """The error of a job that ran for longer than it may."""
    return JobTimeout(f"the job ran for longer than {limit:g} s", limit=limit)


def dependency_failed(*, number: int, name: str, cause: BaseException) -> JobError:
    """The error of a job that needs the result of one that failed."""
    error = DependencyFailed(
        f"the job was not run, because job {number} ({name}), on which it depends, failed with "
        f"{type(cause).__name__}: {cause}",
        number=number,
        name=name,
    )
    error.__cause__ = cause
    return error


def dependency_cancelled(*, number: int, name: str) -> JobError:
    """The error of a job that needs the result of one that was cancelled."""
    return JobCancelled(
        f"the job was cancelled, because job {number} ({name}), on which it depends, was cancelled"
    )


def node_lost(*, losses: int, node: str, why: str) -> JobError:
    """The error of a job whose nodes were lost."""
    times = "once" if losses == 1 else f"{losses} times"
    return NodeLost(
        f"a node was lost {times} while it had the job; the last was {node}: {why}. If other "
        "jobs go well on these nodes, this one may take them down: look at its memory, and at "
        "the log of the node",
        node=node,
        losses=losses,
    )


def _death_text(
    deaths: int,
    pid: int,
    exitcode: int | None,
    signal: str | None,
    stderr: str,
    killed_because: str | None,
) -> str:
    times = "once" if deaths == 1 else f"{deaths} times"
    if killed_because is not None:
        how = f"was killed by the server because {killed_because}"
    elif signal is not None:
        how = f"was ended by {signal}"
    elif exitcode is not None:
        how = f"exited with code {exitcode}"
    else:
        how = "ended with a status that other code has collected"
    return (
        f"the job's worker process died {times} while running it; "
        f"the last one (process {pid}) {how}" + _last_lines(stderr)
    )


def _last_lines(stderr: str) -> str:
    if not stderr.strip():
        return ""
    indented = "\n".join("    " + line for line in stderr.splitlines())
    return "\nIts last lines on standard error:\n" + indented


def _hint(signal: str | None, killed_because: str | None, oom_suspected: bool) -> str | None:
    if signal != "SIGKILL" or killed_because is not None:
        return None
    return _OOM_HINT if oom_suspected else _KILL_HINT
