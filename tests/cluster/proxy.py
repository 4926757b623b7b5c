"""What stands between a client and a node, and can hold up what goes to the node."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_GULP = 64 * 1024


class Proxy:
    """A port on loopback that leads to a node.

    Attributes:
        port: where it listens.
        host: where, besides.
        sent: what clients have sent through it, connection by connection.
        received: how many bytes the node has sent back, connection by connection.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.socket()
        # What is held up is to wait at the client's, not on the way.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _GULP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.host, self.port = self._listener.getsockname()
        self.sent: list[bytearray] = []
        self.received: list[int] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Condition()
        self._allowed: int | None = None
        self._keeps = True
        self._run(self._accept)

    @property
    def name(self) -> str:
        """How clients name it."""
        return f"{self.host}:{self.port}"

    def hold(self) -> None:
        """Lets nothing more pass to the node, and keeps no record any more."""
        with self._lock:
            self._allowed = 0
            self._keeps = False

    def shut(self) -> None:
        """Takes no more connections; those that are stay."""
        with suppress(OSError):
            # Wakes who accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()

    def allow(self, number: int | None) -> None:
        """Lets so many more bytes pass to the node; None: all that come."""
        with self._lock:
            self._allowed = None if number is None else (self._allowed or 0) + number
            self._lock.notify_all()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    node = socket.create_connection(self._target)
                except OSError:
                    # It may come again.
                    client.close()
                    continue
                self._sockets += [client, node]
                record = bytearray()
                number = len(self.sent)
                self.sent.append(record)
                self.received.append(0)
                self._run(self._pass_on, client, node, record)
                self._run(self._pass_back, node, client, number)

    def _pass_on(self, source: socket.socket, sink: socket.socket, record: bytearray) -> None:
        with suppress(OSError):
            while piece := source.recv(_GULP):
                self._wait_for_leave(len(piece))
                if self._keeps:
                    record += piece
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _pass_back(self, source: socket.socket, sink: socket.socket, number: int) -> None:
        with suppress(OSError):
            while piece := source.recv(_GULP):
                self.received[number] += len(piece)
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _wait_for_leave(self, number: int) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._allowed is None or self._allowed >= number)
            if self._allowed is not None:
                self._allowed -= number

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.allow(None)
        self.shut()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for one in self._sockets:
            one.close()
