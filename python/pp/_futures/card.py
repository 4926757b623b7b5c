"""A job in a notebook."""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pp._core import Job

__all__ = ["card"]

_COLOURS = {
    "queued": "#8a8a8a",
    "running": "#1f6feb",
    "finished": "#1a7f37",
    "failed": "#cf222e",
    "cancelled": "#9a6700",
}


def card(job: Job[Any]) -> str:
    """A small card in HTML that says what one wants to know of a job."""
    state = job.state
    rows = [("group", str(job.group)), ("where", _place(job)), ("time", _times(job))]
    if state == "failed":
        rows.append(("error", _error(job)))
    cells = "".join(
        f"<tr><td style='opacity:.6;padding-right:1em'>{name}</td><td>{html.escape(text)}</td></tr>"
        for name, text in rows
        if text
    )
    colour = _COLOURS.get(state, "#8a8a8a")
    return (
        f"<div style='border-left:4px solid {colour};padding:.3em .8em;display:inline-block'>"
        f"<b>{html.escape(str(job.name))}</b> &nbsp;job {job.tid} &nbsp;"
        f"<span style='color:{colour}'>{state}</span>"
        f"<table style='margin:0'>{cells}</table></div>"
    )


def _place(job: Job[Any]) -> str:
    node, pid = job.node, job.worker_pid
    if node is None:
        return ""
    return node if pid is None else f"{node}, process {pid}"


def _times(job: Job[Any]) -> str:
    finished, started = job.finished_at, job.started_at
    if finished is None:
        return f"submitted {time.time() - job.submitted_at:.3g} s ago"
    if started is None:
        return f"ended {time.time() - finished:.3g} s ago"
    waited = max(0.0, started - job.submitted_at)
    return f"waited {waited:.3g} s, ran {finished - started:.3g} s"


def _error(job: Job[Any]) -> str:
    error = job.exception()
    try:
        message = str(error)
    except Exception:
        message = "<its str() failed>"
    return f"{type(error).__name__}: {message}".splitlines()[0][:200]
