"""Failed jobs run again: under the debugger, and by `pp replay`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pp
from pp._replay import recording
from tests.support import RunPython, RunScript

pytestmark = pytest.mark.timeout(60)

# Makes a job of the main program fail, and saves it under the first argument.
FAILING = """
    import pp, sys

    SCALE = 7

    def inner(value):
        local = value * SCALE
        raise LookupError(local)

    def work(value, *, extra=0):
        both = value + extra
        return inner(both)

    if __name__ == "__main__":
        with pp.Server(1) as server:
            job = server.submit(work, (server.submit(abs, (-2,)),), kwargs={"extra": 1})
            job.exception()
            job.save(sys.argv[1])
"""


# The debugger


def test_debug_begins_where_it_raises(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        def inner(value):
            local = value * 2
            raise LookupError(local)

        def work(value):
            outer = value + 1
            return inner(outer)

        with pp.Server(1) as server:
            job = server.submit(work, (server.submit(abs, (-20,)),))
            job.exception()
            print("gives", job.debug())
            print("still", type(job.exception()).__name__)
        """,
        stdin="p local\nw\nu\np outer\nq\n",
        quiet=False,
    )
    assert "(Pdb) 42\n" in ran.out
    assert "(Pdb) 21\n" in ran.out
    assert "gives None\nstill LookupError\n" in ran.out
    assert "LookupError: 42" in ran.err
    assert "_replay" not in ran.out, "nothing of this package is in the way"


@pytest.mark.parametrize("options", ["", ", retries=1, backoff=0", ", kwargs={'more': 1}"])
def test_debug_steps_from_the_first_line(options: str, run_script: RunScript) -> None:
    ran = run_script(
        f"""
        import pp

        def work(value, more=0):
            first = value + more
            second = first * 2
            raise LookupError(second)

        with pp.Server(1) as server:
            job = server.submit(work, (1,){options})
            job.exception()
            try:
                job.debug(step=True)
            except LookupError as error:
                print("raised", error)
            else:
                print("left")
        """,
        stdin="n\np first\nn\np second\nc\n",
        quiet=False,
    )
    more = 1 if "more" in options else 0
    assert "-> first = value + more" in ran.out
    assert f"(Pdb) {1 + more}\n" in ran.out
    assert f"(Pdb) {2 * (1 + more)}\n" in ran.out


