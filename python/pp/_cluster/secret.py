"""The secret that the servers of a cluster share: where it is found, how it is made."""

from __future__ import annotations

import base64
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from pp._errors import AuthenticationError

# How secrets begin that are made here. The core knows it: they need no slow hash.
_PREFIX = "pp2-"
_BYTES = 32

# A secret is no book; a larger file is a mistake.
_MOST = 64 * 1024


class Secret(NamedTuple):
    """A secret, and where it was found, in words that may be shown."""

    value: bytes
    source: str


def default_path() -> Path:
    """The file of the user's secret, whether or not there is one.

    Raises:
        AuthenticationError: this user has no home.
    """
    try:
        return _directory() / "parallel-python" / "secret"
    except RuntimeError:
        raise AuthenticationError(
            "this user has no home directory in which a secret could be: set HOME, or say by "
            "PP_SECRET_FILE where it is"
        ) from None


def own_path() -> Path:
    """The file in which this user's secret is looked for, and made: the one that
    `PP_SECRET_FILE` names, or the default.

    Raises:
        AuthenticationError: none is named, and this user has no home.
    """
    named = os.environ.get("PP_SECRET_FILE")
    return Path(named) if named else default_path()


def _directory() -> Path:
    """Where this user's settings are."""
    if sys.platform == "win32":
        base = os.environ.get("APPDATA")
        return Path(base) if base else Path.home() / "AppData" / "Roaming"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # What is no absolute path does not count, as its specification says.
    return Path(base) if base.startswith("/") else Path.home() / ".config"


def find(secret: str | None = None, file: str | os.PathLike[str] | None = None) -> Secret | None:
    """The secret to use, or None if there is none.

    What is given here comes first; then `PP_SECRET`, `PP_SECRET_FILE`, and the user's
    file.

    Raises:
        AuthenticationError: a file that should hold it cannot be read, or others can
            read it.
    """
    if secret is not None:
        return Secret(_encoded(secret), "given by the program")
    if file is not None:
        return _read(Path(file), f"the file {os.fspath(file)}")
    value = os.environ.get("PP_SECRET")
    if value:
        return Secret(_encoded(value), "the environment variable PP_SECRET")
    path = os.environ.get("PP_SECRET_FILE")
    if path:
        return _read(Path(path), f"the file {path}, named by PP_SECRET_FILE")
    default = default_path()
    try:
        default.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        # Reading it tells what is wrong.
        pass
    return _read(default, f"the file {default}")


def find_or_make() -> tuple[Secret, bool]:
    """The secret to use, and whether it was made just now, in the user's file."""
    found = find()
    if found is not None:
        return found, False
    path = default_path()
    is_new = make(path)
    return _read(path, f"the file {path}"), is_new


def make(path: Path, *, replace: bool = False) -> bool:
    """Writes a new secret to `path`, for its owner only; whether it did.

    If there is one it stays, unless `replace`.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digits = base64.b32encode(secrets.token_bytes(_BYTES)).decode().rstrip("=").lower()
    # Made whole beside its place: others may look for it at this moment.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".secret-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_PREFIX}{digits}\n")
        if replace:
            Path(name).replace(path)
            return True
        try:
            os.link(name, path)
        except FileExistsError:
            return False
        return True
    finally:
        Path(name).unlink(missing_ok=True)


def _encoded(text: str) -> bytes:
    if not text.strip():
        raise AuthenticationError("the secret is empty")
    return text.encode("utf-8", "surrogateescape")


def _read(path: Path, source: str) -> Secret:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            value = file.read(_MOST + 1)
    except OSError as error:
        raise AuthenticationError(f"the secret cannot be read from {source}: {error}") from None
    if os.name == "posix" and mode & 0o077:
        raise AuthenticationError(
            f"the secret in {source} could be read or changed by others (mode "
            f"{mode & 0o777:04o}): run `chmod 600 {path}`"
        )
    if not value.strip():
        raise AuthenticationError(f"{source} should hold a secret, but it is empty")
    if len(value) > _MOST:
        raise AuthenticationError(f"{source} should hold a secret, but it is too large for one")
    return Secret(value, source)
