"""Jobs that begin after others, and get their results."""

from __future__ import annotations

import functools
import gc
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import pp
from tests import graphs, jobs
from tests.failures.support import needs_proc
from tests.graphs import Box
from tests.segments import opened
from tests.support import (
    Gate,
    MakeGate,
    MakeServer,
    RunScript,
    held_up,
)

pytestmark = pytest.mark.timeout(60)

# Larger than what goes through the line.
BIG = 400_000


def inc(value: int) -> int:
    return value + 1


def ones(count: int) -> Any:
    return np.ones(count)


def is_same(*values: Any, **named: Any) -> bool:
    """Whether all of these are one object."""
    found = [*values, *named.values()]
    return all(value is found[0] for value in found)


class Tangled:
    """Holds whatever it is given."""

    def __init__(self, content: Any) -> None:
        self.content = content
        self.me = self


# What arrives


VALUES: dict[str, Any] = {
    "none": None,
    "false": False,
    "number": 7,
    "huge": 1 << 900,
    "negative": -5,
    "nan": float("inf"),
    "no bytes": b"",
    "no text": "",
    "nothing": (),
    "text": "ümläut",
    "surrogate": "\udc80",
    "bytes": bytes(range(256)),
    "long": b"x" * 300_000,
    "list": [1, [2, [3, [4, [5]]]]],
    "dictionary": {"a": 1, 2: (3, None)},
    "an exception": ValueError("a value"),
    "a group": ExceptionGroup("several", [ValueError(1)]),
    "a class": ValueError,
    "small array": np.arange(5),
    "empty array": np.zeros((0, 5)),
    "large array": np.arange(BIG),
    "view": np.arange(BIG * 2)[::-2],
    "arrays": {"a": np.ones(BIG), "b": [np.zeros(BIG), np.ones(BIG)]},
    "box": Box(np.arange(BIG), {"deep": [b"y" * 100_000]}),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize("writable", [False, True])
def test_results_arrive_in_dependants(
    name: str, memory: int | None, writable: bool, make_server: MakeServer
) -> None:
    server = make_server(1, shared_memory=memory, writable_buffers=writable)
    value = VALUES[name]
    made = server.submit(jobs.echo, (value,))
    direct = server.submit(jobs.echo, (made,))
    deep = server.submit(jobs.echo, ([{"there": (made,)}, Box(made)],))
    named = server.submit(jobs.echo, kwargs={"value": made})
    plain = server.submit(jobs.echo, (value,)).result()
    for got in (direct.result(), deep.result()[0]["there"][0], deep.result()[1].content):
        _assert_alike(got, plain)
    _assert_alike(named.result(), plain)


def _assert_alike(got: Any, plain: Any) -> None:
    assert type(got) is type(plain)
    if isinstance(plain, BaseException):
        assert repr(got) == repr(plain)
    elif isinstance(plain, Box):
        np.testing.assert_array_equal(got.content, plain.content)
        assert got.more == plain.more
    else:
        np.testing.assert_equal(got, plain)


@pytest.mark.parametrize("proto", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_protocols_know_jobs(proto: int, make_server: MakeServer) -> None:
    server = make_server(1, proto=proto)
    small, large = server.submit(inc, (1,)), server.submit(ones, (BIG,))

    def look(one: int, deep: Any, *, other: Any) -> tuple[int, float, float]:
        return one, float(deep[0]["a"].sum()), float(other.sum())

    got = server.submit(look, (small, [{"a": large}]), kwargs={"other": large}).result()
    assert got == (2, BIG, BIG)


@pytest.mark.parametrize("writable", [False, True])
def test_arrays_of_results_are_read_only_unless_they_are_copies(
    writable: bool, make_server: MakeServer
) -> None:
    server = make_server(1, writable_buffers=writable)
    made = server.submit(ones, (BIG,))

    def spoil(array: Any) -> bool:
        if not array.flags.writeable:
            return False
        array[:] = 7
        return True

    assert [server.submit(spoil, (made,)).result() for _ in range(2)] == [writable] * 2
    assert made.result().sum() == BIG
    assert server.submit(np.sum, (made,)).result() == BIG


@needs_proc
def test_a_large_result_is_copied_for_nobody(lone: pp.Server) -> None:
    """All that need it look at one piece of memory."""
    made = lone.submit(ones, (BIG,))

    def look(array: Any) -> int:
        return int(array.ctypes.data)

    assert len({lone.submit(look, (made,)).result() for _ in range(5)}) == 1
    assert made.result().sum() == BIG
    assert opened() == 1


@pytest.mark.parametrize("value", [[1], {"a": 1}, Box(1), {1, 2}])
def test_a_job_twice_in_a_call_is_one_object(value: Any, server: pp.Server) -> None:
    made = server.submit(jobs.echo, (value,))
    assert server.submit(is_same, (made, made)).result()
    assert server.submit(is_same, (made,), kwargs={"a": made, "b": made}).result()
    assert server.submit(lambda two: two[0] is two[1]["x"].content, ([made, {"x": Box(made)}],))()


def test_two_calls_get_two_objects(lone: pp.Server) -> None:
    made = lone.submit(jobs.echo, ([1],))

    def spoil(value: list[int]) -> int:
        value.append(2)
        return len(value)

    assert [lone.submit(spoil, (made,)).result() for _ in range(3)] == [2, 2, 2]
    assert made.result() == [1]


def test_jobs_within_objects(server: pp.Server) -> None:
    one, two = server.submit(inc, (0,)), server.submit(inc, (1,))
    nested = [(), {"k": [one, {"deep": Box((two,), {"x": one})}]}, {}]
    assert server.submit(graphs.numbers_in, (nested,)).result() == [1, 2, 1]
    tangled = server.submit(lambda it: (it.me is it, it.content), (Tangled([one, two]),))
    assert tangled.result() == (True, [1, 2])
    assert server.submit(list, (({one, two},),)).result() == [{1, 2}]
    assert server.submit(dict, ([(one, "a")],)).result() == {1: "a"}


def test_jobs_in_partial_objects_as_arguments(server: pp.Server) -> None:
    made = server.submit(inc, (1,))
    call = functools.partial(jobs.add, made)
    assert server.submit(lambda func, value: func(value), (call, 5)).result() == 7


@pytest.mark.parametrize("how", ["closure", "partial", "default", "method"])
def test_jobs_in_functions_are_refused(how: str, server: pp.Server) -> None:
    """A function is sent once for many jobs; what it holds cannot change with them."""
    made = server.submit(inc, (1,))

    def by_default(value: int, other: Any = made) -> Any:
        return value + other

    func: Any = {
        "closure": lambda value: (value, made),
        "partial": functools.partial(jobs.add, made),
        "default": by_default,
        "method": Tangled(made).__eq__,
    }[how]
    with pytest.raises((TypeError, pp.SerializationError)) as caught:
        server.submit(func, (1,))
    assert "pp.Job" in str(caught.value)
    assert "job()" in str(caught.value), "it says what to do"
    assert server.submit(inc, (made,)).result() == 3


def test_many_jobs_in_one_call(server: pp.Server) -> None:
    """More than fit a byte, as a list and as arguments."""
    made = [server.submit(jobs.echo, (number,)) for number in range(1000)]
    assert server.submit(jobs.echo, (made,)).result() == list(range(1000))
    assert server.submit(lambda *all: all, tuple(made)).result() == tuple(range(1000))
    named = {f"n{number}": job for number, job in enumerate(made)}
    assert server.submit(dict, kwargs=named).result() == {f"n{n}": n for n in range(1000)}


def test_small_arguments_of_all_sizes(shared: pp.Server) -> None:
    """What has its own way while it is small meets its bounds."""
    made = [shared.submit(jobs.echo, (number,)) for number in range(40)]
    for count in range(40):
        some = made[:count]
        for form in (some, tuple(some), [(), *some], ([*some], "x" * count), (((some,),),)):
            got = shared.submit(jobs.echo, (form,)).result()
            assert got == _resolved(form)


def _resolved(form: Any) -> Any:
    if isinstance(form, pp.Job):
        return form.result()
    if isinstance(form, (list, tuple)):
        return type(form)(_resolved(item) for item in form)
    return form


def test_refs_and_jobs_go_together(server: pp.Server) -> None:
    ref, made = server.put(np.full(BIG, 3.0)), server.submit(ones, (BIG,))
    other = server.submit(np.add, (ref, made))
    got = server.submit(lambda a, b, c: [x.sum() for x in (a, b, *c)], (ref, other, [made, ref]))
    assert got.result() == [3 * BIG, 4 * BIG, BIG, 3 * BIG]


def test_objects_of_the_main_program(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        class Point:
            def __init__(self, x): self.x = x
            def __eq__(self, other): return type(other) is type(self) and other.x == self.x

        class Trouble(Exception):
            pass

        def make(x): return Point(x)
        def add(one, other): return Point(one.x + other.x)
        def fail(point): raise Trouble(point.x)

        with pp.Server(2) as server:
            a, b = server.submit(make, (1,)), server.submit(make, (2,))
            both = server.submit(add, (a, b))
            print(both().x, server.submit(add, (both, both)).result() == Point(6))
            root = server.submit(fail, (both,))
            try:
                server.submit(add, (root, a)).result()
            except pp.DependencyFailed as error:
                print(type(error.__cause__) is Trouble, error.__cause__.args)
        """
    )
    assert ran.out == "3 True\nTrue (3,)\n"


# What is refused


def test_a_job_of_another_server_is_refused(make_server: MakeServer) -> None:
    server, other = make_server(1), make_server(1)
    strange = other.submit(inc, (1,))
    for args in [(strange,), ([{"a": strange}],), (Box(strange),)]:
        with pytest.raises(pp.SerializationError, match=r"another server's; give what job\(\)"):
            server.submit(jobs.echo, args)
    with pytest.raises(pp.SerializationError, match="another server's") as caught:
        server.submit(jobs.echo, kwargs={"value": strange})
    assert isinstance(caught.value.__cause__, TypeError)
    assert "needs a Server" not in str(caught.value), "this is advice for another mistake"
    assert server.submit(inc, (strange.result(),)).result() == 3


def test_a_job_of_another_server_cannot_be_waited_for(make_server: MakeServer, gate: Gate) -> None:
    """It has a number of its own there, which names another job here."""
    server, other = make_server(1), make_server(1)
    strange = held_up(other, gate)
    for after in (strange, [server.submit(inc, (1,)), strange]):
        with pytest.raises(TypeError, match="another server's"):
            server.submit(inc, (1,), after=after)
    with pytest.raises(TypeError, match="another server's"):
        server.submit(inc, (1,), after=strange, callback=print)
    assert server.submit(inc, (1,)).result() == 2


def test_jobs_travel_nowhere_else(server: pp.Server) -> None:
    made = server.submit(inc, (1,))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=r"only as an argument.*job\(\)"):
            pickle.dumps(made, protocol)
    for obj in (made, [made], Box(made)):
        with pytest.raises(pp.SerializationError, match=r"cannot be put into a server.*job\(\)"):
            server.put(obj)
    assert server.submit(inc, (made,)).result() == 3


def test_what_was_refused_changes_nothing(server: pp.Server) -> None:
    """Neither the next arguments of this thread, nor what was counted."""
    made = server.submit(inc, (1,))
    with pytest.raises(pp.SerializationError):
        server.submit(jobs.echo, ([made, threading.Lock()],))
    assert server.submit(jobs.echo, ([made, Box(made)],)).result() == [2, Box(2)]
    server.wait()


@pytest.mark.parametrize("after", [None, 5, "job", {1}, [1], ["x"], [None]])
def test_after_must_be_jobs(after: Any, shared: pp.Server) -> None:
    with pytest.raises(TypeError, match=r"^after must"):
        shared.submit(inc, (1,), after=after)


def test_submitting_within_pickling(server: pp.Server) -> None:
    """What is pickled for one job may submit another; their jobs do not mix."""
    first = server.submit(inc, (10,))

    class Eager:
        def __reduce__(self) -> Any:
            inner = server.submit(jobs.add, (first, Box(first).content))
            return jobs.echo, (Box([first, inner, first]),)

    box, last = server.submit(jobs.echo, ((Eager(), first),)).result()
    assert (box.content, last) == ([11, 22, 11], 11)


# Order


def test_a_job_begins_after_those_it_depends_on(server: pp.Server, make_gate: MakeGate) -> None:
    first, second = make_gate(), make_gate()
    held = [held_up(server, first), held_up(server, second)]
    by_result = server.submit(jobs.echo, (held[0],))
    by_after = server.submit(jobs.echo, ("after",), after=held)
    by_both = server.submit(jobs.echo, (held[0],), after=[held[1]])
    first.open()
    pid = held[0].result()
    assert by_result.result() == pid
    assert (by_after.state, by_both.state) == ("queued", "queued")
    assert (by_after.node, by_after.attempts, by_after.started_at) == (None, 0, None)
    second.open()
    assert by_after.result() == "after"
    assert by_both.result() == pid


def test_after_forms(server: pp.Server, gate: Gate) -> None:
    held = held_up(server, gate)
    forms: list[Any] = [held, [held], (held,), [held] * 100]
    waiting = [server.submit(inc, (1,), after=form) for form in forms]
    nothings: list[Any] = [(), []]
    nothing = [server.submit(inc, (1,), after=none) for none in nothings]
    assert [job.result() for job in nothing] == [2, 2]
    assert {job.state for job in waiting} == {"queued"}
    gate.open()
    assert [job.result() for job in waiting] == [2] * 4


def test_those_that_wait_hold_up_nobody(lone: pp.Server, gate: Gate, make_gate: MakeGate) -> None:
    """A worker that would wait for its input would wait for ever here."""
    held = held_up(lone, gate)
    waiting = [lone.submit(inc, (held,)) for _ in range(500)]
    lone.set_ncpus(2)
    assert lone.submit(inc, (1,)).result() == 2
    assert {job.state for job in waiting} == {"queued"}
    gate.open()
    assert [job.result() for job in waiting] == [held.result() + 1] * 500


def test_what_has_ended_before_is_as_good(server: pp.Server) -> None:
    made = server.submit(jobs.echo, ([1],))
    assert made.result() == [1]
    made.result().append(2)
    assert server.submit(jobs.echo, (made,)).result() == [1], "as the job gave it"
    assert server.submit(inc, (1,), after=made).result() == 2


def test_a_dropped_job_is_still_waited_for(server: pp.Server, gate: Gate) -> None:
    waiting = server.submit(inc, (server.submit(jobs.pass_gate, gate.args()),))
    gc.collect()
    gate.await_inside("job")
    assert waiting.state == "queued"
    gate.open()
    assert waiting.result() > 1


def test_callbacks_of_dependants(server: pp.Server) -> None:
    got: list[Any] = []
    made = server.submit(inc, (1,), callback=got.append)
    last = server.submit(inc, (made,), callback=got.append, kwargs=None, after=[made])
    server.wait()
    assert (sorted(got), last.finished) == ([2, 3], True)


def test_maps_take_jobs(server: pp.Server, gate: Gate) -> None:
    held = server.submit(jobs.pass_gate, gate.args())
    plain = [server.submit(inc, (number,)) for number in range(100)]
    results = server.map(inc, [*plain, held])
    gate.open()
    assert list(results) == [*range(2, 102), held.result() + 1]
    pairs = [(plain[n], plain[n + 1]) for n in range(99)]
    assert list(server.starmap(jobs.add, pairs, chunksize=10)) == [2 * n + 3 for n in range(99)]


def test_server_wait_waits_for_those_that_wait(server: pp.Server, gate: Gate) -> None:
    held = server.submit(jobs.pass_gate, gate.args(), group="first")
    job: pp.Job[int] = held
    for _ in range(5):
        job = server.submit(inc, (job,), group="second")
    opener = threading.Timer(0.2, gate.open)
    opener.start()
    server.wait("second")
    assert job.done()
    assert job.result() == held.result() + 5
    opener.join()
    server.wait()


def test_jobs_wait_for_workers(make_server: MakeServer) -> None:
    server = make_server(0)
    made = server.submit(ones, (BIG,))
    last = server.submit(np.sum, (made,), after=[server.submit(inc, (1,))])
    failing = server.submit(inc, (server.submit(jobs.fail, (LookupError(1),)),))
    assert last.state == failing.state == "queued"
    server.set_ncpus(1)
    assert last.result() == BIG
    assert isinstance(failing.exception(), pp.DependencyFailed)
    server.set_ncpus(0)
    again = server.submit(np.sum, (made,))
    assert again.state == "queued"
    server.set_ncpus(2)
    assert again.result() == BIG


@pytest.mark.parametrize("options", [{"restart": True}, {"max_jobs_per_worker": 2}])
def test_results_outlive_their_workers(options: dict[str, Any], make_server: MakeServer) -> None:
    server = make_server(1, **options)
    job = server.submit(ones, (BIG,))
    for _ in range(6):
        job = server.submit(np.add, (job, 1))
    assert job.result().sum() == 7 * BIG
