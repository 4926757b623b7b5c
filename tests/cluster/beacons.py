"""The packets by which nodes are found, made here anew from what is written about them."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import NamedTuple

# A secret that was made by chance needs no slow hash, so its key is easily had.
MADE_SECRET = "pp2-" + "abcdefghijklmnopqrstuvwxyz234567" + "abcdefghijklmnopqrst"

_MAGIC = b"pp2b"
_QUESTION, _ANSWER = 0, 1
_BODY = struct.Struct("<4sB16s16sH")
_MAC = 32


def key(secret: str) -> bytes:
    """The key of a made secret (RFC 5869)."""
    strong = hmac.digest(b"parallel-python/2", secret.encode(), hashlib.sha256)
    return hmac.digest(strong, b"beacon\x01", hashlib.sha256)


class Beacon(NamedTuple):
    """What a packet says."""

    kind: int
    nonce: bytes
    node: bytes
    port: int

    def seal(self, with_key: bytes) -> bytes:
        """The packet that says it."""
        body = _BODY.pack(_MAGIC, *self)
        return body + hmac.digest(with_key, body, hashlib.sha256)


def question(nonce: bytes) -> Beacon:
    """Which nodes are there?"""
    return Beacon(_QUESTION, nonce, bytes(16), 0)


def answer(nonce: bytes, node: bytes, port: int) -> Beacon:
    """This one, at this port."""
    return Beacon(_ANSWER, nonce, node, port)


def opened(packet: bytes) -> Beacon:
    """What a packet says, whoever has said it."""
    magic, *rest = _BODY.unpack(packet[:-_MAC])
    assert magic == _MAGIC
    return Beacon(*rest)
