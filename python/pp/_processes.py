"""How worker processes are started."""

from __future__ import annotations

import os
import pickle
import sys

from pp import _core
from pp._errors import PPError

# The variable that marks workers and all that they start.
MARK = "PP_WORKER_MARK"

# The variable that tells a worker the name of its node, where it works for a node.
NODE = "PP_NODE"

# Libraries with thread pools of their own, by the variable that bounds each.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def inside_job() -> bool:
    """Whether this process is a worker, or was started by one."""
    return MARK in os.environ


def usable_cpus() -> int:
    """The number of processors that this process may use, at least 1.

    Honours affinity, cgroup v1 and v2 quotas, and Python's own `-X cpu_count` and
    `PYTHON_CPU_COUNT` (3.13 and later).
    """
    override = os.environ.get("PYTHON_CPU_COUNT", "")
    wanted = sys._xoptions.get("cpu_count", override)
    if isinstance(wanted, str) and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return _core.available_cpus()


def default_workers() -> int:
    """How many workers "autodetect" means: one inside a job, else one per processor."""
    return 1 if inside_job() else usable_cpus()


def command() -> list[str]:
    """The command that starts a worker with this interpreter."""
    if not sys.executable:
        raise PPError(
            "cannot start workers: this interpreter does not know its own program "
            "(sys.executable is empty), as happens where Python is embedded. Set "
            "sys.executable to a Python program of the same version"
        )
    # Only who makes a server needs it, and `import pp` is to be quick.
    import subprocess  # noqa: PLC0415

    package = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120 - as above
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # -P: the directory of the started file must not shadow the client's modules.
    script = os.path.join(package, "_worker", "__main__.py")  # noqa: PTH118
    return [sys.executable, *flags, "-P", script, os.path.dirname(package)]  # noqa: PTH120


def environment(workers: int) -> list[tuple[str, str]]:
    """The variables that keep `workers` workers from starting too many threads.

    What the user has set stays as it is.
    """
    threads = str(max(1, usable_cpus() // max(1, workers)))
    return [(name, threads) for name in THREAD_VARIABLES if name not in os.environ]


def settings(
    proto: int,
    writable_buffers: bool,
    initializer: tuple[bytes, bytes] | None,
    max_memory: int | None,
) -> bytes:
    """What a worker needs to know before its first job.

    Args:
        proto: the pickle protocol.
        writable_buffers: whether buffers arrive as private copies.
        initializer: what is run before the first job, and its arguments, both serialized.
        max_memory: a worker with more bytes after a job is replaced; None for any number.
    """
    return pickle.dumps(
        {
            "path": [entry for entry in sys.path if isinstance(entry, str)],
            "argv": [str(word) for word in getattr(sys, "argv", [""])],
            "proto": proto,
            "writable_buffers": writable_buffers,
            "initializer": initializer,
            "max_memory": max_memory,
        }
    )
