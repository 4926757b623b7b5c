"""Which interpreter and which variables each contestant runs with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benches.suite import contestants

ROOT = Path(__file__).resolve().parents[2]

# The classic's import name is ours, so that it needs an environment of its own.
CLASSIC = frozenset({"classic", "classic-node"})


@dataclass(frozen=True)
class Environment:
    """Where a contestant runs.

    Attributes:
        python: the interpreter.
        paths: what it finds modules in, besides what is installed.
        root: the working directory.
    """

    python: str
    paths: tuple[str, ...]
    root: Path = ROOT

    def variables(self, directory: Path) -> dict[str, str]:
        """The environment variables of a process whose temporary files go to `directory`."""
        variables = dict(os.environ)
        variables["PYTHONPATH"] = os.pathsep.join((str(self.root), *self.paths))
        variables["TMPDIR"] = str(directory)
        variables.pop("VIRTUAL_ENV", None)
        return variables


def of(contestant: str) -> Environment:
    """The environment of a contestant."""
    if contestant in CLASSIC:
        return Environment(classic_python(), ())
    if contestant in contestants.OWN:
        return Environment(sys.executable, (str(ROOT / "python"),))
    return Environment(sys.executable, ())


def classic_python() -> str:
    """The interpreter that has the classic pp, which `make bench` sets up."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return str(ROOT / f".venv-bench-classic-{version}" / "bin" / "python")


def version(contestant: str) -> str:
    """The version of a contestant, or "" if it is not installed."""
    environment, kind = of(contestant), contestants.load(contestant)
    try:
        return subprocess.run(
            [environment.python, "-c", kind.version],
            env=environment.variables(Path(tempfile.gettempdir())),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
