"""What a job is given of its machine, as far as the job can be held to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from pp._processes import THREAD_VARIABLES

__all__ = ["Share"]

_DEVICES = "CUDA_VISIBLE_DEVICES"


class Share:
    """The share of the job that runs, if it has asked for one.

    Programs that are started by the job inherit it.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def enter(self, cpus: int, memory: int, devices: str | None) -> None:
        """Holds the next job to its share.

        Args:
            cpus: how many processors it has asked for: so many threads libraries are to use.
            memory: the most bytes that it may take beyond what the process has; 0 for any
                number. Beyond that, it gets `MemoryError`. Only where the system has such a
                limit, which is Linux.
            devices: the GPUs that it may use, as `CUDA_VISIBLE_DEVICES` names them; None if it
                has not asked for any.
        """
        self.leave()
        for name in THREAD_VARIABLES:
            self._set(name, str(cpus))
        self._limit_pools(cpus)
        if devices is not None:
            self._set(_DEVICES, devices)
        if memory:
            self._limit_memory(memory)

    def leave(self) -> None:
        """The job has ended: its limits do not hold any more."""
        while self._undo:
            self._undo.pop()()

    def _set(self, name: str, value: str) -> None:
        before = os.environ.get(name)

        def undo() -> None:
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before

        self._undo.append(undo)
        os.environ[name] = value

    def _limit_pools(self, cpus: int) -> None:
        """Bounds the pools of threads that are there already."""
        # It is no dependency; where it was imported, or can be, it is of use.
        if not {"numpy", "scipy", "sklearn", "torch"} & sys.modules.keys():
            return
        try:
            import threadpoolctl  # noqa: PLC0415 - few jobs need it
        except ImportError:
            return
        limits: Any = threadpoolctl.threadpool_limits(cpus)
        self._undo.append(limits.restore_original_limits)

    def _limit_memory(self, memory: int) -> None:
        if sys.platform != "linux":
            return
        import resource  # noqa: PLC0415 - only there

        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _data_size() + memory
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        self._undo.append(lambda: resource.setrlimit(resource.RLIMIT_DATA, (soft, hard)))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _data_size() -> int:
    """How many bytes of memory of its own this process has, as the limit counts them."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
