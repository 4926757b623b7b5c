"""The classic API: signatures, jobs, groups, templates, refusals."""

from __future__ import annotations

import builtins
import inspect
import pickle
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, define, eventually, marked_processes

# Calls a function that it finds only in depfuncs, and a module only in modules.
CLASSIC = """
def hypotenuse(a, b):
    return root(square(a) + square(b))

def square(x):
    return x * x

def root(x):
    return math.sqrt(x)
"""


def classic(name: str) -> Callable[..., Any]:
    """One of the functions above, which does not see the others."""
    code = define(CLASSIC)[name].__code__
    return FunctionType(code, {"__name__": "program", "__builtins__": builtins}, name)


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Names and defaults of all positional parameters but `self`."""
    return [
        (parameter.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name != "self"
    ]


NEEDED = inspect.Parameter.empty
SUBMIT_OPTIONS = [
    ("depfuncs", ()),
    ("modules", ()),
    ("callback", None),
    ("callbackargs", ()),
    ("group", "default"),
    ("globals", None),
]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            pp.Server.__init__,
            [
                ("ncpus", "autodetect"),
                ("ppservers", ()),
                ("secret", None),
                ("restart", False),
                ("proto", 5),
                ("socket_timeout", 3600),
            ],
        ),
        (pp.Server.submit, [("func", NEEDED), ("args", ()), *SUBMIT_OPTIONS]),
        (pp.Template.__init__, [("job_server", NEEDED), ("func", NEEDED), *SUBMIT_OPTIONS]),
        (pp.Server.wait, [("group", None)]),
        (pp.Server.set_ncpus, [("ncpus", "autodetect")]),
    ],
    ids=["Server", "submit", "Template", "wait", "set_ncpus"],
)
def test_signatures_are_the_classic_ones(
    function: Callable[..., Any], expected: list[tuple[str, Any]]
) -> None:
    assert parameters(function) == expected


def test_server_takes_all_parameters_by_position(make_server: MakeServer) -> None:
    server = make_server(1, (), "secret", False, 2, 60)
    assert server.get_ncpus() == 1
    assert server.submit(jobs.add, (1, 2))() == 3


def test_server_takes_all_parameters_by_name(make_server: MakeServer) -> None:
    server = make_server(
        ncpus=1, ppservers=(), secret=None, restart=False, proto=5, socket_timeout=3600
    )
    assert server.submit(func=jobs.add, args=(1, 2))() == 3


def test_submit_takes_all_parameters_by_position(server: pp.Server) -> None:
    called: list[Any] = []
    job = server.submit(
        classic("hypotenuse"),
        (3, 4),
        (classic("square"), classic("root")),
        ("math",),
        lambda *args: called.append(args),
        ("told",),
        "triangles",
        {},
    )
    assert job() == 5.0
    assert called == [("told", 5.0)]
    assert job.group == "triangles"


def test_submit_takes_all_parameters_by_name(server: pp.Server) -> None:
    called: list[Any] = []
    job = server.submit(
        globals={"square": classic("square")},
        group="triangles",
        callbackargs=["told"],
        callback=lambda *args: called.append(args),
        modules=["math"],
        depfuncs=[classic("root")],
        args=[6, 8],
        func=classic("hypotenuse"),
    )
    assert job() == 10.0
    assert called == [("told", 10.0)]
    assert job.group == "triangles"


def test_template_passes_everything_on(server: pp.Server) -> None:
    called: list[Any] = []
    template = pp.Template(
        server,
        classic("hypotenuse"),
        (classic("square"), classic("root")),
        ("math",),
        lambda *args: called.append(args),
        ("told",),
        "triangles",
        None,
    )
    made = [template.submit(3 * n, 4 * n) for n in (1, 2, 3)]
    assert [job() for job in made] == [5.0, 10.0, 15.0]
    assert sorted(called) == [("told", 5.0), ("told", 10.0), ("told", 15.0)]
    assert {job.group for job in made} == {"triangles"}


def test_template_by_name_with_defaults(server: pp.Server) -> None:
    template = pp.Template(job_server=server, func=jobs.add)
    job = template.submit(1, 2)
    assert job() == 3
    assert job.group == "default"


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("ncpus", [1, 2])
def test_restart_gives_each_job_a_fresh_process(
    make_server: MakeServer, ncpus: int, restart: bool
) -> None:
    server = make_server(ncpus, restart=restart)
    number = 6
    pids = {job() for job in [server.submit(jobs.pid) for _ in range(number)]}
    assert len(pids) == number if restart else len(pids) <= ncpus


class Protocol:
    """Arrives as the number of the pickle protocol by which it was sent."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return int, (int(protocol),)


