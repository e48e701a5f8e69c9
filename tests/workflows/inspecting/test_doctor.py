"""``matloop doctor``: each check against a machine where the thing is sound, and one where it is not."""

import datetime as dt
import importlib.metadata
import json
import os
import socket
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matloop.data.element_facts.fact_tables import TABLES, expired_tables
from matloop.data.errors import RunError
from matloop.data.installation import install_command
from matloop.data.packaged import materials
from matloop.screening.campaign.cluster_settings import LOCAL
from matloop.workflows.cli import main
from matloop.workflows.clusters import machine_limits as machine
from matloop.workflows.clusters import workers as clusters
from matloop.workflows.clusters.workers import workers_chosen
from matloop.workflows.inspecting import doctor as module
from matloop.workflows.inspecting import installation_checks, machine_checks
from matloop.workflows.inspecting.check import FAIL, OK, WARN, Check
from matloop.workflows.inspecting.doctor import print_doctor
from matloop.workflows.inspecting.fact_checks import check_facts
from matloop.workflows.inspecting.installation_checks import (
    check_data,
    check_libraries,
    check_native_code,
    check_python,
)  # fmt: skip
from matloop.workflows.inspecting.machine_checks import (
    check_compiled_code,
    check_folder,
    check_loopback,
    check_machine,
    check_slurm,
    check_text,
    check_threads,
    check_worker,
)  # fmt: skip

Patch = pytest.MonkeyPatch


def only(checks: Iterator[Check]) -> Check:
    (check,) = checks
    return check


@pytest.mark.parametrize(
    ("asked", "installed", "state", "found"),
    [
        ("numpy>=2.1", "2.4.6", OK, ""),
        ("numpy>=2.1", "2.1", OK, ""),
        ("numpy>=2.1", "2.0.9", FAIL, "2.0.9 is too old, >=2.1 is needed"),
        ("pandas>=2.2.3,<3", "3.0.0rc1", FAIL, "3.0.0rc1 is too new, >=2.2.3,<3 is needed"),
        ("pandas<3,>=2.2.3", "2.10", OK, ""),
        ("dask[distributed]>=2025.5", "2025.4.1", FAIL, "2025.4.1 is too old"),
        ("numpy>=2.1", None, FAIL, "is missing"),
        ('torch>=2.6; extra == "potentials"', None, OK, "only campaigns with a potential needs it"),
        ('torch>=2.6; extra == "potentials"', "2.5.1+cpu", FAIL, "2.5.1+cpu is too old"),
        ('torch-sim-atomistic>=0.3; extra == "torch-sim"', None, OK, "only the option engine: torch-sim"),
        ('pytest>=8; extra == "dev"', None, OK, ""),
    ],
)
def test_libraries_that_do_not_fit(
    asked: str, installed: str | None, state: str, found: str, monkeypatch: Patch
) -> None:
    def version(name: str) -> str:
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [asked])
    monkeypatch.setattr(importlib.metadata, "version", version)
    *problems, summary = check_libraries()
    assert summary.found.startswith("0" if found else "1" if installed else "0")
    if found:
        assert problems[0].state == state
        assert found in problems[0].found
        assert "pip install " in problems[0].advice + problems[0].found
    else:
        assert problems == []


