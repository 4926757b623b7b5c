"""Secrets: made, found, shown and kept."""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.conftest import MakeNode
from tests.cluster.nodes import Node
from tests.support import MakeServer, Ran, RunPython, eventually

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="signals, and modes of files"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody who has no secret yet."""
    for variable in ("PP_SECRET", "PP_SECRET_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def secret_file(home: Path) -> Path:
    """Where the secret of that user is."""
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "parallel-python" / "secret"
    return home / ".config" / "parallel-python" / "secret"


def run_pp(run_python: RunPython, *words: str, returncode: int = 0, **environment: str) -> Ran:
    """The command `pp`."""
    return run_python("-m", "pp", *words, env=environment, returncode=returncode, quiet=False)


def test_a_secret_is_made_shown_and_replaced(home: Path, run_python: RunPython) -> None:
    file = secret_file(home)
    assert run_pp(run_python, "secret", "path").out == f"{file}\n"
    missing = run_pp(run_python, "secret", "show", returncode=1)
    assert missing.out == ""
    assert "pp secret new" in missing.err
    assert str(file) in missing.err
    assert not file.parent.exists(), "looking makes nothing"
    assert run_pp(run_python, "secret", "new").out == f"{file}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    shown = run_pp(run_python, "secret", "show")
    assert shown.out == file.read_text()
    assert str(file) in shown.err
    assert shown.out.startswith("pp2-")
    again = run_pp(run_python, "secret", "new", returncode=1)
    assert "--replace" in again.err
    assert file.read_text() == shown.out
    run_pp(run_python, "secret", "new", "--replace")
    assert file.read_text() != shown.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["secret"]


@pytest.mark.skipif(sys.platform == "darwin", reason="it has a place of its own")
def test_the_place_for_settings_is_heeded(
    home: Path, tmp_path: Path, run_python: RunPython
) -> None:
    place = tmp_path / "elsewhere"
    expected = place / "parallel-python" / "secret"
    found = run_pp(run_python, "secret", "new", XDG_CONFIG_HOME=str(place))
    assert found.out == f"{expected}\n"
    assert expected.exists()
    for value in ("", "relative/path"):
        found = run_pp(run_python, "secret", "path", XDG_CONFIG_HOME=value)
        assert found.out == f"{secret_file(home)}\n"


def test_the_secret_that_is_used_is_the_one_that_is_shown(
    home: Path, tmp_path: Path, run_python: RunPython
) -> None:
    run_pp(run_python, "secret", "new")
    other = tmp_path / "other"
    run_pp(run_python, "secret", "new", "--file", str(other))
    shown = run_pp(run_python, "secret", "show", PP_SECRET_FILE=str(other))
    assert shown.out == other.read_text()
    assert "PP_SECRET_FILE" in shown.err
    shown = run_pp(run_python, "secret", "show", PP_SECRET_FILE=str(other), PP_SECRET="mine")
    assert shown.out == "mine\n"
    other.chmod(0o640)
    refused = run_pp(run_python, "secret", "show", returncode=1, PP_SECRET_FILE=str(other))
    assert "chmod 600" in refused.err
    assert refused.out == ""


def test_a_secret_is_made_where_it_is_looked_for(
    home: Path, tmp_path: Path, run_python: RunPython
) -> None:
    file = tmp_path / "named" / "secret"
    assert run_pp(run_python, "secret", "path", PP_SECRET_FILE=str(file)).out == f"{file}\n"
    assert run_pp(run_python, "secret", "new", PP_SECRET_FILE=str(file)).out == f"{file}\n"
    assert run_pp(run_python, "secret", "show", PP_SECRET_FILE=str(file)).out == file.read_text()
    again = run_pp(run_python, "secret", "new", returncode=1, PP_SECRET_FILE=str(file))
    assert str(file) in again.err
    assert not secret_file(home).exists()


def test_a_user_without_a_home_is_told_so(home: Path, run_python: RunPython) -> None:
    # As in a container, where nobody knows the number of the user.
    script = (
        "import os, pwd, sys\n"
        "del os.environ['HOME']\n"
        "def unknown(number):\n"
        "    raise KeyError(number)\n"
        "pwd.getpwuid = unknown\n"
        "from pp._cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for word in ("show", "path", "new"):
        ran = run_python("-c", script, "secret", word, returncode=1, quiet=False)
        assert "has no home directory" in ran.err
        assert "Traceback" not in ran.err


def test_two_nodes_that_start_at_once_make_one_secret(
    home: Path, tmp_path: Path, make_server: MakeServer
) -> None:
    def start(number: int) -> Node:
        return Node(tmp_path / f"node{number}", secret=None, workers=1)

    with ThreadPoolExecutor(4) as pool:
        nodes = list(pool.map(start, range(4)))
    try:
        made = [node for node in nodes if "made just now" in node.log()]
        assert len(made) == 1
        assert "pp secret show" in made[0].log()
        secret = secret_file(home).read_text().strip()
        assert all(secret not in node.log() for node in nodes)
        server = make_server(0, tuple(node.name for node in nodes))
        eventually(lambda: len(server.get_active_nodes()) == 5, "all believe each other")
        assert [entry.name for entry in secret_file(home).parent.iterdir()] == ["secret"]
    finally:
        for node in nodes:
            node.kill()


def test_a_secret_is_on_no_command_line_and_in_no_log(home: Path, make_node: MakeNode) -> None:
    node = make_node("-d", secret=None)
    secret = secret_file(home).read_text().strip()
    assert secret not in node.log()
    if Path("/proc/self/cmdline").exists():
        words = Path(f"/proc/{node.process.pid}/cmdline").read_bytes()
        assert secret.encode() not in words
