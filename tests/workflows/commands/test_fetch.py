"""``matloop fetch`` as a user runs it, and a campaign over what it fetched."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from matloop.data.packaged.materials import load_materials
from matloop.data.sources.snapshot import Snapshot, read_provenance
from tests.data.providers.materials_project_server import KEY, MaterialsProjectServer, documents
from tests.data.providers.scripted_server import Answer, Question

COMMAND = Path(sys.executable).with_name("matloop")


@pytest.fixture
def server() -> Iterator[MaterialsProjectServer]:
    with MaterialsProjectServer(documents(load_materials().take(np.arange(300, 312)))) as running:
        yield running


def command(*arguments: str, key: str = KEY) -> list[str]:
    return ["env", f"MP_API_KEY={key}", str(COMMAND), "fetch", *arguments]


def run(folder: Path, *arguments: str, key: str = KEY) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments, key=key), cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )


def test_a_snapshot_from_the_command_line(server: MaterialsProjectServer, tmp_path: Path) -> None:
    server.documents[0]["structure"] = None
    asked = ("materials-project", "--thermo-type", "GGA_GGA+U", "--output", "mp.parquet", "--endpoint", server.url)
    done = run(tmp_path, *asked, "--window", "num_sites=1:200")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "candidates 11, refused 1\n  1 E-FILE-FORMAT: the file is no CIF" in done.stdout
    about = read_provenance(tmp_path / "mp.parquet")
    assert f"sha256 {about['sha256']}" in done.stdout
    assert about["query"]["windows"] == {"num_sites": [1.0, 200.0]}
    assert Snapshot(str(tmp_path / "mp.parquet")).count() == 12

    again = run(tmp_path, *asked, "--window", "num_sites=1:200")
    assert (again.returncode, again.stderr) == (0, "")
    assert re.fullmatch(r"mp\.parquet: this query was fetched on .*; nothing to do\n", again.stdout)
    other = run(tmp_path, *asked)
    assert other.returncode == 1
    assert other.stderr.startswith("matloop: E-SNAPSHOT: mp.parquet is the snapshot of another query.")
    refused = run(tmp_path, *asked[:-4], "--output", "b.parquet", *asked[-2:], key="z" * 32)
    assert refused.returncode == 1
    assert refused.stderr.startswith("matloop: E-PROVIDER-KEY: 127.0.0.1 refuses access (403): unknown key (key).")
    assert "export MP_API_KEY=YOUR_KEY" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mp.parquet"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("materials-project", "--output", "a.parquet"), 2, "--thermo-type"),
        (("materials-project", "--thermo-type", "GGA", "--output", "a.parquet"), 1, "unknown thermo type 'GGA'"),
        (
            ("materials-project", "--thermo-type", "R2SCAN", "--output", "a", "--window", "band_gap=3"),
            1,
            "NAME=LOW:HIGH",
        ),
        (("optimade", "--base-url", "file:///etc/passwd", "--output", "a.parquet"), 1, "E-PROVIDER: the address"),
        (
            ("optimade", "--base-url", "http://h", "--disorder", "none", "--output", "a"),
            1,
            "unknown way to treat disorder",
        ),
    ],
)
def test_commands_that_cannot_be_run(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == code
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_fetch_says_that_it_can_go_on(server: MaterialsProjectServer, tmp_path: Path) -> None:
    asked_for_a_page = threading.Event()

    def refuse(question: Question) -> Answer | None:
        if not question.path.endswith("summary/"):
            return None
        asked_for_a_page.set()
        return Answer({}, 429, {"Retry-After": "100"})

    server.trouble = refuse
    asked = ("materials-project", "--thermo-type", "R2SCAN", "--output", "a.parquet", "--endpoint", server.url)
    process = subprocess.Popen(
        command(*asked), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert asked_for_a_page.wait(120)  # whether it still reads the answer or waits already is all the same
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert err == "matloop: interrupted; what was fetched is kept, and the same command goes on from there\n"