def test_python_too_old_and_matloop_not_installed(monkeypatch: Patch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert [check.state for check in check_python()] == [OK, FAIL]

    def nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", nothing)
    assert only(check_python()) == Check("matloop", FAIL, "is not installed", install_command("matloop"))


@pytest.mark.parametrize(
    ("last", "found"),
    [
        ("no_such_module", "no_such_module does not load: ModuleNotFoundError"),
        ("faulthandler; faulthandler._sigsegv(); import numpy", "the process was ended by signal 11"),
    ],
)
def test_a_library_that_does_not_load_or_crashes(last: str, found: str, monkeypatch: Patch) -> None:
    if "_sigsegv" in last:
        code = "import faulthandler; print('numpy', flush=True); faulthandler._sigsegv()"
        told, error = installation_checks._in_child(code, 60)
        assert (told, error) == ("numpy\n", found)
        return
    monkeypatch.setattr(installation_checks, "_NATIVE", ("json", last))
    check = only(check_native_code())
    assert check.state == FAIL
    assert found in check.found
    assert f"--force-reinstall {last}" in check.advice


def test_a_library_that_hangs() -> None:
    told, error = installation_checks._in_child("import time; print('json', flush=True); time.sleep(60)", 1)
    assert (told, error) == ("json\n", "nothing for 1 s")


def test_data_that_was_changed(monkeypatch: Patch) -> None:
    monkeypatch.setattr(materials, "MATERIALS_SHA256", "0" * 64)
    bad, good = check_data()
    assert (bad.name, bad.state, bad.advice) == ("packaged crystals", FAIL, "reinstall matloop; the file was changed")
    assert bad.found.startswith("E-DATASET-HASH: materials.parquet has sha256 ")
    assert "packaged crystals" not in good.found
    assert "prototypes" in good.found


@pytest.mark.parametrize(
    ("setting", "state"), [(None, OK), ("1", OK), ("8", WARN), ("many", FAIL), ("-1", FAIL), ("", FAIL)]
)
def test_threads(setting: str | None, state: str, monkeypatch: Patch) -> None:
    for name in machine_checks._THREADS:
        monkeypatch.delenv(name, raising=False)
    if setting is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    check = only(check_threads())
    assert check.state == state
    assert check.advice == ("" if state == OK else "unset OMP_NUM_THREADS")


@pytest.mark.parametrize(
    ("cores", "memory", "state", "advice"),
    [
        (2.0, 8e9, OK, ""),
        (8.0, 8e9, OK, "use at most --workers 3"),
        (2.0, 3e9, WARN, "give the job or container 4 GB"),
        (2.0, None, WARN, "allow 2 GB for each worker"),
    ],
)
def test_cores_and_memory(cores: float, memory: int | None, state: str, advice: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(machine_checks, "usable_cores", lambda: cores)
    monkeypatch.setattr(machine_checks, "usable_memory", lambda: memory)
    of_cores, of_memory = check_machine()
    assert (of_cores.found, of_cores.advice) == (f"{cores:g}", "")
    assert of_memory.state == state
    assert of_memory.advice.startswith(advice)
    assert bool(of_memory.advice) == bool(advice)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: Patch) -> Callable[[str, dict[str, str]], None]:
    """Lays out control groups, on a machine with 8 GB free."""

    def lay_out(own: str, files: dict[str, str]) -> None:
        (tmp_path / "own").write_text(own)
        (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n")
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        monkeypatch.setattr(machine, "_GROUPS", tmp_path / "cgroup")
        monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
        monkeypatch.setattr(machine, "_MEMORY", tmp_path / "meminfo")
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)

    return lay_out


@pytest.mark.parametrize(
    ("own", "files", "cores", "memory"),
    [
        ("0::/\n", {}, 16, 8_192_000_000),
        ("0::/job/step\n", {"job/step/memory.max": "max", "job/memory.max": "4000000000"}, 16, 4_000_000_000),
        ("0::/job/step\n", {"job/cpu.max": "250000 100000", "job/step/cpu.max": "max 100000"}, 2.5, 8_192_000_000),
        ("0::/elsewhere\n", {"memory.max": "1000000", "cpu.max": "100000 100000"}, 1, 1_000_000),  # a container
        (
            "4:memory:/a\n2:cpu,cpuacct:/b\n0::/\n",
            {
                "memory/a/memory.limit_in_bytes": "5000000", "memory/memory.limit_in_bytes": "9223372036854771712",
                "cpu,cpuacct/b/cpu.cfs_quota_us": "150000", "cpu,cpuacct/b/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            1.5, 5_000_000,
        ),
    ],
)  # fmt: skip
def test_limits_of_containers_and_jobs(
    own: str, files: dict[str, str], cores: float, memory: int, groups: Callable[[str, dict[str, str]], None]
) -> None:
    groups(own, files)
    assert machine.usable_cores() == cores
    assert machine.usable_memory() == memory


def test_a_system_without_such_files(tmp_path: Path, monkeypatch: Patch) -> None:
    for name in ("_GROUPS", "_OWN_GROUPS", "_MEMORY"):
        monkeypatch.setattr(machine, name, tmp_path / "gone")
    assert machine.usable_memory() is None
    assert machine.usable_cores() >= 1


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "state"), [(50e9, OK), (2e9, WARN), (0.1e9, FAIL)])
def test_room_in_a_folder_still_to_be_made(free: float, state: str, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda path: Usage(100e9, 0, free))
    check = only(check_folder("run folder", tmp_path / "runs" / "new"))
    assert check.state == state
    assert f"GB free in {tmp_path}" in check.found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: Patch) -> None:
    def refused(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine_checks, "write_text", refused)
    check = only(check_folder("run folder", tmp_path))
    assert check.state == FAIL
    assert check.found.startswith(f"cannot write in {tmp_path}: ")
    assert list(tmp_path.iterdir()) == []


def test_where_compiled_code_is_kept(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert only(check_compiled_code()).state == OK
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new"))
    assert only(check_compiled_code()) == Check("compiled code", OK, f"is kept in {tmp_path / 'new'}")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "matloop-compiled-x"))
    check = only(check_compiled_code())
    assert check.state == WARN
    assert check.found.startswith("compiled code cannot be kept in ")
    assert check.advice == "set MATLOOP_CACHE to a folder you may write to"
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert only(check_compiled_code()).advice == "unset it"


