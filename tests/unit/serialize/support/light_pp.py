"""Makes `pp._serialize` importable, with or without the extension module."""

from __future__ import annotations

import sys
import types
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[4] / "python"


def install() -> None:
    """Lets `import pp._serialize` work: the real package if it is whole, else a frame."""
    if "pp" in sys.modules:
        return
    if str(SOURCE) not in sys.path:
        sys.path.append(str(SOURCE))
    try:
        import pp  # noqa: F401
    except ImportError:
        frame = types.ModuleType("pp")
        frame.__path__ = [str(SOURCE / "pp")]
        sys.modules["pp"] = frame
