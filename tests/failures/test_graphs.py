"""Graphs of jobs in which everything goes wrong: each job ends once, in a way that it may."""

from __future__ import annotations

import gc
import itertools
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

import pp
from tests import graphs
from tests import jobs as plain
from tests.failures import jobs
from tests.failures.graphs import FATES, Drama
from tests.failures.ledger import PATIENCE, Ledger
from tests.failures.support import await_true, needs_proc, run_of
from tests.segments import opened

pytestmark = [pytest.mark.timeout(120), needs_proc]

ServerOf = Callable[..., pp.Server]

BIG = 400_000

# More deaths than any job meets.
MANY = 10_000


def new_dice() -> random.Random:
    """By PP_TEST_SEED, if that is set; the seed is printed."""
    seed = int(os.environ.get("PP_TEST_SEED", random.randrange(2**32)))
    print(f"PP_TEST_SEED={seed}")
    return random.Random(seed)


@contextmanager
def killing(drama: Drama, dice: random.Random, most: int) -> Iterator[list[int]]:
    """Kills workers that run jobs now and then, `most` at the most; gives those that were killed.

    Not those that start: where none can start, jobs end for that reason.
    """
    over = threading.Event()
    killed: list[int] = []
    own = random.Random(dice.random())

    def kill() -> None:
        while len(killed) < most and not over.wait(own.uniform(0.02, 0.3)):
            workers = {job.worker_pid for job in drama.jobs[:] if job.running()} - {None, *killed}
            if workers:
                worker = own.choice(sorted(pid for pid in workers if pid))
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                    killed.append(worker)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("memory", [None, 0])
def test_graphs_with_everything(
    turn: int, memory: int | None, server_of: ServerOf, ledger: Ledger
) -> None:
    dice = new_dice()
    server = server_of(dice.randint(1, 4), max_worker_deaths=MANY, shared_memory=memory)
    server.set_group("two", weight=3)
    server.set_group("three", limit=1)
    drama = Drama(dice, ledger, layers=dice.randint(5, 25), width=10)
    with killing(drama, dice, most=8) as killed:
        drama.submit(server)
        drama.cancel_some(dice.randint(0, 4))
        ways = drama.check(60)
    server.wait()
    await_true(lambda: len(drama.ends) == len(drama.jobs), "all ends are told")
    assert set(drama.ends.values()) == {1}, "each once"
    print(f"turn {turn}: {len(drama.jobs)} jobs, {len(killed)} kills, {dict(ways)}")
    assert server.submit(plain.echo, (1,)).result(PATIENCE) == 1
    assert server.cancel() == 0, "nothing is left to be cancelled"


def test_each_job_runs_once_unless_its_worker_dies(server_of: ServerOf, ledger: Ledger) -> None:
    dice = new_dice()
    server = server_of(3)
    drama = Drama(dice, ledger, 30, 10, {"well": 90, "large": 10})
    drama.submit(server)
    assert set(drama.check(60)) == {"value"}
    assert all(ledger.count(f"job {step.number}") == 1 for step in drama.steps)
    assert [job.attempts for job in drama.jobs] == [1] * len(drama.jobs)


def test_kills_alone_change_no_value(server_of: ServerOf, ledger: Ledger) -> None:
    dice = new_dice()
    server = server_of(3, max_worker_deaths=MANY)
    fates = {fate: chance for fate, chance in FATES.items() if fate in ("well", "large", "dies")}
    drama = Drama(dice, ledger, 40, 10, fates)
    with killing(drama, dice, most=15) as killed:
        drama.submit(server)
        assert set(drama.check(100)) == {"value"}
    # A worker that dies takes what it runs, and what it has not yet told of.
    deaths = len(killed) + drama.fates.count("dies")
    runs = len(ledger.words()) - len(drama.steps)
    print(f"{deaths} deaths, {runs} runs more than jobs")
    assert runs <= deaths * 300


