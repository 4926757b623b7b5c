"""What is different where a worker works for a node, and not beside its client."""

from __future__ import annotations

import os
import sys

# The name of the node; None where the client itself has started this process. Also see
# `pp._processes.NODE`, which is too much to import for a worker.
NODE = os.environ.get("PP_NODE")

# The version of Python on the other side, major and minor, as soon as it is known.
_other_python = sys.version_info[:2]


def know_python(version: tuple[int, int]) -> None:
    """Tells which version of Python the client runs."""
    global _other_python
    _other_python = version


def is_other_python() -> bool:
    """Whether the client is known to run another version of Python."""
    return _other_python != sys.version_info[:2]


def usable_path(client: tuple[str, ...]) -> list[str]:
    """The path that a node imports from: its own, and what of the client's is here as
    well, as on a file system that all machines share.
    """
    return sys.path + [
        entry
        for entry in client
        if entry not in sys.path and not _is_installation(entry) and os.path.isdir(entry)  # noqa: PTH112 - pathlib is slow to import
    ]


def _is_installation(entry: str) -> bool:
    """Whether an installation of Python has put this into its path. That of the client
    means nothing here.
    """
    name = os.path.basename(entry.rstrip("/\\"))  # noqa: PTH119 - as above
    return (
        name in {"site-packages", "dist-packages", "lib-dynload"}
        or name.endswith((".zip", ".egg"))
        or (name.startswith("python") and name[6:].replace(".", "").isdigit())
    )


def explain_missing(error: BaseException) -> None:
    """Lets the error of an import say what to do about it."""
    if NODE is None or not isinstance(error, ModuleNotFoundError) or not error.name:
        return
    top = error.name.partition(".")[0]
    remedy = (
        f"{error.msg} on node {NODE!r}. Install it there (pip install {top}); or, if it is a "
        f"part of your program, let it travel: pp.Server(..., ship=[{top!r}])"
    )
    if error.args == (error.msg,):
        error.args = (remedy,)
    error.msg = remedy
