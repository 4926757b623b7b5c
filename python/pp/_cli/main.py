"""The command `pp`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pp._cli import replay
from pp._cluster import secret
from pp._errors import PPError
from pp._version import version


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (PPError, OSError) as error:
        print(f"pp: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pp", description="Parallel Python.")
    parser.add_argument("--version", action="version", version=f"pp {version}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "secret",
        help="the secret that the servers of a cluster share",
        description="The secret that the servers of a cluster share.",
    )
    actions = command.add_subparsers(title="what to do", required=True, metavar="WHAT")
    show = actions.add_parser("show", help="print the secret that is used here")
    show.set_defaults(run=_show)
    path = actions.add_parser("path", help="print the name of the file that has it")
    path.set_defaults(run=_path)
    new = actions.add_parser("new", help="make one, in that file")
    new.add_argument("--file", type=Path, help="in another file")
    new.add_argument("--replace", action="store_true", help="also if there is one")
    new.set_defaults(run=_new)
    replay.add(commands)
    return parser


def _show(_options: argparse.Namespace) -> int:
    found = secret.find()
    if found is None:
        print(
            f"pp: there is no secret yet; `pp secret new` makes one, in {secret.default_path()}",
            file=sys.stderr,
        )
        return 1
    print(found.value.decode("utf-8", "backslashreplace").strip())
    print(f"pp: it comes from {found.source}", file=sys.stderr)
    return 0


def _path(_options: argparse.Namespace) -> int:
    print(secret.own_path())
    return 0


def _new(options: argparse.Namespace) -> int:
    path = options.file or secret.own_path()
    if not secret.make(path, replace=options.replace):
        print(
            f"pp: there is a secret in {path}; `pp secret new --replace` makes another one. "
            "Servers that have the old one will not be believed any more",
            file=sys.stderr,
        )
        return 1
    print(path)
    return 0