@pytest.mark.parametrize("proto", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_proto_is_the_pickle_protocol_of_arguments_and_results(
    make_server: MakeServer, proto: int
) -> None:
    server = make_server(1, proto=proto)
    assert server.submit(jobs.echo, (Protocol(),))() == proto
    returned: Any = server.submit(Protocol)()
    assert returned == proto
    assert server.submit(lambda value: [value], ({"a": 1.5},))() == [{"a": 1.5}]


def test_tids_count_from_zero_over_all_groups(server: pp.Server) -> None:
    made = [server.submit(jobs.echo, (n,), group=f"g{n % 3}") for n in range(7)]
    assert [job.tid for job in made] == list(range(7))
    assert [job.group for job in made] == ["g0", "g1", "g2", "g0", "g1", "g2", "g0"]


def test_a_refused_submit_takes_no_tid(lone: pp.Server) -> None:
    assert lone.submit(jobs.pid).tid == 0
    with pytest.raises(TypeError):
        lone.submit(jobs.pid, 5)  # type: ignore[arg-type]
    assert lone.submit(jobs.pid).tid == 1


def test_finished_tells_without_waiting(lone: pp.Server, gate: Gate) -> None:
    running = lone.submit(jobs.pass_gate, gate.args())
    queued = lone.submit(jobs.pid)
    gate.await_inside("job")
    assert [running.finished, queued.finished] == [False, False]
    gate.open()
    eventually(lambda: running.finished and queued.finished, "both finish by themselves")
    assert [running.finished, queued.finished] == [True, True]
    assert running() == queued()


def test_wait_of_a_job_returns_none_when_it_has_finished(server: pp.Server) -> None:
    job = server.submit(jobs.echo, ("x",))
    assert job.wait() is None  # type: ignore[func-returns-value]
    assert job.finished
    assert job.wait() is None  # type: ignore[func-returns-value]
    assert job() == "x"


def test_wait_of_a_job_leaves_its_error_for_the_call(server: pp.Server) -> None:
    job = server.submit(jobs.fail, (ValueError("later"),))
    job.wait()
    assert job.finished
    with pytest.raises(ValueError, match="later"):
        job()


def test_results_can_be_asked_for_again(server: pp.Server) -> None:
    job = server.submit(jobs.echo, ([1, 2],))
    assert job() == [1, 2]
    assert job() == [1, 2]


def test_wait_for_a_group_waits_for_that_group_only(server: pp.Server, gate: Gate) -> None:
    slow = server.submit(jobs.pass_gate, gate.args(), group="slow")
    quick = [server.submit(jobs.echo, (n,), group="quick") for n in range(20)]
    server.wait("quick")
    assert all(job.finished for job in quick)
    assert not slow.finished
    gate.open()
    server.wait(group="slow")
    assert slow.finished


def test_wait_without_a_group_waits_for_all(server: pp.Server) -> None:
    made = [server.submit(jobs.echo, (n,), group=n % 4) for n in range(40)]
    server.wait()
    assert all(job.finished for job in made)
    assert [job() for job in made] == list(range(40))


def test_wait_for_nothing_returns(server: pp.Server) -> None:
    server.wait()
    server.wait("a group that nobody has made")


@pytest.mark.parametrize("group", [("a", 1), 7, 1.5, frozenset({1}), ""])
def test_any_hashable_names_a_group(server: pp.Server, group: Any) -> None:
    job = server.submit(jobs.echo, (1,), group=group)
    server.wait(group)
    assert job.finished
    assert job.group == group


def test_raw_result_is_the_pickled_result_and_output(server: pp.Server) -> None:
    job = server.submit(jobs.say, ("one", "two"))
    raw: Any = job(raw_result=True)
    assert isinstance(raw, bytes)
    assert pickle.loads(raw) == (2, "one\ntwo\n")
    assert pickle.loads(job(True)) == (2, "one\ntwo\n")  # type: ignore[arg-type]
    assert job() == 2


def test_raw_result_of_a_failed_job_raises(server: pp.Server) -> None:
    with pytest.raises(KeyError, match="missing"):
        server.submit(jobs.fail, (KeyError("missing"),))(raw_result=True)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (TypeError, {"ncpus": "two"}),
        (TypeError, {"ncpus": 1.5}),
        (TypeError, {"ncpus": None}),
        (ValueError, {"ncpus": -1}),
        (TypeError, {"ppservers": "node-1"}),
        (TypeError, {"ppservers": (1,)}),
        (TypeError, {"secret": 5}),
        (TypeError, {"proto": "5"}),
        (ValueError, {"proto": pickle.HIGHEST_PROTOCOL + 1}),
        (ValueError, {"proto": -1}),
        (ValueError, {"errors": "ignore"}),
    ],
    ids=str,
)
def test_a_server_refuses_wrong_arguments(error: type[Exception], options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(error, match=name):
        pp.Server(**options)
    assert not marked_processes()


@pytest.mark.parametrize(
    "ppservers",
    [("127.0.0.1:1",), ["127.0.0.1:1"], (("127.0.0.1", 1),)],
    ids=["tuple", "list", "pairs"],
)
def test_ppservers_may_be_a_list(make_server: MakeServer, ppservers: Any) -> None:
    server = make_server(1, ppservers, secret="epo20pdosl;dksldkmm")
    assert server.submit(jobs.add, (1, 2))() == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("func", 5),
        ("func", "jobs.echo"),
        ("args", 5),
        ("args", "x"),
        ("args", {"x": 1}),
        ("depfuncs", jobs.echo),
        ("depfuncs", (1,)),
        ("depfuncs", ("echo",)),
        ("modules", "math"),
        ("modules", (1,)),
        ("modules", (pickle,)),
        ("callback", 5),
        ("callbackargs", 5),
        ("callbackargs", "told"),
        ("globals", ["echo"]),
        ("group", []),
    ],
)
def test_submit_refuses_wrong_arguments(server: pp.Server, name: str, value: Any) -> None:
    options = {"func": jobs.echo, "args": (1,), name: value}
    with pytest.raises(TypeError, match="hashable" if name == "group" else name):
        server.submit(**options)
    assert server.submit(jobs.echo, (1,))() == 1


def test_version_is_a_string_with_numbers() -> None:
    assert isinstance(pp.version, str)
    assert pp.version == pp.__version__
    assert int(pp.version.split(".")[0]) >= 2


def test_reprs_tell_what_it_is(make_server: MakeServer, gate: Gate) -> None:
    server = make_server(1)
    job = server.submit(jobs.pass_gate, gate.args(), group="doors")
    assert "Server" in repr(server)
    assert "1" in repr(server)
    assert "doors" in repr(job)
    pending = repr(job)
    gate.open()
    job.wait()
    assert repr(job) != pending
    server.destroy()
    assert "destroyed" in repr(server)
