"""`Server.put`: objects that each worker gets once."""

from __future__ import annotations

import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import pp
from tests import jobs
from tests.failures.support import needs_proc
from tests.segments import opened
from tests.support import MakeServer, eventually

pytestmark = pytest.mark.timeout(60)

BIG = 400_000


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize(
    "value", [None, 7, "text", [1, {"a": (2,)}], b"x" * 300_000, {"array": np.arange(BIG)}]
)
def test_arrives_as_itself(value: Any, memory: int | None, make_server: MakeServer) -> None:
    server = make_server(2, shared_memory=memory)
    ref = server.put(value)

    def check(got: Any, deep: Any) -> Any:
        assert deep[0]["there"][1] is deep[1]
        return got

    back = server.submit(check, (ref, [{"there": (0, ref)}, ref]))()
    np.testing.assert_equal(back, value)
    np.testing.assert_equal(ref.get(), value)


def test_functions_and_classes_can_be_put(server: pp.Server) -> None:
    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

    ref = server.put((Point(3), lambda number: number + 1))
    got = server.submit(lambda pair: pair[1](pair[0].x), (ref,))()
    assert got == 4
    assert isinstance(ref.get()[0], Point)


def test_no_job_sees_what_another_has_changed(lone: pp.Server) -> None:
    ref = lone.put({"list": [1], "array": np.zeros(BIG)})

    def spoil(value: Any) -> int:
        value["list"].append(2)
        value["more"] = 1
        return len(value["list"]) + len(value)

    assert [lone.submit(spoil, (ref,))() for _ in range(3)] == [5, 5, 5]
    assert ref.get()["list"] == [1]


def test_it_is_as_it_was_when_it_was_put(server: pp.Server) -> None:
    data = np.zeros(BIG)
    ref = server.put(data)
    data[:] = 1
    assert not server.submit(np.any, (ref,))()
    assert not ref.get().any()


def test_arrays_of_all_jobs_share_memory(lone: pp.Server) -> None:
    ref = lone.put(np.ones(BIG))

    def address(array: Any) -> int:
        return int(array.ctypes.data)

    assert len({lone.submit(address, (ref,))() for _ in range(5)}) == 1


@needs_proc
def test_equal_content_is_kept_once(server: pp.Server) -> None:
    refs = [server.put(np.ones(BIG)) for _ in range(5)]
    assert opened() == 1
    nearly = np.ones(BIG)
    nearly[BIG // 3] = 2
    other = server.put(nearly)
    assert opened() == 2
    totals = [server.submit(np.sum, (ref,))() for ref in [*refs, other]]
    assert totals == [BIG] * 5 + [BIG + 1]


@needs_proc
def test_it_goes_with_the_last_ref_and_the_last_job(lone: pp.Server) -> None:
    ref = lone.put(np.ones(BIG))
    job = lone.submit(np.sum, (ref,))
    again = lone.put(np.ones(BIG))
    del ref
    gc.collect()
    assert job() == BIG
    assert lone.submit(np.sum, (again,))() == BIG
    watched = weakref.ref(again)
    queued = lone.submit(np.sum, (again,))
    del again
    gc.collect()
    assert watched() is None
    assert queued() == BIG
    eventually(lambda: opened() == 0, "the segment is closed")
    fresh = lone.put(np.ones(BIG))
    assert lone.submit(np.sum, (fresh,))() == BIG


def test_many_jobs(server: pp.Server) -> None:
    ref = server.put(np.arange(BIG))

    def item(array: Any, index: int) -> int:
        return int(array[index])

    assert [j() for j in [server.submit(item, (ref, n)) for n in range(500)]] == list(range(500))


def test_several_refs_and_an_array(server: pp.Server) -> None:
    refs = [server.put(np.full(BIG, n)) for n in range(4)]

    def sums(refs: Any, array: Any, first: Any) -> list[int]:
        return [int(a.sum()) for a in (*refs, array, first)]

    got = server.submit(sums, (refs, np.full(BIG, 9), refs[0]))()
    assert got == [BIG * n for n in (0, 1, 2, 3, 9, 0)]


def test_what_a_ref_is_returned_as(server: pp.Server) -> None:
    """Its object, without a copy."""
    ref = server.put(np.arange(BIG))
    back = server.submit(jobs.echo, (ref,))()
    del ref
    gc.collect()
    np.testing.assert_array_equal(back, np.arange(BIG))


def test_repr_says_how_large_it_is(server: pp.Server) -> None:
    ref = server.put(bytes(1_000_000))
    assert 1_000_000 < ref.size < 1_001_000
    assert repr(ref) == f"<pp.Ref, {ref.size} bytes>"


def test_ref_of_another_server(make_server: MakeServer) -> None:
    ours, theirs = make_server(1), make_server(1)
    ref = ours.put([1])
    with pytest.raises(pp.SerializationError, match="another server"):
        theirs.submit(len, (ref,))
    with pytest.raises(pp.SerializationError, match="another server"):
        theirs.submit(len, ([ref],))
    assert ours.submit(len, (ref,))() == 1


def test_ref_of_a_destroyed_server(make_server: MakeServer) -> None:
    server = make_server(1)
    ref = server.put(np.ones(BIG))
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        server.submit(len, (ref,))
    with pytest.raises(pp.DestroyedServerError):
        server.put(1)
    assert ref.get().sum() == BIG


def test_ref_elsewhere_than_in_arguments(server: pp.Server) -> None:
    ref = server.put(1)
    with pytest.raises(TypeError, match=r"ref\.get\(\)"):
        pickle.dumps(ref)
    with pytest.raises(pp.SerializationError, match=r"ref\.get\(\)"):
        server.put([ref])
    with pytest.raises(pp.SerializationError, match=r"argument of a job"):
        server.submit(lambda: ref)


def test_what_cannot_be_put(server: pp.Server) -> None:
    import threading

    with pytest.raises(pp.SerializationError, match="lock"):
        server.put({"lock": threading.Lock()})


def test_submit_within_pickling(server: pp.Server) -> None:
    """Refs are those of the submit that they are pickled for, also if one is within another."""
    ref, other = server.put("outer"), server.put("inner")
    inner: list[pp.Job[Any]] = []

    class Nosy:
        def __reduce__(self) -> Any:
            inner.append(server.submit(jobs.echo, ([other],)))
            return str, ("nosy",)

    assert server.submit(jobs.echo, ([ref, Nosy(), ref],))() == ["outer", "nosy", "outer"]
    assert {tuple(job()) for job in inner} == {("inner",)}


def test_no_worker_has_to_live_for_put(make_server: MakeServer) -> None:
    server = make_server(0)
    ref = server.put(np.ones(BIG))
    job = server.submit(np.sum, (ref,))
    server.set_ncpus(1)
    assert job() == BIG
