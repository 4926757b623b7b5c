"""The number of workers, changed while jobs run."""

from __future__ import annotations

from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeGate, MakeServer, eventually, marked_processes


def workers_become(number: int) -> None:
    """Waits until there are this many worker processes."""
    eventually(lambda: len(marked_processes()) == number, f"there are {number} workers")


def test_workers_are_as_many_as_asked_for(make_server: MakeServer) -> None:
    server = make_server(3)
    assert server.get_ncpus() == 3
    workers_become(3)


def test_growth_is_used_at_once(lone: pp.Server, gate: Gate) -> None:
    made = [lone.submit(jobs.pass_gate, gate.args(str(n))) for n in range(3)]
    gate.await_inside("0")
    assert gate.inside() == ["0"]
    lone.set_ncpus(3)
    assert lone.get_ncpus() == 3
    assert lone.get_active_nodes() == {"local": 3}
    gate.await_inside("0", "1", "2")
    gate.open()
    assert len({job() for job in made}) == 3


def test_shrinking_kills_no_running_job(make_server: MakeServer, make_gate: MakeGate) -> None:
    server, gate = make_server(3), make_gate()
    running = [server.submit(jobs.pass_gate, gate.args(str(n))) for n in range(3)]
    gate.await_inside("0", "1", "2")
    server.set_ncpus(1)
    assert server.get_ncpus() == 1
    queued = [server.submit(jobs.pid) for _ in range(10)]
    gate.open()
    assert len({job() for job in running}) == 3
    assert all(isinstance(job(), int) for job in queued)
    workers_become(1)
    assert len({job() for job in [server.submit(jobs.pid) for _ in range(10)]}) == 1


def test_shrinking_moves_jobs_that_had_been_sent_ahead(
    make_server: MakeServer, make_gate: MakeGate
) -> None:
    server, gate = make_server(2), make_gate()
    # Short jobs, so that many are sent ahead of the ones that will hold.
    for job in [server.submit(jobs.echo, (n,)) for n in range(2000)]:
        job()
    held = [server.submit(jobs.pass_gate, gate.args(str(n))) for n in range(2)]
    behind = [server.submit(jobs.echo, (n,)) for n in range(200)]
    gate.await_inside("0", "1")
    server.set_ncpus(1)
    gate.open()
    assert [job() for job in behind] == list(range(200))
    assert len({job() for job in held}) == 2
    workers_become(1)


def test_an_idle_worker_ends_when_shrinking(make_server: MakeServer) -> None:
    server = make_server(3)
    workers_become(3)
    server.set_ncpus(1)
    workers_become(1)
    assert server.submit(jobs.echo, (1,))() == 1


def test_zero_workers_queue(make_server: MakeServer) -> None:
    server = make_server(0)
    made = [server.submit(jobs.echo, (n,)) for n in range(5)]
    assert server.get_ncpus() == 0
    assert not marked_processes()
    assert not any(job.finished for job in made)
    server.set_ncpus(1)
    assert [job() for job in made] == list(range(5))


def test_shrinking_to_zero_lets_the_running_job_end(lone: pp.Server, gate: Gate) -> None:
    running = lone.submit(jobs.pass_gate, gate.args())
    queued = lone.submit(jobs.echo, ("queued",))
    gate.await_inside("job")
    lone.set_ncpus(0)
    gate.open()
    assert running() > 0
    workers_become(0)
    assert not queued.finished
    assert lone.get_active_nodes() == {"local": 0}
    lone.set_ncpus(2)
    assert queued() == "queued"


def test_destroy_of_a_server_without_workers_ends_waits(make_server: MakeServer) -> None:
    server = make_server(0)
    job = server.submit(jobs.echo, (1,))
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        job()


def test_up_and_down_loses_no_job(make_server: MakeServer) -> None:
    server = make_server(1)
    made = []
    for number in range(60):
        made.append(server.submit(jobs.echo, (number,)))
        server.set_ncpus(number % 4)
    server.set_ncpus(2)
    assert [job() for job in made] == list(range(60))
    workers_become(2)


def test_autodetect_again(make_server: MakeServer) -> None:
    server = make_server()
    detected = server.get_ncpus()
    assert detected >= 1
    server.set_ncpus(detected + 1)
    server.set_ncpus()
    assert server.get_ncpus() == detected
    server.set_ncpus(0)
    server.set_ncpus("autodetect")
    assert server.get_ncpus() == detected


@pytest.mark.parametrize(
    ("error", "ncpus"),
    [
        (ValueError, -1),
        (TypeError, "two"),
        (TypeError, 1.5),
        (TypeError, None),
        (ValueError, 10**9),
    ],
    ids=str,
)
def test_what_is_no_number_of_workers_is_refused(
    lone: pp.Server, error: type[Exception], ncpus: Any
) -> None:
    with pytest.raises(error, match="ncpus"):
        lone.set_ncpus(ncpus)
    assert lone.get_ncpus() == 1
    assert lone.submit(jobs.echo, (1,))() == 1
