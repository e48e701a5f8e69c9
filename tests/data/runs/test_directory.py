import csv
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.errors import LockLostError, RunError, RunFilesError
from matloop.data.plain_text import plain
from matloop.data.runs.directory import RUN_FOLDERS, RunDirectory
from matloop.data.whole_files import (
    remove_drafts,
    write_csv,
    write_folder,
    write_json,
    write_table,
    write_text,
    write_whole,
    writing_under,
)

TABLE = pa.table({"candidate_id": ["a", "b"], "value": [1.5, None]})


def test_new_directory_has_its_folders(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "deep" / "run", "unused")
    assert run.folder == tmp_path / "deep" / "run"
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "best",
        "candidates",
        "cif",
        "fates",
        "models",
        "partitions",
    ]
    assert all(path.is_relative_to(run.folder) for path in (run.ranked, run.summary, run.report, run.shortlist))
    assert run.partition("structure", 7).relative_to(run.folder) == Path("partitions/structure/part-00007.parquet")


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    assert RunDirectory.create(tmp_path, "unused").folder == tmp_path


@pytest.mark.parametrize("content", ["notes.txt", ".hidden", "folder/"])
def test_folder_in_use_is_refused_and_left_alone(content: str, tmp_path: Path) -> None:
    inside = tmp_path / content
    if content.endswith("/"):
        inside.mkdir()
    else:
        inside.write_text("mine")
    with pytest.raises(RunError, match=r"E-RUN: .* is not empty.*choose another --output"):
        RunDirectory.create(tmp_path, "unused")
    assert list(tmp_path.iterdir()) == [inside]


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", "unused")
    write_json(run.identity, {})
    with pytest.raises(RunError, match="is not empty"):
        RunDirectory.create(tmp_path / "run", "unused")


def test_r14_a_start_that_was_cut_off_before_the_run_began_may_be_repeated(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "unused")
    left = (
        "campaign.yaml",
        "progress.json",
        "lock.json",
        "lock.json.0123",
        "manifest.jsonl",
        ".campaign.yaml.x.partial",
    )
    for name in left:
        (tmp_path / name).write_text("x")
    assert RunDirectory.create(tmp_path, "unused").folder == tmp_path
    for name in ("identity.json", "notes.txt", "candidates/part-00000.parquet"):
        (tmp_path / name).write_text("x")
        with pytest.raises(RunError, match="is not empty"):
            RunDirectory.create(tmp_path, "unused")
        (tmp_path / name).unlink()
    run.best.rmdir()  # by this it is told from a folder where somebody keeps a campaign
    with pytest.raises(RunError, match="is not empty"):
        RunDirectory.create(tmp_path, "unused")


@pytest.mark.parametrize("made", range(len(RUN_FOLDERS)))
def test_r30_a_start_that_was_cut_off_between_its_folders_may_be_repeated(made: int, tmp_path: Path) -> None:
    for name in RUN_FOLDERS[:made]:
        (tmp_path / name).mkdir()
    if made:
        (tmp_path / RUN_FOLDERS[0] / "mine").write_text("x")
        with pytest.raises(RunError, match="is not empty"):
            RunDirectory.create(tmp_path, "unused")
        (tmp_path / RUN_FOLDERS[0] / "mine").unlink()
    RunDirectory.create(tmp_path, "unused")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(RUN_FOLDERS)


def test_a_link_in_place_of_a_folder_of_the_run_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "cif").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="is not empty"):
        RunDirectory.create(tmp_path / "run", "unused")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_r25_a_folder_that_cannot_be_made_is_told_with_a_code(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunFilesError, match=f"cannot create .*: {os.strerror(number)}") as caught:
        RunDirectory.create(tmp_path / "run", "unused")
    forbidden = number in (errno.EACCES, errno.EROFS)
    assert (caught.value.code, caught.value.exit_code) == (("E-RUN-FOLDER", 1) if forbidden else ("E-RUN-FILES", 4))


