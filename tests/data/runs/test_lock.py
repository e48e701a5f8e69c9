"""The lock of a run directory, held and taken by real processes."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matloop.data.errors import LockedError, LockLostError, RunError
from matloop.data.runs import lock as run_lock
from matloop.data.runs import lock_file
from matloop.data.runs.lock import LockWatch, RunLock
from matloop.data.runs.lock_file import LockState, lock_state, lock_states
from tests.processes import until

HOLDER = """
import sys, threading, time
from pathlib import Path
from matloop.data.runs import lock as run_lock, lock_file
from matloop.data.errors import LockedError, LockLostError
folder, machine, stale, wait = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
if machine:
    run_lock.this_machine = lock_file.this_machine = lambda: machine
write, beats = run_lock.write_holder, threading.Semaphore(0)
def write_and_count(*arguments):
    write(*arguments)
    beats.release()
run_lock.write_holder = write_and_count
try:
    with run_lock.RunLock(folder, heartbeat=0.05, stale_seconds=stale, wait_seconds=wait) as lock:
        print("held", lock.taken_over or "free", flush=True)
        for line in sys.stdin:
            while "heartbeats" in line and beats.acquire(blocking=False):
                pass  # those of before
            for _ in range(3 if "heartbeats" in line else 0):
                beats.acquire(timeout=10)
            lock.check()
            print("still held", flush=True)
