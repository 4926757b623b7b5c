"""Maps whose workers die, whose caller is interrupted, and which want much memory."""

from __future__ import annotations

import itertools
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import pp
from tests.failures import jobs
from tests.failures.clients import Client
from tests.failures.ledger import Ledger
from tests.failures.support import LINUX, await_true, none_left

pytestmark = pytest.mark.timeout(60)

SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(2)]


def noted_or_killed(number: int, killers: frozenset[int], ledger: Ledger) -> int:
    """Dies for some numbers, and notes that it ran for all."""
    ledger.note(f"{number}")
    if number in killers:
        jobs.kill_self()
    return number


def kill_one(server: pp.Server, rng: random.Random) -> None:
    """Kills a worker, if there is one."""
    pids = server._engine.worker_pids()
    with suppress(ProcessLookupError, IndexError):
        os.kill(rng.choice(pids), signal.SIGKILL)


@pytest.mark.parametrize("chunksize", [1, 5, 50, "auto"])
def test_only_the_item_that_kills_fails(
    server_of: Callable[..., pp.Server], ledger: Ledger, chunksize: Any
) -> None:
    server = server_of(2, max_worker_deaths=2)
    killers = frozenset({7, 23})
    found = list(
        server.map(
            noted_or_killed,
            range(50),
            [killers] * 50,
            [ledger] * 50,
            chunksize=chunksize,
            return_exceptions=True,
        )
    )
    assert [n for n in found if isinstance(n, int)] == [n for n in range(50) if n not in killers]
    for killer in killers:
        error = found[killer]
        assert isinstance(error, pp.WorkerDied)
        assert error.signal == "SIGKILL"
        assert error.deaths == 2
        # By itself, and before that with others.
        assert 2 <= ledger.count(str(killer)) <= 4
    assert server.submit(jobs.echo, (1,))() == 1


def test_worker_died_is_raised_in_its_place(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    server = server_of(2, max_worker_deaths=1)
    killers = [frozenset({12})] * 30
    found = server.map(noted_or_killed, range(30), killers, [ledger] * 30, chunksize=10)
    assert [next(found) for _ in range(12)] == list(range(12))
    with pytest.raises(pp.WorkerDied):
        next(found)
    assert list(found) == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_workers_killed_in_the_middle(
    server_of: Callable[..., pp.Server], seed: int, ordered: bool
) -> None:
    """No result is lost, and none comes twice."""
    print("seed", seed)
    rng = random.Random(seed)
    server = server_of(2, max_worker_deaths=1000)
    found = server.map(jobs.echo, range(200_000), ordered=ordered, chunksize=rng.randrange(50, 500))
    kills = sorted(rng.sample(range(100_000), 6))
    results: list[Any] = []
    for result in found:
        results.append(result)
        while kills and len(results) > kills[0]:
            kills.pop(0)
            kill_one(server, rng)
    assert not kills
    assert (results if ordered else sorted(results)) == list(range(200_000))


def test_no_worker_can_be_started(server_of: Callable[..., pp.Server], tmp_path: Path) -> None:
    from pp import _processes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_processes, "command", lambda: [str(tmp_path / "no such program")])
        server = server_of(1)
    found = server.map(jobs.echo, range(1000), chunksize=10)
    with pytest.raises(pp.WorkerStartError):
        next(found)
    kept = list(server.map(jobs.echo, range(30), chunksize=10, return_exceptions=True))
    assert [type(error) for error in kept] == [pp.WorkerStartError] * 30


def test_interrupt_while_waiting_for_a_result(client_of: Callable[..., Client], token: str) -> None:
    client = client_of("""
        def held(number, gate):
            jobs.hold(gate)
            return number

        server = pp.Server(2)
        gate = Ledger(ledger.path + ".gate")
        results = server.map(held, range(20), [gate] * 20)
        for turn in range(3):
            try:
                ledger.note(f"waits {turn}")
                next(results)
                ledger.note("returned")
            except KeyboardInterrupt:
                ledger.note(f"interrupted {turn}")
        gate.note("go")
        assert list(results) == list(range(20)), "nothing is lost"
        server.destroy()
        ledger.note("fine")
    """)
    client.survives_interrupts()
    none_left(token)


def test_interrupt_within_the_input(client_of: Callable[..., Client], token: str) -> None:
    client = client_of("""
        def items():
            yield 1
            ledger.note("waits")
            threading.Event().wait()

        server = pp.Server(1)
        results = server.map(jobs.echo, items(), chunksize=1, buffersize=5)
        try:
            while True:
                ledger.note(f"result {next(results)}")
        except KeyboardInterrupt:
            ledger.note("interrupted")
        ledger.note(f"rest {list(results)}")
    """)
    client.await_one("waits")
    client.signal(signal.SIGINT)
    client.await_one("interrupted")
    client.await_one("rest ")
    assert client.ends() == 0, client.said()
    said = client.ledger.after("result ") + client.ledger.after("rest ")
    assert said in (["1", "[]"], ["[1]"])
    none_left(token)


