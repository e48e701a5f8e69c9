import operator
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import distributed
import psutil
import pytest
from distributed import Client, LocalCluster

from matloop.data.errors import RunError, UnknownNameError, WorkersLostError
from matloop.data.properties.units import canonical_unit
from matloop.screening.campaign.cluster_settings import ClusterSettings
from matloop.workflows.clusters.certificates import security_from, write_certificates
from matloop.workflows.clusters.workers import local_workers, run_bounded, workers_of


def ask(client: Client) -> dict[str, tuple[int, str | None]]:
    """Process id and thread limit of each worker."""

    # Workers cannot import test modules; a function made in a function travels whole.
    def where() -> tuple[int, str | None]:
        import os

        return os.getpid(), os.environ.get("OMP_NUM_THREADS")

    return client.run(where)


def process_tree() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def listening() -> set[tuple[int, str]]:
    sockets = ((process.pid, one) for process in process_tree() for one in process.net_connections(kind="tcp"))
    return {(pid, one.laddr.ip) for pid, one in sockets if one.status == psutil.CONN_LISTEN}


def test_everything_listens_on_loopback_only(workers: Client) -> None:
    found = listening()
    workers_found = {pid for pid, _ in ask(workers).values()}
    assert workers_found <= {pid for pid, _ in found}  # the workers were looked at
    assert os.getpid() in {pid for pid, _ in found}  # and so was the scheduler
    assert {address for _, address in found} == {"127.0.0.1"}


def test_a_socket_on_all_interfaces_would_be_seen() -> None:
    with socket.create_server(("0.0.0.0", 0)):
        assert (os.getpid(), "0.0.0.0") in listening()


def test_scheduler_serves_no_pages(workers: Client) -> None:
    import urllib.error
    import urllib.request

    port = workers.scheduler_info()["services"]["dashboard"]
    for page in ("status", "info/main/workers.html", "json/counts.json", "health", "metrics"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10)


def test_as_many_single_threaded_processes_as_asked_for(workers: Client) -> None:
    assert workers.nthreads().keys() == ask(workers).keys()
    assert list(workers.nthreads().values()) == [1, 1]
    found = ask(workers).values()
    assert len({pid for pid, _ in found} - {os.getpid()}) == 2
    assert {threads for _, threads in found} == {"1"}  # one level of parallelism


def test_two_clusters_side_by_side(workers: Client, recwarn: pytest.WarningsRecorder) -> None:
    with local_workers(1) as other:
        assert other.submit(operator.mul, 4, 2).result() == 8
    assert workers.submit(operator.mul, 5, 2).result() == 10
    assert not recwarn.list


def test_nothing_is_left_after_the_block() -> None:
    before = {process.pid for process in process_tree()}
    with local_workers(1) as client:
        (pid, _) = next(iter(ask(client).values()))
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)
    pids = []

    def fail(client: Client) -> None:
        pids.extend(pid for pid, _ in ask(client).values())
        raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"), local_workers(1) as client:
        fail(client)
    (pid,) = pids
    assert not psutil.pid_exists(pid)
    left = {process.pid for process in process_tree()} - before
    assert not [pid for pid in left if "spawn_main" in " ".join(psutil.Process(pid).cmdline())]