except (LockedError, LockLostError) as error:
    print(error.code, error, flush=True)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that take the lock of ``tmp_path`` and hold it until their input ends."""
    started: list[subprocess.Popen[str]] = []

    def begin(machine: str = "", *, stale: float = 120.0, wait: float = 0.0) -> "subprocess.Popen[str]":
        arguments = [sys.executable, "-c", HOLDER, str(tmp_path), machine, str(stale), str(wait)]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def says(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: "subprocess.Popen[str]", when: str = "now") -> str:
    assert process.stdin is not None
    process.stdin.write(f"{when}\n")
    process.stdin.flush()
    return says(process)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    with RunLock(tmp_path, heartbeat=0.02) as lock:
        assert lock.taken_over is None
        content = json.loads((tmp_path / "lock.json").read_text())
        assert content["pid"] == os.getpid()
        assert abs(content["started"] - time.time()) < 60
        assert until(lambda: json.loads((tmp_path / "lock.json").read_text())["heartbeat"] > content["heartbeat"], 10)
        assert not lock.lost
        lock.check()
        (state,) = lock_states(tmp_path).values()
        assert not state.abandoned
        assert state.silent_seconds < 5
    assert names(tmp_path) == []
    assert lock.lost


def test_a_second_process_is_refused(tmp_path: Path, start: Start) -> None:
    holder = start()
    assert says(holder) == "held free"
    with pytest.raises(LockedError) as refusal, RunLock(tmp_path):
        pass
    assert isinstance(refusal.value, RunError)
    assert str(refusal.value).startswith(f"E-RUN-LOCKED: {tmp_path} is being worked on by process {holder.pid} on ")
    assert f"end it with: kill {holder.pid}" in str(refusal.value)
    assert "last heartbeat 0 s ago" in str(refusal.value)
    assert ask(holder) == "still held"
    holder.communicate()
    with RunLock(tmp_path) as lock:
        assert lock.taken_over is None


def test_array_tasks_have_locks_of_their_own(tmp_path: Path) -> None:
    with RunLock(tmp_path, "lock-001.json"), RunLock(tmp_path, "lock-002.json"):
        assert list(lock_states(tmp_path)) == ["lock-001.json", "lock-002.json"]
        with pytest.raises(LockedError), RunLock(tmp_path, "lock-002.json"):
            pass
    assert names(tmp_path) == []


def test_a_killed_holder_is_replaced_at_once(tmp_path: Path, start: Start) -> None:
    holder = start()
    says(holder)
    holder.kill()
    # Not even buried yet: a process that only waits for its parent to take note holds nothing.
    assert until(lambda: lock_states(tmp_path)["lock.json"].abandoned, 10)
    with RunLock(tmp_path) as lock:
        assert lock.taken_over is not None
        assert lock.taken_over.holder is not None
        assert lock.taken_over.holder.pid == holder.pid
        assert f"process {holder.pid} on " in str(lock.taken_over)
        assert names(tmp_path) == ["lock.json"]
    assert names(tmp_path) == []


def test_another_process_under_the_number_of_a_dead_one(tmp_path: Path) -> None:
    """A process number comes back; the start of the process tells the two apart."""
    with RunLock(tmp_path):
        content = json.loads((tmp_path / "lock.json").read_text())
    (tmp_path / "lock.json").write_text(json.dumps({**content, "process_start": "1"}))
    with RunLock(tmp_path) as lock:
        assert lock.taken_over is not None


def test_a_suspended_holder_on_this_machine_keeps_its_run(tmp_path: Path, start: Start) -> None:
    holder = start(stale=0.3)
    says(holder)
    holder.send_signal(signal.SIGSTOP)
    assert until(lambda: lock_states(tmp_path)["lock.json"].silent_seconds > 0.3, 10)
    with pytest.raises(LockedError, match="last heartbeat"), RunLock(tmp_path, stale_seconds=0.3):
        pass
    holder.send_signal(signal.SIGCONT)
    assert ask(holder) == "still held"


def test_a_suspended_holder_elsewhere_loses_its_run_and_notices(tmp_path: Path, start: Start) -> None:
    holder = start("another machine")
    says(holder)
    with pytest.raises(LockedError, match="the run is taken over"), RunLock(tmp_path, stale_seconds=1.0):
        pass
    holder.send_signal(signal.SIGSTOP)
    assert until(lambda: lock_states(tmp_path)["lock.json"].silent_seconds > 1.0, 10)
    with RunLock(tmp_path, heartbeat=0.05, stale_seconds=1.0) as lock:
        assert lock.taken_over is not None
        assert lock.taken_over.silent_seconds > 1.0
        holder.send_signal(signal.SIGCONT)
        told = ask(holder, "after some heartbeats")
        assert told.startswith(f"E-RUN-LOCK-LOST E-RUN-LOCK-LOST: {tmp_path} was taken over by process {os.getpid()} ")
        assert holder.wait(10) == 0
        assert not lock.lost  # what woke up gave back nothing that was not its own
        assert names(tmp_path) == ["lock.json"]


def test_clocks_that_differ_do_not_matter(tmp_path: Path, start: Start) -> None:
    """The heartbeat of another machine is judged by the clock that stamps the file."""
    holder = start("another machine")
    says(holder)
    holder.kill()
    holder.communicate()
    content = json.loads((tmp_path / "lock.json").read_text())
    (tmp_path / "lock.json").write_text(json.dumps({**content, "heartbeat": 0.0}))
    with pytest.raises(LockedError), RunLock(tmp_path):
        pass
    (tmp_path / "lock.json").write_text(json.dumps({**content, "heartbeat": time.time() + 1e6}))
    os.utime(tmp_path / "lock.json", (time.time(), time.time() - 121))
    with RunLock(tmp_path, heartbeat=0.05) as lock:
        assert lock.taken_over is not None


def test_waiting_for_a_lock_elsewhere_to_go_stale(tmp_path: Path, start: Start) -> None:
    holder = start("another machine")
    says(holder)
    holder.kill()
    began = time.monotonic()
    with RunLock(tmp_path, heartbeat=0.1, stale_seconds=1.0, wait_seconds=20.0) as lock:
        assert lock.taken_over is not None
    assert 0.5 < time.monotonic() - began < 10


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"host": "a"}', b"\xff\xfe", b'{"pid": {}}'])
def test_a_lock_that_cannot_be_read(text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_file, "_READ_PAUSE", 0.001)
    (tmp_path / "lock.json").write_bytes(text)
    with pytest.raises(LockedError, match="an unknown process"), RunLock(tmp_path):
        pass
    os.utime(tmp_path / "lock.json", (0, 0))
    with RunLock(tmp_path, heartbeat=0.05) as lock:
        assert lock.taken_over is not None
        assert lock.taken_over.holder is None
    assert names(tmp_path) == []


@pytest.mark.parametrize("machine", ["", "another machine"])
def test_of_several_takers_one_wins(machine: str, tmp_path: Path, start: Start) -> None:
    for _ in range(3):
        holder = start(machine)
        says(holder)
        holder.kill()
        holder.wait()
        os.utime(tmp_path / "lock.json", (0, 0))
        takers = [start() for _ in range(3)]
        told = [says(taker) for taker in takers]
        assert sorted(line.split()[0] for line in told) == ["E-RUN-LOCKED", "E-RUN-LOCKED", "held"]
        winner = takers[[line.startswith("held") for line in told].index(True)]
        assert ask(winner) == "still held"
        assert names(tmp_path) == ["lock.json"]
        for taker in takers:
            taker.communicate()
        assert names(tmp_path) == []


def test_a_taker_that_judged_too_early_leaves_the_new_lock_alone(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One taker sees the abandoned lock, another replaces it, and only then the first one acts."""
    dead = start()
    says(dead)
    dead.kill()
    dead.wait()
    look = lock_state
    rival: list[subprocess.Popen[str]] = []

    def look_and_be_overtaken(path: Path, *, stale_seconds: float = 120.0) -> LockState | None:
        state = look(path, stale_seconds=stale_seconds)
        if not rival:
            rival.append(start())
            assert says(rival[0]).startswith("held")
        return state

    monkeypatch.setattr(run_lock, "lock_state", look_and_be_overtaken)
    with pytest.raises(LockedError, match=r"worked on by process"), RunLock(tmp_path):
        pass
    assert ask(rival[0]) == "still held"
    assert names(tmp_path) == ["lock.json"]


