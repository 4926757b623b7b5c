"""The settings of `ppserver`: from flags, the environment, a file, or as they are."""

from __future__ import annotations

import argparse
import configparser
import logging
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pp._core import expand_node
from pp._resources import supply
from pp._version import version

_WHOLE = re.compile("-?[0-9]{1,20}")


class OptionError(Exception):
    """A setting has a value that it cannot have; the text says which and from where."""


class _Setting(NamedTuple):
    """One setting.

    Attributes:
        name: as in files; the long flag, with dashes; and `PPSERVER_NAME` in the
            environment.
        short: the classic's flag, or None.
        section: where it stands in a file.
        read: makes a value of a text; `_flag` for what is on or off.
        default: the value if nobody says otherwise.
        text: what it means.
        value: what its value is called in the help.
    """

    name: str
    short: str | None
    section: str
    read: Callable[[str], Any]
    default: Any
    text: str
    value: str = ""


def _flag(text: str) -> bool:
    values = {"1": True, "yes": True, "true": True, "on": True}
    values |= {"0": False, "no": False, "false": False, "off": False, "": False}
    if text.strip().lower() not in values:
        raise ValueError("should be yes or no")
    return values[text.strip().lower()]


def _secret(text: str) -> str:
    if not text.strip():
        raise ValueError("should not be empty")
    return text


def _format(text: str) -> str:
    try:
        # As whoever writes the log finds it.
        logging.Formatter(text).format(logging.makeLogRecord({}))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"cannot be used by Python's logging: {error}") from None
    return text


def _resources(text: str) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for part in _some(text, "a resource"):
        name, equals, amount = (word.strip() for word in part.partition("="))
        if not (name and equals and amount):
            raise ValueError(f"should be NAME=AMOUNT, not {part!r}")
        try:
            found[name] = amount if name == "memory" else float(amount)
        except ValueError:
            raise ValueError(f"should be a number of {name}, not {amount!r}") from None
    try:
        supply(found)
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)) from None
    return found


def _nodes(text: str) -> tuple[str, ...]:
    names = _some(text, "a node")
    for name in names:
        expand_node(name)
    return names


def _gateways(text: str) -> tuple[str, ...]:
    names = _some(text, "a gateway")
    for name in names:
        for gateway in expand_node(name):
            if "*" in gateway or gateway.startswith("dns:"):
                raise ValueError(
                    f"{name!r} is no gateway that can be dialed: name each by its host or address"
                )
    return names


def _addresses(text: str) -> tuple[str, ...]:
    return _some(text, "an address")


def _some(text: str, what: str) -> tuple[str, ...]:
    names = _names(text)
    if not names:
        raise ValueError(f"should name {what}, or be left out")
    return names


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text.strip()):
            raise ValueError("should be a whole number")
        value = int(text)
        if not least <= value <= most:
            raise ValueError(f"should be between {least} and {most}")
        return value

    return read


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("should be a number of seconds") from None
    if not 0 <= value < 10**9:
        raise ValueError("should be a number of seconds from 0 on")
    return value


