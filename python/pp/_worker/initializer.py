"""What a server wants run in each worker before its first job."""

from __future__ import annotations

import functools
import pickle
import types
from typing import Any, NamedTuple

from pp._errors import InitializerError, JobInterrupted
from pp._serialize import rebuild
from pp._serialize.load import LoadedFunction, load_function

__all__ = ["Initializer"]


class _Failure(NamedTuple):
    """Why jobs of this worker fail."""

    text: str
    cause: BaseException


class Initializer:
    """Loads functions of jobs; before the first one, runs the initializer.

    It runs within the first job, and not while the worker starts: so it may take its time,
    what it prints is told, and what it raises is what the job raises.

    Args:
        function: the initializer, as `pp._serialize.functions.FunctionPacker` packs it.
        args: its pickled arguments.
    """

    def __init__(self, function: bytes, args: bytes) -> None:
        self._function = function
        self._args = args
        self._has_run = False
        self._failure: _Failure | None = None

    def load_function(self, blob: bytes) -> LoadedFunction:
        """As `pp._serialize.load.load_function`, in an initialized worker.

        Raises:
            InitializerError: the initializer has failed, now or for an earlier job.
        """
        if not self._has_run:
            self._run()
        if self._failure is not None:
            raise InitializerError(self._failure.text) from self._failure.cause
        return load_function(blob)

    def _run(self) -> None:
        try:
            target = load_function(self._function).target
            namespace = _globals_of(target)
            before = dict(namespace)
            target(*pickle.loads(self._args))
            _publish(namespace, before)
        except JobInterrupted:
            # The job was cancelled. For the next one it is run again, from its beginning.
            raise
        except BaseException as error:
            # Also `sys.exit`: a worker that is not as it should be must not run jobs.
            kind = type(error).__name__
            text = f"the initializer of the server's workers failed, so no job is run: {kind}"
            self._failure = _Failure(f"{text}: {error}" if str(error) else text, error)
        self._has_run = True


def _globals_of(target: Any) -> dict[str, Any]:
    """What an initializer sets by `global`; nothing if it is no function of Python's."""
    while isinstance(target, (functools.partial, types.MethodType)):
        target = target.func if isinstance(target, functools.partial) else target.__func__
    namespace: dict[str, Any] = getattr(target, "__globals__", {})
    return namespace


def _publish(namespace: dict[str, Any], before: dict[str, Any]) -> None:
    """Lets jobs see what the initializer has set, also where their functions come by value
    and so have globals of their own.
    """
    missing = object()
    changed = {
        name: value
        for name, value in namespace.items()
        if name != "__builtins__" and before.get(name, missing) is not value
    }
    if changed:
        rebuild.initialized[namespace.get("__name__", "")] = changed