@pytest.mark.parametrize("seed", SEEDS)
def test_interrupts_at_any_moment(client_of: Callable[..., Client], token: str, seed: int) -> None:
    """Results come in order and none is lost silently, wherever Ctrl-C strikes."""
    print("seed", seed)
    client = client_of(f"""
        import random
        rng = random.Random({seed})
        server = pp.Server(2)
        for turn in range(30):
            found = []
            results = server.map(jobs.echo, range(30_000), chunksize=rng.choice([1, 20, 1000]))
            timer = threading.Timer(
                rng.random() * 0.03, os.kill, (os.getpid(), signal.SIGINT)
            )
            was_lost = False
            for attempt in range(3):
                try:
                    if attempt == 0:
                        # It may strike in here, too, on a busy machine.
                        timer.start()
                    for result in results:
                        found.append(result)
                    timer.join()
                    break
                except KeyboardInterrupt:
                    continue
                except pp.PPError as error:
                    was_lost = True
                    break
            try:
                timer.join()
            except KeyboardInterrupt:
                pass
            # One may be lost between the map and this list.
            missing = 30_000 - len(found)
            assert found == sorted(set(found)), turn
            assert was_lost or missing <= 1, (turn, missing)
            ledger.note("lost" if was_lost else "whole")
        server.destroy()
        ledger.note("fine")
    """)
    client.await_one("fine")
    assert client.ends() == 0, client.said()
    assert client.ledger.count("whole") >= 20
    none_left(token)


@pytest.mark.skipif(not LINUX, reason="memory is looked up in /proc")
@pytest.mark.parametrize("ordered", [True, False])
def test_memory_is_bounded(server_of: Callable[..., pp.Server], ordered: bool) -> None:
    """A caller slower than the workers does not pile up what they return."""

    def large(number: int) -> bytes:
        return bytes(2**20)

    server = server_of(2)
    results = server.map(large, itertools.count(), ordered=ordered)
    next(results)
    before = resident()
    ended: list[int] = []

    def stand_still() -> bool:
        assert resident() - before < 200 * 2**20
        ended.append(server.get_stats()["local"].njobs)
        return ended[-5:] == [ended[-1]] * 5

    for _ in range(10):
        await_true(stand_still, "the workers wait for the caller")
        for _ in range(40):
            next(results)
        ended.clear()
    results.close()


@pytest.mark.skipif(not LINUX, reason="memory is looked up in /proc")
def test_memory_is_bounded_behind_an_item_that_takes_long(
    server_of: Callable[..., pp.Server], ledger: Ledger
) -> None:
    def large(number: int, ledger: Ledger) -> bytes:
        if number == 0:
            jobs.hold(ledger)
        return bytes(2**20)

    server = server_of(2)
    gates = itertools.repeat(ledger)
    results = server.map(large, itertools.count(), gates, timeout=0.1, chunksize=1)
    taken: list[int] = []

    def stands_still() -> bool:
        with pytest.raises(TimeoutError):
            next(results)
        taken.append(server.get_stats()["local"].njobs)
        return taken[-5:] == [taken[-1]] * 5

    await_true(stands_still, "the others wait for the first")
    assert 40 <= taken[-1] <= 100
    ledger.note("go")
    results.close()


def resident() -> int:
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_client_that_is_killed_within_a_map(client_of: Callable[..., Client], token: str) -> None:
    client = client_of("""
        import itertools
        server = pp.Server(2)
        for number in server.map(jobs.echo, itertools.count()):
            if number == 5000:
                ledger.note("maps")
    """)
    client.await_one("maps")
    client.signal(signal.SIGKILL)
    client.ends()
    none_left(token)


def test_the_end_of_the_program_within_a_map(client_of: Callable[..., Client], token: str) -> None:
    client = client_of("""
        import itertools
        server = pp.Server(2)
        results = server.map(jobs.echo, itertools.count())
        for number in results:
            if number == 5000:
                break
        ledger.note("ends")
    """)
    client.await_one("ends")
    assert client.ends() == 0, client.said()
    none_left(token)


def test_a_map_under_many_deaths_and_resizes(server_of: Callable[..., pp.Server]) -> None:
    seed = SEEDS[0]
    print("seed", seed)
    rng = random.Random(seed)
    server = server_of(2, max_worker_deaths=1000)

    def items() -> Iterator[int]:
        for number in range(60_000):
            if number % 5000 == 4999:
                server.set_ncpus(rng.randrange(1, 4))
                kill_one(server, rng)
            yield number

    assert list(server.map(jobs.echo, items())) == list(range(60_000))
