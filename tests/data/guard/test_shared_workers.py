import multiprocessing
import subprocess
import sys
from typing import Any

import psutil
import pytest

from matloop.data.guard.shared_workers import close_shared_workers, shared_worker

LIMITS = {"memory_limit": 300_000_000, "timeout": 20.0}


def test_one_worker_for_each_function_and_limits() -> None:
    worker = shared_worker("binascii:unhexlify", **LIMITS)
    assert list(worker.map([b"6f6b"])) == [b"ok"]
    assert shared_worker("binascii:unhexlify", **LIMITS) is worker
    assert shared_worker("binascii:hexlify", **LIMITS) is not worker
    assert shared_worker("binascii:unhexlify", memory_limit=300_000_000, timeout=10.0) is not worker
    close_shared_workers()
    assert shared_worker("binascii:unhexlify", **LIMITS) is not worker
    close_shared_workers()


def test_processes_end_with_the_one_that_shares_them() -> None:
    code = (
        "import psutil\nfrom matloop.data.guard.shared_workers import shared_worker\n"
        "list(shared_worker('binascii:unhexlify', memory_limit=10**9, timeout=20.0).map([b'6f6b']))\n"
        "print(*[child.pid for child in psutil.Process().children(recursive=True)])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def _in_fork(answers: Any) -> None:
    (answer,) = shared_worker("binascii:unhexlify", **LIMITS).map([b"6e6f"])
    answers.send([answer, [child.pid for child in psutil.Process().children(recursive=True)]])
    close_shared_workers()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_gets_its_own() -> None:
    worker = shared_worker("binascii:unhexlify", **LIMITS)
    assert list(worker.map([b"6f6b"])) == [b"ok"]
    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe()
    process = context.Process(target=_in_fork, args=(send,))
    process.start()
    assert receive.poll(60)
    answer, theirs = receive.recv()
    process.join()
    assert answer == b"no"
    assert len(theirs) == 2
    assert not ours & set(theirs)
    assert list(worker.map([b"6f6b"])) == [b"ok"]  # what the fork did harmed nothing
    assert {child.pid for child in psutil.Process().children(recursive=True)} == ours
    close_shared_workers()
