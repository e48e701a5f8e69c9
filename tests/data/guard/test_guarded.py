import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from matloop.data.errors import ROW_CODES, GuardError
from matloop.data.guard.guarded import Failure, GuardedWorker, LongItem
from tests.processes import until

# What the items ask for; the module is written to a folder of its own, since it must be importable in the child.
HOSTILE = """
import os, signal, time
seen = []
def work(item):
    seen.append(item)
    if item == b"exit": os._exit(3)
    if item == b"segfault": os.kill(os.getpid(), signal.SIGSEGV)
    if item == b"sleep": time.sleep(1000)
    if item == b"spin":
        while True: pass
    if item == b"stop": os.kill(os.getpid(), signal.SIGSTOP)
    if item == b"memory": return bytes(10**12)
    if item == b"nibble":
        pieces = []
        while True: pieces.append(bytes(10**7))
    if item == b"raise": raise KeyError("k")
    if item == b"system exit": raise SystemExit
    if item == b"long": return bytes(2_000_000)
    if item == b"nursery":
        os.kill(os.getppid(), signal.SIGKILL); os._exit(1)
    if item == b"pid": return str(os.getpid()).encode()
    if item == b"damage": seen.append("damaged")
    if item == b"delicate" and "damaged" in seen: os._exit(4)
    return item[::-1]
def broken(item): raise RuntimeError("not today")
"""


@pytest.fixture(scope="module", autouse=True)
def hostile_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile_work.py").write_text(HOSTILE, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield


def guarded(**settings: Any) -> GuardedWorker:
    """A worker whose time limit only an item that hangs meets, however busy the machine is."""
    return GuardedWorker("hostile_work:work", **{"timeout": 60.0, "memory_limit": 300_000_000, **settings})


def hanging(item: bytes) -> LongItem:
    """An item that never ends, with little time, since the tests wait for it."""
    return LongItem(item, 0.5)


CULPRITS = {
    b"exit": ("E-GUARD-CRASH", "exit code 3"),
    b"segfault": ("E-GUARD-CRASH", "SIGSEGV"),
    b"sleep": ("E-GUARD-TIMEOUT", "0.5 s"),
    b"spin": ("E-GUARD-TIMEOUT", "0.5 s"),
    b"stop": ("E-GUARD-TIMEOUT", "0.5 s"),
    b"memory": ("E-GUARD-MEMORY", ""),
    b"nibble": ("E-GUARD-MEMORY", ""),
    b"raise": ("E-GUARD-CRASH", "KeyError: 'k'"),
    b"system exit": ("E-GUARD-CRASH", "SystemExit"),
    b"long": ("E-GUARD-CRASH", "2000001 bytes"),
    b"nursery": ("E-GUARD-CRASH", "ended"),
}


def test_only_the_culprits_are_lost_and_the_order_stays() -> None:
    items = [part for culprit in CULPRITS for part in (b"before", culprit, b"after")]
    given = [hanging(item) if "TIMEOUT" in CULPRITS.get(item, ("",))[0] else item for item in items]
    with guarded(reply_limit=1_000_000) as worker:
        answers = list(worker.map(given))
    assert len(answers) == len(items)
    for item, answer in zip(items, answers, strict=True):
        if item in CULPRITS:
            code, detail = CULPRITS[item]
            assert isinstance(answer, Failure), item
            assert answer.code == code
            assert code in ROW_CODES
            assert detail in answer.detail
        else:
            assert answer == item[::-1]


def test_the_time_limit_of_the_worker_is_that_of_every_item_without_one() -> None:
    with guarded(timeout=0.5) as worker:
        assert list(worker.map([b"sleep"])) == [Failure("E-GUARD-TIMEOUT", "took longer than 0.5 s")]
        assert list(worker.map([LongItem(b"ok", 60.0)])) == [b"ko"]


def test_two_culprits_in_a_row_and_at_both_ends() -> None:
    with guarded() as worker:
        answers = list(worker.map([b"exit", b"memory", b"exit", b"ok", hanging(b"sleep"), b"exit"]))
    assert [answer if isinstance(answer, bytes) else answer.code[8:] for answer in answers] == [
        "CRASH", "MEMORY", "CRASH", b"ko", "TIMEOUT", "CRASH",
    ]  # fmt: skip


def test_what_an_earlier_item_did_to_the_process_is_not_blamed_on_a_later_one() -> None:
    with guarded() as worker:
        assert list(worker.map([b"damage", b"delicate", b"x"])) == [b"egamad", b"etaciled", b"x"]


