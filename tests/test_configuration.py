"""The right configuration by itself: processors, threads, nested servers, surroundings."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import MakeServer, RunPython, RunScript, marked_processes

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity"
)
needs_two_cpus = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="a limit to one processor shows only where there are more",
)


def detected(run_script: RunScript, preparation: str, *arguments: str) -> int:
    """What "autodetect" comes to in a process that has prepared itself so."""
    source = f"import os, sys\nfrom pathlib import Path\n{preparation}\n"
    source += "import pp\nwith pp.Server() as server:\n    print(server.get_ncpus())\n"
    return int(run_script(source, *arguments).out)


@needs_affinity
@needs_two_cpus
def test_autodetect_honours_affinity(run_script: RunScript) -> None:
    some = min(os.sched_getaffinity(0))
    assert detected(run_script, f"os.sched_setaffinity(0, {{{some}}})") == 1


@needs_affinity
def test_workers_keep_the_affinity(run_script: RunScript) -> None:
    some = min(os.sched_getaffinity(0))
    ran = run_script(
        f"""
        import os
        import pp
        os.sched_setaffinity(0, {{{some}}})
        print(pp.Server().submit(os.sched_getaffinity, (0,))())
        """
    )
    assert ran.out == f"{{{some}}}\n"


CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
CGROUP_V2 = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]


def own_cgroup(root: Path, controller: str) -> Path:
    """The directory of this process's group in a hierarchy."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return root / path.lstrip("/")
    pytest.skip(f"this process is in no cgroup with the controller {controller!r}")


def make_cgroup(parent: Path, limits: dict[str, str]) -> Path:
    """A new group with limits; skips the test where that is not allowed."""
    group = parent / f"pp-test-{uuid.uuid4().hex}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"cannot make a cgroup, which takes root: {error}")
    try:
        for name, value in limits.items():
            (group / name).write_text(value)
    except OSError as error:
        group.rmdir()
        pytest.skip(f"cannot limit a cgroup's processor time: {error}")
    return group


@pytest.fixture
def cgroup_v1() -> Iterator[Any]:
    """Makes groups of version 1 in which time for some processors is allowed."""
    if not (CGROUP_V1 / "cpu.cfs_quota_us").exists() and not CGROUP_V1.is_dir():
        pytest.skip("cgroup v1's cpu controller is not mounted at /sys/fs/cgroup/cpu")
    made: list[Path] = []

    def make(processors: float | None, parent: Path | None = None) -> Path:
        quota = "-1" if processors is None else str(round(processors * 100_000))
        limits = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": quota}
        made.append(make_cgroup(parent or own_cgroup(CGROUP_V1, "cpu"), limits))
        return made[-1]

    yield make
    for group in reversed(made):
        group.rmdir()


@pytest.fixture
def cgroup_v2() -> Iterator[Any]:
    """The same for version 2."""
    root = next((root for root in CGROUP_V2 if _offers_cpu(root)), None)
    if root is None:
        pytest.skip("no cgroup v2 hierarchy with the cpu controller is mounted")
    made: list[Path] = []

    def make(processors: float | None, parent: Path | None = None) -> Path:
        quota = "max" if processors is None else str(round(processors * 100_000))
        parent = parent or root
        made.append(make_cgroup(parent, {"cpu.max": f"{quota} 100000"}))
        return made[-1]

    yield make
    for group in reversed(made):
        group.rmdir()


def _offers_cpu(root: Path) -> bool:
    enabled = root / "cgroup.subtree_control"
    return enabled.exists() and "cpu" in enabled.read_text().split()


JOIN = 'Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))'

QUOTAS = [0.1, 0.5, 1.0, 1.2, 2.0, 2.5]


