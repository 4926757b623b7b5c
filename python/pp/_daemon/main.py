"""`ppserver`: starts, tells how to connect, and ends in good order."""

from __future__ import annotations

import ipaddress
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pp import _core, _logging, _processes, _resources
from pp._cluster import membership, secret
from pp._daemon.options import OptionError, Options, parse
from pp._daemon.report import statistics
from pp._errors import PPError
from pp._version import version

_logger = logging.getLogger("pp.server")

# How often to look whether there are clients, where that counts.
_LOOK = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a node until it is told to end; the exit code."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
        _start_log(options)
        # Before anybody is told that it runs, and could send some.
        commands = _mind_signals()
        daemon, told = _start(options)
    except (OptionError, PPError, OSError, ValueError) as error:
        _complain(error)
        return 2
    try:
        with _PidFile(options.pid_file):
            _say(told)
            return _run(daemon, options, commands)
    except (OptionError, OSError) as error:
        _complain(error)
        return 2
    finally:
        daemon.stop()
        _logging.stop()


def _complain(error: Exception) -> None:
    text = error.strerror if isinstance(error, OSError) and error.filename is None else None
    print(f"ppserver: {text or error}", file=sys.stderr)


def _start_log(options: Options) -> None:
    level = logging.DEBUG if options.debug else logging.WARNING if options.quiet else logging.INFO
    logging.basicConfig(format=options.format, level=level)
    logging.getLogger("pp").setLevel(level)
    _logging.start()


def _start(options: Options) -> tuple[_core.Daemon, str]:
    """A daemon that listens, and what is to be told of it."""
    found, source = _membership(options)
    workers = _processes.usable_cpus() if options.workers is None else options.workers
    name = options.name or membership.host_name()
    supply = _resources.supply(options.resources)
    daemon = _core.Daemon(
        [(_address(host, options), options.port) for host in options.interface],
        _processes.command(),
        [*_processes.environment(workers), (_processes.NODE, name)],
        name=name,
        python=membership.python_version(),
        workers=workers,
        secret=found,
        certificates=options.certificates,
        discovery=options.discovery_port if options.autodiscovery else None,
        behind=list(options.ppservers),
        dial=list(options.dial),
        weights=list((options.weights or {}).items()),
        supply=supply,
        gpus=_resources.gpus(supply),
        shared_memory=options.shared_memory,
        cache=options.cache,
        restart=options.restart,
    )
    return daemon, _greeting(daemon, name, workers, source, options)


def _membership(options: Options) -> tuple[bytes | None, str]:
    """The secret, and what proves that this node belongs to the cluster, in words."""
    if options.secret is not None or options.secret_file is not None:
        found, is_new = secret.find(options.secret, options.secret_file), False
        if found is not None and options.secret is not None:
            found = found._replace(source=options.source("secret"))
    elif options.certificates is not None:
        found, is_new = secret.find(), False
    else:
        found, is_new = secret.find_or_make()
    if options.certificates is not None:
        return None if found is None else found.value, f"certificate {options.certificates[1]}"
    if found is None:
        raise OptionError("there is no secret")
    made = ", made just now" if is_new else ""
    return found.value, f"secret from {found.source}{made}"


def _address(host: str, options: Options) -> str:
    """An address to listen on, as numbers."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        source = options.source("interface")
        raise OptionError(
            f"interface ({source}): {host!r} is no address of this machine: {error}"
        ) from None
    return str(found[0][4][0])


def _target(host: str, port: int) -> str:
    """How clients reach a node that listens there: by this machine's name if it does so on
    all addresses. What it is called in logs need not be a name that leads anywhere.
    """
    if ipaddress.ip_address(host).is_unspecified:
        name = membership.host_name()
        return name if port == _core.DEFAULT_PORT else f"{name}:{port}"
    if ":" in host:
        return f"[{host}]:{port}"
    return host if port == _core.DEFAULT_PORT else f"{host}:{port}"


def _greeting(daemon: _core.Daemon, name: str, workers: int, source: str, options: Options) -> str:
    places = ", ".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in daemon.addresses
    )
    connect = dict.fromkeys(_target(host, port) for host, port in daemon.addresses)
    lines = [
        f"ppserver {version} on {name}, process {os.getpid()}, Python {sys.version.split()[0]}",
        f"  listens on  {places}",
        f"  workers     {workers}",
        f"  trust       {source}",
    ]
    if options.ppservers:
        lines.append(f"  behind it   {', '.join(options.ppservers)}")
    if options.dial:
        lines.append(f"  offered to  {', '.join(options.dial)}")
    ways = (f'pp.Server(ppservers=("{way}",))' for way in connect)
    lines.append("  connect     " + ", or ".join(ways))
    if source.endswith("made just now"):
        lines.append(
            "  Copy that file to the same place on all machines of the cluster, or give them "
            "the secret\n  that `pp secret show` prints."
        )
    return "\n".join(lines)


def _say(text: str) -> None:
    """Prints; a reader who has gone, or a full disk, is no reason to end."""
    try:
        print(text, flush=True)
    except OSError as error:
        _logger.warning("cannot write to standard output: %s", error)


def _run(daemon: _core.Daemon, options: Options, commands: queue.SimpleQueue[str]) -> int:
    """Does what signals say until the end."""
    lonely_since = time.monotonic()
    is_draining = False
    while True:
        try:
            command = commands.get(timeout=_LOOK)
        except queue.Empty:
            command = "look"
        if command == "statistics":
            _say(statistics(daemon.sessions(), daemon.done()))
        elif command == "gone":
            return 0
        elif command == "end":
            if is_draining:
                _logger.warning("told twice to end: running jobs are given up")
                return 1
            is_draining = True
            _logger.info("ends: running jobs have %g s", options.drain_timeout)
            _drain(daemon, options.drain_timeout, commands)
        if options.timeout is not None and not is_draining:
            if daemon.sessions():
                lonely_since = time.monotonic()
            elif time.monotonic() - lonely_since > options.timeout:
                _logger.info("ends: no client for %g s", options.timeout)
                return 0


def _mind_signals() -> queue.SimpleQueue[str]:
    """Where the commands come that are given by signals."""
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()

    def end(_number: int, _frame: Any) -> None:
        commands.put("end")

    def tell(_number: int, _frame: Any) -> None:
        commands.put("statistics")

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if sys.platform != "win32":
        signal.signal(signal.SIGUSR1, tell)
    return commands


def _drain(daemon: _core.Daemon, patience: float, commands: queue.SimpleQueue[str]) -> None:
    """Lets clients go, meanwhile signals are minded."""

    def drain() -> None:
        if not daemon.drain(patience):
            _logger.warning("clients are still here after %g s: their jobs are given up", patience)
        commands.put("gone")

    threading.Thread(target=drain, name="pp-drain", daemon=True).start()


class _PidFile:
    """A file with the number of this process, while it lives."""

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)

    def __enter__(self) -> None:
        if self._path is None:
            return
        try:
            self._path.write_text(f"{os.getpid()}\n", encoding="ascii")
        except OSError as error:
            raise OptionError(f"pid_file: {self._path} cannot be written: {error}") from None

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
