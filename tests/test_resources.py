"""Jobs that need more than a processor: what machines have is never given out twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.failures.ledger import Ledger
from tests.support import Gate, MakeServer, caught_from

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits memory so")


def inside(ledger: Ledger, directory: str, name: str) -> None:
    """Notes that it has come and that it goes, with the gate in between."""
    ledger.note(f"in {name}")
    jobs.pass_gate(directory, name)
    ledger.note(f"out {name}")


def most_at_once(ledger: Ledger) -> int:
    """How many were inside at a time, at the most."""
    count = most = 0
    for word in ledger.words():
        count += 1 if word.startswith("in ") else -1
        most = max(most, count)
    return most


def take(megabytes: int) -> int:
    """Has so much memory for a moment."""
    return len(bytearray(megabytes << 20))


def data_limit() -> int:
    """The limit on this process's own memory."""
    import resource

    return resource.getrlimit(resource.RLIMIT_DATA)[0]


@pytest.mark.parametrize(
    ("needs", "most"),
    [
        ({"licence": 1}, 2),
        ({"licence": 0.5}, 4),
        ({"licence": 2}, 1),
        ({"cpu": 2}, 2),
        ({"cpu": 3}, 1),
        ({"cpu": 1.5}, 2),
        ({"cpu": 0}, 4),
        ({"cpu": 2, "licence": 2}, 1),
    ],
    ids=str,
)
def test_no_more_jobs_run_than_there_is_for(
    needs: dict[str, float], most: int, make_server: MakeServer, gate: Gate, ledger: Ledger
) -> None:
    server = make_server(4, resources={"licence": 2})
    submitted = [
        server.submit(inside, (ledger, gate.args(f"{n}")[0], f"{n}"), resources=needs)
        for n in range(9)
    ]
    first = [f"{n}" for n in range(most)]
    gate.await_inside(*first)
    assert gate.inside() == first
    gate.open()
    server.wait()
    assert all(job.state == "finished" for job in submitted)
    assert most_at_once(ledger) == most


