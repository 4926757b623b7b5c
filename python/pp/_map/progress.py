"""What shows how far a map has come: the bar that the user wants, kept at bay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from pp._logging import logger

__all__ = ["Bar", "MakeBar", "Progress", "Shows", "check_progress", "progress_of"]


class Bar(Protocol):
    """What is needed of a bar: a part of what tqdm's have."""

    def update(self, n: int, /) -> object:
        """So many items more have ended."""

    def set_postfix(self, *, refresh: bool, failures: int) -> object:
        """So many have failed."""

    def close(self) -> object:
        """Nothing more comes."""


# Called with `total`, `desc` and `unit`.
MakeBar = Callable[..., Bar]


class Shows(Protocol):
    """Shows how far a map has come."""

    def show(self, finished: int, failed: int) -> None:
        """So many items have ended, and so many of these have failed."""

    def close(self, finished: int, failed: int) -> None:
        """That was all."""


def check_progress(progress: object) -> None:
    """Raises `TypeError` for what `progress` cannot be."""
    if not (isinstance(progress, bool) or callable(progress)):
        raise TypeError(
            f"progress must be a bool or what makes a bar, as tqdm.tqdm does, not {progress!r:.100}"
        )


def progress_of(wanted: bool | MakeBar, total: int | None, desc: str) -> Progress | None:
    """What shows a map of `total` items, if that is known; None for nothing."""
    if wanted is False:
        return None
    return Progress(_usual_bar if wanted is True else wanted, total, desc)


def _usual_bar(**settings: Any) -> Bar:
    try:
        # It takes long, and may be missing.
        from tqdm.auto import tqdm  # noqa: PLC0415
    except ImportError:
        from pp._map.bar import TextBar  # noqa: PLC0415

        return TextBar(**settings)
    bar: Bar = tqdm(**settings)
    return bar


class Progress:
    """Shows a map by a bar, which is made when there is something to show.

    Whatever the bar raises is logged, once, and the map goes on without it.
    """

    def __init__(self, make: MakeBar, total: int | None, desc: str) -> None:
        self._make: MakeBar | None = make
        self._total = total
        self._desc = desc
        self._bar: Bar | None = None
        self._finished = 0
        self._failed = 0
        # One thread may close the map while another shows. The bar may close it, too.
        self._lock = threading.RLock()

    def show(self, finished: int, failed: int) -> None:
        """So many items have ended, and so many of these have failed."""
        with self._lock:
            try:
                self._show(finished, failed)
            except Exception:
                self._give_up()

    def close(self, finished: int, failed: int) -> None:
        """That was all."""
        with self._lock:
            self._make = None
            try:
                self._show(finished, failed)
                bar, self._bar = self._bar, None
                if bar is not None:
                    bar.close()
            except Exception:
                self._give_up()

    def _show(self, finished: int, failed: int) -> None:
        make, self._make = self._make, None
        if make is not None:
            self._bar = make(total=self._total, desc=self._desc, unit="item")
        # First it is noted, then told: an interrupt is to count nothing twice.
        if self._bar is not None and failed > self._failed:
            self._failed = failed
            self._bar.set_postfix(refresh=False, failures=failed)
        if self._bar is not None and finished > self._finished:
            more, self._finished = finished - self._finished, finished
            self._bar.update(more)

    def _give_up(self) -> None:
        self._bar = self._make = None
        logger.warning(
            "the progress bar of %r raised; it goes on without", self._desc, exc_info=True
        )
