"""Runs that are cut off anywhere go on to the result of the unbroken run, and do nothing twice."""

import csv
import dataclasses
import errno
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from matloop.data.errors import (
    CampaignError,
    DiskFullError,
    LockedError,
    LockLostError,
    RunChangedError,
    RunError,
    RunFilesError,
)
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.lock import RunLock
from matloop.data.runs.manifest import Manifest
from matloop.screening.campaign.campaign_file import read_campaign
from matloop.workflows import screen as screen_module
from matloop.workflows.resume import fork, read_share, resume, score_share
from matloop.workflows.running import identity as run_identity
from matloop.workflows.running import session
from matloop.workflows.running.progress import SilentProgress
from matloop.workflows.running.session import RunInterrupted
from matloop.workflows.screen import ScreeningRun, screen
from tests.workflows.conftest import SMALL, campaign, files_of, results_of

OF_THE_END = (
    "run.json", "report.html", "ranked.parquet", "shortlist.csv", "novelty.json", "explanations.json", "cif",
)  # fmt: skip
"""What a run writes once all partitions are finished."""


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]


def state_of(paths: list[Path]) -> dict[Path, tuple[int, int]]:
    """By which a file that was written again is told from one that was left alone."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def named_files(folder: Path, lines: list[dict[str, Any]]) -> list[Path]:
    """Files of candidates, models, partitions and merges, which are never made twice."""
    made_once = (line for line in lines if line["kind"] not in ("began", "results"))
    return [folder / name for line in made_once for name in line.get("files", ())]


def finished_in(folder: Path) -> int:
    return sum(line["kind"] == "partition" for line in lines_of(folder))


Cut = Callable[..., Path]


@pytest.fixture
def cut(finished: ScreeningRun, workers_there: None, tmp_path: Path) -> Cut:
    """Makes copies of the finished run that look as if it had been killed."""

    def copied(
        keep: Callable[[int, dict[str, Any]], bool], *, torn: bytes = b"", end: float = 0.0, seed: int = 0
    ) -> Path:
        """A copy.

        Args:
            keep: Which lines of the manifest stay, by number and content.
            torn: What follows the last line.
            end: Share of the files of the end that are there already.
            seed: Which ones, and which files of the lines that are gone are whole, garbage or not there.
        """
        folder, chance = tmp_path / f"run-{seed}", np.random.default_rng(seed)
        shutil.copytree(finished.folder, folder)
        raw = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
        kept = [keep(number, json.loads(line)) for number, line in enumerate(raw)]
        (folder / "manifest.jsonl").write_bytes(
            b"".join(line for line, stays in zip(raw, kept, strict=True) if stays) + torn
        )
        gone = [json.loads(line) for line, stays in zip(raw, kept, strict=True) if not stays]
        for path in named_files(folder, gone):
            match chance.integers(3):
                case 0:
                    path.unlink()
                case 1:
                    path.write_bytes(b"from another world")
        for name in OF_THE_END:
            if chance.random() >= end or name in ("run.json", "report.html"):
                path = folder / name
                shutil.rmtree(path) or path.mkdir() if path.is_dir() else path.unlink()  # type: ignore[func-returns-value]
        (folder / "partitions" / ".part-00003.parquet.k2.partial").write_bytes(b"half")
        (folder / ".ranked.parquet.k3.partial").write_bytes(b"half")
        return folder

    return copied


def check_result(folder: Path, finished: ScreeningRun) -> None:
    """It is that of the unbroken run, and nothing else is left."""
    assert results_of(folder) == results_of(finished.folder)
    for part in ("candidates", "partitions", "best"):
        assert {path.relative_to(folder): path.read_bytes() for path in files_of(folder / part)} == {
            path.relative_to(finished.folder): path.read_bytes() for path in files_of(finished.folder / part)
        }
    for key in ("rows_in", "outcomes", "funnel", "ranges", "versions", "campaign", "seed"):
        assert getattr(ScreeningRun(folder).summary, key) == getattr(finished.summary, key)
    names = {path.name for path in files_of(folder)}
    assert not [name for name in names if name.endswith(".partial") or name.startswith("lock")]
    assert {path.relative_to(folder) for path in files_of(folder)} - {
        Path(f"manifest-{n:03d}.jsonl") for n in range(9)
    } == {path.relative_to(finished.folder) for path in files_of(finished.folder)}


def told_by(line: dict[str, Any]) -> tuple[str, Any, Any]:
    """What a line of a manifest tells of."""
    return line["kind"], line.get("stage"), line.get("index", line.get("property", line.get("merge", line.get("part"))))


# The finished run: its beginning, 2 surrogates, then 8 partitions of candidates and as many of outcomes.
@pytest.mark.parametrize(
    ("lines", "torn", "end"),
    [
        (0, b"", 0.0),
        (3, b'{"kind": "candi', 0.0),
        (10, b"\0\0\0\0", 0.0),
        (14, b'{"kind": "partition", "stage": "surrogates", "index": 5}', 0.5),
        (20, b"", 1.0),
    ],
)
def test_r14_cut_off_anywhere_ends_in_the_same_bytes(
    lines: int, torn: bytes, end: float, cut: Cut, finished: ScreeningRun
) -> None:
    folder = cut(lambda number, _: number < lines, torn=torn, end=end, seed=lines)
    kept = lines_of(finished.folder)[:lines]
    before = state_of(named_files(folder, kept))
    run = resume(folder)
    assert run.is_complete
    check_result(folder, finished)
    assert state_of(list(before)) == before  # nothing that was finished is done again
    now = lines_of(folder)
    assert now[:lines] == kept
    assert Counter(map(told_by, now)) == Counter([*map(told_by, lines_of(finished.folder)), ("event", None, None)])
    assert run.summary.sessions == 2
    assert resume(folder) == run
    assert lines_of(folder) == now


def test_the_finished_run_is_what_these_tests_take_it_for(finished: ScreeningRun) -> None:
    kinds = [line["kind"] for line in lines_of(finished.folder)]
    assert kinds[:4] == ["began", "model", "model", "candidates"]
    assert Counter(kinds) == {
        "began": 1, "model": 2, "candidates": 8, "candidates_end": 1, "partition": 8, "fates": 3, "results": 4,
    }  # fmt: skip
    assert [line["part"] for line in lines_of(finished.folder)[-4:]] == [
        "shortlist", "summary", "explanations", "report",
    ]  # fmt: skip


def test_r14_stopped_again_and_again(cut: Cut, finished: ScreeningRun) -> None:
    """Each session is interrupted after its second partition; no partition is finished twice."""

    class Impatient(SilentProgress):
        heard = 0

        def advance(self, units: int, note: str, **_: Any) -> None:
            self.heard += note.startswith("surrogates, partition")
            if self.heard > 2:
                raise KeyboardInterrupt

    folder = cut(lambda number, _: number < 3)
    sessions = 0
    while True:
        sessions += 1
        done, count = state_of(named_files(folder, lines_of(folder))), finished_in(folder)
        watch = Impatient()
        watch.heard -= count  # partitions of before are told again
        if count >= 6:
            resume(folder, progress=watch)
            break
        with pytest.raises(RunInterrupted) as stopped:
            resume(folder, progress=watch)
        assert stopped.value.folder == folder
        assert json.loads((folder / "progress.json").read_text())["state"] == "interrupted"
        assert state_of(list(done)) == done
        assert finished_in(folder) > count
    check_result(folder, finished)
    assert sessions >= 3
    assert sorted(line["index"] for line in lines_of(folder) if line["kind"] == "partition") == list(range(8))


def test_r16_a_full_disk_stops_a_run_that_can_be_resumed(
    cut: Cut, finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, append, room = cut(lambda number, _: number < 10), Manifest.append, [2]

    def without_room(self: Manifest, kind: str, **fields: Any) -> None:
        if kind == "partition":
            room[0] -= 1
        if room[0] < 0:
            with self.path.open("ab") as file:
                file.write(b'{"kind": "part')
            raise OSError(errno.ENOSPC, "No space left on device", str(self.path))
        append(self, kind, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "append", without_room)
        with pytest.raises(DiskFullError, match=r"E-RUN-DISK: no room left on the disk for .*manifest\.jsonl") as full:
            resume(folder)
        assert full.value.exit_code == 4
        assert "free some space, then: matloop resume RUN" in str(full.value)
        assert json.loads((folder / "progress.json").read_text())["state"] == "failed"
        # Without room for even a lock it is told the same way.
        patch.setattr("os.fsync", lambda _: without_room(Manifest(folder), "x"))
        with pytest.raises(DiskFullError):
            resume(folder)
        with pytest.raises(DiskFullError):
            screen(campaign(), output=folder.parent / "new")
    resume(folder)
    check_result(folder, finished)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("what", ["partition", "fates"])
def test_r25_a_file_system_that_fails_stops_a_run_that_can_be_resumed(
    number: int, what: str, cut: Cut, finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, append = cut(lambda at, _: at < 18), Manifest.append

    def fail(self: Manifest, kind: str, **fields: Any) -> None:
        if kind == what:
            raise OSError(number, os.strerror(number), str(self.path))
        append(self, kind, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "append", fail)
        said = rf"E-RUN-FILES: the file system says {os.strerror(number)} for .*manifest\.jsonl"
        with pytest.raises(RunFilesError, match=said) as caught:
            resume(folder)
    assert caught.value.exit_code == 4
    with monkeypatch.context() as patch:  # before anything is done, too
        patch.setattr("os.walk", lambda *_, **__: fail(Manifest(folder), what))
        with pytest.raises(RunFilesError):
            resume(folder)
    resume(folder)
    check_result(folder, finished)


def test_r30_signals_while_the_report_is_written_leave_no_lock_and_no_drafts(
    cut: Cut, finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cut(lambda *_: True)

    def interrupted(where: Path, **_: Any) -> None:
        drafts.append(where / f".report.html.{json.loads((where / 'lock.json').read_text())['token']}-x.partial")
        drafts[0].write_text("half")
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)  # while everything is put away
            signal.raise_signal(signal.SIGINT)

    drafts: list[Path] = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command does
    try:
        with monkeypatch.context() as patch:
            patch.setattr(screen_module, "write_report", interrupted)
            with pytest.raises(RunInterrupted):
                resume(folder)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(drafts) == 1
    assert not list(folder.rglob(".*.partial"))
    assert not list(folder.glob("lock*"))
    resume(folder)
    check_result(folder, finished)


def test_r28_a_driver_that_wakes_after_another_took_over_writes_nothing_more(
    cut: Cut, finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cut(lambda *_: True)

    def wake(where: Path, **further: Any) -> None:
        lock = json.loads((where / "lock.json").read_text())
        (where / "lock.json").write_text(json.dumps({**lock, "token": "0" * 12}))
        (where / ".report.html.000000000000-x.partial").write_text("of the other")
        write_report(where, **further)

    write_report = screen_module.write_report
    with monkeypatch.context() as patch:
        patch.setattr(screen_module, "write_report", wake)
        with pytest.raises(LockLostError, match="was taken over by process"):
            resume(folder)
    assert not (folder / "report.html").exists()
    assert [path.name for path in folder.rglob(".*.partial")] == [".report.html.000000000000-x.partial"]
    assert json.loads((folder / "progress.json").read_text())["state"] == "running"
    (folder / "lock.json").unlink()
    resume(folder)
    check_result(folder, finished)


def test_r13_damaged_candidates_are_taken_in_again_and_once_only(cut: Cut, finished: ScreeningRun) -> None:
    folder = cut(lambda _, line: line.get("index") != 3 or line["kind"] != "partition")
    victim = RunDirectory(folder).candidate_part(3)
    victim.write_bytes(victim.read_bytes()[:-100])
    (folder / "candidates" / "refused-part-00007.parquet").unlink()
    others = state_of(
        [path for path in files_of(folder / "candidates") if "00003" not in path.name and "00007" not in path.name]
    )
    resume(folder)
    check_result(folder, finished)
    assert state_of(list(others)) == others
    told = [line["detail"] for line in lines_of(folder) if line.get("what") == "damaged"]
    assert [detail.split(":")[0] for detail in told] == [
        "candidates/part-00003.parquet", "candidates/part-00007.parquet, candidates/refused-part-00007.parquet",
    ]  # fmt: skip
    # The manifest has two lines of them now; they count once.
    (folder / "report.html").unlink()
    before = state_of(named_files(folder, lines_of(folder)))
    resume(folder)
    check_result(folder, finished)
    assert state_of(list(before)) == before


def test_r13_a_damaged_surrogate_is_trained_again_and_the_partitions_stay(cut: Cut, finished: ScreeningRun) -> None:
    folder = cut(lambda number, _: number < 18)
    card = RunDirectory(folder).model("surrogates", "refractive_index") / "card.json"
    card.write_text(card.read_text().replace("extra_trees", "extra trees"))
    done = state_of(named_files(folder, [line for line in lines_of(folder) if line["kind"] == "partition"]))
    resume(folder)
    check_result(folder, finished)
    assert state_of(list(done)) == done
    assert [line["what"] for line in lines_of(folder) if line["kind"] == "event"] == ["resumed", "damaged"]


def edited(folder: Path, **changes: Any) -> None:
    """Change the campaign in a run directory."""
    path = folder / "campaign.yaml"
    content = YAML(typ="safe").load(path)
    content.update(changes)
    with path.open("w") as file:
        YAML(typ="safe").dump(content, file)


def test_another_campaign_is_refused_and_nothing_is_touched(cut: Cut) -> None:
    folder = cut(lambda number, _: number < 18)
    edited(folder, seed=7, shortlist={"size": 6, "diversity": 0.5})
    before = {path: path.read_bytes() for path in files_of(folder) if path.name != "progress.json"}
    with pytest.raises(RunChangedError) as refusal:
        resume(folder)
    text = str(refusal.value)
    assert text.startswith("E-RUN-CHANGED: the run began otherwise: ")
    assert "campaign.shortlist.size: 5 -> 6" in text
    assert "campaign.seed: 0 -> 7" in text
    assert "matloop resume RUN --fork NEW" in text
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(RunChangedError):
        score_share(folder, (1, 3))
    edited(folder, seed=0, shortlist={"size": 5, "diversity": 0.5})
    assert resume(folder).is_complete


def test_r19_other_code_or_libraries_are_refused(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cut(lambda number, _: number < 18)
    files, versions = (
        {**run_identity.code_files(), "data/candidates/batch.py": "0"},
        {**run_identity.versions(), "numpy": "9"},
    )
    for name, changed, shown in (
        ("code_files", files, r"began otherwise: code\.data/candidates/batch\.py: changed\. Allowed"),
        ("versions", versions, r"began otherwise: versions\.numpy: [0-9.]+ -> 9\. Allowed"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(run_identity, name, lambda changed=changed: changed)
            with pytest.raises(RunChangedError, match=shown):
                resume(folder)


def test_a_fork_with_another_shortlist_shares_everything_that_was_scored(
    cut: Cut, finished: ScreeningRun, trained: None, tmp_path: Path
) -> None:
    folder = cut(lambda *_: True, end=1.0)
    wanted = {"size": 7, "diversity": 0.1}
    edited(folder, shortlist=wanted)
    before = {path: path.read_bytes() for path in files_of(folder)}
    fresh = screen(campaign(shortlist=wanted), output=tmp_path / "fresh", partition_rows=300)
    forked = forked_for_real(folder, tmp_path / "forked")
    assert results_of(forked.folder) == results_of(fresh.folder)
    assert len(forked.shortlist) == 7
    for name in named_files(Path(), lines_of(finished.folder)):
        if name.name == "choice.parquet":  # the fates that another shortlist decides
            continue
        assert (forked.folder / name).samefile(folder / name)
    assert {path: path.read_bytes() for path in files_of(folder)} == before  # the earlier run is as it was
    # The fork stands by itself.
    shutil.rmtree(folder)
    (forked.folder / "report.html").unlink()
    result = results_of(forked.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen_module, "train", TRAIN)
        assert resume(forked.folder).is_complete
    assert results_of(forked.folder) == result


def test_a_fork_of_a_campaign_with_problems_is_refused_before_it_begins(cut: Cut, tmp_path: Path) -> None:
    folder = cut(lambda number, _: number < 18)
    edited(folder, shortlist={"size": 5, "diversity": 0.5}, filters=[{"exclude_elements": ["Qq"]}])
    with pytest.raises(CampaignError, match=r"filters\.0: .*Qq"):
        fork(folder, tmp_path / "fork")
    assert not (tmp_path / "fork").exists()


TRAIN = screen_module.train


def forked_for_real(folder: Path, output: Path) -> ScreeningRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen_module, "train", TRAIN)
        return fork(folder, output)


def test_a_fork_with_other_filters_shares_candidates_and_surrogates(
    cut: Cut, finished: ScreeningRun, trained: None, tmp_path: Path
) -> None:
    folder = cut(lambda *_: True)
    filters = [{"exclude_elements": ["Pb"]}, "new_compounds"]
    edited(folder, filters=filters)
    fresh = screen(campaign(filters=filters), output=tmp_path / "fresh", partition_rows=300)
    forked = forked_for_real(folder, tmp_path / "forked")
    assert results_of(forked.folder) == results_of(fresh.folder)
    for line in lines_of(finished.folder):
        if line["kind"] in ("fates", "began", "results"):  # fates are shared where they happen to be the same
            continue
        shared = line["kind"] in ("candidates", "model")
        for name in line.get("files", ()):
            assert (forked.folder / name).samefile(folder / name) == shared, name


def test_a_fork_of_a_run_that_was_cut_off_reuses_what_there_is(
    cut: Cut, finished: ScreeningRun, tmp_path: Path
) -> None:
    folder = cut(lambda number, _: number < 10)
    forked = fork(folder, tmp_path / "forked")
    assert results_of(forked.folder) == results_of(finished.folder)
    parts = [line for line in lines_of(folder) if line["kind"] == "partition"]
    assert parts
    for name in [name for line in parts for name in line["files"]]:
        assert (forked.folder / name).samefile(folder / name)
    with pytest.raises(RunError, match="is not empty"):
        fork(folder, tmp_path / "forked")


def test_a_complete_run_is_given_back_at_once(finished: ScreeningRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing needs a worker")

    monkeypatch.setattr(session, "workers_of", refuse)
    before = state_of(files_of(finished.folder))
    assert resume(finished.folder) == finished
    assert state_of(files_of(finished.folder)) == before


def test_what_is_no_run_is_refused(finished: ScreeningRun, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    shutil.copy(finished.folder / "identity.json", tmp_path / "half")
    for folder in (tmp_path / "empty", tmp_path / "half", tmp_path / "nothing", finished.folder / "run.json"):
        for act in (resume, lambda run: fork(run, tmp_path / "new"), lambda run: score_share(run, (1, 2))):
            with pytest.raises(RunError, match=r"E-RUN: no run in .*look at the path"):
                act(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "half"]


def test_r15_a_run_that_somebody_works_on_is_refused(cut: Cut, finished: ScreeningRun) -> None:
    folder = cut(lambda number, _: number < 18)
    lines = lines_of(folder)
    for name in ("lock.json", "lock-002.json"):  # the run itself, or a task of a job array
        with RunLock(folder, name), pytest.raises(LockedError, match=rf"E-RUN-LOCKED: .* by process {os.getpid()} on"):
            resume(folder)
    with RunLock(folder, "lock-002.json"), pytest.raises(LockedError):
        score_share(folder, (2, 3))
    assert lines_of(folder) == lines
    # That of a process that died is taken over.
    with RunLock(folder):
        content = json.loads((folder / "lock.json").read_text())
    (folder / "lock.json").write_text(json.dumps({**content, "process_start": "1"}))
    assert resume(folder).is_complete
    check_result(folder, finished)
    (event,) = [line for line in lines_of(folder) if line["kind"] == "event"]
    assert f"took over from process {os.getpid()} on " in event["detail"]


def test_r18_shares_in_any_order_make_up_the_run(cut: Cut, finished: ScreeningRun) -> None:
    folder, order = cut(lambda _, line: line["kind"] != "partition"), (3, 1, 2)
    assert {task: score_share(folder, (task, 3)) for task in order} == {1: 3, 2: 3, 3: 2}
    merged = Manifest(folder).partitions("surrogates")
    assert sorted(merged) == list(range(8))
    for task in order:
        own = [json.loads(line) for line in (folder / f"manifest-{task:03d}.jsonl").read_text().splitlines()]
        assert sorted(line["index"] for line in own) == list(range(task - 1, 8, 3))
    before = state_of(named_files(folder, list(merged.values())))
    manifests = {path: path.read_bytes() for path in folder.glob("manifest-*.jsonl")}
    assert score_share(folder, (2, 3)) == 3  # again: there is nothing to do
    assert {path: path.read_bytes() for path in manifests} == manifests
    run = resume(folder)
    check_result(folder, finished)
    assert state_of(list(before)) == before
    assert not [line for line in lines_of(folder) if line["kind"] == "partition"]
    assert run.is_complete


def test_shares_that_are_missing_are_scored_at_the_end(cut: Cut, finished: ScreeningRun) -> None:
    folder = cut(lambda _, line: line["kind"] != "partition")
    score_share(folder, (2, 3))
    with (folder / "manifest-003.jsonl").open("ab") as file:
        file.write(b'{"kind": "partition", "stage"')  # killed before it had finished any
    resume(folder)
    check_result(folder, finished)
    assert sorted(line["index"] for line in lines_of(folder) if line["kind"] == "partition") == [0, 2, 3, 5, 6]


def test_shares_of_a_run_that_is_not_ready_are_refused(cut: Cut) -> None:
    unprepared = cut(lambda number, _: number < 4, seed=1)
    with pytest.raises(RunError, match=r"E-RUN: .* was not prepared, or a file of it is damaged"):
        score_share(unprepared, (1, 3))
    for number, name in enumerate(["candidates/part-00001.parquet", "models/surrogates/refractive_index/card.json"]):
        folder = cut(lambda _, line: line["kind"] != "partition", seed=2 + number)
        (folder / name).write_bytes(b"x")
        with pytest.raises(RunError, match="a file of it is damaged"):
            score_share(folder, (1, 3))


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3", "1.5/3", "", "1/1000000"])
def test_shares_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(RunError, match=r"E-RUN: a share of .*such as 3/8"):
        read_share(text)


TABLE = [f"{metal}{anion}" for metal in ("Zn", "Mg", "Ca", "Sr", "Ba", "Cd") for anion in ("O", "S", "Se")]


@pytest.fixture
def tabled(trained: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of a table in the working folder, in nine partitions."""
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "t.csv", TABLE)
    changes = {"sources": [{"table": {"path": "t.csv"}}], "filters": []}
    return screen(campaign(**changes), output=tmp_path / "run", partition_rows=2).folder


