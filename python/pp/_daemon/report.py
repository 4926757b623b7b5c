"""What a node has done, as a table."""

from __future__ import annotations

# (name, address, workers, jobs that wait or run, finished jobs, seconds that those ran,
# seconds since it came)
Session = tuple[str, str, int, int, int, float, float]


def statistics(sessions: list[Session]) -> str:
    """A table of a node's clients."""
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
    total = sum(session[4] for session in sessions)
    lines.append(f"{len(sessions)} clients, {total} jobs done")
    return "\n".join(lines)
