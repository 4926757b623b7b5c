"""Fixtures for the tests of the executor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest

import pp


class MakeExecutor(Protocol):
    """The fixture `make_executor`: an executor that is shut down after the test."""

    def __call__(self, *args: Any, **options: Any) -> pp.Executor: ...


@pytest.fixture
def make_executor() -> Iterator[MakeExecutor]:
    """Makes executors that are shut down after the test."""
    executors: list[pp.Executor] = []

    def make(*args: Any, **options: Any) -> pp.Executor:
        executors.append(pp.Executor(*args, **options))
        return executors[-1]

    yield make
    for executor in executors:
        executor.shutdown(cancel_futures=True)


@pytest.fixture
def executor(make_executor: MakeExecutor) -> pp.Executor:
    """An executor of two workers."""
    return make_executor(2)


@pytest.fixture
def lone(make_executor: MakeExecutor) -> pp.Executor:
    """An executor of one worker, which runs all calls, one after another."""
    return make_executor(1)
