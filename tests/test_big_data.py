"""Big arguments and results: what arrives, and what nobody notices of the way."""

from __future__ import annotations

import array
import gc
import logging
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest

import pp
from tests import jobs
from tests.failures.support import needs_proc
from tests.segments import mapped, opened
from tests.support import Gate, MakeServer, eventually

pytestmark = pytest.mark.timeout(60)

# Larger than what goes through the line.
BIG = 400_000


def ramp(count: int, dtype: str = "u4") -> Any:
    """An array in which no two neighbours are alike."""
    return np.arange(count).astype(dtype)


ARRAYS = {
    "bytes": ramp(BIG, "u1"),
    "integers": ramp(BIG, "i8"),
    "floats": ramp(BIG, "f8"),
    "small floats": ramp(BIG, "f4"),
    "complex": ramp(BIG, "c16"),
    "booleans": ramp(BIG, "i4") % 3 == 0,
    "big-endian": ramp(BIG, ">i4"),
    "dates": ramp(BIG, "i8").astype("M8[s]"),
    "text": np.array([f"no {n}" for n in range(BIG // 16)]),
    "records": np.zeros(BIG // 4, [("a", "i4"), ("b", "f8")]),
    "two dimensions": ramp(BIG).reshape(400, -1),
    "Fortran order": np.asfortranarray(ramp(BIG).reshape(400, -1)),
    "every third": ramp(BIG * 3)[::3],
    "backwards": ramp(BIG)[::-1],
    "transposed part": ramp(BIG * 2).reshape(800, -1)[::2].T,
    "broadcast": np.broadcast_to(ramp(400), (1000, 400)),
    "empty": np.zeros((0, 5)),
    "scalar": np.array(7.0),
    "objects": np.array([None, "text", 3] * 1000, dtype=object),
    "read-only": np.frombuffer(bytes(BIG), "u1"),
    "small": ramp(10),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("proto", [2, 4, 5])
def test_arrays_go_and_come(name: str, proto: int, make_server: MakeServer) -> None:
    server = make_server(1, proto=proto)
    sent = ARRAYS[name]

    def look(got: Any) -> tuple[Any, ...]:
        return got.dtype, got.shape, str(got)[:100], got

    dtype, shape, text, back = server.submit(look, (sent,))()
    # Some protocols give another byte order.
    like = pickle.loads(pickle.dumps(sent, proto))
    assert (dtype, shape, text) == (like.dtype, like.shape, str(like)[:100])
    assert back.dtype == like.dtype
    np.testing.assert_array_equal(back, sent)


@pytest.mark.parametrize("size", [65_535, 65_536, 131_000, 131_072, 131_200, 1 << 20])
@pytest.mark.parametrize(
    "kind", [bytes, bytearray, lambda b: memoryview(b).tobytes().decode("latin-1"), list]
)
def test_other_big_things(kind: Any, size: int, lone: pp.Server) -> None:
    sent = kind((bytes(range(251)) * (size // 251 + 1))[:size])
    back = lone.submit(jobs.echo, (sent,))()
    assert type(back) is type(sent)
    assert back == sent


def test_buffers_of_other_kinds(lone: pp.Server) -> None:
    """Whatever takes part in protocol 5 of pickle."""
    sent = array.array("d", range(BIG))
    assert lone.submit(jobs.echo, (sent,))() == sent

    def measure(buffer: Any) -> tuple[int, int]:
        view = memoryview(buffer)
        return view.nbytes, sum(view[:1000])

    for buffer in (bytes(range(200)) * 5000, bytearray(range(200)) * 5000):
        told = lone.submit(measure, (pickle.PickleBuffer(buffer),))()
        assert told == (1_000_000, sum(buffer[:1000]))


def test_several_in_nested_containers(lone: pp.Server) -> None:
    one, two = ramp(BIG), ramp(BIG, "f8") * 2

    def sums(*args: Any, **_kwargs: Any) -> list[float]:
        first, (second, deeper), same = args
        third = deeper["deep"]
        assert first is same
        return [float(a.sum()) for a in (first, second, third)]

    got = lone.submit(sums, (one, [two, {"deep": ramp(5)}], one))()
    assert got == [float(a.sum()) for a in (one, two, ramp(5))]
    back = lone.submit(jobs.echo, ({"x": [one, two], "y": (one,)},))()
    assert back["x"][0] is back["y"][0]
    np.testing.assert_array_equal(back["x"][0], one)
    np.testing.assert_array_equal(back["x"][1], two)


def test_job_sees_the_array_as_it_was_at_the_submit(lone: pp.Server, gate: Gate) -> None:
    blocker = lone.submit(jobs.pass_gate, gate.args())
    data = np.zeros(BIG)
    job = lone.submit(np.sum, (data,))
    data[:] = 1
    gate.open()
    blocker()
    assert job() == 0


def test_large_ones_are_read_only_small_ones_are_not(lone: pp.Server) -> None:
    def writeable(array: Any) -> bool:
        return bool(array.flags.writeable)

    def write(array: Any) -> None:
        array[0] = 1

    assert not lone.submit(writeable, (ramp(BIG),))()
    assert lone.submit(writeable, (ramp(10),))()
    with pytest.raises(ValueError, match="read-only"):
        lone.submit(write, (ramp(BIG),))()
    assert not lone.submit(jobs.echo, (ramp(BIG),))().flags.writeable
    assert not lone.submit(np.zeros, (BIG,))().flags.writeable


@pytest.mark.parametrize("memory", [None, 0])
def test_private_copies_that_may_be_written_to(memory: int | None, make_server: MakeServer) -> None:
    server = make_server(1, writable_buffers=True, shared_memory=memory)
    data = np.zeros(BIG)
    ref = server.put(data)

    def fill(array: Any) -> Any:
        assert not array.any()
        array += 1
        return array

    results = [server.submit(fill, (what,))() for what in (data, ref, ref, data)]
    for result in results:
        assert result.all()
        result[:] = 5
    assert not data.any()
    assert not ref.get().any()
    mine = ref.get()
    mine[:] = 9
    assert not server.submit(np.any, (ref,))()
    assert all((result == 5).all() for result in results)


def test_views_outlive_job_server_and_destroy(make_server: MakeServer) -> None:
    server = make_server(2)
    sent = ramp(BIG)
    echoed = server.submit(jobs.echo, (sent,))()
    made = server.submit(np.arange, (BIG,))()
    job = server.submit(np.ones, (BIG,))
    job.wait()
    server.destroy()
    late = job()
    del server, job
    gc.collect()
    np.testing.assert_array_equal(echoed, sent)
    np.testing.assert_array_equal(made, np.arange(BIG))
    np.testing.assert_array_equal(late, np.ones(BIG))
    part = made[10:20]
    del made, echoed, late
    gc.collect()
    assert part.tolist() == list(range(10, 20))


def test_what_is_looked_at_is_not_written_over(server: pp.Server) -> None:
    """Results that live keep their content while segments are used again and again."""
    kept = []
    for number in range(30):
        result = server.submit(np.full, (BIG, number))()
        if number % 3 == 0:
            kept.append((number, result))
        del result
    for number, result in kept:
        assert (result == number).all()


def test_job_keeps_a_view(lone: pp.Server) -> None:
    """What a job has put into a global stays as it was, whatever comes after it."""

    def keep(data: Any) -> None:
        import tests.jobs

        vars(tests.jobs)["kept"] = data[5:]

    def kept_is(number: int) -> bool:
        import tests.jobs

        return bool((vars(tests.jobs)["kept"] == number).all())

    def forget() -> None:
        import tests.jobs

        del vars(tests.jobs)["kept"]

    lone.submit(keep, (np.full(BIG, 3),))()
    for number in range(10, 20):
        assert lone.submit(np.sum, (np.full(BIG, number),))() == BIG * number
        assert lone.submit(np.full, (BIG, number))()[0] == number
    assert lone.submit(kept_is, (3,))()
    lone.submit(forget)()
    assert lone.submit(np.sum, (np.full(BIG, 1),))() == BIG


def test_view_is_the_argument_of_the_next_job(server: pp.Server) -> None:
    data = ramp(BIG)
    for _ in range(5):
        data = server.submit(jobs.echo, (data,))()
    np.testing.assert_array_equal(data, ramp(BIG))
    part = server.submit(jobs.echo, (data[100:-100],))()
    np.testing.assert_array_equal(part, ramp(BIG)[100:-100])


def test_part_of_an_argument_is_returned(server: pp.Server) -> None:
    def parts(data: Any, other: Any) -> Any:
        import numpy as np

        return data[1000:], other, data[: len(data) // 2], np.zeros(len(data))

    one, two = ramp(BIG), ramp(BIG, "f8")
    back = server.submit(parts, (one, two))()
    for got, wanted in zip(back, (one[1000:], two, one[: BIG // 2], np.zeros(BIG)), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_many_at_once(server: pp.Server) -> None:
    results = [server.submit(jobs.echo, (np.full(50_000, n),)) for n in range(300)]
    for number, job in enumerate(results):
        assert (job() == number).all()


def test_threads_submit_and_collect(server: pp.Server) -> None:
    failures: list[object] = []

    def work(first: int) -> None:
        for number in range(first, first + 15):
            data = server.submit(jobs.echo, (np.full(BIG, number),))()
            if not (data == number).all():
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_output_beside_a_big_result(lone: pp.Server, capsys: pytest.CaptureFixture[str]) -> None:
    def chatty(size: int) -> Any:
        import numpy as np

        print("one line")
        print("x" * 200_000)
        return np.ones(size)

    job = lone.submit(chatty, (BIG,))
    assert job().sum() == BIG
    assert capsys.readouterr().out == "one line\n" + "x" * 200_000 + "\n"
    value, output = pickle.loads(job(raw_result=True))
    assert value.sum() == BIG
    assert output.startswith("one line\n")


def test_exception_with_big_data(lone: pp.Server) -> None:
    def fail(data: Any) -> None:
        raise ValueError("too big", data.copy())

    with pytest.raises(ValueError, match="too big") as caught:
        lone.submit(fail, (ramp(BIG),))()
    np.testing.assert_array_equal(caught.value.args[1], ramp(BIG))


def test_result_that_cannot_be_pickled_after_its_buffers_could(lone: pp.Server) -> None:
    def make(data: Any) -> Any:
        import threading

        return [data, data.copy(), threading.Lock()]

    with pytest.raises(pp.SerializationError, match="lock"):
        lone.submit(make, (ramp(BIG),))()
    assert lone.submit(np.sum, (np.ones(BIG),))() == BIG


def test_result_that_the_second_pickler_can(lone: pp.Server) -> None:
    """What the first attempt has collected must not get in the way."""

    def make(data: Any) -> Any:
        return [data.copy(), lambda: float(data.sum()) + 0]

    copy, function = lone.submit(make, (np.ones(BIG),))()
    assert copy.sum() == function() == BIG


def test_recalled_and_repeated_jobs_have_their_data(make_server: MakeServer, gate: Gate) -> None:
    """Jobs that were sent ahead are taken back for workers that come later."""
    server = make_server(1)
    blocker = server.submit(jobs.pass_gate, gate.args())
    gate.await_inside("job")
    waiting = [server.submit(np.sum, (np.full(BIG, n),)) for n in range(20)]
    server.set_ncpus(3)
    assert [job() for job in waiting] == [BIG * n for n in range(20)]
    gate.open()
    blocker()


def test_restart_gives_each_job_its_data(make_server: MakeServer) -> None:
    server = make_server(2, restart=True)
    ref = server.put(np.ones(BIG))
    both = [server.submit(np.dot, (ref, np.full(BIG, n))) for n in range(6)]
    assert [job() for job in both] == [BIG * n for n in range(6)]


@pytest.mark.parametrize("memory", [0, 1000, 3_000_000])
def test_without_room_in_shared_memory(
    memory: int, make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """All works, and the user is told once what costs time and what to do."""
    server = make_server(2, shared_memory=memory)
    caplog.set_level(logging.WARNING, "pp")
    data = ramp(BIG, "f8")
    held = [server.submit(jobs.echo, (data + n,))() for n in range(5)]
    for number, result in enumerate(held):
        np.testing.assert_array_equal(result, data + number)
        assert not result.flags.writeable
    ref = server.put(data)
    assert [server.submit(np.sum, (ref,))() for _ in range(4)] == [data.sum()] * 4
    np.testing.assert_array_equal(ref.get(), data)
    told = [record.getMessage() for record in caplog.records if "shared" in record.getMessage()]
    if memory == 0:
        assert not told
    else:
        eventually(lambda: any("shared_memory" in r.getMessage() for r in caplog.records))
        told = [r.getMessage() for r in caplog.records if "shared_memory" in r.getMessage()]
        assert len(told) == 1
        assert str(memory) in told[0]


@pytest.mark.parametrize("wrong", [-1, 2**63, "1 GB", 1.5])
def test_no_number_of_bytes(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="shared_memory"):
        pp.Server(1, shared_memory=wrong)


@needs_proc
def test_a_view_that_dies_while_all_is_quiet(make_server: MakeServer) -> None:
    server = make_server(1)
    kept = server.submit(np.ones, (BIG,))()
    server.submit(jobs.pid)()
    # Everything else that was idle is closed by now, and nobody has anything to do.
    eventually(lambda: opened() == 1, "one segment is left")
    del kept
    eventually(lambda: opened() == 0, "the last one goes, too")


@needs_proc
def test_segments_are_used_again_and_go_when_idle(make_server: MakeServer) -> None:
    server = make_server(1)
    worker = server.submit(jobs.pid)()
    for _ in range(10):
        server.submit(np.sum, (np.ones(BIG),))()
    assert opened() <= 2
    eventually(lambda: opened() == 0 and mapped() == 0, "idle segments are closed")
    # The worker is told before it sleeps again.
    eventually(lambda: mapped(worker) == 0, "the worker forgets them")
    kept = server.submit(np.ones, (BIG,))()
    server.destroy()
    assert opened() <= 1
    del kept
    gc.collect()
    assert opened() == mapped() == 0


def test_the_lock_of_python_is_free_while_big_data_is_copied(make_server: MakeServer) -> None:
    """Another thread runs on during a submit: it is not held up for all of a copy."""
    server = make_server(1)
    data = np.ones(40_000_000, np.uint8)
    server.submit(len, (data,))()
    count = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        for _ in range(20):
            before = count
            server.submit(len, (data,))
            if count > before:
                break
        else:
            pytest.fail("no other thread ran while data was copied")
    finally:
        stop.set()
        thread.join()