def test_loopback(monkeypatch: Patch) -> None:
    assert only(check_loopback()).state == OK

    def refused(*arguments: object, **options: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_connection", refused)
    check = only(check_loopback())
    assert (check.state, check.advice) == (FAIL, "allow connections to 127.0.0.1")


def test_a_worker_that_starts_and_one_that_does_not(monkeypatch: Patch) -> None:
    check = only(check_worker())
    assert check.state in (OK, WARN)
    assert check.found.startswith("started and answered in ")

    def none(count: int) -> object:
        raise RunError("no workers started", "free memory")

    monkeypatch.setattr(clusters, "local_workers", none)
    check = only(check_worker())
    assert check.state == FAIL
    assert check.found.startswith("E-RUN: no workers started")


@pytest.mark.parametrize(
    ("script", "state", "found"),
    [
        ("echo '12 idle'; echo '3 down*'", OK, "nodes: 12 idle, 3 down*"),
        ("echo '4 allocated'", WARN, "nodes: 4 allocated"),
        ("echo '2 idle*'", WARN, "nodes: 2 idle*"),
        ("true", WARN, "nodes: no nodes"),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", WARN, "does not answer: Unable to contact slurm"),
        ("exec sleep 60", WARN, "does not answer: "),
    ],
)
def test_slurm(script: str, state: str, found: str, tmp_path: Path, monkeypatch: Patch) -> None:
    program = tmp_path / "sinfo"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine_checks, "_SLURM_SECONDS", 1)
    check = only(check_slurm())
    assert check.state == state
    assert found in check.found
    assert bool(check.advice) == (state != OK)


def test_no_slurm(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(check_slurm()) == Check("Slurm", OK, "is not on this machine; only --cluster slurm needs it")


def test_text(monkeypatch: Patch) -> None:
    monkeypatch.setattr(machine_checks.sys, "stdout", namedtuple("Out", "encoding")("utf-8"))
    monkeypatch.setattr(machine_checks.locale, "getpreferredencoding", lambda do_setlocale: "UTF-8")
    assert only(check_text()).state == OK
    monkeypatch.setattr(machine_checks.locale, "getpreferredencoding", lambda do_setlocale: "ANSI_X3.4-1968")
    check = only(check_text())
    assert (check.state, check.found) == (WARN, "not UTF-8: preferred ANSI_X3.4-1968")


@pytest.mark.parametrize(("state", "healthy"), [(OK, True), (WARN, True), (FAIL, False)])
def test_what_is_printed(
    state: str, healthy: bool, monkeypatch: Patch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    checks = [Check("a", OK, "[bold]good[/bold]"), Check("b", state, "found", "do this")]
    monkeypatch.setattr(module, "doctor", lambda folder: iter(checks))
    assert print_doctor(tmp_path) is healthy
    assert capsys.readouterr().out == f"ok   a: [bold]good[/bold]\n{state:<5}b: found\n     -> do this\n"
    assert print_doctor(tmp_path, as_json=True) is healthy
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is healthy
    assert told["checks"][1] == {"name": "b", "state": state, "found": "found", "advice": "do this"}


def test_all_of_it_on_this_machine(tmp_path: Path) -> None:
    checks = {check.name: check for check in module.doctor(tmp_path)}
    assert {"threads", "memory", "run folder", "worker process", "Slurm"} <= set(checks)
    sound = ("matloop", "Python", "libraries", "compiled libraries", "data files")
    assert {name: checks[name].found for name in sound if checks[name].state != OK} == {}


@pytest.mark.parametrize(("state", "code"), [(WARN, 0), (FAIL, 1)])
def test_the_command(state: str, code: int, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(module, "doctor", lambda folder: iter([Check(str(asked.append(folder)), state, "found")]))
    monkeypatch.setattr(sys, "argv", ["matloop", "doctor", "--folder", "elsewhere", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert int(ended.value.code or 0) == code
    assert asked == [Path("elsewhere")]
    assert json.loads(capsys.readouterr().out)["ok"] is (code == 0)


@pytest.mark.parametrize(
    ("cores", "memory", "workers"),
    [
        (16.0, 200e9, 16),
        (2.5, 200e9, 2),
        (0.5, 200e9, 1),
        (16.0, 8e9, 3),
        (16.0, 1e9, 1),
        (4.0, None, 4),
        (999.0, None, 256),
    ],
)
def test_workers_by_default(cores: float, memory: float | None, workers: int, monkeypatch: Patch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    monkeypatch.setattr(machine, "usable_memory", lambda: None if memory is None else int(memory))
    assert machine.workers_by_default() == workers
    assert workers_chosen(None, LOCAL) == workers
    assert workers_chosen(7, LOCAL) == 7
    queued = LOCAL.model_copy(update={"kind": "slurm"})
    assert workers_chosen(None, queued) == 2  # the cores of the machine that submits say nothing of the queue


def test_expired_facts_are_a_warning_with_source() -> None:
    day = dt.date(2026, 11, 10)
    expired = [check for check in check_facts(day) if check.state == WARN]
    assert [check.name for check in expired] == [f"facts: {table.label.en}" for table in expired_tables(day)]
    assert expired
    assert "2026-11-10" in expired[0].found
    assert TABLES["cn_export_controls"].source in expired[0].advice


def test_facts_before_any_expiry_are_sound() -> None:
    day = min(table.expires for table in TABLES.values()) - dt.timedelta(days=1)
    assert only(check_facts(day)).state == OK
