"""Asynchronous maps whose caller is interrupted, killed, or ends, and whose workers die."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Callable

import pytest

import pp
from tests.failures.clients import Client
from tests.failures.support import none_left
from tests.failures.test_map import kill_one

pytestmark = pytest.mark.timeout(60)

SEEDS = [random.SystemRandom().randrange(10**6) for _ in range(2)]

SOURCES = ["itertools.count()", "arriving()"]

PRELUDE = """
import asyncio, itertools

async def arriving():
    for number in itertools.count():
        await asyncio.sleep(0)
        yield number
"""


@pytest.mark.parametrize("source", SOURCES)
def test_interrupt_while_waiting_for_a_result(
    client_of: Callable[..., Client], token: str, source: str
) -> None:
    client = client_of(
        PRELUDE
        + f"""
def held(number, gate):
    jobs.hold(gate)
    return number

async def main():
    ledger.note("waits")
    async for _ in server.amap(held, {source}, itertools.repeat(gate)):
        pass

server = pp.Server(2)
gate = Ledger(ledger.path + ".gate")
try:
    asyncio.run(main())
except KeyboardInterrupt:
    ledger.note("interrupted")
gate.note("go")
ledger.note(f"serves {{server.submit(jobs.echo, (1,))()}}")
server.destroy()
assert [each.name for each in threading.enumerate() if each.name == "pp-amap"] == []
ledger.note("fine")
"""
    )
    client.await_one("waits")
    client.signal(signal.SIGINT)
    client.await_one("interrupted")
    client.await_one("serves 1")
    client.await_one("fine")
    assert client.ends() == 0, client.said()
    assert client.err() == ""
    none_left(token)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("how", ["killed", "returns"])
def test_the_end_of_the_program_within_a_map(
    client_of: Callable[..., Client], token: str, source: str, how: str
) -> None:
    client = client_of(
        PRELUDE
        + f"""
async def main():
    global results
    results = server.amap(jobs.echo, {source})
    async for number in results:
        if number == 3000:
            ledger.note("maps")
            if {how!r} == "returns":
                break

server = pp.Server(2)
asyncio.run(main())
"""
    )
    client.await_one("maps")
    if how == "killed":
        client.signal(signal.SIGKILL)
        client.ends()
    else:
        assert client.ends() == 0, client.said()
        assert client.err() == ""
    none_left(token)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ordered", [True, False])
def test_many_deaths_and_resizes(
    server_of: Callable[..., pp.Server], seed: int, ordered: bool
) -> None:
    """No result is lost, and none comes twice."""
    print("seed", seed)
    rng = random.Random(seed)
    server = server_of(2, max_worker_deaths=1000)

    async def items() -> AsyncIterator[int]:
        for number in range(20_000):
            if number % 4000 == 3999:
                server.set_ncpus(rng.randrange(1, 4))
                kill_one(server, rng)
                await asyncio.sleep(0)
            yield number

    async def main() -> list[int]:
        return [result async for result in server.amap(abs, items(), ordered=ordered)]

    found = asyncio.run(main())
    assert (found if ordered else sorted(found)) == list(range(20_000))
