"""Functions that can be submitted as they are: `@server.job` and `@pp.job`."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, held_up

pytestmark = pytest.mark.timeout(60)


def test_it_is_called_as_before(server: pp.Server) -> None:
    @server.job
    def area(radius: float, *, factor: int = 3) -> float:
        """Of a circle."""
        return factor * radius**2

    assert area(2) == 12
    assert area(2, factor=1) == 4
    assert area(radius=1) == 3
    assert (area.__name__, area.__doc__) == ("area", "Of a circle.")  # type: ignore[attr-defined]
    assert list(inspect.signature(area).parameters) == ["radius", "factor"]
    assert isinstance(area, pp.JobFunction)
    assert "area" in repr(area)


def test_it_is_submitted(server: pp.Server) -> None:
    @server.job
    def area(radius: float, *, factor: int = 3) -> float:
        return factor * radius**2

    job = area.submit(2)
    assert isinstance(job, pp.Job)
    assert job.result() == 12
    assert job.name.endswith("area")
    assert area.submit(radius=2, factor=1).result() == 4
    assert area.submit(area.submit(1), factor=2).result() == 18, "jobs stand for their results"
    assert area.submit(1, factor=area.submit(1)).result() == 3


def test_arguments_may_have_any_name(server: pp.Server) -> None:
    @server.job
    def look(**given: Any) -> Any:
        return given

    given = dict.fromkeys(("self", "func", "args", "kwargs", "group", "timeout", "callback"), 1)
    assert look.submit(**given).result() == given


def test_options_are_kept(server: pp.Server, gate: Gate) -> None:
    got: list[Any] = []

    @server.job(name="the area", group="areas", callback=got.append, timeout=50)
    def area(radius: float) -> float:
        return 3 * radius**2

    job = area.submit(2)
    assert (job.result(), job.name, job.group) == (12, "the area", "areas")
    server.wait("areas")
    assert got == [12]
    held = held_up(server, gate)
    later = area.using(after=held, name=None)
    assert later.options == {**area.options, "after": held, "name": None}
    waiting = later.submit(1)
    assert (waiting.state, waiting.group) == ("queued", "areas")
    assert area.submit(1).name == "the area", "the function itself stays as it was"
    gate.open()
    assert waiting.result() == 3
    assert later(5) == 75


def test_every_keyword_of_submit_is_an_option(lone: pp.Server) -> None:
    keywords = set(inspect.signature(pp.Server.submit).parameters)
    for keyword in keywords - {"self", "func", "args", "kwargs"}:
        assert pp.job(**{keyword: None})(jobs.add).options == {keyword: None}
    asking = lone.job(resources={"no such thing": 1})(jobs.add)
    with pytest.raises(pp.ResourceError, match="no such thing"):
        asking.submit(1, 2).result()


def test_retries_of_a_decorated_function(lone: pp.Server, tmp_path: Path) -> None:
    @lone.job(retries=3, retry_on=LookupError, backoff=0)
    def third(path: str) -> int:
        with Path(path).open("a") as file:
            file.write("x")
        size = len(Path(path).read_text())
        if size < 3:
            raise LookupError(size)
        return size

    job = third.submit(str(tmp_path / "tries"))
    assert (job.result(), job.attempts) == (3, 3)


def test_it_is_mapped(server: pp.Server) -> None:
    @server.job(name="not for maps")
    def add(left: int, right: int = 10) -> int:
        return left + right

    assert list(add.map(range(100))) == list(range(10, 110))
    assert list(add.map([1, 2], [3, 4])) == [4, 6]
    assert sorted(add.map(range(10), ordered=False)) == list(range(10, 20))


def test_methods(server: pp.Server) -> None:
    class Circle:
        def __init__(self, radius: int) -> None:
            self.radius = radius

        @server.job(name="area")
        def area(self, factor: int = 3) -> int:
            return factor * self.radius**2

        @staticmethod
        @server.job
        def twice(value: int) -> int:
            return 2 * value

    circle = Circle(2)
    assert circle.area() == 12
    assert circle.area(1) == 4
    job = circle.area.submit(factor=2)
    assert (job.result(), job.name) == (8, "area")
    assert Circle.area(circle) == 12
    assert (Circle.twice(4), Circle.twice.submit(4).result()) == (8, 8)


def test_it_may_call_itself_and_others(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        server = pp.Server(2)

        @server.job
        def factorial(n):
            return 1 if n < 2 else n * factorial(n - 1)

        @pp.job(server=server)
        def both(n):
            return factorial(n), even(n)

        @pp.job(server=server, timeout=50)
        def even(n):
            return True if n == 0 else odd(n - 1)

        @server.job
        def odd(n):
            return False if n == 0 else even(n - 1)

        # What cannot be sent is for the client alone.
        got = []
        @server.job(callback=lambda lock, value: got.append(value), callbackargs=(server,),
                    after=factorial.submit(1))
        def watched(n):
            return 1 if n < 2 else n * watched(n - 1)

        print(factorial(5), factorial.submit(5).result())
        print(both(6), both.submit(6).result())
        print(watched.submit(5).result())
        print(list(even.map(range(5))))
        print(server.submit(factorial, (4,)).result(), list(server.map(odd, range(4))))
        print(server.submit(lambda f, n: f(n), (factorial, 3)).result())
        """
    )
    assert ran.out.splitlines() == [
        "120 120",
        "(720, True) (720, True)",
        "120",
        "[True, False, True, False, True]",
        "24 [False, True, False, True]",
        "6",
    ]


