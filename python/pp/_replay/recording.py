"""A failed job with all that is needed to run it again."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pp import _core
from pp._errors import PPError
from pp._version import version

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["Recording", "load", "of_job", "save"]

# The first line of a file.
_MAGIC = b"Parallel Python, a recorded job, format 1\n"


class Recording(NamedTuple):
    """A failed job.

    Attributes:
        name: what it was called.
        number: its number in its server.
        error: what it failed with, as text.
        python: the version of Python that it was submitted with.
        version: the version of this package.
        function: its function, as workers get it.
        message: its arguments, as workers get them.
        parts: what the arguments refer to.
    """

    name: str
    number: int
    error: str
    python: str
    version: str
    function: bytes
    message: bytes
    parts: tuple[bytes, ...]

    def arguments(self) -> tuple[Any, ...]:
        """The very arguments, made anew.

        Raises:
            Exception: whatever the user's code raises that runs on the way.
        """
        arguments: tuple[Any, ...] = _core.load_message(self.message, list(self.parts))
        return arguments


def of_job(job: Job[Any]) -> Recording:
    """The recording of a job that has failed.

    Raises:
        PPError: it has not failed, or was never run, or has not ended.
    """
    if not job.done():
        raise PPError(
            f"only jobs that have failed can be run again here; this one has not ended: {job}"
        )
    record = job._record()
    if record is None:
        raise PPError(
            "only jobs that were run and have failed keep their arguments, so that they can be "
            f"run again here: {job}"
        )
    error = job.exception()
    function, message, parts = record
    return Recording(
        name=job.name,
        number=job.tid,
        error=f"{type(error).__name__}: {error}",
        python=sys.version.split()[0],
        version=version,
        function=function,
        message=message,
        parts=tuple(parts),
    )


def save(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Writes a recording to a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        # The arguments may be secret: it is for the user alone.
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(_MAGIC)
            pickle.dump(tuple(recording), file, pickle.HIGHEST_PROTOCOL)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Recording:
    """Reads a recording. What is in it may run any code: it must come from somebody whom
    one believes.

    Raises:
        OSError: it cannot be read.
        PPError: it is no recording.
    """
    with Path(path).open("rb") as file:
        if file.readline(len(_MAGIC)) != _MAGIC:
            raise PPError(f"{os.fspath(path)} is no recorded job of this version of pp")
        try:
            return Recording(*pickle.load(file))
        except (pickle.UnpicklingError, EOFError, TypeError, ValueError) as error:
            raise PPError(f"{os.fspath(path)} is damaged: {error}") from error