def fits(processors: float) -> set[int]:
    """How many workers a quota means: rounded either way, at least one."""
    usable = len(os.sched_getaffinity(0))
    rounded = {int(processors), -int(-processors // 1)}
    return {min(usable, max(1, number)) for number in rounded}


@needs_two_cpus
@pytest.mark.parametrize("processors", QUOTAS)
def test_autodetect_honours_quotas_of_cgroup_v1(
    run_script: RunScript, cgroup_v1: Any, processors: float
) -> None:
    assert detected(run_script, JOIN, str(cgroup_v1(processors))) in fits(processors)


@needs_two_cpus
def test_autodetect_honours_quotas_of_parents_in_cgroup_v1(
    run_script: RunScript, cgroup_v1: Any
) -> None:
    child = cgroup_v1(None, cgroup_v1(1.0))
    assert detected(run_script, JOIN, str(child)) == 1


@needs_two_cpus
@pytest.mark.parametrize("processors", QUOTAS)
def test_autodetect_honours_quotas_of_cgroup_v2(
    run_script: RunScript, cgroup_v2: Any, processors: float
) -> None:
    assert detected(run_script, JOIN, str(cgroup_v2(processors))) in fits(processors)


@needs_two_cpus
def test_autodetect_honours_quotas_of_parents_in_cgroup_v2(
    run_script: RunScript, cgroup_v2: Any
) -> None:
    parent = cgroup_v2(1.0)
    (parent / "cgroup.subtree_control").write_text("+cpu")
    assert detected(run_script, JOIN, str(cgroup_v2(None, parent))) == 1


@needs_affinity
def test_without_limits_autodetect_means_all_usable_processors(
    run_script: RunScript, cgroup_v1: Any
) -> None:
    # A group without a quota of its own, on a machine that may have one further up.
    usable = len(os.sched_getaffinity(0))
    quota = int((own_cgroup(CGROUP_V1, "cpu") / "cpu.cfs_quota_us").read_text())
    if quota >= 0:
        pytest.skip("the tests themselves run under a quota")
    assert detected(run_script, JOIN, str(cgroup_v1(None))) == usable


@pytest.mark.parametrize("ncpus", [1, 2, 3])
def test_workers_threads_do_not_oversubscribe(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, ncpus: int
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pp.Server() as default:
        usable = default.get_ncpus()
    found = make_server(ncpus).submit(jobs.variables, THREAD_VARIABLES)()
    threads = {int(value or 0) for value in found.values()}
    assert len(threads) == 1
    assert 1 <= threads.pop() <= max(1, usable // ncpus)


@pytest.mark.parametrize("name", THREAD_VARIABLES)
def test_what_the_user_has_set_stays(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "7")
    assert make_server(2).submit(jobs.variables, (name,))() == {name: "7"}


def test_the_clients_own_variables_stay(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    make_server(1).submit(jobs.echo, (1,))()
    assert dict(os.environ) == before


def test_the_environment_of_the_client_reaches_jobs(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PP_TEST_WORD", "passed on")
    assert make_server(1).submit(jobs.variables, ("PP_TEST_WORD",))() == {
        "PP_TEST_WORD": "passed on"
    }


def nest(depth: int) -> list[int]:
    """The sizes of servers, each made by default inside a job of the one before."""
    with pp.Server() as server:
        size = server.get_ncpus()
        assert len({server.submit(os.getpid)() for _ in range(4)}) == 1
        return [size, *(server.submit(nest, (depth - 1,))() if depth else [])]


def test_servers_inside_jobs_have_one_worker(lone: pp.Server) -> None:
    assert lone.submit(nest, (2,))() == [1, 1, 1]
    assert len(marked_processes()) == 1


def ask_for_three() -> tuple[int, int]:
    with pp.Server(3) as server:
        asked = server.get_ncpus()
        server.set_ncpus("autodetect")
        return asked, server.get_ncpus()


def test_servers_inside_jobs_may_be_told_otherwise(lone: pp.Server) -> None:
    assert lone.submit(ask_for_three)() == (3, 1)


def size_in_child(package: str) -> str:
    """The size of a default server in a program that the job starts."""
    import subprocess

    code = "import pp; s = pp.Server(); print(s.get_ncpus()); s.destroy()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": package},
    )
    return done.stdout


def test_a_program_started_by_a_job_is_inside_the_job(lone: pp.Server) -> None:
    package = str(Path(pp.__file__).resolve().parent.parent)
    assert lone.submit(size_in_child, (package,))() == "1\n"


def test_a_nested_server_that_is_forgotten_leaves_nothing(lone: pp.Server) -> None:
    def forget() -> int:
        server = pp.Server()
        return server.submit(os.getpid)()

    assert lone.submit(forget)() > 0


SURROUNDINGS = """
import json, os, sys
import pp

def look():
    return [sys.executable, os.getcwd(), sys.path, sys.flags.dev_mode, sys.flags.utf8_mode]

def mine():
    return look()

print(json.dumps([mine(), pp.Server(1).submit(look)()]))
"""


@pytest.mark.parametrize("flags", [(), ("-X", "dev"), ("-E",), ("-X", "utf8=0")], ids=str)
def test_workers_run_in_the_clients_surroundings(
    run_script: RunScript, flags: tuple[str, ...]
) -> None:
    import json

    if "-E" in flags:
        package = str(Path(pp.__file__).resolve().parent.parent)
        source = f"import sys\nsys.path.insert(0, {package!r})\n" + SURROUNDINGS
    else:
        source = SURROUNDINGS
    mine, theirs = json.loads(run_script(source, interpreter_args=flags).out)
    assert mine == theirs


def test_changes_of_the_path_before_the_server_reach_workers(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "found_by_path.py").write_text("def f():\n    return 'found'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    function = importlib.import_module("found_by_path").f
    assert make_server(1).submit(function)() == "found"


def test_importing_is_light(run_python: RunPython) -> None:
    code = """if True:
        import sys
        import pp
        heavy = {"asyncio", "multiprocessing", "ssl", "http", "numpy", "concurrent.futures.process"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run_python("-c", code).out == "[]\n"
