"""OpenGRIS Scaler, on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benches.suite.contestants.base import Contestant


class Scaler(Contestant):
    """`scaler.Client` with a scheduler and workers of `SchedulerClusterCombo`."""

    key = "scaler"
    title = "OpenGRIS Scaler"
    imports = "from scaler import Client"
    # A client that nobody holds takes its jobs along; one that is connected never ends.
    program = (
        "((client := Client(address={address!r})).submit(noop, 1).result(), client.disconnect())[0]"
    )
    version = "from importlib.metadata import version; print(version('opengris-scaler'))"
    note = "`SchedulerClusterCombo` on loopback; nothing is encrypted"

    def __init__(self, workers: int) -> None:
        scaler: Any = import_module("scaler")
        log = os.path.join(tempfile.gettempdir(), "scaler.log")
        self._cluster = scaler.SchedulerClusterCombo(n_workers=workers, logging_paths=(log,))
        self._client = scaler.Client(address=self._cluster.get_address())

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return self._client.submit(function, *args)

    def result(self, handle: Any) -> Any:
        return handle.result()

    def joining(self) -> str:
        return self.program.format(address=self._cluster.get_address())

    def end(self) -> None:
        self._client.disconnect()
        self._cluster.shutdown()