def test_what_cannot_be_placed_holds_up_nobody(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(2, resources={"licence": 1})
    holder = server.submit(jobs.pass_gate, gate.args("holder"), resources={"licence": 1})
    gate.await_inside("holder")
    waits = server.submit(jobs.echo, (1,), resources={"licence": 1})
    assert [server.submit(jobs.echo, (n,)).result() for n in range(50)] == list(range(50))
    assert waits.state == "queued"
    gate.open()
    assert (waits.result(), holder.state) == (1, "finished")


def test_a_wide_job_gets_its_processors_beside_many_narrow_ones(make_server: MakeServer) -> None:
    server = make_server(2)

    def narrow(left: int) -> None:
        if left:
            server_jobs.append(server.submit(jobs.echo, (left,)))

    server_jobs: list[pp.Job[Any]] = []
    for number in range(200):
        narrow(number)
    wide = server.submit(jobs.echo, ("wide",), resources={"cpu": 2})
    for number in range(200):
        narrow(number)
    assert wide.result() == "wide"


@pytest.mark.parametrize(
    ("needs", "name"),
    [
        ({"cpu": 3}, "cpu"),
        ({"gpu": 1}, "gpu"),
        ({"memory": "1000TiB"}, "memory"),
        ({"licence": 2.5}, "licence"),
        ({"nothing": 1}, "nothing"),
        ({"licence": 1, "nothing": 0.001}, "nothing"),
    ],
    ids=str,
)
def test_what_no_machine_has_is_told_at_once(
    needs: dict[str, Any], name: str, make_server: MakeServer
) -> None:
    server = make_server(2, resources={"licence": 2, "gpu": 0})
    error = caught_from(server.submit(jobs.echo, (1,), resources=needs))
    assert isinstance(error, pp.ResourceError)
    assert error.resource == name
    assert repr(name) in str(error)
    assert server.submit(jobs.echo, (1,)).result() == 1


def test_also_of_a_job_that_waits_for_another(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(2)
    first = server.submit(jobs.pass_gate, gate.args())
    after = server.submit(jobs.echo, (first,), resources={"nothing": 1})
    last = server.submit(jobs.echo, (after,))
    gate.open()
    assert isinstance(caught_from(after), pp.ResourceError)
    error = caught_from(last)
    assert isinstance(error, pp.DependencyFailed)
    assert isinstance(error.__cause__, pp.ResourceError)


def test_gpus_are_given_by_their_names(
    make_server: MakeServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-abc,7")
    server = make_server(3)

    def visible(directory: str, name: str) -> str | None:
        jobs.pass_gate(directory, name)
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    two = server.submit(visible, gate.args("two"), resources={"gpu": 2})
    one = server.submit(visible, gate.args("one"), resources={"gpu": 1})
    late = server.submit(visible, gate.args("late"), resources={"gpu": 1})
    none = server.submit(visible, gate.args("none"))
    gate.await_inside("two", "one", "none")
    assert gate.inside() == ["none", "one", "two"]
    gate.open()
    given = [job.result() for job in (two, one)]
    assert sorted(",".join(str(name) for name in given).split(",")) == ["4", "7", "GPU-abc"]
    assert len(str(given[0]).split(",")) == 2
    assert late.result() in ("4", "GPU-abc", "7")
    assert none.result() == "4,GPU-abc,7"


def test_halves_of_a_gpu_are_put_together(
    make_server: MakeServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    server = make_server(3)

    def visible(directory: str, name: str) -> str | None:
        jobs.pass_gate(directory, name)
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    halves = [server.submit(visible, gate.args(f"{n}"), resources={"gpu": 0.5}) for n in range(2)]
    gate.await_inside("0", "1")
    whole = server.submit(visible, gate.args("whole"), resources={"gpu": 1})
    gate.await_inside("0", "1", "whole")
    gate.open()
    first, second = (job.result() for job in halves)
    assert first == second
    assert {first, whole.result()} == {"4", "7"}


def test_gpus_that_nothing_tells_of_are_numbered(
    make_server: MakeServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def visible(directory: str, name: str) -> str | None:
        jobs.pass_gate(directory, name)
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(pp._resources, "_NVIDIA", Path("/nowhere"))
    server = make_server(3, resources={"gpu": 2})
    both = [server.submit(visible, gate.args(f"{n}"), resources={"gpu": 1}) for n in range(2)]
    gate.await_inside("0", "1")
    gate.open()
    assert {job.result() for job in both} == {"0", "1"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    hidden = make_server(1, resources={"gpu": 1})
    assert hidden.submit(visible, gate.args("hidden"), resources={"gpu": 1}).result() == ""


def note_gpus(ledger: Ledger, part: float, directory: str | None = None) -> None:
    """Notes that it has its GPUs and how much of the last, then that it has them no more."""
    devices = os.environ["CUDA_VISIBLE_DEVICES"]
    ledger.note(f"+ {devices} {part}")
    if directory is not None:
        jobs.pass_gate(directory, f"{part}")
    ledger.note(f"- {devices} {part}")


def most_of_one(ledger: Ledger) -> float:
    """The most that was taken of one GPU at a time."""
    taken: dict[str, float] = {}
    most = 0.0
    for word in ledger.words():
        sign, devices, amount = word.split()
        parts = dict.fromkeys(devices.split(","), 1.0)
        rest = float(amount) % 1
        if rest:
            parts[devices.split(",")[-1]] = rest
        assert sum(parts.values()) == pytest.approx(float(amount)), word
        for device, part in parts.items():
            taken[device] = taken.get(device, 0.0) + (part if sign == "+" else -part)
            most = max(most, taken[device])
    return most


def test_of_no_gpu_more_than_a_whole_is_given(
    make_server: MakeServer, gate: Gate, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    server = make_server(4)
    directory = gate.args()[0]
    first = [
        server.submit(note_gpus, (ledger, part, directory), resources={"gpu": part})
        for part in (0.61, 0.6)
    ]
    gate.await_inside("0.61", "0.6")
    # There is enough of both together.
    large = server.submit(note_gpus, (ledger, 0.8), resources={"gpu": 0.8})
    assert server.submit(jobs.echo, (1,)).result() == 1
    small = server.submit(note_gpus, (ledger, 0.3), resources={"gpu": 0.3})
    small.result()
    assert large.state == "queued"
    gate.open()
    for job in [*first, large]:
        job.result()
    assert most_of_one(ledger) < 1.001


def test_all_kinds_of_parts_find_their_place(
    make_server: MakeServer, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    server = make_server(4)
    parts = [0.6, 0.8, 1.0, 0.3, 2.5, 0.7, 1.6, 0.2, 3.0, 0.4]
    submitted = [
        server.submit(note_gpus, (ledger, parts[n % 10]), resources={"gpu": parts[n % 10]})
        for n in range(200)
    ]
    for job in submitted:
        job.result()
    assert most_of_one(ledger) < 1.001


def test_many_jobs_that_are_refused_hold_up_nobody(
    make_server: MakeServer, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    server = make_server(4)
    for name in ("one", "other"):
        server.submit(jobs.pass_gate, gate.args(name), resources={"gpu": 0.6})
    gate.await_inside("one", "other")
    refused = [server.submit(jobs.echo, (n,), resources={"gpu": 0.8}) for n in range(20_000)]
    assert [server.submit(jobs.echo, (n,)).result() for n in range(50)] == list(range(50))
    assert {job.state for job in refused} == {"queued"}
    gate.open()
    assert [job.result() for job in refused] == list(range(20_000))


def pools() -> list[int]:
    """How many threads each pool of this process has."""
    import numpy as np
    import threadpoolctl

    assert np.ones(2).sum() == 2
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]


def test_pools_of_threads_are_held_to_the_processors_while_the_job_runs(
    make_server: MakeServer, gate: Gate
) -> None:
    def load(directory: str, name: str) -> list[int]:
        found = pools()
        jobs.pass_gate(directory, name)
        return found

    server = make_server(3)
    everywhere = [server.submit(load, gate.args(f"{n}")) for n in range(3)]
    gate.await_inside("0", "1", "2")
    gate.open()
    before, *others = (job.result() for job in everywhere)
    assert others == [before, before]
    assert before
    assert before != [3] * len(before)
    wide = server.submit(pools, resources={"cpu": 3})
    assert wide.result() == [3] * len(before)
    assert server.submit(pools).result() == before


def test_threads_are_as_many_as_processors_while_the_job_runs(make_server: MakeServer) -> None:
    server = make_server(3)
    before = server.submit(jobs.variables, ("OMP_NUM_THREADS",)).result()
    wide = server.submit(
        jobs.variables, ("OMP_NUM_THREADS", "MKL_NUM_THREADS"), resources={"cpu": 3}
    )
    assert wide.result() == {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"}
    assert server.submit(jobs.variables, ("OMP_NUM_THREADS",)).result() == before


@linux_only
def test_memory_is_limited_while_the_job_runs(make_server: MakeServer) -> None:
    server = make_server(1)
    limit = server.submit(data_limit).result()
    assert server.submit(take, (50,), resources={"memory": "100MiB"}).result() == 50 << 20
    with pytest.raises(MemoryError):
        server.submit(take, (200,), resources={"memory": "100MiB"}).result()
    # By now it may be another worker, if Python could not go on.
    assert server.submit(take, (200,)).result() == 200 << 20
    assert server.submit(data_limit).result() == limit


@linux_only
def test_a_worker_that_dies_of_its_limit_is_told_so(make_server: MakeServer) -> None:
    server = make_server(1, max_worker_deaths=1)

    def abort() -> None:
        try:
            take(200)
        except MemoryError:
            os.abort()

    error = caught_from(server.submit(abort, resources={"memory": "100MiB"}))
    assert isinstance(error, pp.WorkerDied)
    assert f"limited to {100 << 20} bytes" in str(error)


def test_what_a_killed_worker_had_is_free_again(make_server: MakeServer) -> None:
    server = make_server(2, resources={"licence": 1}, max_worker_deaths=1)
    for _ in range(3):
        job = server.submit(os._exit, (3,), resources={"licence": 1, "cpu": 2})
        assert isinstance(caught_from(job), pp.WorkerDied)
    assert server.submit(jobs.echo, (1,), resources={"licence": 1, "cpu": 2}).result() == 1


def test_what_cancelled_and_late_jobs_had_is_free_again(
    make_server: MakeServer, gate: Gate
) -> None:
    server = make_server(2, resources={"licence": 1})
    needs = {"licence": 1, "cpu": 2}
    held = server.submit(jobs.pass_gate, gate.args("held"), resources=needs)
    waits = server.submit(jobs.echo, (1,), resources=needs)
    gate.await_inside("held")
    assert held.cancel()
    assert waits.result() == 1
    late = server.submit(jobs.pass_gate, gate.args("late"), resources=needs, timeout=0.2)
    assert isinstance(caught_from(late), pp.JobTimeout)
    assert server.submit(jobs.echo, (2,), resources=needs).result() == 2


def test_more_workers_are_more_processors(make_server: MakeServer) -> None:
    server = make_server(1)
    assert isinstance(
        caught_from(server.submit(jobs.echo, (1,), resources={"cpu": 2})), pp.ResourceError
    )
    server.set_ncpus(2)
    assert server.submit(jobs.echo, (1,), resources={"cpu": 2}).result() == 1


def test_without_workers_jobs_wait(make_server: MakeServer) -> None:
    server = make_server(0)
    job = server.submit(jobs.echo, (1,), resources={"cpu": 2})
    server.set_ncpus(2)
    assert job.result() == 1


@pytest.mark.parametrize(
    ("needs", "kind", "text"),
    [
        ([("cpu", 1)], TypeError, "dictionary"),
        ({1: 1}, TypeError, "names as keys"),
        ({"": 1}, TypeError, "names as keys"),
        ({"cpu": "2"}, TypeError, 'resources["cpu"]'),
        ({"cpu": -1}, ValueError, 'resources["cpu"]'),
        ({"gpu": True}, TypeError, "'gpu'"),
        ({"gpu": -0.5}, ValueError, "'gpu'"),
        ({"gpu": float("nan")}, ValueError, "'gpu'"),
        ({"memory": "much"}, ValueError, 'resources["memory"]'),
        ({"memory": 0}, ValueError, 'resources["memory"]'),
        ({"memory": 1.5}, TypeError, 'resources["memory"]'),
    ],
    ids=str,
)
def test_wrong_amounts(needs: Any, kind: type[Exception], text: str, shared: pp.Server) -> None:
    with pytest.raises(kind) as caught:
        shared.submit(jobs.echo, (1,), resources=needs)
    assert text in str(caught.value)


def test_a_machine_has_as_many_processors_as_workers() -> None:
    with pytest.raises(ValueError, match="as many as it has workers"):
        pp.Server(1, resources={"cpu": 4})
