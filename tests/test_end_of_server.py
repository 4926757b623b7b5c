"""The end of a server: by `destroy`, by leaving its block, by being forgotten."""

from __future__ import annotations

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, descriptors, eventually, marked_processes


def test_destroy_ends_all_processes_before_it_returns(make_server: MakeServer) -> None:
    server = make_server(2)
    server.submit(jobs.pid)()
    assert marked_processes()
    server.destroy()
    assert not marked_processes()


def test_destroy_closes_all_descriptors_before_it_returns() -> None:
    before = descriptors()
    server = pp.Server(2)
    job = server.submit(jobs.pid)
    job()
    server.destroy()
    assert descriptors() - before == set()


def test_destroyed_servers_refuse_jobs(server: pp.Server) -> None:
    server.destroy()
    with pytest.raises(pp.DestroyedServerError, match="destroyed"):
        server.submit(jobs.echo, (1,))
    with pytest.raises(pp.DestroyedServerError):
        server.set_ncpus(1)
    server.destroy()


def test_destroy_fails_what_has_not_ended(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    ended = server.submit(jobs.echo, ("kept",))
    ended.wait()
    running = server.submit(jobs.pass_gate, gate.args())
    queued = server.submit(jobs.echo, (1,))
    gate.await_inside("job")
    server.destroy()
    for job in (running, queued):
        with pytest.raises(pp.DestroyedServerError):
            job.wait()
        with pytest.raises(pp.DestroyedServerError):
            job()
        assert job.finished
    assert ended() == "kept"


def test_waiting_after_destroy_tells_that_jobs_were_lost(make_server: MakeServer) -> None:
    server = make_server(0)
    server.submit(jobs.echo, (1,))
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        server.wait()
    with pytest.raises(pp.DestroyedServerError):
        server.wait("default")


def test_waiting_after_destroy_for_jobs_that_ended_is_fine(make_server: MakeServer) -> None:
    server = make_server(1)
    server.submit(jobs.echo, (1,)).wait()
    server.destroy()
    server.wait()
    server.wait("default")


def test_destroyed_server_error_is_caught_as_in_the_classic() -> None:
    assert issubclass(pp.DestroyedServerError, RuntimeError)
    assert issubclass(pp.DestroyedServerError, pp.PPError)


def test_the_context_manager_destroys() -> None:
    with pp.Server(1) as server:
        job = server.submit(jobs.echo, (1,))
        job.wait()
    assert not marked_processes()
    assert job() == 1
    with pytest.raises(pp.DestroyedServerError):
        server.submit(jobs.echo, (1,))


def test_the_context_manager_passes_errors_on() -> None:
    with pytest.raises(LookupError, match="out of the block"), pp.Server(1):
        raise LookupError("out of the block")
    assert not marked_processes()


def test_a_server_that_nobody_refers_to_ends_with_its_jobs() -> None:
    job = pp.Server(1).submit(jobs.add, (1, 2))
    assert job() == 3
    del job
    eventually(lambda: not marked_processes(), "the worker of the forgotten server ends")
