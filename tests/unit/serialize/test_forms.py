"""What is in the bytes, what loading them does, and what it costs to import."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pp import _errors
from pp._errors import (
    DestroyedServerError,
    JobError,
    PPError,
    SerializationError,
    WorkerDied,
    WorkerStartError,
)
from pp._serialize import load, pickler
from pp._serialize.form import Form
from pp._serialize.functions import FunctionPacker
from pp._serialize.load import load_function
from pp._serialize.shipping import Shipper


def form_of(function: Any) -> Form:
    return Form(*pickle.loads(FunctionPacker().pack(function).blob))


def repacked(form: Form) -> bytes:
    return pickle.dumps(tuple(form))


def test_the_form_is_plain(define: Any) -> None:
    form = form_of(define("def f(): return 1")["f"])
    assert form.python == sys.version_info[:2]
    assert form.path == tuple(sys.path)
    assert not form.statements
    assert not form.sources
    assert form.reusable
    assert not form.bundled


def test_names_are_good_for_any_version_of_python() -> None:
    form = form_of(len)._replace(python=(3, 7))
    assert load_function(repacked(form))("ab") == 2


def test_compiled_code_of_another_version_is_refused(
    define: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickler, "_PYTHON", (3, 7))
    form = form_of(define("def f(): return 1")["f"])
    with pytest.raises(SerializationError, match=r"the other side Python 3\.7.* source"):
        load_function(repacked(form))


def test_code_of_another_version_is_compiled_from_its_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pickler, "_PYTHON", (3, 7))
    shift = 5

    def shifted(x: int) -> int:
        return x + shift

    packed = FunctionPacker(Shipper(str(tmp_path))).pack(shifted)
    assert load_function(packed.blob)(1) == 6


def test_loaded_functions_can_be_called() -> None:
    loaded = load_function(FunctionPacker().pack(len).blob)
    assert loaded("ab") == 2
    assert loaded.target is len


def test_the_path_becomes_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, "added by a job"])
    monkeypatch.setattr(load, "_path", tuple(sys.path[:-1]))
    form = form_of(len)._replace(path=("first", *sys.path[:-1]))
    load_function(repacked(form))
    assert sys.path == [*form.path, "added by a job"]
    load_function(repacked(form._replace(path=form.path[1:])))
    assert sys.path == [*form.path[1:], "added by a job"]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("pp._serialize.load", {"cloudpickle", "dis", "ast", "inspect"}),
        ("pp._serialize.values", {"cloudpickle", "dis", "ast", "inspect"}),
        ("pp._serialize.failures", {"cloudpickle", "dis", "ast", "inspect"}),
        ("pp._serialize.functions", {"cloudpickle", "ast"}),
    ],
)
def test_imports_are_light(module: str, unwanted: set[str]) -> None:
    support = Path(__file__).parent / "support"
    # A frame of the package, so that only these modules count.
    code = (
        "import sys, types, light_pp\n"
        "sys.modules['pp'] = pp = types.ModuleType('pp')\n"
        "pp.__path__ = [str(light_pp.SOURCE / 'pp')]\n"
        f"import {module}\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(support)},
        check=True,
        timeout=40,
    )
    assert not unwanted.intersection(done.stdout.split())


def test_workers_run_functions_without_cloudpickle(run_program: Any) -> None:
    run_program("""
        class C:
            def m(self): return helper()
        def helper(): return "cloudpickle" in __import__("sys").modules
        assert call(C().m) is False
        """)


DIED = {
    "signal": (
        WorkerDied(exitcode=None, signal="SIGKILL", stderr="a\nb", deaths=3),
        r"ended by SIGKILL; it was the last of 3 that died of this job.*    a\n    b",
    ),
    "code": (WorkerDied(exitcode=3, deaths=1), r"the job's worker process exited with code 3$"),
    "nothing": (WorkerDied(), "the job's worker process died$"),
    "hint": (WorkerDied("text", hint="buy memory"), r"^text\nHint: buy memory$"),
    "start": (
        WorkerStartError(exitcode=1, stderr="no module"),
        r"no worker process could be started.*exited with code 1.*    no module",
    ),
}


@pytest.mark.parametrize("kind", DIED)
def test_errors_of_workers(kind: str) -> None:
    import re

    error, pattern = DIED[kind]
    assert re.search(pattern, str(error), re.DOTALL)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_the_family_of_errors() -> None:
    assert issubclass(WorkerStartError, WorkerDied)
    assert issubclass(WorkerDied, JobError)
    assert issubclass(JobError, PPError)
    assert issubclass(SerializationError, (PPError, pickle.PicklingError))
    assert issubclass(DestroyedServerError, (PPError, RuntimeError))
    for name, value in vars(_errors).items():
        if isinstance(value, type) and issubclass(value, PPError):
            error = pickle.loads(pickle.dumps(value("text")))
            assert (type(error).__name__, str(error)) == (name, "text")


def test_a_job_error_keeps_what_it_knows() -> None:
    error = JobError("text", type_name="m.E", message="why", traceback="where")
    again = pickle.loads(pickle.dumps(error))
    assert (again.type_name, again.message, again.traceback) == ("m.E", "why", "where")
