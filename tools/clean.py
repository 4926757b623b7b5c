"""Removes what was built in the source tree; cargo removes its own.

    python tools/clean.py [--environments]

With --environments, the virtual environments and installed tools go as well.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("benches", "demo", "examples", "python", "tests", "tools")


def built() -> Iterator[Path]:
    """What the build, the checks and the tests leave behind."""
    yield from (ROOT / "python" / "pp").glob("_core*.so")
    yield from (ROOT / "python" / "pp").glob("_core*.pyd")
    yield from ROOT.glob(".venv-*/.built")
    for name in ("dist", ".pytest_cache", ".ruff_cache", ".mypy_cache"):
        yield ROOT / name
    for name in SOURCES:
        yield from (ROOT / name).rglob("__pycache__")


def environments() -> Iterator[Path]:
    """What was installed to build and test with."""
    yield from ROOT.glob(".venv-*")
    yield ROOT / ".tools"


def remove(path: Path) -> None:
    """Removes a file or a directory, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Removes. Returns the exit code for the shell."""
    if arguments not in ([], ["--environments"]):
        print(__doc__, file=sys.stderr)
        return 2
    for path in [*built(), *(environments() if arguments else ())]:
        remove(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
