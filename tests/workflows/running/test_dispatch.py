"""Answers of workers that are slow, die, come back, have no room on their disk, or never arrive."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import pytest
from dask.utils import parse_timedelta
from distributed import Client

from matloop.data.errors import DiskFullError, RunFilesError, WorkersLostError
from matloop.workflows.clusters.workers import local_workers
from matloop.workflows.running import dispatch
from matloop.workflows.running.dispatch import Answered, Died, answers, files_error
from tests.processes import until

SECONDS = 30.0  # what ends in bounded time ends within this on a busy machine too


def work() -> Callable[[Any], Any]:
    """What a worker does with a call. Workers cannot import test modules; a function made in a function travels."""

    def do(call: tuple[str, Any]) -> Any:
        import os
        import time

        what, value = call
        if what == "sleep":
            time.sleep(value)
        end = time.monotonic() + 60
        while what in ("wait for", "sign") and not os.path.exists(value) and time.monotonic() < end:
            time.sleep(0.01)
        if what == "exit":
            os._exit(value)
        if what == "sign":
            with open(value, "a") as file:
                file.write("x")
        if what == "exit once" and not os.path.exists(value):
            with open(value, "w"):
                os._exit(1)
        if what == "no room":
            raise OSError(value, os.strerror(value), "partitions/part-00000.parquet")
        if what == "memory":
            return bytes(10**15)
        return value

    return do


def values(answered: list[Answered[Any]]) -> list[Any]:
    return [one.answer for one in answered]


def test_answers_come_as_they_are_finished(workers: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    calls: list[tuple[str, Any]] = [("wait for", str(gate)), ("value", 1), ("value", 2), ("value", 3)]
    got = []
    for one in answers(workers, work(), calls, in_flight=4):
        got.append(one)
        if len(got) == 3:
            gate.touch()
    assert got[-1].call == calls[0]  # the first that was called had to wait for the others
    assert {one.call: one.answer for one in got} == {call: call[1] for call in calls}
    assert list(answers(workers, work(), [], in_flight=4)) == []


@pytest.mark.parametrize("in_flight", [1, 3])
def test_no_more_calls_are_taken_than_may_be_in_flight(in_flight: int, workers: Client) -> None:
    taken = 0

    def calls() -> Iterator[tuple[str, int]]:
        nonlocal taken
        for value in range(12):
            taken += 1
            yield "value", value

    ahead, found = [], []
    for handed_on, answered in enumerate(answers(workers, work(), calls(), in_flight=in_flight)):
        ahead.append(taken - handed_on)
        found.append(answered.answer)
    assert max(ahead) == in_flight
    assert sorted(found) == list(range(12))


def test_r14_a_worker_that_dies_takes_its_call_with_it_and_the_others_go_on(workers: Client) -> None:
    calls = [("value", -1), ("exit", 3), *(("value", n) for n in range(20))]
    got = {one.call: one.answer for one in answers(workers, work(), calls, in_flight=2)}
    assert got.keys() == set(calls)
    assert got["exit", 3] == Died()
    # Whatever waited on the dead worker is not known to be innocent; the caller tries it again.
    assert len([call for call, answer in got.items() if answer == Died()]) <= 2
    assert all(answer in (Died(), call[1]) for call, answer in got.items())


def test_r4_a_call_that_asks_for_too_much_memory_is_one_that_died(workers: Client) -> None:
    calls = [("value", 1), ("memory", 0), ("value", 2)]
    assert values(list(answers(workers, work(), calls, in_flight=1))) == [1, Died(), 2]


def test_r14_workers_come_back(tmp_path: Path) -> None:
    with local_workers(1) as client:
        (first,) = client.nthreads()
        mark = str(tmp_path / "mark")
        assert values(list(answers(client, work(), [("exit once", mark)], in_flight=1))) == [Died()]
        assert values(list(answers(client, work(), [("exit once", mark)], in_flight=1))) == [mark]
        for _ in range(2):
            assert values(list(answers(client, work(), [("exit", 1)], in_flight=1))) == [Died()]
        assert values(list(answers(client, work(), [("value", 7)], in_flight=1))) == [7]
        assert len(client.nthreads()) == 1
        assert first not in client.nthreads()
        # Dask itself gives up a worker that happens to be away when it looks, some time after an earlier death.
        assert parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout")) > 1e6


class Absent:
    """A client whose workers are away whenever it is asked; their answers come all the same, ten seconds apart."""

    status, seconds = "running", 0.0
    scheduler = SimpleNamespace(ncores=None)

    def sync(self, ask: object, **_: object) -> dict[str, int]:
        return {}

    def submit(self, function: Callable[[Any], Any], call: Any, **_: object) -> Any:
        future: Any = Future()
        future.key = str(id(future))
        self.seconds += 10
        threading.Timer(call[1], lambda: future.set_result(function(call))).start()
        return future


def test_r14_answers_count_as_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """While they come without a pause nobody looks for workers; a pause later on must not be taken for a long one."""
    client = Absent()
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=lambda: client.seconds))
    calls = [*[("value", 0.0)] * 20, ("value", 1.2)]
    assert len(list(answers(client, work(), calls, in_flight=1, patience=60.0))) == 21


def test_who_stops_listening_drops_what_is_open(workers: Client, tmp_path: Path) -> None:
    visitors = tmp_path / "visitors"  # each call waits until the book is there, then signs it
    listening = answers(workers, work(), [("value", 0), *[("sign", str(visitors))] * 100], in_flight=101)
    assert next(listening).answer == 0
    # Every worker waits in one call and has another that is not begun, so that all must be told to drop one.
    busy = lambda dask_worker: len(dask_worker.state.executing) == 1  # noqa: E731 - travels as it is not importable
    waiting = lambda dask_worker: len(dask_worker.state.ready)  # noqa: E731
    assert until(lambda: all([*workers.run(busy).values(), *workers.run(waiting).values()]), SECONDS)
    listening.close()
    assert until(lambda: not any(workers.run(waiting).values()), SECONDS)
    visitors.touch()
    last = [("value", number) for number in range(4)]
    assert sorted(values(list(answers(workers, work(), last, in_flight=4)))) == [0, 1, 2, 3]
    # A call that has begun goes on; no other was done, though all had come before the last.
    assert len(visitors.read_text()) <= len(workers.nthreads())


def send_away(client: Client) -> None:
    """End all workers of a cluster on this machine."""
    client.cluster.scale(0)
    assert until(lambda: not client.nthreads(), SECONDS)


def test_r17_no_workers_end_the_wait_with_a_code_of_its_own() -> None:
    with local_workers(1) as client:
        send_away(client)
        began = time.monotonic()
        with pytest.raises(WorkersLostError, match=r"E-RUN-WORKERS: no worker for 1 s.*matloop resume RUN") as caught:
            list(answers(client, work(), [("value", 1)], in_flight=1, patience=1.0))
        assert 0.9 < time.monotonic() - began < SECONDS
        assert caught.value.exit_code == 3


def test_r17_workers_that_arrive_in_time_are_waited_for() -> None:
    with local_workers(1) as client:
        send_away(client)
        late = threading.Timer(1.5, client.cluster.scale, (1,))
        late.start()
        assert values(list(answers(client, work(), [("value", 1)], in_flight=1, patience=SECONDS))) == [1]
        late.join()


@pytest.fixture
def far_away(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Client]]:
    """A scheduler and a worker as processes of their own, and a client."""
    file = tmp_path / "scheduler.json"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common], **quiet
    )
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1",
         "--local-directory", str(tmp_path), "--death-timeout", "5", *common], **quiet,
    )  # fmt: skip
    try:
        assert until(file.exists, 2 * SECONDS)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(1, timeout=2 * SECONDS)
            yield scheduler, client
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


def test_r14_r17_a_scheduler_that_is_killed_ends_the_wait(
    far_away: tuple["subprocess.Popen[bytes]", Client],
) -> None:
    scheduler, client = far_away
    listening = answers(client, work(), [("value", 1), *[("sleep", 60)] * 3], in_flight=2)
    assert next(listening).answer == 1
    killer = threading.Timer(1.0, scheduler.kill)
    killer.start()
    began = time.monotonic()
    with pytest.raises(WorkersLostError, match=r"E-RUN-WORKERS: .*scheduler"):
        list(listening)
    killer.join()
    assert time.monotonic() - began < SECONDS
    # Nothing can be asked of it from then on, and that is told the same way.
    with pytest.raises(WorkersLostError):
        list(answers(client, work(), [("value", 1)], in_flight=1))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_r16_no_room_on_a_workers_disk_is_told_by_the_file(number: int, workers: Client) -> None:
    with pytest.raises(DiskFullError, match=r"E-RUN-DISK: no room left on the disk for partitions/part-") as caught:
        list(answers(workers, work(), [("value", 1), ("no room", number)], in_flight=1))
    assert caught.value.exit_code == 4
    assert "matloop resume" in str(caught.value)
    assert values(list(answers(workers, work(), [("value", 4)], in_flight=1))) == [4]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EROFS])
def test_r25_other_errors_of_a_workers_file_system_are_told_by_the_file(number: int, workers: Client) -> None:
    said = rf"E-RUN-FILES: the file system says {os.strerror(number)} for partitions/part-"
    with pytest.raises(RunFilesError, match=said) as caught:
        list(answers(workers, work(), [("no room", number)], in_flight=1))
    assert caught.value.exit_code == 4
    assert "matloop resume" in str(caught.value)


def test_errors_of_connections_are_those_of_workers() -> None:
    from distributed.comm.core import CommClosedError

    for error in (TimeoutError("late"), ConnectionResetError("gone"), CommClosedError("closed")):
        assert isinstance(files_error(error), WorkersLostError)
    assert isinstance(files_error(BrokenPipeError(errno.EPIPE, "x")), RunFilesError)


def test_other_errors_come_as_they_are(workers: Client) -> None:
    with pytest.raises(TypeError):
        list(answers(workers, work(), [("sleep", "long")], in_flight=1))
    assert os.getpid() not in values(list(answers(workers, work(), [("value", 0)], in_flight=1)))
