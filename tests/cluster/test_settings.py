"""The settings of `ppserver`: from flags, the environment and files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import jobs
from tests.cluster.checks import run_node
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.nodes import SECRET, Node
from tests.support import RunPython

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="signals, and modes of files"),
]


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
        ("ppservers", "", "should name a node"),
        ("dial", "a b", "' '"),
        ("dial", "", "should name a gateway"),
        ("dial", "*", "no gateway"),
        ("dial", "gate,10.0.0.*", "'10.0.0.*' is no gateway"),
        ("dial", "dns:gate", "no gateway"),
        ("interface", ",", "should name an address"),
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
