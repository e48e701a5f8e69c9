"""Certificates for one Dask cluster: ``python -m matloop.workflows.clusters.certificates FOLDER``.

One key pair, signed by itself, serves the scheduler, the workers and the client: who has it belongs to the cluster.
A cluster on this machine keeps the pair in memory; one that spans machines keeps it in a folder of its owner.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path
from typing import Any

from matloop.data.errors import MatloopError, RunError

_ROLES = ("scheduler", "worker", "client")
_DAYS = 365
_CLOCKS = dt.timedelta(days=1)
"""By how much the clock of another machine may be behind."""


def make_certificate() -> tuple[str, str]:
    """Make a certificate that signs itself, and its private key, both as PEM text.

    The key is of the curve P-256 (NIST FIPS 186-5): it is made in a millisecond, an RSA key in a tenth of a second.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "matloop")])
    now = dt.datetime.now(tz=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"), private.decode("ascii")


def write_certificates(folder: Path) -> None:
    """Write ``ca.pem``, ``certificate.pem`` and ``key.pem`` into a new folder that only its owner can read.

    Raises:
        RunError: If the folder exists or cannot be written to.
    """
    certificate, key = make_certificate()
    try:
        folder.mkdir(mode=0o700)
        for name, text in {"ca.pem": certificate, "certificate.pem": certificate, "key.pem": key}.items():
            handle = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
    except OSError as error:
        raise RunError(f"cannot create {folder}: {error.strerror}", "a new folder that you may write to") from error


def security_from(folder: Path) -> Any:
    """Return what Dask needs to use the certificates in a folder, and to refuse everybody who lacks them."""
    return _security(str(folder / "ca.pem"), str(folder / "certificate.pem"), str(folder / "key.pem"))


def security_in_memory() -> Any:
    """Return what Dask needs to use new certificates that no file holds.

    Worker processes receive them through the pipe by which they are started.
    """
    certificate, key = make_certificate()
    return _security(certificate, certificate, key)


def _security(authority: str, certificate: str, key: str) -> Any:
    from distributed.security import Security

    pairs = {f"tls_{role}_cert": certificate for role in _ROLES} | {f"tls_{role}_key": key for role in _ROLES}
    return Security(require_encryption=True, tls_ca_file=authority, **pairs)


if __name__ == "__main__":
    try:
        write_certificates(Path(sys.argv[1]))
    except MatloopError as error:
        sys.exit(f"matloop: {error}")