def _workers(text: str) -> int | None:
    return None if text.strip() == "autodetect" else _number(0, 100_000)(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _weights(text: str) -> dict[str, int]:
    weights = {}
    for part in _names(text):
        name, equals, weight = part.rpartition("=")
        if not equals or not weight.strip().isdigit() or int(weight) < 1:
            raise ValueError("should be like laptop=2,build=1")
        weights[name.strip()] = int(weight)
    return weights


def _certificates(text: str) -> tuple[str, str, str]:
    files = _names(text)
    if len(files) != 3:
        raise ValueError("should be three files: AUTHORITY,CERTIFICATE,KEY")
    return files[0], files[1], files[2]


_SETTINGS = (
    _Setting(
        "workers",
        "w",
        "general",
        _workers,
        None,
        "how many jobs run here at a time; autodetect: one for each processor that may be used",
        "N",
    ),
    _Setting(
        "secret",
        "s",
        "general",
        _secret,
        None,
        "the secret of the cluster. Others on this machine can see it: a file or "
        "PP_SECRET is better",
        "SECRET",
    ),
    _Setting(
        "secret_file",
        None,
        "general",
        str,
        None,
        "the file that has the secret of the cluster",
        "FILE",
    ),
    _Setting(
        "certificates",
        None,
        "general",
        _certificates,
        None,
        "certificates of your own authority instead of a secret, in PEM",
        "AUTHORITY,CERTIFICATE,KEY",
    ),
    _Setting(
        "name",
        None,
        "general",
        str,
        None,
        "what this node is called in logs; by default as the machine",
        "NAME",
    ),
    _Setting("restart", "r", "general", _flag, False, "give each job a fresh worker process"),
    _Setting(
        "proto",
        "n",
        "general",
        _number(0, 99),
        5,
        "accepted for old scripts: clients choose the pickle protocol",
        "PROTO",
    ),
    _Setting("debug", "d", "general", _flag, False, "log everything"),
    _Setting("quiet", "q", "general", _flag, False, "log warnings and errors only"),
    _Setting(
        "format",
        "f",
        "general",
        _format,
        "%(asctime)s %(levelname)s %(name)s: %(message)s",
        "how lines of the log look, as for Python's logging",
        "FORMAT",
    ),
    _Setting(
        "pid_file",
        "P",
        "general",
        str,
        None,
        "write the number of the process to this file, and remove it at the end",
        "FILE",
    ),
    _Setting(
        "weights",
        None,
        "general",
        _weights,
        None,
        "how much of this node clients get beside others, by the names of their machines",
        "NAME=N,...",
    ),
    _Setting(
        "resources",
        None,
        "general",
        _resources,
        None,
        "what jobs may ask for on this machine, such as licence=1,memory=32GiB; memory and GPUs "
        "are found out unless they are among these",
        "NAME=AMOUNT,...",
    ),
    _Setting(
        "shared_memory",
        None,
        "general",
        _number(0, 2**62),
        None,
        "the most bytes of shared memory for big data of each client",
        "BYTES",
    ),
    _Setting(
        "cache",
        None,
        "general",
        _number(0, 2**62),
        None,
        "the most bytes of large arguments that are kept for later jobs of each client; by "
        "default a quarter of the memory",
        "BYTES",
    ),
    _Setting(
        "drain_timeout",
        None,
        "general",
        _seconds,
        30.0,
        "how long running jobs may take to end after SIGTERM",
        "SECONDS",
    ),
    _Setting(
        "port",
        "p",
        "network",
        _number(0, 65535),
        60000,
        "the port to listen on; 0 for any that is free",
        "PORT",
    ),
    _Setting(
        "interface",
        "i",
        "network",
        _addresses,
        ("::",),
        "the addresses to listen on, by default all",
        "ADDRESS,...",
    ),
    _Setting(
        "autodiscovery",
        "a",
        "network",
        _flag,
        True,
        "whether clients that name no nodes may find this one; as a rule they may",
    ),
    _Setting(
        "discovery_port",
        None,
        "network",
        _number(1, 65535),
        60000,
        "the port at which clients ask for nodes",
        "PORT",
    ),
    _Setting(
        "broadcast",
        "b",
        "network",
        str,
        None,
        "accepted for old scripts: clients ask on all their networks",
        "ADDRESS",
    ),
    _Setting(
        "timeout", "t", "network", _seconds, None, "end after so long without any client", "SECONDS"
    ),
    _Setting(
        "socket_timeout",
        "k",
        "network",
        _seconds,
        3600.0,
        "accepted for old scripts: clients say how long silence may last "
        "(pp.Server(node_timeout=...))",
        "SECONDS",
    ),
    _Setting(
        "ppservers",
        None,
        "network",
        _nodes,
        (),
        "nodes behind this one: they work for its clients as if they were part of it",
        "NODE,...",
    ),
    _Setting(
        "dial",
        None,
        "network",
        _gateways,
        (),
        "gateways to offer this node to, from behind a firewall",
        "NODE,...",
    ),
)


class Options:
    """All settings, as attributes; `source(name)` tells where one comes from."""

    def __init__(self, values: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        self._values = dict(values)
        self._sources = dict(sources)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def source(self, name: str) -> str:
        """Where a setting comes from, in words."""
        return self._sources[name]


def parse(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """The settings that follow from a command line.

    Args:
        arguments: what follows the name of the program.
        environment: instead of the environment of this process.

    Raises:
        OptionError: one has a value that it cannot have.
        SystemExit: help was asked for, or a flag is not known.
    """
    environment = os.environ if environment is None else environment
    flags = vars(_parser().parse_args(arguments))
    path = flags.pop("config") or environment.get("PPSERVER_CONFIG")
    file = _read_file(Path(path)) if path else {}
    values, sources, ranks = {}, {}, {}
    for setting in _SETTINGS:
        text, source, ranks[setting.name] = _find(setting, flags, environment, file, path)
        sources[setting.name] = source
        if text is None:
            values[setting.name] = setting.default
            continue
        try:
            values[setting.name] = setting.read(text)
        except ValueError as error:
            shown = "" if setting.name == "secret" else f" is {text!r}, and"
            raise OptionError(f"{setting.name} ({source}){shown} {error}") from None
    # Each says where the secret is: what is said in the stronger place counts.
    if ranks["secret"] > ranks["secret_file"]:
        values["secret"] = None
    return Options(values, sources)


def _find(
    setting: _Setting,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Mapping[tuple[str, str], str],
    path: str | None,
) -> tuple[str | None, str, int]:
    """The text of a setting, where it comes from in words, and how far down that is."""
    if flags[setting.name] is not None:
        return str(flags[setting.name]), "a flag", 0
    variable = f"PPSERVER_{setting.name.upper()}"
    if variable in environment:
        return environment[variable], f"the environment variable {variable}", 1
    place = (setting.section, setting.name)
    if place in file:
        return file[place], f"the file {path}", 2
    return None, "the default", 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppserver",
        description="Makes this machine a node of a cluster of Parallel Python.",
        epilog="Each setting can also be given in the environment, as PPSERVER_PORT, or in "
        "a file. A flag counts more than the environment, and that more than the file.",
    )
    parser.add_argument("--version", action="version", version=f"ppserver {version}")
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="a file with settings, in INI (as for the classic) or TOML",
    )
    for setting in _SETTINGS:
        names = [f"--{setting.name.replace('_', '-')}"]
        if setting.short is not None:
            names.insert(0, f"-{setting.short}")
        if setting.read is _flag:
            parser.add_argument(
                *names, dest=setting.name, nargs="?", const="yes", metavar="no", help=setting.text
            )
        else:
            parser.add_argument(*names, dest=setting.name, metavar=setting.value, help=setting.text)
    return parser


def _read_file(path: Path) -> dict[tuple[str, str], str]:
    """The settings in a file, as texts, by section and name."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            sections = tomllib.loads(text)
        else:
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(text, str(path))
            sections = {name: dict(parser[name]) for name in parser.sections()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error) as error:
        raise OptionError(f"the file {path} cannot be read: {error}") from None
    known = {(setting.section, setting.name) for setting in _SETTINGS}
    found = {}
    for section, settings in sections.items():
        if not isinstance(settings, dict):
            raise OptionError(
                f"the file {path} sets {section}, which means nothing outside of a section"
            )
        for name, value in settings.items():
            place = (section, name.replace("-", "_"))
            if place not in known:
                raise OptionError(f"the file {path} sets [{section}] {name}, which means nothing")
            found[place] = _as_text(value)
    return found


def _as_text(value: object) -> str:
    """A value of a TOML file as it would stand on a command line."""
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return str(value)
