"""Who does not belong to the cluster is refused, cheaply, and holds nobody up."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import pp
from tests import jobs
from tests.cluster.checks import clients_of, said_by, working
from tests.cluster.conftest import MakeClient, MakeNode
from tests.cluster.jobs import slowly
from tests.cluster.nodes import SECRET
from tests.support import MakeServer, marked_processes

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="looks at modes of files and at limits"),
]


# Secrets


def test_a_wrong_secret_is_refused_and_both_sides_say_so(
    make_node: MakeNode,
    make_client: MakeClient,
    make_server: MakeServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = make_node()
    honest = make_client(node)
    with working(honest):
        stranger = make_server(0, (node.name,), secret="another one")
        job = stranger.submit(jobs.echo, (1,))
        said_by(caplog, "the other side has another secret")
        node.await_log("the other side has another secret")
        assert not job.finished
        assert stranger.get_active_nodes() == {"local": 0}
    assert clients_of(node) == 1
    for text in (node.log(), caplog.text):
        assert SECRET not in text
        assert "another one" not in text


def test_a_node_with_another_secret_is_not_sent_anything(
    make_node: MakeNode, make_client: MakeClient, make_server: MakeServer
) -> None:
    own, foreign = make_node(), make_node(secret="another one")
    server = make_server(0, (own.name, foreign.name), secret=SECRET)
    submitted = [server.submit(slowly, (i,)) for i in range(50)]
    assert [job() for job in submitted] == list(range(50))
    foreign.await_log("connection refused")
    assert set(server.get_active_nodes()) == {"local", own.name}
    assert clients_of(foreign) == 0


def test_without_a_secret_a_server_says_what_to_do(
    no_secret: Path, make_server: MakeServer
) -> None:
    with pytest.raises(pp.AuthenticationError) as caught:
        make_server(0, ("127.0.0.1",))
    for hint in ("ppserver", "pp secret new", "pp secret path", "PP_SECRET", "secret="):
        assert hint in str(caught.value)
    assert not no_secret.exists(), "looking for a secret makes none"


@pytest.mark.parametrize("fault", ["empty", "open", "missing", "directory", "huge"])
@pytest.mark.parametrize("named", ["argument", "variable", "default"])
def test_a_file_that_should_hold_a_secret_and_does_not(
    fault: str,
    named: str,
    no_secret: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_server: MakeServer,
) -> None:
    file = no_secret / "parallel-python" / "secret"
    file.parent.mkdir(parents=True)
    words = _spoil(file, fault)
    options = {"secret_file": file} if named == "argument" else {}
    if named == "variable":
        monkeypatch.setenv("PP_SECRET_FILE", str(file))
    if (fault, named) == ("missing", "default"):
        words = "there is no secret"
    with pytest.raises(pp.AuthenticationError, match=words) as caught:
        make_server(0, ("127.0.0.1",), **options)
    if words != "there is no secret":
        assert str(file) in str(caught.value)
    if named == "variable":
        assert "PP_SECRET_FILE" in str(caught.value)


def _spoil(file: Path, fault: str) -> str:
    """Makes something that is no secret's file; what is said of it."""
    if fault == "missing":
        return "cannot be read"
    if fault == "directory":
        file.mkdir()
        return "cannot be read"
    file.write_text({"empty": " \n", "open": SECRET, "huge": "x" * 100_000}[fault])
    file.chmod(0o644 if fault == "open" else 0o600)
    return {"empty": "it is empty", "open": "chmod 600", "huge": "too large"}[fault]


@pytest.mark.parametrize("two", ["secrets", "certificates", "file"])
def test_what_nodes_are_to_believe_is_said_once(
    two: str, tmp_path: Path, make_server: MakeServer
) -> None:
    file, certificates = tmp_path / "secret", ("ca.pem", "me.pem", "me.key")
    choices: dict[str, dict[str, object]] = {
        "secrets": {"secret": SECRET, "secret_file": file},
        "certificates": {"secret": SECRET, "certificates": certificates},
        "file": {"secret_file": file, "certificates": certificates},
    }
    with pytest.raises(ValueError, match="give one of them") as caught:
        make_server(0, ("127.0.0.1",), **choices[two])
    for name in choices[two]:
        assert name in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root may become somebody else"
)
def test_a_file_of_somebody_else_is_no_secret(no_secret: Path) -> None:
    import subprocess

    # Below /tmp, because others may not enter the directories of pytest.
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "secret")
        file.write_text(SECRET)
        file.chmod(0o600)
        script = (
            "import os, sys\n"
            "from pp._cluster import secret\n"
            "os.setuid(65534)\n"
            "secret.find(file=sys.argv[1])\n"
        )
        words = [sys.executable, "-c", script, str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert "AuthenticationError: the secret cannot be read from the file" in done.stderr
    assert SECRET not in done.stderr


def test_nobody_who_is_refused_gets_a_worker(make_node: MakeNode, make_server: MakeServer) -> None:
    node = make_node()
    stranger = make_server(0, (node.name,), secret="another one")
    node.await_log("connection refused")
    assert marked_processes() == []
    stranger.destroy()
