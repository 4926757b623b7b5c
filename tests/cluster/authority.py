"""Certificates for tests, made by the command `openssl`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

Certificates = tuple[str, str, str]

# Long past; and what `openssl ca` calls a date.
_PAST = ("20200101000000Z", "20200102000000Z")

_CONFIG = """\
[ca]
default_ca = own
[own]
database = {folder}/index
serial = {folder}/serial
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
policy = any
x509_extensions = member
[any]
commonName = supplied
[member]
basicConstraints = CA:FALSE
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical,CA:TRUE
"""


class Authority:
    """An authority of certificates."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("needs the command openssl to make certificates")
        folder.mkdir()
        self._folder = folder
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        (folder / "config").write_text(_CONFIG.format(folder=folder))
        self._key("ca")
        self._openssl("req", "-x509", "-new", *self._files("ca"), "-subj", "/CN=authority")

    def member(self, name: str, *, expired: bool = False) -> Certificates:
        """The files of somebody who belongs to the cluster."""
        self._key(name)
        request = str(self._folder / f"{name}.csr")
        key, certificate = self._path(name, "key"), self._path(name, "pem")
        self._openssl("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}")
        dates = ["-startdate", _PAST[0], "-enddate", _PAST[1]] if expired else ["-days", "2"]
        words = ["-batch", "-notext", "-in", request, "-out", certificate, *dates]
        self._openssl("ca", *words)
        return self._path("ca", "pem"), certificate, key

    def _path(self, name: str, kind: str) -> str:
        return str(self._folder / f"{name}.{kind}")

    def _files(self, name: str) -> list[str]:
        return ["-key", self._path(name, "key"), "-out", self._path(name, "pem"), "-days", "2"]

    def _key(self, name: str) -> None:
        # P-256 is what most authorities use.
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"]
        self._run("genpkey", "-algorithm", "EC", *curve, "-out", self._path(name, "key"))

    def _openssl(self, command: str, *words: str) -> None:
        self._run(command, "-config", str(self._folder / "config"), *words)

    def _run(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