def test_functions_of_modules(run_script: RunScript, tmp_path: Path) -> None:
    """A worker that imports the module finds what stands there in the function's place."""
    (tmp_path / "areas.py").write_text(
        "import pp\n"
        "@pp.job\n"
        "def area(radius): return 3 * radius ** 2\n"
        "@pp.job(name='volume')\n"
        "def volume(radius, height): return area(radius) * height\n"
        "class Circle:\n"
        "    def __init__(self, radius): self.radius = radius\n"
        "    @pp.job\n"
        "    def area(self): return area(self.radius)\n"
    )
    ran = run_script(
        """
        import areas
        import pp

        print(areas.area.submit(2).result(), areas.volume.submit(areas.area.submit(1), 2).result())
        print(areas.Circle(1).area.submit().result(), list(areas.area.map([1, 2])))
        with pp.Server(1) as server:
            print(server.submit(areas.volume, (1, 2)).result())
            print(server.submit(areas.Circle(2).area).result())
            print(server.submit(lambda: areas.volume(1, 2)).result())
        """
    )
    assert ran.out.splitlines() == ["12 54", "3 [3, 12]", "6", "12", "6"]


def test_the_programs_own_server(run_script: RunScript) -> None:
    ran = run_script(
        """
        import os, pp

        @pp.job
        def pid(): return os.getpid()

        @pp.job()
        def other(): return os.getppid()

        from pp import _decorator
        assert _decorator._own is None, "it is made when it is needed"
        first = pid.submit().result()
        assert first != os.getpid() == pid()
        own = _decorator._own
        assert other.submit().result() and _decorator._own is own, "one for all"
        own.destroy()
        assert pid.submit().result() not in (first, os.getpid())
        assert _decorator._own is not own, "a new one after its end"
        child = os.fork()
        if child == 0:
            ok = pid.submit().result() not in (os.getpid(), os.getppid())
            _decorator._own.destroy()
            os._exit(0 if ok else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pid.submit().result() > 0)
        """,
        quiet=False,
    )
    assert ran.out == "0 True\n"


def test_what_is_wrong_is_told(server: pp.Server) -> None:
    with pytest.raises(TypeError, match="only what can be called can be a job, not 'int'"):
        server.job(5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="not 'str'"):
        pp.job("text")  # type: ignore[call-overload]
    for name in ("func", "args", "kwargs"):
        with pytest.raises(TypeError, match=f"{name} cannot be given to a decorator"):
            pp.job(server=None, **{name: ()})(abs)
        with pytest.raises(TypeError, match=f"{name} cannot be given to a decorator"):
            server.job(abs).using(**{name: ()})
    for made in (server.job, pp.job):
        with pytest.raises(TypeError, match="unknown option timeouts"):
            made(timeouts=3)(abs)
    with pytest.raises(TypeError, match="unknown option retry"):
        server.job(abs).using(retry=3)


def test_builtins_and_classes(server: pp.Server) -> None:
    assert server.job(abs).submit(-3).result() == 3
    assert server.job(int)("255") == 255
    assert server.job(int).submit("ff", base=16).result() == 255


def test_it_is_pickled_by_itself() -> None:
    """As far as its function is: what a worker gets is called there."""
    copy = pickle.loads(pickle.dumps(pp.job(abs)))
    assert copy(-3) == 3


def test_a_destroyed_server_is_told(make_server: MakeServer) -> None:
    server = make_server(1)
    function = server.job(jobs.echo)
    assert function.submit(1).result() == 1
    server.destroy()
    with pytest.raises(pp.DestroyedServerError):
        function.submit(1)
    assert function(1) == 1
