"""What a server needs in order to use nodes."""

from __future__ import annotations

import os
import socket
import sys

from pp import _core
from pp._arguments import Certificates, certificate_paths
from pp._cluster import secret as _secret
from pp._errors import AuthenticationError


def python_version() -> tuple[int, int, int]:
    """The version of this Python, as servers tell it each other."""
    return sys.version_info.major, sys.version_info.minor, sys.version_info.micro


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname() or "unnamed"


def connect(
    engine: _core.Engine,
    nodes: tuple[str, ...],
    secret: str | None,
    secret_file: str | os.PathLike[str] | None,
    certificates: Certificates | None,
) -> None:
    """Lets `engine` get nodes.

    Raises:
        AuthenticationError: there is nothing to prove by that it belongs to them.
    """
    found = _secret.find(secret, secret_file)
    if found is None and certificates is None:
        raise AuthenticationError(
            "there is no secret to share with the nodes. Start `ppserver` on this machine once, "
            "or run `pp secret new`, and copy the file that `pp secret path` names to all "
            "machines; or give one to both sides: pp.Server(secret=...) or PP_SECRET"
        )
    engine.connect(
        list(nodes),
        None if found is None else found.value,
        None if certificates is None else certificate_paths(certificates),
        f"{host_name()} ({os.getpid()})",
        python_version(),
    )
