"""No job finds the traces of another."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

import pp
from tests import jobs
from tests.support import define

# A program that defines f(), which leaves a trace and returns how many it finds.
TRACES: dict[str, str] = {
    "global list": """
        x = []
        def f():
            x.append(1)
            return len(x)
        """,
    "global rebound": """
        x = 0
        def f():
            global x
            x += 1
            return x
        """,
    "global made": """
        def f():
            global n
            n = globals().get('n', 0) + 1
            return n
        """,
    "global dict": """
        x = {}
        def f():
            x[len(x)] = 1
            return len(x)
        """,
    "global object": """
        class C: n = 0
        x = C()
        def f():
            x.n += 1
            return x.n
        """,
    "global of a helper": """
        x = []
        def g(): x.append(1)
        def f():
            g()
            return len(x)
        """,
    "class": """
        class C: n = 0
        def f():
            C.n += 1
            return C.n
        """,
    "closure list": """
        def make():
            x = []
            def f():
                x.append(1)
                return len(x)
            return f
        f = make()
        """,
    "closure cell": """
        def make():
            x = 0
            def f():
                nonlocal x
                x += 1
                return x
            return f
        f = make()
        """,
    "default": """
        def f(x=[]):
            x.append(1)
            return len(x)
        """,
    "attribute of the function": """
        def f():
            f.n += 1
            return f.n
        f.n = 0
        """,
    "partial": """
        import functools
        def g(x):
            x.append(1)
            return len(x)
        f = functools.partial(g, [])
        """,
    "bound method": """
        class C:
            def __init__(self): self.n = 0
            def m(self):
                self.n += 1
                return self.n
        f = C().m
        """,
    "callable object": """
        class C:
            n = 0
            def __call__(self):
                self.n += 1
                return self.n
        f = C()
        """,
    "iterator": """
        x = iter([1, 2, 3, 4, 5, 6, 7])
        def f(): return next(x)
        """,
}


@pytest.mark.parametrize("trace", TRACES)
def test_no_job_sees_what_another_has_done(shared: pp.Server, trace: str) -> None:
    function = define(TRACES[trace])["f"]
    worker = shared.submit(jobs.pid)()
    assert shared.submit(function)() == 1
    assert [job() for job in [shared.submit(function) for _ in range(5)]] == [1] * 5
    assert shared.submit(jobs.pid)() == worker


@dataclass
class Bag:
    """Arguments are the job's own."""

    items: list[int] = field(default_factory=list)

    def fill(self) -> int:
        self.items.append(1)
        return len(self.items)


def test_no_job_changes_the_clients_objects(shared: pp.Server) -> None:
    bag = Bag()
    for _ in range(3):
        assert shared.submit(Bag.fill, (bag,))() == 1
        assert shared.submit(bag.fill)() == 1
    assert bag.items == []
