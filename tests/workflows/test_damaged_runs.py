"""R27: whatever is lost or changed in a run is noticed by resume, status and why, and made again to the same bytes."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from matloop.data.errors import DamagedFileError, MatloopError, RunChangedError
from matloop.data.runs.manifest import Manifest
from matloop.workflows.inspecting.run_list import runs_in
from matloop.workflows.inspecting.status import status_of
from matloop.workflows.inspecting.why import story_of
from matloop.workflows.resume import resume
from matloop.workflows.screen import ScreeningRun, screen
from tests.workflows.conftest import campaign, files_of
from tests.workflows.test_resume import edited

Damage = Callable[[Path], None]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


def another_table(path: Path) -> None:
    """Of the same form, with rows in another order."""
    table = pq.read_table(path)
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), path, compression="zstd")


@pytest.fixture
def folder(finished: ScreeningRun, workers_there: None, tmp_path: Path) -> Path:
    return shutil.copytree(finished.folder, tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte of a run, without what tells how it was worked on."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files_of(folder)
        if path.name not in ("progress.json", "manifest.jsonl")
    }


CARD = "models/surrogates/refractive_index/card.json"
DAMAGED: list[tuple[str, Damage]] = [
    ("partitions/surrogates/part-00003.parquet", another_table),
    ("partitions/surrogates/part-00000.parquet", emptied),
    ("fates/surrogates/below-cut.parquet", another_table),
    ("fates/shortlist/choice.parquet", removed),
    ("candidates/part-00002.parquet", truncated),
    ("ranked.parquet", another_table),
    ("ranked.parquet", removed),
    ("shortlist.csv", flipped),
    ("novelty.json", emptied),
    ("explanations.json", flipped),
    ("run.json", removed),
    ("run.json", flipped),
    ("report.html", truncated),
    ("report.html", emptied),
    ("training_sets.json", flipped),
    ("manifest.jsonl", truncated),
    ("identity.json", removed),
    ("identity.json", emptied),
    ("identity.json", truncated),
    ("identity.json", flipped),
    (CARD, flipped),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGED, ids=lambda value: getattr(value, "__name__", value))
def test_r27_a_damaged_file_of_a_complete_run_is_noticed_and_made_again(
    name: str, damage: Damage, folder: Path, finished: ScreeningRun
) -> None:
    damage(folder / name)
    problems = status_of(folder).problems
    assert any(problem.startswith(f"E-FILE-DAMAGED: {name} ") for problem in problems)
    assert status_of(folder).go_on == f"matloop resume {folder}"
    if name == "training_sets.json":
        with pytest.raises(MatloopError):
            resume(folder)
        return
    assert resume(folder).is_complete
    assert contents(folder) == contents(finished.folder)
    assert status_of(folder).problems == []


def test_r27_cifs_of_the_shortlist_are_results_too(finished: ScreeningRun) -> None:
    line = Manifest(finished.folder).results("shortlist")
    assert line is not None
    files = {path.relative_to(finished.folder).as_posix(): path.stat().st_size for path in files_of(finished.folder)}
    assert line["sizes"] == {name: size for name, size in files.items() if name in line["files"]}
    assert sum(name.startswith("cif/") for name in line["files"]) == 5


@pytest.mark.parametrize("damage", [emptied, removed])
def test_r27_a_lost_manifest_is_noticed_and_all_is_made_again(
    damage: Damage, folder: Path, finished: ScreeningRun
) -> None:
    damage(folder / "manifest.jsonl")
    (problem,) = status_of(folder).problems
    assert problem.startswith("E-FILE-DAMAGED: manifest.jsonl does not tell how the run began")
    assert any("manifest.jsonl" in problem for problem in story_of(folder, finished.ranked.ids[0])["problems"])
    assert resume(folder).is_complete
    now, before = contents(folder), contents(finished.folder)
    for of_the_work in ("run.json", "report.html"):  # times are never the same
        del now[of_the_work], before[of_the_work]
    assert now == before
    assert status_of(folder).problems == []


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a link out"])
def test_r27_something_else_in_place_of_the_identity_is_refused_with_a_code(kind: str, folder: Path) -> None:
    path = folder / "identity.json"
    path.unlink()
    match kind:
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case "a link out":
            path.symlink_to("/etc/passwd")
    with pytest.raises(MatloopError) as caught:
        resume(folder)
    assert caught.value.code in ("E-FILE-DAMAGED", "E-RUN-FILES")
    assert status_of(folder).problems


def test_r27_a_link_to_itself_in_place_of_the_identity_is_replaced(folder: Path, finished: ScreeningRun) -> None:
    (folder / "identity.json").unlink()
    (folder / "identity.json").symlink_to("identity.json")
    assert status_of(folder).problems
    assert resume(folder).is_complete
    assert contents(folder) == contents(finished.folder)


@pytest.fixture
def lost_from(folder: Path, finished: ScreeningRun) -> str:
    """A candidate of a partition that cannot be read."""
    part = folder / "partitions" / "surrogates" / "part-00001.parquet"
    candidate = pq.read_table(part)["candidate_id"][0].as_py()
    part.write_bytes(b"PAR1")
    return candidate


def test_r27_why_says_that_a_file_is_damaged_and_not_that_there_is_no_outcome(lost_from: str, folder: Path) -> None:
    story = story_of(folder, lost_from)
    assert "damaged" in story["outcome"]["meaning"]
    assert story["problems"]
    (folder / "candidates" / "part-00001.parquet").unlink()
    with pytest.raises(DamagedFileError, match=r"in no file that can be read; 2 files of the run cannot"):
        story_of(folder, lost_from)


def test_a_list_of_runs_looks_at_sizes_alone(folder: Path) -> None:
    assert [run.code for run in runs_in(folder.parent)] == [""]
    truncated(folder / "ranked.parquet")
    assert [run.code for run in runs_in(folder.parent)] == ["E-FILE-DAMAGED"]


def test_an_edited_campaign_of_a_complete_run_is_refused_with_the_difference(folder: Path) -> None:
    before = contents(folder)
    edited(folder, seed=7)
    with pytest.raises(RunChangedError, match=r"campaign\.seed: 0 -> 7") as caught:
        resume(folder)
    assert "matloop resume RUN --fork NEW" in str(caught.value)
    with pytest.raises(RunChangedError, match=r"holds a run of another campaign: campaign\.seed: 0 -> 7"):
        screen(campaign(seed=7), output=folder)
    edited(folder, seed=0)
    assert resume(folder).is_complete
    assert {name: content for name, content in contents(folder).items() if name != "campaign.yaml"} == {
        name: content for name, content in before.items() if name != "campaign.yaml"
    }


def test_r27_a_start_that_was_cut_off_before_its_identity_goes_on(folder: Path, finished: ScreeningRun) -> None:
    identity = (folder / "identity.json").read_bytes()
    (folder / "identity.json").unlink()
    first = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)[0]
    assert json.loads(first)["kind"] == "began"
    for name in ("run.json", "report.html"):
        (folder / name).unlink()
    (folder / "manifest.jsonl").write_bytes(first)
    assert resume(folder).is_complete
    assert (folder / "identity.json").read_bytes() == identity
    assert (folder / "ranked.parquet").read_bytes() == (finished.folder / "ranked.parquet").read_bytes()