def test_inputs_outlive_the_worker_that_looks_at_them(server_of: ServerOf, ledger: Ledger) -> None:
    gc.collect()
    before = opened()
    server = server_of(1)
    made = [server.submit(np.full, (BIG, n)) for n in range(5)]
    for job in made:
        job.wait()
    holds, worker = run_of(server, ledger)
    both = [server.submit(np.add, pair) for pair in itertools.pairwise(made)]
    total = server.submit(np.sum, (both,))
    del made, job
    os.kill(worker, signal.SIGKILL)
    ledger.note("go")
    assert holds.result(PATIENCE) == "went"
    assert total.result(PATIENCE) == BIG * (1 + 3 + 5 + 7)
    del both

    def open_now() -> int:
        gc.collect()
        return opened()

    await_true(lambda: open_now() <= before + 1, "all goes but what may be kept for later")


def test_a_worker_that_dies_of_its_inputs(server_of: ServerOf, ledger: Ledger) -> None:
    """Reading them ends it, each time: the job is charged, and those after it say why."""
    server = server_of(1, max_worker_deaths=2)

    class Deadly:
        def __reduce__(self) -> Any:
            return os._exit, (5,)

    def make() -> Any:
        return Deadly()

    made = server.submit(make)
    reader = server.submit(jobs.echo, ([made],))
    last = server.submit(jobs.echo, (reader,))
    beside = server.submit(jobs.noted, (ledger, "beside"), after=made)
    error = reader.exception(PATIENCE)
    assert isinstance(error, pp.WorkerDied)
    assert error.deaths == 2
    cause = last.exception(PATIENCE)
    assert isinstance(cause, pp.DependencyFailed)
    assert isinstance(cause.__cause__, pp.WorkerDied)
    assert beside.result(PATIENCE) == "beside"


def test_destroy_in_the_middle(server_of: ServerOf, ledger: Ledger) -> None:
    dice = new_dice()
    server = server_of(2, max_worker_deaths=MANY)
    drama = Drama(dice, ledger, 40, 20)
    drama.submit(server)
    ledger.await_words("job 0")
    server.destroy()
    done, not_done = pp.wait(drama.jobs, 0)
    assert not not_done
    kinds = {type(job.exception()) for job in done if not job.cancelled()}
    assert pp.DestroyedServerError in kinds
    await_true(lambda: len(drama.ends) == len(drama.jobs), "all ends are told")
    assert set(drama.ends.values()) == {1}


def test_a_client_that_is_killed_in_the_middle(client_of: Callable[..., Any]) -> None:
    client = client_of(
        """
        import random
        from tests.failures.graphs import Drama

        server = pp.Server(2)
        drama = Drama(random.Random(1), ledger, 200, 20, {"well": 1, "large": 1})
        drama.submit(server)
        ledger.note("ready")
        drama.check(100)
        """
    )
    client.await_one("ready")
    client.signal(signal.SIGKILL)
    client.ends()
    await_true(lambda: not client.files_left(), f"nothing is left: {client.files_left()}")


def test_cancelling_all_of_a_large_graph(server_of: ServerOf, ledger: Ledger) -> None:
    server = server_of(2)
    holds, _ = run_of(server, ledger)
    layer: list[pp.Job[Any]] = [holds] * 300
    submitted: list[pp.Job[Any]] = []
    for number in range(60):
        shifted = layer[1:] + layer[:1]
        pairs = zip(layer, shifted, strict=True)
        layer = [server.submit(graphs.work, (number, pair)) for pair in pairs]
        submitted += layer
    assert server.cancel() == len(submitted) + 1
    done, not_done = pp.wait([holds, *submitted], PATIENCE)
    assert not not_done
    assert all(job.cancelled() for job in done)
    assert all(job.attempts == 0 for job in submitted)
    assert server.submit(plain.echo, (1,)).result(PATIENCE) == 1
