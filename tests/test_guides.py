"""The guides: each program in them runs as it stands, after those before it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PAGES = [
    "docs/map.md",
    "docs/jobs.md",
    "docs/dependencies.md",
    "docs/control.md",
    "docs/resources.md",
    "docs/executors.md",
]

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Runs the blocks in one namespace. Each is compiled where it stands in its page, so that a
# traceback names the line.
RUNNER = """
import pathlib, re, sys
page = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
namespace = {"__name__": "__main__"}
for found in re.finditer(sys.argv[2], page, re.MULTILINE | re.DOTALL):
    above = page.count("\\n", 0, found.start(1))
    exec(compile("\\n" * above + found.group(1), sys.argv[1], "exec"), namespace)
"""


def run_page(page: Path) -> subprocess.CompletedProcess[str]:
    """Runs all programs of a page in a process of their own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", RUNNER, str(page), BLOCK.pattern],
        cwd=ROOT / "examples",
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("page", PAGES)
def test_programs_of_a_guide(page: str) -> None:
    assert BLOCK.search((ROOT / page).read_text(encoding="utf-8"))
    done = run_page(ROOT / page)
    assert done.returncode == 0, done.stderr


def test_a_program_that_fails_is_told_by_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nright = 1\n```\n\n```python\nassert right == 2\n```\n")
    done = run_page(page)
    assert done.returncode == 1
    assert f'File "{page}", line 8' in done.stderr