@pytest.mark.parametrize("error", [OSError("address in use"), TimeoutError("too slow"), RuntimeError("cluster failed")])
def test_workers_that_do_not_start_are_told(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse_to_start(**_: object) -> None:
        raise error

    monkeypatch.setattr(distributed, "LocalCluster", refuse_to_start)
    with pytest.raises(RunError, match=f"E-RUN-WORKERS: no workers started: {error}"), local_workers(1):
        pass


def test_results_come_in_the_order_of_the_calls(workers: Client) -> None:
    def double(value: int, wait: float) -> int:
        time.sleep(wait)
        return 2 * value

    calls = [(value, 0.2 if value % 3 == 0 else 0.0) for value in range(12)]
    assert list(run_bounded(workers, double, calls, in_flight=5)) == [2 * value for value, _ in calls]
    assert list(run_bounded(workers, double, [], in_flight=5)) == []


@pytest.mark.parametrize("in_flight", [1, 2, 5])
def test_no_more_calls_are_taken_than_may_be_in_flight(in_flight: int, workers: Client) -> None:
    taken = 0

    def calls() -> Iterator[tuple[int]]:
        nonlocal taken
        for value in range(10):
            taken += 1
            yield (value,)

    ahead = []
    for handed_on, _ in enumerate(run_bounded(workers, operator.neg, calls(), in_flight=in_flight)):
        ahead.append(taken - handed_on)
    # One call more than may be in flight has been made, but not yet submitted.
    assert max(ahead) == in_flight + 1
    assert taken == 10


def test_same_call_twice_is_done_twice(workers: Client, tmp_path: Path) -> None:
    def append(name: str) -> None:
        with open(name, "a") as file:
            file.write("x")

    list(run_bounded(workers, append, [(str(tmp_path / "log"),)] * 3, in_flight=2))
    assert (tmp_path / "log").read_text() == "xxx"


def test_an_error_in_a_worker_surfaces(workers: Client) -> None:
    def reciprocal(value: int) -> float:
        return 1 / value

    results = run_bounded(workers, reciprocal, [(2,), (1,), (0,), (4,)], in_flight=2)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        next(results)
    assert workers.submit(operator.mul, 1, 2).result() == 2  # the workers live on


def test_a_coded_error_comes_whole(workers: Client) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown unit 'eVv'.*did you mean 'eV'") as caught:
        list(run_bounded(workers, canonical_unit, [("eV",), ("eVv",)], in_flight=1))
    with pytest.raises(UnknownNameError) as here:
        canonical_unit("eVv")
    told, own = caught.value, here.value
    assert (told.got, told.allowed, told.fix) == (own.got, own.allowed, own.fix)
    assert told.got == "unknown unit 'eVv'"


def test_a_worker_that_dies_ends_the_call_with_an_error() -> None:
    """It is not tried on the other workers: they would die of it too."""
    with local_workers(1) as client, pytest.raises(RunError, match="E-RUN: a worker process died"):
        list(run_bounded(client, os._exit, [(1,)], in_flight=1))


def scheduler(workers: int, folder: Path | None = None) -> LocalCluster:
    """A scheduler that somebody else runs; with certificates from a folder, or without."""
    security = None if folder is None else security_from(folder)
    return LocalCluster(
        n_workers=workers, processes=False, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"}, security=security,
        protocol="tls://" if security else "tcp://",
    )  # fmt: skip


def existing(**given: object) -> ClusterSettings:
    return ClusterSettings.model_validate({"kind": "existing", "patience": 1.5, **given})


def named(folder: Path) -> dict[str, str]:
    """The certificates in a folder, as a campaign names them."""
    files = {"ca_file": "ca.pem", "certificate": "certificate.pem", "key": "key.pem"}
    return {name: str(folder / file) for name, file in files.items()}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates") / "ours"
    write_certificates(folder)
    return folder


def test_local_settings_mean_local_workers() -> None:
    with workers_of(ClusterSettings(), 1) as client:
        assert {address.rpartition(":")[0] for address in client.nthreads()} == {"tls://127.0.0.1"}


def test_no_worker_arrives_at_a_running_scheduler() -> None:
    with scheduler(0) as cluster:
        started = time.monotonic()
        settings = existing(address=cluster.scheduler_address, allow_insecure=True)
        with (
            pytest.raises(WorkersLostError, match=r"no worker arrived within 2 s: the scheduler has none") as caught,
            workers_of(settings, 2),
        ):
            pass
        assert time.monotonic() - started < 10
        assert caught.value.exit_code == 3


def test_no_scheduler_is_waited_for_no_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    started = time.monotonic()
    settings = existing(address=f"tcp://127.0.0.1:{port}", allow_insecure=True)
    with (
        pytest.raises(WorkersLostError, match=f"no scheduler answers at tcp://127.0.0.1:{port}"),
        workers_of(settings, 1),
    ):
        pass
    assert time.monotonic() - started < 10


def test_a_running_scheduler_over_tls(certificates: Path) -> None:
    with scheduler(1, certificates) as cluster:
        settings = existing(address=cluster.scheduler_address, **named(certificates))
        with workers_of(settings, 1) as client:
            assert client.submit(operator.mul, 6, 7).result(timeout=20) == 42
        assert len(cluster.workers) == 1  # it is not ours to stop


def test_certificates_of_somebody_else_are_refused(certificates: Path, tmp_path: Path) -> None:
    write_certificates(tmp_path / "others")
    with scheduler(1, certificates) as cluster:
        settings = existing(address=cluster.scheduler_address, **named(tmp_path / "others"))
        with pytest.raises(WorkersLostError, match="no scheduler answers"), workers_of(settings, 1):
            pass


def test_tls_without_certificates() -> None:
    with (
        pytest.raises(RunError, match="there are no certificates"),
        workers_of(existing(address="tls://127.0.0.1:1"), 1),
    ):
        pass


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    settings = existing(address="tls://127.0.0.1:1", **named(tmp_path))
    with pytest.raises(RunError, match=r"the scheduler is not used: .*No such file"), workers_of(settings, 1):
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"address": "tcp://127.0.0.1:1"}', "goes without TLS"),
        ('{"id": 1}', "tells no address"),
        ("[]", "tells no address"),
        ("{", "tells no address"),
        (None, "tells no address"),
    ],
)
def test_a_scheduler_file_that_does_not_do(content: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=reason), workers_of(existing(scheduler_file=str(path)), 1):
        pass


def test_certificates_are_for_their_owner_only(certificates: Path) -> None:
    files = sorted(certificates.iterdir())
    assert [path.name for path in files] == ["ca.pem", "certificate.pem", "key.pem"]
    assert {path.stat().st_mode & 0o077 for path in (certificates, *files)} == {0}
    with pytest.raises(RunError, match="cannot create"):
        write_certificates(certificates)
