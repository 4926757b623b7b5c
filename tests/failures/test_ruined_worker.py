"""A job may ruin the interpreter that it runs in; later jobs do not suffer."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable

import pytest

import pp


def forget_modules() -> None:
    """Most imports fail from now on."""
    sys.modules.clear()


def forget_importing() -> None:
    """All imports fail from now on."""
    builtins.__import__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("ruin", [forget_modules, forget_importing])
def test_later_jobs_get_a_worker_that_works(
    ruin: Callable[[], None], server_of: Callable[..., pp.Server]
) -> None:
    server = server_of(1)
    server.submit(ruin).wait()
    later = [server.submit(lambda n: len([0] * n), (n,)) for n in range(5)]
    assert [job() for job in later] == list(range(5))
    with pytest.raises(ZeroDivisionError):
        server.submit(lambda: 1 / 0)()
