"""Ray, on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant


class Ray(Contestant):
    """Remote functions of Ray."""

    key = "ray"
    title = "Ray"
    imports = "import ray"
    program = (
        "(ray.init(num_cpus={workers}, include_dashboard=False, log_to_driver=False), "
        "ray.get(ray.remote(noop).remote(1)))[1]"
    )
    version = "from importlib.metadata import version; print(version('ray'))"
    note = "`map` is `ray.util.multiprocessing.Pool.map`; data is shared by `ray.put`"

    def __init__(self, workers: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._workers = workers
        self._ray: Any = import_module("ray")
        self._ray.init(
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            # Ray's sockets lie there, and their names must not be long.
            _temp_dir=os.path.join(tempfile.gettempdir(), "ray"),
        )
        self._pool: Any = None
        self._remote = lru_cache(maxsize=None)(self._ray.remote)

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._remote(function).remote(*args)

    def result(self, handle: Any) -> Any:
        return self._ray.get(handle)

    def submit_all(
        self, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
    ) -> list[Any]:
        submit = self._remote(function).remote
        return [submit(*args) for args in arguments]

    def results(self, handles: list[Any]) -> list[Any]:
        results: list[Any] = self._ray.get(handles)
        return results

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        if self._pool is None:
            self._pool = import_module("ray.util.multiprocessing").Pool(processes=self._workers)
        results: list[Any] = self._pool.map(function, items)
        return results

    def share(self, data: Any) -> Any:
        return self._ray.put(data)

    def joining(self) -> str:
        address = self._ray.get_runtime_context().gcs_address
        return (
            f"(ray.init(address={address!r}, log_to_driver=False), "
            "ray.get(ray.remote(noop).remote(1)))[1]"
        )

    def end(self) -> None:
        self._ray.shutdown()
