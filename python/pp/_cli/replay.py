"""The command `pp replay`."""

from __future__ import annotations

import argparse
import sys
import traceback

from pp._replay import debugging, recording

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    command = commands.add_parser(
        "replay",
        help="run a job again that failed and was saved",
        description=(
            "Runs a job again that failed and was saved by job.save(path), with the very "
            "arguments that it had, in the debugger. The file may run any code: use none from "
            "strangers."
        ),
    )
    command.add_argument("path", help="the file")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--step", action="store_true", help="stop at the first line of the job")
    how.add_argument("--run", action="store_true", help="without the debugger", dest="only_run")
    command.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    # As in a script, what lies in the current directory can be imported.
    if "" not in sys.path:
        sys.path.insert(0, "")
    job = recording.load(options.path)
    print(f"{job.name} (job {job.number}) failed with {job.error}", file=sys.stderr)
    here = sys.version.split()[0]
    if here != job.python:
        print(f"It was submitted with Python {job.python}; this is {here}.", file=sys.stderr)
    if not options.only_run:
        debugging.debug(job, step=options.step)
        return 0
    try:
        result = debugging.run(job)
    except Exception as error:
        traceback.print_exception(error)
        return 1
    print(f"It returned this time: {result!r}")
    return 0