def test_leaving_the_debugger_ends_nothing(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        def work(value):
            first = value
            raise LookupError(first)

        with pp.Server(1) as server:
            job = server.submit(work, (1,))
            job.exception()
            print("gives", job.debug(step=True))
            print("goes on", server.submit(abs, (-1,)).result())
        """,
        stdin="q\n",
        quiet=False,
    )
    assert "gives None\ngoes on 1\n" in ran.out


def test_debug_of_one_that_goes_well_this_time(run_script: RunScript) -> None:
    ran = run_script(
        """
        import os, pp, sys
        here = os.getpid()

        def work(value):
            if os.getpid() != here:
                raise LookupError(value)
            return value * 2

        with pp.Server(1) as server:
            job = server.submit(work, (21,))
            job.exception()
            path = list(sys.path)
            print("gives", job.debug())
            print(sys.path == path)
        """,
        quiet=False,
    )
    assert "gives 42\nTrue\n" in ran.out
    assert "work returned this time: 42" in ran.err


# The command


def saved(run_script: RunScript, tmp_path: Path) -> str:
    """A job that was saved by another program."""
    path = tmp_path / "saved.job"
    run_script(FAILING, str(path))
    return str(path)


def test_replay_elsewhere(run_script: RunScript, run_python: RunPython, tmp_path: Path) -> None:
    path = saved(run_script, tmp_path)
    (tmp_path / "script.py").unlink()
    ran = run_python("-m", "pp", "replay", path, stdin="p local\nu\np both\nq\n", quiet=False)
    assert "(Pdb) 21\n" in ran.out
    assert "(Pdb) 3\n" in ran.out
    assert "work (job 1) failed with LookupError: 21" in ran.err


def test_replay_steps(run_script: RunScript, run_python: RunPython, tmp_path: Path) -> None:
    path = saved(run_script, tmp_path)
    ran = run_python("-m", "pp", "replay", "--step", path, stdin="n\np both\nq\n", quiet=False)
    assert "--Call--" not in ran.out
    assert "-> both = value + extra" in ran.out
    assert "(Pdb) 3\n" in ran.out


def test_replay_step_to_the_error(
    run_script: RunScript, run_python: RunPython, tmp_path: Path
) -> None:
    """What the job raises is shown; this package's own calls are not."""
    path = saved(run_script, tmp_path)
    ran = run_python(
        "-m", "pp", "replay", "--step", path, stdin="c\n", quiet=False, returncode=None
    )
    assert "LookupError: 21" in ran.err
    assert "in inner" in ran.err
    assert "argparse" not in ran.err
    assert "_cli" not in ran.err, ran.err


def test_replay_runs(run_script: RunScript, run_python: RunPython, tmp_path: Path) -> None:
    path = saved(run_script, tmp_path)
    ran = run_python("-m", "pp", "replay", "--run", path, quiet=False, returncode=1)
    assert "LookupError: 21" in ran.err
    assert "in inner" in ran.err
    assert not ran.out


def test_replay_without_the_jobs_modules(
    run_script: RunScript, run_python: RunPython, tmp_path: Path
) -> None:
    helper = tmp_path / "helping.py"
    helper.write_text("def work(value):\n    raise LookupError(value)\n")
    path = tmp_path / "saved.job"
    run_script(
        """
        import helping, pp, sys

        with pp.Server(1) as server:
            job = server.submit(helping.work, (1,))
            job.exception()
            job.save(sys.argv[1])
        """,
        str(path),
    )
    ran = run_python("-m", "pp", "replay", "--run", str(path), quiet=False, returncode=1)
    assert "LookupError: 1" in ran.err
    helper.unlink()
    for flags in (["--run"], [], ["--step"]):
        ran = run_python("-m", "pp", "replay", *flags, str(path), quiet=False, returncode=1)
        assert "No module named 'helping'" in ran.err
        assert "(Pdb)" not in ran.out


def test_replay_finds_modules_of_the_current_directory(
    run_script: RunScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has come to another machine, where the project lies elsewhere."""
    helper = tmp_path / "helping.py"
    helper.write_text("def work(value):\n    raise LookupError(value)\n")
    path = tmp_path / "saved.job"
    run_script(
        """
        import helping, pp, sys

        with pp.Server(1) as server:
            job = server.submit(helping.work, (1,))
            job.exception()
            job.save(sys.argv[1])
        """,
        str(path),
    )
    project = tmp_path / "project"
    project.mkdir()
    helper.rename(project / "helping.py")
    ran = _replay_in(project, str(path))
    assert "LookupError: 1" in ran


def _replay_in(directory: Path, path: str) -> str:
    package = str(Path(pp.__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "pp", "replay", "--run", path],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_replay_refuses_what_is_no_job(run_python: RunPython, tmp_path: Path) -> None:
    for name, content in [("empty", b""), ("other", b"x" * 1000), ("half", recording._MAGIC)]:
        path = tmp_path / name
        path.write_bytes(content)
        ran = run_python("-m", "pp", "replay", str(path), quiet=False, returncode=1)
        assert ran.err.startswith("pp: "), ran.err
        assert str(path) in ran.err
        assert "Traceback" not in ran.err
    for path in (tmp_path / "none", tmp_path):
        ran = run_python("-m", "pp", "replay", str(path), quiet=False, returncode=1)
        assert ran.err.startswith("pp: "), ran.err
        assert "Traceback" not in ran.err
