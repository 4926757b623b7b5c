"""What a node has done, as a table."""

from __future__ import annotations

# (name, address, workers, jobs that wait or run, finished jobs, seconds that those ran,
# seconds since it came)
Session = tuple[str, str, int, int, int, float, float]


# Clients that have come since the start, finished jobs, seconds that those ran.
Done = tuple[int, int, float]


def statistics(sessions: list[Session], done: Done) -> str:
    """A table of a node's clients, and what it has done since its start, also for others."""
    lines = [
        "Clients and their jobs:",
        " jobs done | job time sum | time per job | pending | workers | here for | client",
    ]
    for name, address, workers, pending, jobs, seconds, age in sessions:
        each = seconds / jobs if jobs else 0.0
        lines.append(
            f"{jobs:10d} | {seconds:12.3f} | {each:12.6f} | {pending:7d} | {workers:7d} |"
            f" {age:6.0f} s | {name} at {address}"
        )
    clients, jobs, seconds = done
    lines.append(
        f"{_counted(len(sessions), 'client')}; since the start: {_counted(clients, 'client')}, "
        f"{_counted(jobs, 'job')} done, {seconds:.3f} seconds"
    )
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