def test_many_items_use_one_process_and_a_slow_caller_is_no_slow_item() -> None:
    with guarded(timeout=2.0) as worker:
        answers = worker.map([b"pid"] * 200)
        first = next(answers)
        time.sleep(2.2)  # longer than an item may take
        assert set(answers) == {first}
        assert list(worker.map([])) == []


def test_large_items_go_through_both_ways() -> None:
    items = [bytes([n]) * 700_000 for n in range(8)]
    with guarded() as worker:
        assert list(worker.map(items)) == items


def test_items_are_read_as_they_are_needed() -> None:
    taken = []

    def items() -> Iterator[bytes]:
        for n in range(1000):
            taken.append(n)
            yield b"x"

    with guarded() as worker:
        next(worker.map(items()))
    assert len(taken) <= 64


def test_nothing_is_left_running() -> None:
    before = set(psutil.Process().children(recursive=True))
    with guarded() as worker:
        (pid,) = worker.map([b"pid"])
        list(worker.map([hanging(b"stop")]))
        started = set(psutil.Process().children(recursive=True)) - before
        assert started
    assert isinstance(pid, bytes)
    assert not psutil.pid_exists(int(pid))
    assert not any(process.is_running() for process in started)


def test_a_killed_caller_leaves_nothing_running() -> None:
    code = (
        "import os, signal\nfrom matloop.data.guard.guarded import GuardedWorker\n"
        "worker = GuardedWorker('hostile_work:work', timeout=60).__enter__()\n"
        "print(worker._nursery.pid, next(worker.map([b'pid'])).decode(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    assert until(lambda: not any(map(_lives, pids)), 10)


def test_a_child_in_native_code_does_not_outlive_its_killed_caller() -> None:
    code = (
        "import os, signal, threading\nfrom matloop.data.guard.guarded import GuardedWorker\n"
        "worker = GuardedWorker('hostile_work:work', timeout=600).__enter__()\n"
        "print(worker._nursery.pid, next(worker.map([b'pid'])).decode(), flush=True)\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
        "list(worker.map([b'stop' if os.sys.argv[1:] else b'spin']))"
    )
    for arguments in ([], ["stopped"]):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        pids = [int(word) for word in done.stdout.split()]
        assert len(pids) == 2
        assert until(lambda pids=pids: not any(map(_lives, pids)), 10)


def test_what_is_prepared_is_ready_in_every_child() -> None:
    with guarded() as worker:
        assert worker.prepare(b"damage") == b"egamad"
        assert worker.prepare(b"damage") == b"egamad"
        for _ in range(2):
            (answer,) = worker.map([b"delicate"])  # only where "damage" was done before
            assert answer == Failure("E-GUARD-CRASH", "the process ended itself with exit code 4")
            assert list(worker.map([b"nursery", b"ok"]))[1] == b"ko"  # a new nursery prepares it again
        with pytest.raises(GuardError, match="KeyError: 'k'"):
            worker.prepare(b"raise")
        with pytest.raises(GuardError, match="its process ended while it was prepared"):
            worker.prepare(b"exit")
        assert list(worker.map([b"ok"])) == [b"ko"]


def test_threads_take_turns() -> None:
    with guarded() as worker, ThreadPoolExecutor(4) as pool:
        items = [[b"%d-%d" % (thread, n) for n in range(300)] for thread in range(4)]
        answers = pool.map(lambda mine: list(worker.map(mine)), items)
        assert list(answers) == [[item[::-1] for item in mine] for mine in items]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _in_daemon(answers: Any) -> None:
    with guarded() as worker:
        answers.send([answer if isinstance(answer, bytes) else answer.code for answer in worker.map([b"ab", b"exit"])])


def test_works_where_processes_may_have_no_children_of_multiprocessing() -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_in_daemon, args=(theirs,), daemon=True)
    process.start()
    assert ours.poll(60)
    assert ours.recv() == [b"ba", "E-GUARD-CRASH"]
    process.join()


@pytest.mark.parametrize(
    ("path", "reason"), [("no_such_module:f", "ModuleNotFoundError"), ("os:nothing", "AttributeError")]
)
def test_unusable_function_stops_at_once(path: str, reason: str) -> None:
    with pytest.raises(GuardError, match=reason):
        GuardedWorker(path).__enter__()


def test_a_failing_warm_up_says_why() -> None:
    with pytest.raises(GuardError, match="RuntimeError: not today"):
        GuardedWorker("hostile_work:broken", warm_up=b"x").__enter__()


def test_memory_limit_holds_for_the_child_only() -> None:
    with guarded() as worker:
        (answer,) = worker.map([b"nibble"])
    assert isinstance(answer, Failure)
    assert answer.code == "E-GUARD-MEMORY"
    assert len(bytes(400_000_000)) == 400_000_000