def test_a_taker_that_died_half_way_is_replaced_too(tmp_path: Path, start: Start) -> None:
    dead = start()
    says(dead)
    dead.kill()
    dead.wait()
    content = (tmp_path / "lock.json").read_text()
    token = json.loads(content)["token"]
    (tmp_path / f"lock.json.{token}").write_text(content.replace(token, "0" * 12))
    with RunLock(tmp_path) as lock:
        assert not lock.lost
        assert names(tmp_path) == ["lock.json"]
    assert names(tmp_path) == []


def test_a_lock_removed_by_hand_is_lost(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        (tmp_path / "lock.json").unlink()
        with pytest.raises(LockLostError, match="left without its lock file"):
            lock.check()
    assert lock_state(tmp_path / "lock.json") is None


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), RunLock(tmp_path / "gone"):
        pass


def test_a_full_disk_does_not_keep_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, holder: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with RunLock(tmp_path):
        monkeypatch.setattr(run_lock, "write_holder", full)
    assert names(tmp_path) == []
    with pytest.raises(OSError, match="No space left"), RunLock(tmp_path):
        pass
    assert names(tmp_path) == []


def test_r30_a_lock_names_its_holder_from_the_first_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R30: killed while it takes the lock, a process leaves no lock of nobody, which others would wait for."""

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(run_lock, "write_holder", die)
        with pytest.raises(SystemExit), RunLock(tmp_path):
            pass
    assert not list(tmp_path.iterdir())
    with RunLock(tmp_path) as lock:
        assert lock.taken_over is None


def test_a_file_system_without_links_has_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    with RunLock(tmp_path):
        with pytest.raises(LockedError), RunLock(tmp_path):
            pass
        assert names(tmp_path) == ["lock.json"]
    assert not names(tmp_path)


def test_r30_what_takers_left_that_were_killed_is_removed(tmp_path: Path) -> None:
    (tmp_path / "lock.json.abcdef").write_text("")
    (tmp_path / "lock-002.json.abcdef").write_text("")  # of a task of a job array
    with RunLock(tmp_path):
        assert names(tmp_path) == ["lock-002.json.abcdef", "lock.json"]


def test_r29_a_lock_stamped_in_the_future_is_watched_and_taken_over(tmp_path: Path, start: Start) -> None:
    """A clock was set back: by the time stamp this lock would be fresh for an hour."""
    dead = start("another machine")
    says(dead)
    dead.kill()
    dead.wait()
    os.utime(tmp_path / "lock.json", (time.time() + 3600, time.time() + 3600))
    began = time.monotonic()
    with RunLock(tmp_path, heartbeat=0.05, stale_seconds=1.0) as lock:
        assert lock.taken_over is not None
    assert 1.0 <= time.monotonic() - began < 10


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_r29_a_lock_that_is_touched_is_never_taken_over_whatever_clocks_say(
    seconds: float, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = start("another machine")
    says(holder)
    now = lock_file._file_system_time
    monkeypatch.setattr(lock_file, "_file_system_time", lambda folder: now(folder) + seconds)
    assert lock_states(tmp_path)["lock.json"].abandoned  # as far as clocks tell
    with pytest.raises(LockedError), RunLock(tmp_path, heartbeat=0.1, stale_seconds=1.0):
        pass
    assert ask(holder) == "still held"


def test_r29_several_locks_are_watched_at_the_same_time(tmp_path: Path) -> None:
    paths = [tmp_path / f"lock-{number:03d}.json" for number in range(1, 6)]
    watch, began = LockWatch(), time.monotonic()
    for path in paths:
        path.write_text("{}")
        os.utime(path, (0, 0))
        watch.look(path)
    with contextlib.ExitStack() as locks:
        for path in paths:
            lock = RunLock(tmp_path, path.name, heartbeat=0.1, stale_seconds=0.5, watch=watch)
            assert locks.enter_context(lock).taken_over is not None
    assert time.monotonic() - began < 1.4
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_r25_a_lock_that_cannot_be_read_for_now_is_not_taken_for_lost(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    with RunLock(tmp_path) as lock, monkeypatch.context() as patch:
        patch.setattr(lock_file, "_read", fail)
        with pytest.raises(OSError, match=os.strerror(number)):
            lock.check()


def test_r30_an_interrupt_while_the_lock_is_taken_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Thread):
        def start(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading, "Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt), RunLock(tmp_path):
        pass
    assert names(tmp_path) == []
