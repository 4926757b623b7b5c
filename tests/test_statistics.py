"""What jobs print, and what the server tells about itself."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import Gate, MakeServer, RunScript, define


def test_prints_appear_when_the_result_is_collected(
    server: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    job = server.submit(jobs.say, ("one", "two", "three"))
    server.wait()
    assert capsys.readouterr().out == ""
    assert job() == 3
    assert capsys.readouterr().out == "one\ntwo\nthree\n"


def test_prints_appear_exactly_once(server: pp.Server, capsys: pytest.CaptureFixture[str]) -> None:
    job = server.submit(jobs.say, ("once",))
    for _ in range(3):
        job()
        job.wait()
    server.wait()
    assert capsys.readouterr().out == "once\n"


def test_prints_follow_the_order_of_collection(
    server: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [server.submit(jobs.say, (f"{n}a", f"{n}b")) for n in range(6)]
    for job in reversed(made):
        job()
    expected = "".join(f"{n}a\n{n}b\n" for n in reversed(range(6)))
    assert capsys.readouterr().out == expected


def test_each_job_prints_its_own(shared: pp.Server, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        shared.submit(jobs.echo, (number,))()
        shared.submit(jobs.say, (str(number),))()
        assert capsys.readouterr().out == f"{number}\n"


def test_a_job_that_raises_prints_what_it_printed(
    server: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def print_and_raise() -> None:
        print("before")
        raise ValueError("after")

    job = server.submit(print_and_raise)
    for _ in range(2):
        with pytest.raises(ValueError, match="after"):
            job()
    assert capsys.readouterr().out == "before\n"


WAYS_TO_WRITE = {
    "print without end": ("print('a', end='')", "a"),
    "print with flush": ("print('a', flush=True)", "a\n"),
    "print to sys.stdout": ("print('a', file=sys.stdout)", "a\n"),
    "write": ("sys.stdout.write('a')", "a"),
    "writelines": ("sys.stdout.writelines(['a', 'b'])", "ab"),
    "bytes": ("sys.stdout.buffer.write(b'a')", "a"),
    "flush": ("print('a'); sys.stdout.flush()", "a\n"),
    "any text": ("print('\\u00e4\\u4e2d\\U0001f600')", "\u00e4\u4e2d\U0001f600\n"),
    "carriage returns": ("print('a\\r\\nb')", "a\r\nb\n"),
    "a lot": ("print('x' * 3_000_000)", "x" * 3_000_000 + "\n"),
}


@pytest.mark.parametrize("way", WAYS_TO_WRITE)
def test_all_ways_to_write(shared: pp.Server, capsys: pytest.CaptureFixture[str], way: str) -> None:
    statement, expected = WAYS_TO_WRITE[way]
    function = define(f"def function(): {statement}")["function"]
    shared.submit(function, modules=("sys",))()
    assert capsys.readouterr().out == expected


def write_everywhere() -> str:
    """Writes to standard output by all ways around Python, and reads standard input."""
    import os

    os.write(1, b"to descriptor 1\n")
    os.write(2, b"to descriptor 2\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    try:
        return "read " + repr(input())
    except EOFError:
        return f"no input, {os.read(0, 1)!r}"


def test_nothing_that_a_job_writes_or_reads_meets_the_protocol(shared: pp.Server) -> None:
    assert shared.submit(write_everywhere)() == "no input, b''"
    worker = shared.submit(jobs.pid)()
    assert shared.submit(write_everywhere)() == "no input, b''"
    assert shared.submit(jobs.pid)() == worker


def test_output_reaches_a_pipe_in_order(run_script: RunScript) -> None:
    ran = run_script(
        """
        import pp

        def work(n):
            print("job", n)
            return n

        server = pp.Server(2)
        jobs = [server.submit(work, (n,)) for n in range(5)]
        print("start")
        for job in jobs:
            print("result", job())
        print("end")
        """
    )
    expected = ["start", *(f"{what} {n}" for n in range(5) for what in ("job", "result")), "end"]
    assert ran.out.splitlines() == expected


def test_statistics_count_jobs_and_their_time(make_server: MakeServer) -> None:
    server = make_server(2)
    before = server.get_stats()["local"]
    assert (before.ncpus, before.njobs, before.time) == (2, 0, 0.0)
    pause = 0.05
    for job in [server.submit(time.sleep, (pause,)) for _ in range(4)]:
        job()
    after = server.get_stats()
    assert list(after) == ["local"]
    assert after["local"].njobs == 4
    # Sleeping shorter than asked for is impossible.
    assert after["local"].time >= 4 * pause * 0.99
    assert (before.njobs, before.time) == (0, 0.0)


def test_statistics_count_failed_jobs(server: pp.Server) -> None:
    job = server.submit(jobs.fail, (ValueError(),))
    server.submit(jobs.echo, (1,))()
    job.wait()
    assert server.get_stats()["local"].njobs == 2


HEAD = " job count | % of all jobs | job time sum | time per job | job server"
ROW = re.compile(r" +(\d+) \| +(\d+\.\d\d) \| +(\d+\.\d{4}) \| +(\d+\.\d{6}) \| (\S+)", re.ASCII)


def statistics(server: pp.Server, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that `print_stats` prints."""
    capsys.readouterr()
    server.print_stats()
    return capsys.readouterr().out.splitlines()


def test_print_stats_prints_the_classic_table(
    server: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    for job in [server.submit(jobs.echo, (n,)) for n in range(8)]:
        job()
    lines = statistics(server, capsys)
    assert lines[:2] == ["Job execution statistics:", HEAD]
    row = ROW.fullmatch(lines[2])
    assert row is not None
    count, percent, total, each, name = row.groups()
    assert (count, percent, name) == ("8", "100.00", "local")
    assert float(each) == pytest.approx(float(total) / 8, abs=1e-4)
    assert re.fullmatch(r"Time elapsed since server creation \d+\.\d+", lines[3])
    assert lines[4] == "0 active tasks, 2 cores"


def test_print_stats_counts_active_tasks(
    server: pp.Server, gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [server.submit(jobs.pass_gate, gate.args(str(n))) for n in range(3)]
    assert statistics(server, capsys)[-2] == "3 active tasks, 2 cores"
    gate.open()
    for job in made:
        job()
    assert statistics(server, capsys)[-2] == "0 active tasks, 2 cores"


def test_print_stats_before_the_first_job(
    server: pp.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = statistics(server, capsys)
    assert lines[:2] == ["Job execution statistics:", HEAD]
    assert "0 active tasks, 2 cores" in lines


@pytest.mark.parametrize("ncpus", [0, 1, 3])
def test_the_only_active_node_is_this_machine(make_server: MakeServer, ncpus: int) -> None:
    server: Any = make_server(ncpus)
    assert server.get_active_nodes() == {"local": ncpus}
    assert server.get_ncpus() == ncpus
