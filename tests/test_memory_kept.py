"""What is done with is let go: servers, states of functions, jobs."""

from __future__ import annotations

import gc
import types
import weakref
from typing import Any

import pytest

import pp
from tests import jobs
from tests.support import RunScript


def test_a_dropped_server_leaves_nothing_that_its_functions_hold(run_script: RunScript) -> None:
    """A function that outlives its servers does not keep what they knew of it."""
    ran = run_script(
        """
        import gc
        import pp

        def double(value):
            return 2 * value

        for _ in range(3):
            server = pp.Server(1)
            assert [server.submit(double, (n,))() for n in range(3)] == [0, 2, 4]
            server.destroy()
        del server
        gc.collect()
        print([type(each).__name__ for each in gc.get_objects()].count("KnownFunctions"))
        """
    )
    assert ran.out == "0\n"


def test_an_outdated_state_of_a_function_is_forgotten(server: pp.Server) -> None:
    """One that a global of it had before, and with it all that it refers to."""
    namespace: dict[str, Any] = {"SCALE": 1}
    exec("def scaled(value):\n    return SCALE * value\n", namespace)
    scaled: types.FunctionType = namespace["scaled"]
    for scale in range(1, 8):
        namespace["SCALE"] = scale
        assert server.submit(scaled, (10,))() == 10 * scale
    held = [each for each in gc.get_referrers(scaled.__code__) if "Guards" in type(each).__name__]
    assert len(held) == 1, "only what holds now is of use"


def test_a_job_that_its_own_result_refers_to_is_collected(server: pp.Server) -> None:
    job = server.submit(jobs.echo, ([1],))
    result = job()
    result.append(job)
    gone = weakref.ref(job)
    del job, result
    gc.collect()
    assert gone() is None


def test_a_server_is_initialized_once(server: pp.Server) -> None:
    with pytest.raises(pp.PPError, match="twice"):
        server.__init__(1)  # type: ignore[misc]
    assert server.submit(jobs.echo, (1,))() == 1
