"""Another user of the same machine, who reaches every port of a run."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster

from matloop.workflows.clusters.workers import local_workers

NOBODY = 65534
STRANGER = r"""
import asyncio, http.client, json, os, socket, ssl, sys
from concurrent.futures import ThreadPoolExecutor
from distributed.core import rpc
from distributed.security import Security

PAGES = ("/", "/status", "/info/main/workers.html", "/json/counts.json", "/metrics", "/health")

async def asked(address, security):
    try:
        async with rpc(address, timeout=2, connection_args=security.get_connection_args("client")) as server:
            return str(await asyncio.wait_for(server.identity(), 3))
    except Exception as error:
        return ""

def said(port, secured):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as plain:
            channel = context.wrap_socket(plain) if secured else plain
            return channel.recv(1000).decode("latin-1")
    except OSError:
        return ""

def page(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode("latin-1") if answer.status < 400 else ""
    except (OSError, http.client.HTTPException):
        return ""

def tried(port):
    ways = {
        "without TLS": lambda: asyncio.run(asked(f"tcp://127.0.0.1:{port}", Security())),
        "with a certificate of one's own": lambda: asyncio.run(asked(f"tls://127.0.0.1:{port}", Security.temporary())),
        "without a certificate": lambda: said(port, True),
        **{path: lambda path=path: page(port, path) for path in PAGES},
    }
    return dict(zip(ways, pool.map(lambda way: way(), ways.values())))

pool = ThreadPoolExecutor(100)
user, *ports = map(int, sys.argv[1:])
with socket.create_server(("127.0.0.1", 0)) as nobody:
    closed = nobody.getsockname()[1]
tried(closed)  # imports whatever is needed while Python's own files can be read
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
print(json.dumps({"user": os.getuid(), "got": dict(zip(ports, pool.map(tried, ports)))}))
"""


def ports() -> set[int]:
    """Ports that this process and those it started listen on."""
    me = psutil.Process()
    processes = [me, *me.children(recursive=True)]
    sockets = (one for process in processes for one in process.net_connections(kind="tcp"))
    return {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}


def got_by_stranger() -> dict[str, dict[str, str]]:
    """What another user gets from each port, by how it was asked for; only root can become one."""
    user = NOBODY if os.getuid() == 0 else 0
    with tempfile.TemporaryDirectory(prefix="stranger-") as home:
        os.chmod(home, 0o777)
        call = [sys.executable, "-c", STRANGER, str(user), *map(str, sorted(ports()))]
        environment = {**os.environ, "HOME": home, "TMPDIR": home}
        done = subprocess.run(call, capture_output=True, text=True, timeout=100, check=False, env=environment, cwd=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["user"] == (user or os.getuid())
    got: dict[str, dict[str, str]] = found["got"]
    return got


@pytest.fixture
def open_cluster() -> Iterator[Any]:
    """A cluster as Dask starts one by default."""
    with LocalCluster(
        n_workers=0, host="127.0.0.1", protocol="tcp://", dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
    ) as cluster:  # fmt: skip
        yield cluster


def test_s18_another_user_gets_nothing_from_any_port() -> None:
    with local_workers(1) as client:
        assert client.submit(abs, -1).result() == 1
        assert len(ports()) >= 3  # scheduler, nanny, worker
        for port, answers in got_by_stranger().items():
            assert not any(answers.values()), (port, answers)


def test_s18_the_same_stranger_gets_into_a_cluster_without_certificates(open_cluster: Any) -> None:
    answers = got_by_stranger()
    assert any("Scheduler" in found["without TLS"] for found in answers.values())


def test_s18_no_file_holds_the_key_and_nobody_else_writes_where_workers_import_from() -> None:
    def folder_of_worker() -> str:
        from distributed import get_worker

        return str(get_worker().local_directory)

    with local_workers(1) as client:
        found = client.submit(folder_of_worker).result()
        private = Path(found).parents[1]
        assert private.name.startswith("matloop-dask-")
        assert private.stat().st_mode & 0o077 == 0
        assert private.stat().st_uid == os.getuid()
        assert str(private) in client.cluster.scheduler.local_directory
        for path in private.rglob("*"):
            assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes()
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            assert "PRIVATE KEY" not in " ".join((*process.cmdline(), *process.environ().values()))
    assert not private.exists()


def test_s18_what_a_killed_run_leaves_behind_is_for_its_owner_only(tmp_path: Path) -> None:
    program = (
        "import os, signal\nfrom matloop.workflows.clusters.workers import local_workers\n"
        "with local_workers(1) as client:\n    client.submit(abs, -1).result()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert done.returncode < 0
    left = list(tmp_path.iterdir())
    assert {path.stat().st_mode & 0o077 for path in left} <= {0}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
    with local_workers(1) as client:  # the next run is none the worse
        assert client.submit(abs, -1).result() == 1


def test_s18_workers_answer_their_own_client(tmp_path: Path) -> None:
    with local_workers(1) as client:
        assert client.scheduler.address.startswith("tls://127.0.0.1:")
        assert all(address.startswith("tls://127.0.0.1:") for address in client.nthreads())
        with pytest.raises((OSError, TypeError)):
            Client(client.scheduler.address, timeout=2)
