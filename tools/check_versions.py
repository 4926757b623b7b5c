"""Checks that the version is the same wherever it is written.

    python tools/check_versions.py

Cargo.toml is the source. `pp.version`, the installed distribution and the newest
entry of CHANGELOG.md have to agree with it. Prints what does not.
"""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pp

ROOT = Path(__file__).resolve().parent.parent
PRE_RELEASES = {"alpha": "a", "beta": "b", "rc": "rc"}


def as_python(cargo_version: str) -> str:
    """A version of Cargo as Python writes it: "2.0.0-alpha.1" is "2.0.0a1"."""
    release, _, pre = cargo_version.partition("-")
    if not pre:
        return release
    stage, _, number = pre.partition(".")
    return f"{release}{PRE_RELEASES[stage]}{number or 0}"


def newest_entry(changelog: str) -> str | None:
    """The version of the newest entry that has one."""
    found = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    return found.group(1) if found else None


def main() -> int:
    """Compares. Returns the exit code for the shell."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    wanted = as_python(manifest["workspace"]["package"]["version"])
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = {
        "pp.version": pp.version,
        "the installed distribution": importlib.metadata.version("parallel-python"),
        "CHANGELOG.md": newest_entry(changelog),
    }
    wrong = {where: version for where, version in found.items() if version != wanted}
    for where, version in wrong.items():
        print(f"{where} says {version}, Cargo.toml says {wanted}")
    if not wrong:
        print(f"version {wanted}: the same in Cargo.toml, {', '.join(found)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
