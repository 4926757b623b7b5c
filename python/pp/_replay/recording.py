"""A failed job with all that is needed to run it again."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
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
    function, message, parts = record
    return Recording(
        name=job.name,
        number=job.tid,
        error=_described(job.exception()),
        python=sys.version.split()[0],
        version=version,
        function=function,
        message=message,
        parts=tuple(parts),
    )


def save(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Writes a recording to a file, whole or not at all. Nobody else may read it.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(path)
    # A name that nobody else has: threads may save to one path, and dead programs leave theirs.
    descriptor, name = tempfile.mkstemp(".part", f".{target.name}.", target.parent)
    unfinished = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
            file.write(_MAGIC)
            pickle.dump(tuple(recording), file, pickle.HIGHEST_PROTOCOL)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


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
        content = file.read()
    try:
        return _checked(pickle.loads(content))
    except Exception as error:
        # Damaged pickles raise nearly anything.
        raise PPError(f"{os.fspath(path)} is damaged: {error!r:.200}") from error


def _checked(fields: object) -> Recording:
    """The recording of these fields.

    Raises:
        TypeError: they are none.
    """
    if not isinstance(fields, tuple):
        raise TypeError(f"it holds {type(fields).__name__!r}")
    recording = Recording(*fields)
    kinds = (str, int, str, str, str, bytes, bytes, tuple)
    for name, value, kind in zip(Recording._fields, recording, kinds, strict=True):
        if not isinstance(value, kind):
            raise TypeError(f"its {name} is {type(value).__name__!r}")
    if not all(isinstance(part, bytes) for part in recording.parts):
        raise TypeError("its parts are no bytes")
    return recording


def _described(error: BaseException | None) -> str:
    """An error as text, also if it cannot be shown."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return f"{type(error).__name__}, whose str() failed"