def test_a_run_may_begin_beside_the_scripts_that_start_it(tmp_path: Path) -> None:
    (tmp_path / "submission" / "logs").mkdir(parents=True)
    assert RunDirectory.create(tmp_path, "unused").candidates.is_dir()
    (tmp_path / "submission" / "run.sh").write_text("x")
    RunDirectory.create(tmp_path, "unused")


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    for folder in (tmp_path / "run", tmp_path / "run" / "below"):
        with pytest.raises(RunError, match="E-RUN: cannot create"):
            RunDirectory.create(folder, "unused")
    assert (tmp_path / "run").read_text() == "mine"


def test_default_names_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [RunDirectory.create(None, "optical_window").folder for _ in range(5)]
    assert len({folder.resolve() for folder in folders}) == 5
    assert all(folder.parent == Path("runs") and folder.name.startswith("optical_window-2") for folder in folders)


def test_whole_files_appear_under_their_names(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", TABLE)
    write_text(tmp_path / "t.txt", "Å 中文\n")
    write_json(tmp_path / "t.json", {"unit": "Å3", "n": 1})
    assert pq.read_table(tmp_path / "t.parquet").equals(TABLE)
    assert (tmp_path / "t.txt").read_bytes() == "Å 中文\n".encode()
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == {"unit": "Å3", "n": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.parquet", "t.txt"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


def test_json_has_null_where_there_is_no_number(tmp_path: Path) -> None:
    nan = float("nan")
    write_json(tmp_path / "t.json", {"a": nan, "b": [{"c": (nan, 1.5, "x")}], "d": {"e": None}})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads((tmp_path / "t.json").read_text("utf-8"), parse_constant=refuse)
    assert read == {"a": None, "b": [{"c": [None, 1.5, "x"]}], "d": {"e": None}}
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "infinite.json", {"a": float("inf")})
    assert not (tmp_path / "infinite.json").exists()


class DiskFullError(OSError):
    pass


def fail_half_way(draft: Path) -> None:
    draft.write_text("half")
    raise DiskFullError("no space left")


@pytest.mark.parametrize("error", [DiskFullError, KeyboardInterrupt])
def test_failed_write_leaves_neither_file_nor_draft(error: type[BaseException], tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        draft.write_text("half")
        raise error

    with pytest.raises(error):
        write_whole(tmp_path / "t.csv", fail)
    assert list(tmp_path.iterdir()) == []


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("old")
    with pytest.raises(DiskFullError):
        write_whole(tmp_path / "t.csv", fail_half_way)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "old"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(tmp_path / "t.json", {"path": object()})
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "t.txt", "\ud800")
    with pytest.raises(ZeroDivisionError):
        write_csv(tmp_path / "t.csv", ["name"], ([1 / n] for n in (1, 0)))
    assert list(tmp_path.iterdir()) == []


def test_name_is_given_only_after_the_flush_and_flushed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def note(handle: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content"
        steps.append((what, (tmp_path / "t.txt").exists()))

    monkeypatch.setattr(os, "fsync", note)
    write_text(tmp_path / "t.txt", "text")
    assert steps == [("content", False), ("folder", True)]
    assert (tmp_path / "t.txt").read_text() == "text"


def test_replaced_in_one_step_while_being_read(tmp_path: Path) -> None:
    write_text(tmp_path / "t.txt", "old")
    with (tmp_path / "t.txt").open() as reader:
        write_text(tmp_path / "t.txt", "new")
        assert reader.read() == "old"
    assert (tmp_path / "t.txt").read_text() == "new"


def test_r13_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", "unused")
    write_text(run.folder / "campaign.yaml", "name: x")
    write_table(run.candidate_part(0), TABLE)
    (run.folder / "notes.partial").write_text("mine")
    kept = sorted(run.folder.rglob("*"))
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom matloop.data.whole_files import write_whole\n"
        "def die(draft):\n    draft.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_whole(Path(sys.argv[1]), die)"
    )
    for path in (run.candidate_part(0), run.ranked):
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert done.returncode == -signal.SIGKILL
    assert len(list(run.folder.rglob("*"))) == len(kept) + 2
    assert pq.read_table(run.candidate_part(0)).equals(TABLE)  # the old file is whole
    remove_drafts(run.folder)
    assert sorted(run.folder.rglob("*")) == kept
    remove_drafts(run.folder)
    remove_drafts(tmp_path / "nowhere")


class Permit:
    """A permission that can be taken away."""

    def __init__(self, token: str) -> None:
        self.token, self.lost = token, False

    def check(self) -> None:
        if self.lost:
            raise LockLostError("somebody took it")


def test_r28_nothing_gets_its_name_once_the_permission_is_lost(tmp_path: Path) -> None:
    permit = Permit("abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")

    def fill(draft: Path) -> None:
        draft.mkdir()
        (draft / "new").write_text("new")

    with writing_under(permit):
        write_text(tmp_path / "t.txt", "old")
        permit.lost = True
        for write in (lambda: write_text(tmp_path / "t.txt", "new"), lambda: write_folder(tmp_path / "folder", fill)):
            with pytest.raises(LockLostError):
                write()
        with pytest.raises(LockLostError):
            remove_drafts(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {
        "t.txt": "old", "old": "old",
    }  # fmt: skip
    write_folder(tmp_path / "folder", fill)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def test_r28_whoever_lost_a_run_removes_only_drafts_of_its_own(tmp_path: Path) -> None:
    mine, other = Permit("abc"), Permit("def")

    def left_by(permit: Permit, how: Callable[[], None]) -> set[str]:
        before = set(tmp_path.iterdir())
        with pytest.MonkeyPatch.context() as patch, writing_under(permit):  # as a kill would leave it
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            patch.setattr("shutil.rmtree", lambda *_, **__: None)
            with pytest.raises(OSError, match="killed"):
                how()
        return {path.name for path in set(tmp_path.iterdir()) - before}

    def killed(draft: Path) -> None:
        draft.mkdir() if not draft.exists() else None
        raise OSError("killed")

    for how in (lambda: write_whole(tmp_path / "a", killed), lambda: write_folder(tmp_path / "b", killed)):
        own, others = left_by(mine, how), left_by(other, how)
        assert len(own) == len(others) == 1
        remove_drafts(tmp_path, of=mine)
        assert {path.name for path in tmp_path.iterdir()} == others
        remove_drafts(tmp_path)
        assert not list(tmp_path.iterdir())


def test_a_run_is_complete_once_its_last_file_is_there(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", "unused")
    assert not run.is_complete
    write_json(run.summary, {})
    assert not run.is_complete  # the report is the last one
    write_text(run.report, "")
    assert run.is_complete
    run.summary.unlink()
    assert not run.is_complete


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_csv_opens_in_spreadsheets_as_data(tmp_path: Path) -> None:
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", '=HYPERLINK("http://x")']
    harmless = ["NaCl", "0012345", "NaN", "a=b", "", "Å, 中文", 'quoted "text"', "two\nlines"]
    write_csv(tmp_path / "t.csv", ["text", "number"], [[text, -1.5] for text in hostile + harmless])
    header, *rows = cells(tmp_path / "t.csv")
    assert header == ["text", "number"]
    assert [row[0] for row in rows] == [f"'{text}" for text in hostile] + harmless
    assert {row[1] for row in rows} == {"-1.5"}  # a negative number is a number
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbf")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=1, max_size=5))
def test_no_cell_can_be_taken_for_a_formula(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(path, ["text"] * len(texts), [texts])
    (_, row) = cells(path)
    for text, cell in zip(texts, row, strict=True):
        seen = plain(text)  # without what commands a terminal or cannot be seen
        assert cell in (seen, f"'{seen}")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))


def test_none_and_other_values(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ["a", "b", "c"], [[None, True, 12]])
    assert cells(tmp_path / "t.csv")[1] == ["", "True", "12"]
