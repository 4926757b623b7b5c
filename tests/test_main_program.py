"""Programs without a guard, and the interactive interpreter: `__main__` as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import RunPython, RunScript

REDEFINED = """
import pp
server = pp.Server(1)

def f(x):
    return x + 1

class C:
    def name(self):
        return "old"

def use():
    return C().name()

first = server.submit(f, (1,))
print(first(), server.submit(use)())

def f(x):
    return x * 100

class C:
    def name(self):
        return "new"

print(server.submit(f, (1,))(), server.submit(use)())
made = server.submit(C)()
print(type(made) is C, made.name())

def f(x):
    return x + 1

print(server.submit(f, (1,))())
"""


@pytest.mark.parametrize("way", ["script", "-c", "-", "-i"])
def test_a_redefinition_is_what_runs(
    run_python: RunPython, run_script: RunScript, way: str
) -> None:
    if way == "script":
        ran = run_script(REDEFINED)
    elif way == "-c":
        ran = run_python("-c", REDEFINED)
    else:
        ran = run_python(way, *["-q"] * (way == "-i"), stdin=REDEFINED, quiet=way == "-")
    assert ran.out == "2 old\n100 new\nTrue new\n2\n"


def test_no_guard_is_needed_and_main_is_not_run_again(
    run_script: RunScript, tmp_path: Path
) -> None:
    ran = run_script(
        """
        import os, sys
        import pp

        with open(sys.argv[1], "a+") as log:
            print("ran", file=log)
            log.seek(0)
            runs = log.read().split()

        def where():
            return os.getpid()

        server = pp.Server(2)
        pids = {job() for job in [server.submit(where) for _ in range(20)]}
        print(os.getpid() in pids, runs)
        """,
        str(tmp_path / "log"),
    )
    assert ran.out == "False ['ran']\n"
