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
[mail]
extendedKeyUsage = emailProtection
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

    def member(
        self, name: str, *, expired: bool = False, extensions: str = "member"
    ) -> Certificates:
        """The files of somebody who belongs to the cluster."""
        key, certificate = self._path(name, "key"), self._path(name, "pem")
        dates = ["-startdate", _PAST[0], "-enddate", _PAST[1]] if expired else ["-days", "2"]
        words = ["-batch", "-notext", "-in", self._request(name), "-out", certificate, *dates]
        self._openssl("ca", *words, "-extensions", extensions)
        return self._path("ca", "pem"), certificate, key

    def of_version_1(self, name: str) -> Certificates:
        """The files of somebody whose certificate has no extensions."""
        key, certificate = self._path(name, "key"), self._path(name, "pem")
        signer = ["-CA", self._path("ca", "pem"), "-CAkey", self._path("ca", "key")]
        words = ["-req", "-in", self._request(name), *signer, "-CAcreateserial", "-days", "2"]
        self._run("x509", *words, "-out", certificate)
        # Releases of openssl from 3.2 on add extensions by themselves.
        if b"Version: 1 " not in self._run("x509", "-noout", "-text", "-in", certificate):
            pytest.skip("this openssl makes no certificates of version 1")
        return self._path("ca", "pem"), certificate, key

    def itself(self) -> Certificates:
        """The files of somebody who shows the certificate of the authority."""
        return self._path("ca", "pem"), self._path("ca", "pem"), self._path("ca", "key")

    def _request(self, name: str) -> str:
        """A new key, and what asks the authority for a certificate for it."""
        self._key(name)
        request = str(self._folder / f"{name}.csr")
        words = ["-new", "-key", self._path(name, "key"), "-out", request, "-subj", f"/CN={name}"]
        self._openssl("req", *words)
        return request

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

    def _run(self, *words: str) -> bytes:
        done = subprocess.run(["openssl", *words], capture_output=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout
