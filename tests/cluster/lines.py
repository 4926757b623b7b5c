"""Bad lines where the kernel has none: two interfaces, and a thread that carries what goes
from one to the other, as badly as it is told.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from dataclasses import dataclass

_TUNSETIFF = 0x4004_54CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000

# More than a frame ever has.
_FRAME = 65_536


@dataclass(frozen=True)
class Manner:
    """How bad a line is, in each direction.

    Attributes:
        loss: the part of all packets that gets lost.
        delay: seconds that a packet takes.
        jitter: seconds that it may take less or more, by chance; so some overtake others.
    """

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0

    def as_netem(self) -> list[str]:
        """The same, as `tc netem` calls it."""
        words = ["delay", f"{self.delay * 1e6:.0f}us", f"{self.jitter * 1e6:.0f}us"]
        return ["loss", f"{self.loss:.2%}", *words]


def make_interface(name: str) -> int:
    """Makes an interface in the network namespace of this thread; what goes out there can
    be read from the descriptor. It lives as long as that is open.
    """
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        wish = struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER)
        fcntl.ioctl(descriptor, _TUNSETIFF, wish)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class BadLine:
    """Carries frames between two interfaces until it is closed, which removes them."""

    def __init__(self, one: int, other: int, manner: Manner) -> None:
        self._sinks = {one: other, other: one}
        self._manner = manner
        self._chance = random.Random(1)
        # When to deliver; a number that keeps those of one moment in order; what; to whom.
        self._under_way: list[tuple[float, int, bytes, int]] = []
        self._count = 0
        self._stop, self._told = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="bad-line", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it; what is under way is lost."""
        os.close(self._told)
        self._thread.join()
        for descriptor in (self._stop, *self._sinks):
            os.close(descriptor)

    def _carry(self) -> None:
        while True:
            patience = None
            if self._under_way:
                patience = max(0.0, self._under_way[0][0] - time.monotonic())
            ready, _, _ = select.select([self._stop, *self._sinks], [], [], patience)
            if self._stop in ready:
                return
            for source in ready:
                self._take(source)
            self._deliver()

    def _take(self, source: int) -> None:
        try:
            frame = os.read(source, _FRAME)
        except OSError:
            # The interface is down.
            return
        if self._chance.random() < self._manner.loss:
            return
        jitter = self._manner.jitter * self._chance.uniform(-1, 1)
        self._count += 1
        due = time.monotonic() + self._manner.delay + jitter
        heapq.heappush(self._under_way, (due, self._count, frame, self._sinks[source]))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            *_, frame, sink = heapq.heappop(self._under_way)
            try:
                os.write(sink, frame)
            except OSError:
                # Its interface is down, or has too much already: it is lost.
                continue
