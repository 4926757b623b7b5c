"""What processes have of the segments that big data lies in, as the system tells."""

from __future__ import annotations

from pathlib import Path


def mapped(pid: int | str = "self") -> int:
    """How many segments of big data a process has mapped."""
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:pp-data")


def opened() -> int:
    """How many segments this process has open."""
    names = [str(path.resolve()) for path in Path("/proc/self/fd").iterdir()]
    return sum("memfd:pp-data" in name for name in names)
