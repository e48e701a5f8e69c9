"""Certificates for one Dask cluster: ``python -m matloop.workflows.clusters.certificates FOLDER``.

One key pair, signed by itself, serves the scheduler, the workers and the client: who has it belongs to the cluster.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from matloop.data.errors import MatloopError, RunError


def write_certificates(folder: Path) -> None:
    """Write ``ca.pem``, ``certificate.pem`` and ``key.pem`` into a new folder that only its owner can read.

    Raises:
        RunError: If the folder exists, or cryptography is not installed.
    """
    from distributed.security import Security

    try:
        security = Security.temporary()
        folder.mkdir(mode=0o700)
    except ImportError as error:
        raise RunError(
            "cryptography is not installed", "TLS needs the extra 'hpc'", 'pip install "matloop[hpc]"'
        ) from error
    except OSError as error:
        raise RunError(f"cannot create {folder}: {error.strerror}", "a new folder that you may write to") from error
    texts = {
        "ca.pem": security.tls_ca_file, "certificate.pem": security.tls_client_cert, "key.pem": security.tls_client_key,
    }  # fmt: skip
    for name, text in texts.items():
        handle = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)


def security_from(folder: Path) -> Any:
    """What Dask needs to use the certificates in a folder, and nothing without them."""
    from distributed.security import Security

    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    roles = ("scheduler", "worker", "client")
    pairs = {f"tls_{role}_cert": certificate for role in roles} | {f"tls_{role}_key": key for role in roles}
    return Security(require_encryption=True, tls_ca_file=str(folder / "ca.pem"), **pairs)


if __name__ == "__main__":
    try:
        write_certificates(Path(sys.argv[1]))
    except MatloopError as error:
        sys.exit(f"matloop: {error}")
