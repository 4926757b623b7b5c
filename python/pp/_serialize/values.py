"""Arguments and results as bytes, and back."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any, Protocol

from pp._serialize.rebuild_classes import fill_new_class, renew_class

__all__ = ["dumps_args", "dumps_result", "loads", "pickled"]

loads = pickle.loads

# Whether a buffer is to be copied into the pickle.
BufferCallback = Callable[[pickle.PickleBuffer], bool]


class BufferCollector(Protocol):
    """A callback that keeps the buffers that are not."""

    def __call__(self, buffer: pickle.PickleBuffer, /) -> bool:
        """Whether `buffer` is to be copied into the pickle."""

    def forget(self) -> None:
        """Lets go of the buffers."""


def dumps_args(
    args: tuple[Any, ...],
    proto: int = 5,
    func_name: str | None = None,
    buffer_callback: BufferCallback | None = None,
    *,
    portable: bool = False,
) -> bytes:
    """The arguments of a job, for a worker.

    Args:
        args: the positional arguments.
        proto: the pickle protocol, 0 to `pickle.HIGHEST_PROTOCOL`.
        func_name: the name of the function, for the error message.
        buffer_callback: as for `pickle.Pickler`; from protocol 5 on.
        portable: whether they are to be of use to other versions of Python.

    Raises:
        SerializationError: an argument cannot be serialized. The message names what
            cannot, and where it sits.
    """
    try:
        return pickled(args, proto, renew_class, buffer_callback, portable=portable)
    except Exception as error:
        from pp._serialize.diagnose import explain_args  # noqa: PLC0415 - rare

        raise explain_args(args, error, func_name) from error


def dumps_result(
    result: object, proto: int = 5, buffer_callback: BufferCollector | None = None
) -> bytes:
    """The result of a job, for the client.

    Args:
        result: what the function returned.
        proto: the pickle protocol, 0 to `pickle.HIGHEST_PROTOCOL`.
        buffer_callback: as for `pickle.Pickler`; from protocol 5 on. It is told to
            `forget` what it has kept before a second attempt.

    Raises:
        SerializationError: the result cannot be serialized. The message names what
            cannot, and where it sits.
    """
    try:
        # A worker has no script: what it finds by name, the client finds too.
        return pickle.dumps(result, proto, buffer_callback=buffer_callback)
    except Exception:
        # What that cannot do, the next one may.
        if buffer_callback is not None:
            buffer_callback.forget()
    try:
        return pickled(result, proto, fill_new_class, buffer_callback)
    except Exception as error:
        from pp._map.chunk import Answer  # noqa: PLC0415 - rare

        if isinstance(result, Answer) and not result.is_checked:
            return dumps_result(result.without_unserializable(proto), proto)
        from pp._serialize.diagnose import explain_result  # noqa: PLC0415 - rare

        raise explain_result(result, error) from error


def pickled(
    value: object,
    proto: int,
    fill_class: Callable[[type, dict[str, Any]], None],
    buffer_callback: BufferCallback | None = None,
    *,
    portable: bool = False,
) -> bytes:
    """`value` by the general pickler; see `pickler.Pickler` for the rest."""
    # Many results never need it, and workers are to start quickly.
    from pp._serialize.pickler import Pickler  # noqa: PLC0415

    file = io.BytesIO()
    Pickler(file, proto, fill_class, buffer_callback, portable=portable).dump(value)
    return file.getvalue()
