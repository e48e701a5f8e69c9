"""S19: whatever stands in a stranger's run, going on with it or forking it changes nothing outside of it."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from matloop.data.errors import MatloopError
from matloop.data.runs.manifest import written_line
from matloop.workflows.resume import fork, resume
from matloop.workflows.screen import ScreeningRun

Make = Callable[[Path, Path], None]


def names(written: str) -> Make:
    """A line of the manifest, with a sound check, that names a file elsewhere."""

    def make(run: Path, outside: Path) -> None:
        lines = (run / "manifest.jsonl").read_bytes().splitlines(keepends=True)
        place, line = next(
            (place, content) for place, content in enumerate(map(json.loads, lines)) if content["kind"] == "partition"
        )
        line.pop("check")
        line["files"] = {written.format(outside=outside): "0" * 64}
        line.pop("sizes", None)
        lines[place] = written_line(line)
        (run / "manifest.jsonl").write_bytes(b"".join(lines))

    return make


def link(name: str, target: str) -> Make:
    def make(run: Path, outside: Path) -> None:
        place = run / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        place.symlink_to(outside / target)

    return make


def hard_link(name: str, target: str) -> Make:
    def make(run: Path, outside: Path) -> None:
        content = (run / name).read_bytes()
        (run / name).unlink()
        (outside / target).write_bytes(content)
        os.link(outside / target, run / name)
        (run / "report.html").unlink()  # so that there is something left to do

    return make


STRANGE: dict[str, Make] = {
    "a name that climbs": names("partitions/../../outside/own.txt"),
    "an absolute name": names("{outside}/own.txt"),
    "a name of the run's own files": names("lock.json"),
    "a folder elsewhere": link("partitions", "folder"),
    "a file elsewhere": link("ranked.parquet", "own.txt"),
    "a manifest elsewhere": link("manifest.jsonl", "own.txt"),
    "a manifest that is also another file": hard_link("manifest.jsonl", "shared.jsonl"),
    "a report that is also another file": hard_link("shortlist.csv", "shared.csv"),
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    (folder / "own.txt").write_text("mine")
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("forked", [False, True], ids=["resumed", "forked"])
def test_s19_nothing_outside_of_a_run_changes(
    strange: Make, forked: bool, finished: ScreeningRun, outside: Path, tmp_path: Path
) -> None:
    run = tmp_path / "stranger"
    shutil.copytree(finished.folder, run)
    strange(run, outside)
    before = content_of(outside)
    with contextlib.suppress(MatloopError):  # refused with a code, or gone on with
        fork(run, tmp_path / "fork", workers=1) if forked else resume(run, workers=1)
    assert content_of(outside) == before