def write_table(path: Path, formulas: list[str]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "formula"], *([str(row), formula] for row, formula in enumerate(formulas))])


def cut_lines(folder: Path, keep: Callable[[dict[str, Any]], bool]) -> None:
    lines = [line for line in lines_of(folder) if keep(line)]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "report.html").unlink(missing_ok=True)


def test_sources_that_changed_while_candidates_were_taken_in_are_noticed(
    tabled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, result = tmp_path / "t.csv", results_of(tabled)
    stat, content, hashes = (
        table.stat(),
        table.read_bytes(),
        run_identity.input_files(read_campaign(tabled / "campaign.yaml").sources),
    )
    cut_lines(tabled, lambda line: line["kind"] == "candidates" and line["index"] < 6)
    write_table(table, [*TABLE[:9], *TABLE[9:][::-1]])  # of the same size; the first change is in the fifth partition
    os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as a copy that keeps times would look
    with pytest.raises(RunChangedError, match=r"E-RUN-CHANGED: .*input_files\..*/t\.csv: changed"):
        resume(tabled)
    with monkeypatch.context() as patch:  # a source that does not say what it reads
        patch.setattr(run_identity, "input_files", lambda _: hashes)
        with pytest.raises(RunChangedError, match=r"other candidates than when the run began, first in partition 4"):
            resume(tabled)
    table.write_bytes(content)
    assert resume(tabled).is_complete
    assert results_of(tabled) == result


def test_a_run_goes_on_from_another_folder(tabled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = results_of(tabled)
    cut_lines(tabled, lambda line: line["kind"] == "candidates" and line["index"] < 6)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resume("../run").is_complete
    assert results_of(tabled) == result


def test_sources_are_not_needed_once_all_candidates_are_in(tabled: Path, tmp_path: Path) -> None:
    result = results_of(tabled)
    cut_lines(tabled, lambda line: line["kind"].startswith("candidates"))
    (tmp_path / "t.csv").unlink()
    assert resume(tabled).is_complete
    assert results_of(tabled) == result


def test_a_run_that_is_only_prepared_has_candidates_and_surrogates(trained: None, tmp_path: Path) -> None:
    run = screen(campaign(), output=tmp_path / "run", partition_rows=300, prepare_only=True)
    assert not run.is_complete
    assert json.loads((run.folder / "progress.json").read_text())["state"] == "prepared"
    assert Counter(line["kind"] for line in lines_of(run.folder)) == {
        "began": 1, "candidates": 8, "candidates_end": 1,
    }  # fmt: skip
    assert {path.relative_to(run.folder).parts[0] for path in files_of(run.folder)} == {
        "campaign.yaml", "candidates", "identity.json", "manifest.jsonl", "models", "progress.json",
            "training_sets.json",
    }  # fmt: skip


def test_the_campaign_in_a_run_is_the_one_it_began_with(finished: ScreeningRun) -> None:
    """What is resumed is read from there; every setting must come through the file."""
    assert read_campaign(finished.folder / "campaign.yaml") == campaign()
    assert dataclasses.is_dataclass(finished)
    assert SMALL["shortlist"]["size"] == 5
