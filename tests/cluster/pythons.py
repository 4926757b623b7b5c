"""Interpreters of other minor versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = 11


def _candidates() -> Iterator[str]:
    for minor in range(OLDEST, 20):
        if minor != sys.version_info.minor:
            found = shutil.which(f"python3.{minor}")
            if found is not None:
                yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(map(str, root.glob("versions/3.*/bin/python3")))


def _minor_of(python: str) -> int:
    done = subprocess.run(
        [python, "-c", "import sys; print(sys.version_info.minor)"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return int(done.stdout) if done.returncode == 0 else 0


def other_minor_version() -> str | None:
    """An interpreter of another minor version that can run nodes."""
    for python in _candidates():
        if _minor_of(python) >= OLDEST and _minor_of(python) != sys.version_info.minor:
            return python
    return None
