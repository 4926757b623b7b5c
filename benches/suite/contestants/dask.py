"""Dask distributed, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant


class Dask(Contestant):
    """`distributed.Client` with a local cluster of processes."""

    key = "dask"
    title = "Dask distributed"
    imports = "from distributed import Client, LocalCluster"
    program = (
        "Client(LocalCluster(n_workers={workers}, threads_per_worker=1, "
        "dashboard_address=None)).submit(noop, 1).result()"
    )
    version = "from importlib.metadata import version; print(version('distributed'))"
    note = "`map` is `Client.map`, a task for each item; data is shared by `scatter`"

    def __init__(self, workers: int) -> None:
        distributed: Any = import_module("distributed")
        self._cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        )
        self._client = distributed.Client(self._cluster)

    # `pure=False`: or a job that is submitted again would not be run again.

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._client.submit(function, *args, pure=False)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def results(self, handles: list[Any]) -> list[Any]:
        results: list[Any] = self._client.gather(handles)
        return results

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        return self.results(self._client.map(function, items, pure=False))

    def share(self, data: Any) -> Any:
        return self._client.scatter(data, hash=False)

    def joining(self) -> str:
        return f"Client({self._cluster.scheduler_address!r}).submit(noop, 1).result()"

    def end(self) -> None:
        self._client.close()
        self._cluster.close()
