"""`progress=` of `Server.map` and its kin: what is counted, shown, and left alone."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, eventually


class Recorder:
    """Makes bars that have tqdm's methods and remember what was done with them."""

    def __init__(self) -> None:
        self.bars: list[RecordedBar] = []

    def __call__(self, **settings: Any) -> RecordedBar:
        self.bars.append(RecordedBar(settings))
        return self.bars[-1]

    @property
    def bar(self) -> RecordedBar:
        """The only one."""
        assert len(self.bars) == 1
        return self.bars[0]


class RecordedBar:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.count = 0
        self.postfix: dict[str, Any] = {}
        self.closed = 0
        self.threads = {threading.get_ident()}

    def update(self, n: int) -> None:
        assert not self.closed
        assert n > 0
        self.count += n
        self.threads.add(threading.get_ident())

    def set_postfix(self, refresh: bool = True, **facts: Any) -> None:
        assert not self.closed
        self.postfix = facts

    def close(self) -> None:
        self.closed += 1
        self.threads.add(threading.get_ident())


def odd_only(number: int) -> int:
    """Raises for even numbers."""
    if number % 2 == 0:
        raise ValueError(number)
    return number


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("chunksize", [1, 7, "auto"])
def test_all_items_are_counted(
    shared: pp.Server, recorder: Recorder, ordered: bool, chunksize: Any
) -> None:
    options = {"ordered": ordered, "chunksize": chunksize}
    found = shared.map(abs, range(-500, 0), progress=recorder, **options)
    assert recorder.bars == [], "nothing is shown before anything is asked for"
    assert sorted(found) == list(range(1, 501))
    assert recorder.bar.settings == {"total": 500, "desc": "abs", "unit": "item"}
    assert (recorder.bar.count, recorder.bar.postfix, recorder.bar.closed) == (500, {}, 1)


@pytest.mark.parametrize(
    ("make", "total"),
    [
        (lambda: ([1, 2, 3], [1, 2]), 2),
        (lambda: (iter([1, 2, 3]), range(9)), 3),
        (lambda: ({1: 1, 2: 2}, itertools.count()), 2),
        (lambda: ((n for n in (1, 2)), itertools.count()), None),
        (lambda: ((n for n in (1, 2)), [1, 2, 3, 4]), 4),
        (lambda: ([], range(9)), 0),
    ],
    ids=["lists", "hints", "dict", "generator", "both", "empty"],
)
def test_the_total_is_known_if_a_length_is(
    shared: pp.Server, recorder: Recorder, make: Callable[[], Any], total: int | None
) -> None:
    found = list(shared.map(jobs.add, *make(), progress=recorder))
    assert recorder.bar.settings == {"total": total, "desc": "add", "unit": "item"}
    assert recorder.bar.count == len(found)
    assert recorder.bar.closed == 1


def test_failures_are_told(shared: pp.Server, recorder: Recorder) -> None:
    found = list(shared.map(odd_only, range(9), return_exceptions=True, progress=recorder))
    assert sum(isinstance(result, ValueError) for result in found) == 5
    assert (recorder.bar.count, recorder.bar.postfix) == (9, {"failures": 5})


