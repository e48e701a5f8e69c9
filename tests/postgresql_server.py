"""A PostgreSQL server of the tests' own, for tests that need a real one."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDERS = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
PATH = os.pathsep.join([*_FOLDERS, os.environ.get("PATH", "")])


def _run(*command: str, user: str | None) -> None:
    done = subprocess.run(command, user=user, check=False, capture_output=True, cwd="/", timeout=120, text=True)
    assert not done.returncode, done.stdout + done.stderr


def _free_port() -> int:
    """A port below those that the system hands out, so that no client can take it while the server is down."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as found:
            if found.connect_ex(("127.0.0.1", port)):
                return port


class Server:
    """A PostgreSQL server in a temporary folder, on a port of the loopback interface."""

    def __init__(self, folder: Path) -> None:
        self.user = "postgres" if os.getuid() == 0 else None  # the server does not run as root
        self.folder, self.control = folder / "cluster", shutil.which("pg_ctl", path=PATH) or ""
        if self.user:
            shutil.chown(folder, self.user)
        self.port = _free_port()
        initdb = shutil.which("initdb", path=PATH) or ""
        _run(initdb, "-D", str(self.folder), "-U", "lab", "--auth=trust", "--encoding=UTF8", "-N", user=self.user)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        log = str(self.folder / "log")
        _run(self.control, "-D", str(self.folder), "-w", "-l", log, "-o", options, "start", user=self.user)

    def stop(self, *, mode: str = "fast") -> None:
        _run(self.control, "-D", str(self.folder), "-w", "-m", mode, "stop", user=self.user)

    def new_database(self) -> str:
        name = f"records_{uuid.uuid4().hex[:12]}"
        createdb = shutil.which("createdb", path=PATH) or ""
        _run(createdb, "-h", "127.0.0.1", "-p", str(self.port), "-U", "lab", name, user=self.user)
        return f"postgresql://lab@127.0.0.1:{self.port}/{name}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server, and stop it in the end."""
    folder = Path(tempfile.mkdtemp(prefix="matloop-postgres-"))  # pytest's own folders are closed to other users
    try:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop(mode="immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
