"""`ppserver` as a program: its settings, what it says, how it ends; and the command `pp`."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import slowly
from tests.cluster.nodes import SECRET, Node
from tests.support import MakeServer, Ran, RunPython, eventually

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="signals, and modes of files"),
]


def run_node(run_python: RunPython, *flags: str, **environment: str) -> Ran:
    """A `ppserver` that does not start: what it says. It gets two flags that any has."""
    words = ["-m", "pp._daemon", "-i", "127.0.0.1", "-w", "0", *flags]
    env = {"PP_SECRET": SECRET, **environment}
    return run_python(*words, env=env, returncode=2, quiet=False)


# Settings


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("workers", "many", "whole number"),
        ("workers", "-1", "between 0 and"),
        ("workers", "--5", "whole number"),
        ("port", "65536", "between 0 and 65535"),
        ("port", "²", "whole number"),
        ("discovery-port", "0", "between 1 and"),
        ("proto", "100", "between 0 and"),
        ("shared-memory", "-1", "between 0 and"),
        ("cache", "1G", "whole number"),
        ("drain-timeout", "soon", "number of seconds"),
        ("drain-timeout", "-1", "from 0 on"),
        ("timeout", "nan", "from 0 on"),
        ("socket-timeout", "inf", "from 0 on"),
        ("restart", "perhaps", "yes or no"),
        ("debug", "2", "yes or no"),
        ("autodiscovery", "maybe", "yes or no"),
        ("weights", "laptop", "laptop=2"),
        ("weights", "laptop=0", "laptop=2"),
        ("certificates", "a.pem,b.pem", "three files"),
        ("ppservers", "n[3-1]", "range"),
        ("ppservers", "a,node:0", "port"),
        ("dial", "a b", "' '"),
        ("format", "%(x", "logging"),
        ("format", "%(nothing)s", "logging"),
        ("secret", " ", "empty"),
        ("interface", "no-such-host.invalid", "no address"),
    ],
)
@pytest.mark.parametrize("place", ["flag", "environment", "ini", "toml"])
def test_a_bad_setting_is_named_with_its_place(
    flag: str, value: str, words: str, place: str, tmp_path: Path, run_python: RunPython
) -> None:
    name = flag.replace("-", "_")
    flags, environment, source = [f"--{flag}={value}"], {}, "a flag"
    if place == "environment":
        source = f"PPSERVER_{name.upper()}"
        flags, environment = [], {source: value}
    elif place in ("ini", "toml"):
        file = tmp_path / f"settings.{place}"
        quoted = f"'{value}'" if place == "toml" and "'" not in value else value
        file.write_text(f"[{_section(name)}]\n{name} = {quoted}\n", encoding="utf-8")
        flags, source = ["-c", str(file)], str(file)
    if place == "ini" and not value.strip():
        pytest.skip("an empty line means what an empty value means, and is tested by flag")
    if name in ("workers", "interface") and place != "flag":
        # These have been given as flags, which count more: not to this program.
        script = "import sys; from pp._daemon.main import main; sys.exit(main(sys.argv[1:]))"
        ran = run_python(
            "-c",
            script,
            *flags,
            env={"PP_SECRET": SECRET, "PPSERVER_PORT": "0", **environment},
            returncode=2,
            quiet=False,
        )
    else:
        ran = run_node(run_python, *flags, **environment)
    assert ran.out == ""
    line = ran.err.strip()
    assert line.startswith("ppserver: ")
    assert "\n" not in line
    for part in (name, source, words):
        assert part in line
    if name == "secret":
        assert SECRET not in line


def _section(name: str) -> str:
    network = {
        "port",
        "discovery_port",
        "timeout",
        "socket_timeout",
        "autodiscovery",
        "ppservers",
        "dial",
        "interface",
    }
    return "network" if name in network else "general"


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("ini", "[general]\nwokers = 1\n", "[general] wokers, which means nothing"),
        ("ini", "[network]\nworkers = 1\n", "[network] workers, which means nothing"),
        ("ini", "workers = 1\n", "cannot be read"),
        ("toml", "workers = 1\n", "workers, which means nothing outside"),
        ("toml", "[general]\nworkers = \n", "cannot be read"),
        ("toml", "[general]\nname = '\xff'\n", "cannot be read"),
        ("toml", None, "cannot be read"),
    ],
)
def test_a_bad_file_is_named(
    kind: str, content: str | None, words: str, tmp_path: Path, run_python: RunPython
) -> None:
    file = tmp_path / f"settings.{kind}"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    for ran in (
        run_node(run_python, "-c", str(file)),
        run_node(run_python, PPSERVER_CONFIG=str(file)),
    ):
        assert str(file) in ran.err
        assert words in ran.err


def test_flags_that_nobody_knows(run_python: RunPython) -> None:
    ran = run_node(run_python, "--wrokers", "3")
    assert "--wrokers" in ran.err
    assert "usage: ppserver" in ran.err


INI = """
[general]
workers = 3
name = of-the-file
[network]
interface = 127.0.0.1
port = 0
"""
TOML = """
[general]
workers = 3
name = "of-the-file"
debug = false
weights = { laptop = 2 }
[network]
interface = ["127.0.0.1", "::1"]
port = 0
"""


@pytest.mark.parametrize(("kind", "content"), [("ini", INI), ("toml", TOML)])
def test_a_flag_counts_more_than_a_variable_and_that_more_than_a_file(
    kind: str, content: str, tmp_path: Path, make_bare_node: MakeNode
) -> None:
    file = tmp_path / f"settings.{kind}"
    file.write_text(content)
    of_file = make_bare_node("-c", str(file)).log()
    assert "ppserver" in of_file
    assert "on of-the-file" in of_file
    assert "workers     3" in of_file
    environment = {"PPSERVER_CONFIG": str(file), "PPSERVER_WORKERS": "5", "PPSERVER_NAME": "other"}
    of_environment = make_bare_node(env=environment).log()
    assert "on other" in of_environment
    assert "workers     5" in of_environment
    of_flags = make_bare_node("-w", "6", env=environment).log()
    assert "on other" in of_flags
    assert "workers     6" in of_flags
    if kind == "toml":
        assert "[::1]:" in of_file


def test_the_file_of_the_secret_that_is_named_nearest_counts(
    tmp_path: Path, make_bare_node: MakeNode, make_client: MakeClient
) -> None:
    own = tmp_path / "own"
    own.write_text("the right one\n")
    own.chmod(0o600)
    file = tmp_path / "settings.ini"
    file.write_text("[general]\nsecret = another one\n")
    words = ("-c", str(file), "--secret-file", str(own), "-i", "127.0.0.1", "-p", "0")
    node = make_bare_node(*words, secret="and another")
    assert f"secret from the file {own}" in node.log()
    assert make_client(node, secret="the right one").submit(jobs.echo, (1,))() == 1
    assert "the right one" not in node.log()


@pytest.fixture
def make_bare_node(make_node: MakeNode) -> MakeNode:
    """Starts nodes without any flag but those that are given."""

    def make(*flags: str, **options: object) -> Node:
        return make_node(*flags, bare=True, **options)

    return make


# Starting


def test_it_says_how_to_connect(make_node: MakeNode, make_server: MakeServer) -> None:
    import re

    node = make_node("--name", "127.0.0.1", workers=1)
    for words in (
        f"process {node.process.pid}",
        f"Python {sys.version.split()[0]}",
        f"listens on  127.0.0.1:{node.port}",
        "workers     1",
        "secret from the environment variable PP_SECRET",
    ):
        assert words in node.log()
    said = re.search(r"connect +pp\.Server\(ppservers=\((.*),\)\)", node.log())
    assert said is not None
    server = make_server(0, (said[1].strip('"'),), secret=SECRET)
    assert server.submit(jobs.echo, (1,))() == 1


def test_a_port_in_use_is_named(make_node: MakeNode, run_python: RunPython) -> None:
    node = make_node()
    ran = run_node(run_python, "-p", str(node.port))
    assert f"127.0.0.1:{node.port}" in ran.err
    assert "in use" in ran.err
    assert node.process.poll() is None


def test_an_address_of_somebody_else_is_named(run_python: RunPython) -> None:
    # For documentation, so nobody has it (RFC 5737).
    ran = run_node(run_python, "-i", "203.0.113.7", "-p", "0")
    assert "203.0.113.7" in ran.err


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_it_listens_where_it_is_told(
    host: str, make_node: MakeNode, make_client: MakeClient
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, 0), family=family).close()
    except OSError as error:
        pytest.skip(f"there is no {host} here: {error}")
    node = make_node(host=host)
    assert make_client(node).submit(jobs.echo, (1,))() == 1


def test_a_process_file_lives_as_long_as_the_node(tmp_path: Path, make_node: MakeNode) -> None:
    file = tmp_path / "pid"
    node = make_node("-P", str(file))
    assert int(file.read_text()) == node.process.pid
    node.terminate()
    assert node.wait() == 0
    assert not file.exists()


def test_a_process_file_that_cannot_be_written_is_named(
    tmp_path: Path, run_python: RunPython
) -> None:
    file = tmp_path / "missing" / "pid"
    ran = run_node(run_python, "-p", "0", "--pid-file", str(file))
    assert str(file) in ran.err
    assert "pid_file" in ran.err


# Running and ending


def test_it_ends_when_nobody_has_come_for_long(make_node: MakeNode) -> None:
    node = make_node("-t", "0.2")
    assert node.wait() == 0
    assert "no client" in node.log()


def test_it_stays_while_there_are_clients(make_node: MakeNode, make_client: MakeClient) -> None:
    node = make_node("-t", "1.5")
    server = make_client(node)
    submitted = [server.submit(slowly, (i, 0.5)) for i in range(8)]
    assert [job() for job in submitted] == list(range(8))
    assert node.process.poll() is None
    server.destroy()
    assert node.wait() == 0


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there is no such signal")
def test_statistics_are_printed_on_demand(make_node: MakeNode, make_client: MakeClient) -> None:
    node = make_node()
    server = make_client(node)
    for _ in range(7):
        server.submit(jobs.echo, (1,))()
    node.process.send_signal(signal.SIGUSR1)
    node.await_log("1 clients, 7 jobs done")
    assert f"({os.getpid()}) at 127.0.0.1:" in node.log()
    server.destroy()

    def nobody_is_there() -> bool:
        node.process.send_signal(signal.SIGUSR1)
        return "0 clients, " in node.log()

    # It has gone when its workers have.
    eventually(nobody_is_there)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_nobody_need_hear_what_it_says(tmp_path: Path, make_client: MakeClient) -> None:
    words = [sys.executable, "-m", "pp._daemon", "-i", "127.0.0.1", "-w", "1"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with Path("/dev/full").open("wb") as full, log.open("wb") as errors:
        process = subprocess.Popen(
            [*words, "-p", str(port)],
            stdout=full,
            stderr=errors,
            env={**os.environ, "PP_SECRET": SECRET},
        )
    try:
        with pp.Server(0, (f"127.0.0.1:{port}",), secret=SECRET) as server:
            assert server.submit(jobs.echo, (1,))() == 1
            process.send_signal(signal.SIGUSR1)
            eventually(lambda: log.read_text().count("cannot write to standard output") == 2)
            assert server.submit(jobs.echo, (2,))() == 2
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_an_interrupt_ends_it_as_a_termination_does(make_node: MakeNode) -> None:
    node = make_node()
    node.process.send_signal(signal.SIGINT)
    assert node.wait() == 0
    assert "Traceback" not in node.log()


# Secrets


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
