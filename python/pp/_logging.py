"""The core's log records in Python's `logging`, under the name `pp`."""

from __future__ import annotations

import logging
import os
import sys
import threading

from pp import _core

logger = logging.getLogger("pp")

_lock = threading.Lock()
_thread: threading.Thread | None = None
_owner = 0


def start() -> None:
    """Begins passing records on, once in a process, and adopts the logger's level."""
    global _thread, _owner
    _core.start_log(logger.getEffectiveLevel())
    with _lock:
        if _thread is not None and _owner == os.getpid():
            return
        _owner = os.getpid()
        _thread = threading.Thread(target=_run, name="pp-log", daemon=True)
        _thread.start()


def stop() -> None:
    """Passes on what is left and ends the thread."""
    if _thread is not None and _owner == os.getpid():
        _core.close_log()
        # A handler may take its time; the program's end does not wait for it.
        _thread.join(1.0)


def _run() -> None:
    while True:
        try:
            record = _core.next_log(3600.0)
        except StopIteration:
            return
        if record is not None:
            _pass_on(*record)


def _pass_on(level: int, text: str) -> None:
    try:
        logger.log(level, "%s", text)
    except Exception:
        sys.excepthook(*sys.exc_info())
    # It may have changed since the last look.
    _core.set_log_level(logger.getEffectiveLevel())
