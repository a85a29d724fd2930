"""Certificates for tests of TLS, made by the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate that vouches for itself, and its key: PEM files."""

    certificate: Path
    key: Path


def make_identity(folder: Path, name: str) -> Identity:
    """Make the identity of 127.0.0.1, good for a server, a client, and as the authority that vouches for both."""
    identity = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    files = ("-keyout", str(identity.key), "-out", str(identity.certificate))
    says = ("subjectAltName=IP:127.0.0.1", "keyUsage=critical,digitalSignature,keyCertSign")
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-days", "2", "-subj", f"/CN={name}")
    subprocess.run([*command, *(word for each in says for word in ("-addext", each))], check=True, capture_output=True)
    return identity
