"""Fixtures for the tests of everything that dies."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Workers import `tests.failures.jobs` by this.
_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

import pp  # noqa: E402
from tests.failures.clients import Client  # noqa: E402
from tests.failures.support import TOKEN, kill_all, none_left, processes_with  # noqa: E402

if sys.platform == "win32":
    # These tests are about signals, forks, descriptors and process groups.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A word in the environment of all processes that the test starts, however deep.

    Whatever still carries it after the test is a leftover, and fails the test.
    """
    word = uuid.uuid4().hex
    monkeypatch.setenv(TOKEN, word)
    yield word
    try:
        none_left(word)
    finally:
        kill_all(processes_with(word))


@pytest.fixture
def server_of(token: str) -> Iterator[Callable[..., pp.Server]]:
    """Makes servers that are destroyed after the test."""
    servers: list[pp.Server] = []

    def make(ncpus: int = 2, **options: Any) -> pp.Server:
        server = pp.Server(ncpus, **options)
        servers.append(server)
        return server

    yield make
    # Not even its descriptors are to stay.
    while servers:
        servers.pop().destroy()


@pytest.fixture
def client_of(token: str, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Starts client programs, each a script of its own process; ends them after the test."""
    clients: list[Client] = []

    def start(script: str, **options: Any) -> Client:
        client = Client(script, tmp_path / f"client{len(clients)}", **options)
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.clear_up()


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is to take itself for a job of some other server."""
    monkeypatch.delenv("PP_WORKER_MARK", raising=False)
    # Core files of workers that crash on purpose would land in the checkout.
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    os.environ.setdefault("PYTHONFAULTHANDLER", "")