def test_failures_that_are_printed(
    make_server: MakeServer, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    server = make_server(1, errors="print")
    assert list(server.map(odd_only, range(4), progress=recorder)) == [None, 1, None, 3]
    assert (recorder.bar.count, recorder.bar.postfix) == (4, {"failures": 2})


def test_what_cannot_be_sent_is_a_failure(shared: pp.Server, recorder: Recorder) -> None:
    items = [1, threading.Lock(), 3]
    kept = list(shared.map(jobs.echo, items, return_exceptions=True, progress=recorder))
    assert type(kept[1]) is pp.SerializationError
    assert (recorder.bar.count, recorder.bar.postfix) == (3, {"failures": 1})


def test_what_has_ended_is_counted_though_the_first_result_is_late(
    server: pp.Server, recorder: Recorder, gate: Gate
) -> None:
    def wait_first(number: int) -> int:
        if number == 0:
            jobs.pass_gate(*args)
        return number

    args = gate.args()
    found = server.map(wait_first, range(30), chunksize=1, timeout=0.01, progress=recorder)

    def all_but_one() -> bool:
        with pytest.raises(TimeoutError):
            next(found)
        return recorder.bar.count == 29

    eventually(all_but_one)
    assert recorder.bar.closed == 0, "a timeout ends nothing"
    gate.open()
    for number in range(30):
        eventually(lambda: shows(found, number))  # noqa: B023 - it is called here
    assert list(found) == []
    assert (recorder.bar.count, recorder.bar.closed) == (30, 1)


def shows(found: Iterator[int], number: int) -> bool:
    """Whether the next result is this one, rather than late."""
    try:
        assert next(found) == number
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("how", ["close", "break", "error", "input", "destroy"])
def test_the_bar_is_closed_at_every_end(
    make_server: MakeServer, recorder: Recorder, how: str
) -> None:
    server = make_server(1)

    def items() -> Iterator[int]:
        yield from range(-50, 0)
        raise OSError("no more")

    def fail_at(number: int) -> int:
        if number == 40:
            raise ValueError(number)
        return number

    if how == "input":
        with pytest.raises(OSError, match="no more"):
            list(server.map(abs, items(), progress=recorder))
    elif how == "error":
        with pytest.raises(ValueError, match="40"):
            list(server.map(fail_at, itertools.count(), progress=recorder))
        assert recorder.bar.postfix == {"failures": 1}
    else:
        found = server.map(abs, itertools.count(), progress=recorder)
        assert next(found) == 0
        assert recorder.bar.closed == 0
        if how == "close":
            found.close()
            found.close()
        elif how == "destroy":
            server.destroy()
            with pytest.raises(pp.DestroyedServerError):
                for _ in found:
                    pass
        else:
            del found
    assert recorder.bar.closed == 1


def test_a_map_that_nobody_asks_shows_nothing(shared: pp.Server, recorder: Recorder) -> None:
    shared.map(abs, [1], progress=recorder).close()
    assert recorder.bars == []


@pytest.mark.parametrize("where", ["make", "update", "set_postfix", "close"])
def test_a_bar_that_raises_costs_nothing_but_the_bar(
    shared: pp.Server, recorder: Recorder, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_args: Any, **_settings: Any) -> Any:
        raise RuntimeError("no bar")

    def make(**settings: Any) -> Any:
        bar = recorder(**settings)
        setattr(bar, where, refuse)
        return bar

    wanted = refuse if where == "make" else make
    with caplog.at_level(logging.WARNING, "pp"):
        found = list(
            shared.map(odd_only, range(2000), chunksize=50, return_exceptions=True, progress=wanted)
        )
    assert [n for n in found if isinstance(n, int)] == list(range(1, 2000, 2))
    told = [record for record in caplog.records if "progress bar" in record.message]
    assert len(told) == 1
    assert told[0].exc_info is not None


def test_an_interrupt_in_the_bar_loses_nothing(shared: pp.Server) -> None:
    class Interrupted(RecordedBar):
        def update(self, n: int) -> None:
            super().update(n)
            if len(interrupts) < 3:
                interrupts.append(self)
                raise KeyboardInterrupt

    interrupts: list[Interrupted] = []
    found = shared.map(
        jobs.echo, range(100), chunksize=5, progress=lambda **settings: Interrupted(settings)
    )
    results: list[int] = []
    for _ in range(4):
        try:
            results.extend(iter(lambda: next(found), 99))
        except KeyboardInterrupt:
            continue
    assert len(interrupts) == 3
    assert results == list(range(99))
    assert list(found) == []
    assert (interrupts[0].count, interrupts[0].closed) == (100, 1)


def test_a_bar_that_closes_its_map(shared: pp.Server) -> None:
    class Closing(RecordedBar):
        def update(self, n: int) -> None:
            super().update(n)
            found.close()

    bars: list[Closing] = []

    def make(**settings: Any) -> Closing:
        bars.append(Closing(settings))
        return bars[-1]

    found = shared.map(abs, itertools.count(), progress=make)
    assert len(list(found)) < 10
    assert bars[0].closed == 1


def test_what_progress_may_be(shared: pp.Server) -> None:
    for wrong in (None, 1, "tqdm", [True]):
        with pytest.raises(TypeError, match="progress must be a bool or what makes a bar"):
            shared.map(abs, [1], progress=wrong)  # type: ignore[call-overload]


def test_starmap_shows_its_items(shared: pp.Server, recorder: Recorder) -> None:
    rows: list[Any] = [(2, 3), 5, (2, 4)]
    found = list(shared.starmap(pow, rows, return_exceptions=True, progress=recorder))
    assert [found[0], found[2]] == [8, 16]
    assert recorder.bar.settings == {"total": 3, "desc": "pow", "unit": "item"}
    assert (recorder.bar.count, recorder.bar.postfix) == (3, {"failures": 1})


@pytest.mark.parametrize("how", ["end", "close", "error", "cancel"])
def test_amap_shows_its_items_on_the_loop(server: pp.Server, recorder: Recorder, how: str) -> None:
    def fail_at(number: int) -> int:
        if number == 70 and how == "error":
            raise ValueError(number)
        return number

    async def use() -> None:
        items = range(100) if how == "end" else itertools.count()
        results = server.amap(fail_at, items, chunksize=1, progress=recorder)
        if how == "end":
            assert [result async for result in results] == list(range(100))
            assert recorder.bar.count == 100
        elif how == "error":
            with pytest.raises(ValueError, match="70"):
                async for _ in results:
                    pass
            assert recorder.bar.postfix == {"failures": 1}
        else:
            assert await anext(results) == 0
            assert recorder.bar.closed == 0
            if how == "cancel":
                task = asyncio.create_task(drain(results))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()
            else:
                await results.aclose()
        assert recorder.bar.closed == 1
        assert recorder.bar.threads == {threading.get_ident()}

    asyncio.run(use())


async def drain(results: Any) -> None:
    async for _ in results:
        pass


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


@pytest.mark.usefixtures("without_tqdm")
def test_our_own_bar_on_a_terminal(shared: pp.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "100")
    found = list(shared.map(odd_only, range(1000), return_exceptions=True, progress=True))
    assert len(found) == 1000
    states = screen.getvalue().split("\r")
    assert "odd_only:   0% |" in states[1]
    assert "0/1,000 [" in states[1]
    last = states[-1]
    assert last.endswith("\n")
    assert "odd_only: 100% |####" in last
    assert "1,000/1,000 [" in last
    assert "items/s, 00:0" in last
    assert "failures: 500]" in last
    assert all(len(state.strip()) < 100 for state in states)


@pytest.mark.usefixtures("without_tqdm")
def test_our_own_bar_without_a_total(shared: pp.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert len(list(shared.map(abs, (n for n in range(10)), progress=True))) == 10
    assert screen.getvalue().split("\r")[-1].startswith("abs: 10 [")


@pytest.mark.usefixtures("without_tqdm")
def test_our_own_bar_is_a_line_where_there_is_no_terminal(
    shared: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(list(shared.map(abs, range(3000), chunksize=5, progress=True))) == 3000
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("abs: 100% ")
    assert "3,000/3,000 [" in said.err


@pytest.mark.usefixtures("without_tqdm")
@pytest.mark.parametrize("stream", [None, "closed"])
def test_our_own_bar_without_standard_error(
    shared: pp.Server, monkeypatch: pytest.MonkeyPatch, stream: str | None
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    assert list(shared.map(abs, [-1, -2], progress=True)) == [1, 2]


class Handle:
    def __init__(self, shown: list[str]) -> None:
        self._shown = shown

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self._shown.append(content["text/plain"])


class ZMQInteractiveShell:
    """Named as the shell of notebooks is."""


@pytest.mark.usefixtures("without_tqdm")
def test_our_own_bar_in_a_notebook(shared: pp.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    shown: list[str] = []

    def display(content: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        assert shown == []
        shown.append(content["text/plain"])
        return Handle(shown)

    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = ZMQInteractiveShell
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    assert list(shared.map(abs, [-1, -2], progress=True)) == [1, 2]
    assert shown[0].startswith("abs:   0% ")
    assert "2/2 [" in shown[-1]


def test_the_bar_of_tqdm(run_script: RunScript) -> None:
    """In a process of its own, since tqdm leaves a thread."""
    ran = run_script(
        """
        import functools
        import pp
        import tqdm

        def odd_only(number):
            if number % 2 == 0:
                raise ValueError(number)
            return number

        with pp.Server(1) as server:
            list(server.map(odd_only, range(500), return_exceptions=True, progress=True))
            list(server.map(abs, range(300), progress=functools.partial(tqdm.tqdm, ascii=True)))
        """,
        quiet=False,
    )
    usual, own = ran.err.split("odd_only: ")[-1], ran.err.split("abs: ")[-1]
    assert "500/500 [" in usual
    assert "failures=250]" in usual
    assert "100%|##########| 300/300 [" in own


def test_tqdm_is_not_imported_unless_it_is_wanted(run_script: RunScript) -> None:
    ran = run_script("""
        import sys
        import pp

        with pp.Server(1) as server:
            list(server.map(abs, range(3)))
            print([name for name in ("tqdm", "asyncio", "pp._map.bar") if name in sys.modules])
    """)
    assert ran.out == "[]\n"
