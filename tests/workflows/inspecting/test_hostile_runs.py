"""Run directories that a stranger made: every command refuses them with a coded message, without a crash or a wait."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data.runs.manifest import written_line
from matloop.workflows.screen import ScreeningRun
from tests.processes import ForkedCommands, forked_commands

MEMORY = 6_000_000_000
DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
SECONDS = 60
ESCAPES = ("\x1b", "\u202e", "\x9b", "\u200b")
"""What starts a command to a terminal, reverses text, or cannot be seen."""

Make = Callable[[Path], None]


def replaced(name: str, content: bytes) -> Make:
    return lambda folder: (folder / name).write_bytes(content) and None  # type: ignore[func-returns-value]


def pipe(name: str) -> Make:
    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def link(name: str, target: str) -> Make:
    def make(folder: Path) -> None:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return make


def huge(name: str) -> Make:
    def make(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(20_000_000_000)  # a hole: it takes no room on the disk

    return make


def changed(name: str, **values: object) -> Make:
    def make(folder: Path) -> None:
        content = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({**content, **values}), "utf-8")

    return make


def bomb(name: str) -> Make:
    """A text that stands once in the file and is that of a million rows: 1 TB."""

    def make(folder: Path) -> None:
        indices = pa.array([0], pa.int32()).take(pa.nulls(1, pa.int32()).fill_null(0).take(pa.array([0] * 1_000_000)))
        columns = pq.read_schema(folder / name).names
        told = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 1_000_000]))
        pq.write_table(pa.table(dict.fromkeys(columns, told)), folder / name)

    return make


def without_columns(name: str) -> Make:
    return lambda folder: pq.write_table(pa.table({"a": [1]}), folder / name)


CARD = "models/surrogates/refractive_index/card.json"
PART = "partitions/surrogates/part-00001.parquet"
HOSTILE: dict[str, tuple[Make, str]] = {
    "deep JSON in run.json": (replaced("run.json", DEEP), "status report runs"),
    "deep JSON in identity.json": (replaced("identity.json", DEEP), "status runs"),
    "deep JSON in explanations.json": (replaced("explanations.json", DEEP), "report why"),
    "deep JSON in a card": (replaced(CARD, DEEP), "models report"),
    "deep JSON in the manifest": (replaced("manifest.jsonl", DEEP + b"\n"), "status runs"),
    "infinity in run.json": (changed("run.json", sessions=float("inf")), "status report"),
    "infinity in progress.json": (changed("progress.json", updated=float("inf")), "status runs"),
    "infinity in a card": (changed(CARD, rows_trained=float("inf")), "models report"),
    "text for a number": (changed("run.json", rows_in="many"), "status report"),
    "a list for an object": (replaced("novelty.json", b"[1, 2]"), "report"),
    "an unknown key": (changed("run.json", unheard_of=1), "status report"),
    "a huge run.json": (huge("run.json"), "status report runs"),
    "a huge manifest": (huge("manifest.jsonl"), "status runs"),
    "a huge campaign": (huge("campaign.yaml"), "report why"),
    "a huge ranked.parquet": (huge("ranked.parquet"), "report"),
    "a pipe for run.json": (pipe("run.json"), "status report runs resume"),
    "a pipe for identity.json": (pipe("identity.json"), "status runs resume"),
    "a pipe for the campaign": (pipe("campaign.yaml"), "report why resume"),
    "a pipe for progress.json": (pipe("progress.json"), "status runs resume"),
    "a pipe for the manifest": (pipe("manifest.jsonl"), "status runs resume"),
    "a pipe for the lock": (pipe("lock.json"), "status runs resume"),
    "a pipe for a card": (pipe(CARD), "models report resume"),
    "a pipe for ranked.parquet": (pipe("ranked.parquet"), "report resume"),
    "a pipe for a partition": (pipe(PART), "resume"),
    "a device for run.json": (link("run.json", "/dev/zero"), "status report runs resume"),
    "a device for the campaign": (link("campaign.yaml", "/dev/zero"), "report why resume"),
    "a link out for a card": (link(CARD, "/etc/passwd"), "models report resume"),
    "a link out for the lock": (link("lock.json", "/etc/passwd"), "status resume"),
    "a link out for the partitions": (link("partitions/surrogates", "/tmp"), "why resume"),
    "a link out for the models": (link("models", "/etc"), "resume"),
    "a bomb for ranked.parquet": (bomb("ranked.parquet"), "report"),
    "a bomb for held-out predictions": (bomb("models/surrogates/refractive_index/out_of_fold.parquet"), "report"),
    "other columns in ranked.parquet": (without_columns("ranked.parquet"), "report"),
}


def arguments(command: str, folder: Path, candidate: str) -> list[str]:
    match command:
        case "why":
            return ["why", str(folder), candidate]
        case "runs":
            return ["runs", str(folder.parent)]
    return [command, str(folder)]


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCommands]:
    """What a command answers within a minute and with bounded memory."""
    with forked_commands(tmp_path_factory.mktemp("told"), data=MEMORY, seconds=SECONDS) as commands:
        yield commands


@pytest.fixture
def folder(finished: ScreeningRun, tmp_path: Path) -> Path:
    return shutil.copytree(finished.folder, tmp_path / "runs" / "stranger")


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_s20_s21_every_command_refuses_it_with_a_coded_message(
    name: str, folder: Path, finished: ScreeningRun, answer: ForkedCommands
) -> None:
    make, commands = HOSTILE[name]
    candidate = finished.ranked.ids[0]
    make(folder)
    for command in commands.split():
        if command == "resume":  # of a finished run nothing is read: it must look as if it was cut off
            (folder / "report.html").unlink(missing_ok=True)
        done = answer(*arguments(command, folder, candidate))
        told = done.stdout + done.stderr
        assert "Traceback" not in told, told[-3000:]
        assert done.returncode == (0 if command == "runs" else 1), (command, told[-2000:])
        assert "E-" in told, (command, told)


@pytest.mark.slow
def test_a_bomb_for_a_partition_is_told_and_the_rest_is_shown(
    folder: Path, finished: ScreeningRun, answer: ForkedCommands
) -> None:
    bomb(PART)(folder)
    lines = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)  # a stranger's knows nothing of it
    (folder / "manifest.jsonl").write_bytes(b"".join(line for line in lines if PART.encode() not in line))
    done = answer("why", str(folder), finished.ranked.ids[0])
    assert f"E-FILE-DAMAGED: {PART} cannot be read" in done.stdout
    assert "is shortlisted, place 1" in done.stdout
    assert done.returncode == 1


@pytest.mark.slow
def test_nothing_in_a_run_commands_the_terminal(folder: Path, finished: ScreeningRun, answer: ForkedCommands) -> None:
    """Names with escape sequences, right-to-left marks and invisible characters, in every file that is told of."""
    evil = "a\x1b[2J\u202eb\x9b31m\u200b[red]c[/red]"
    summary = json.loads((folder / "run.json").read_text("utf-8"))
    stage = {**summary["funnel"][0], "stage": evil}
    changed("run.json", campaign=evil, outcomes={**summary["outcomes"], evil: 0}, funnel=[stage])(folder)
    changed("progress.json", message=evil, step=evil)(folder)
    identity = json.loads((folder / "identity.json").read_text("utf-8"))
    changed("identity.json", campaign={**identity["campaign"], "name": evil})(folder)
    changed(CARD, family=evil, property=evil, unit=evil)(folder)
    with (folder / "manifest.jsonl").open("ab") as file:
        line = {"kind": "event", "what": evil, "detail": evil, "time": 1e30}
        file.write(written_line(line))
    ranked = pq.read_table(folder / "ranked.parquet")
    at = ranked.schema.get_field_index("origin")
    pq.write_table(ranked.set_column(at, "origin", pa.array([evil] * ranked.num_rows)), folder / "ranked.parquet")
    shown = [
        answer(*words).stdout
        for words in (
            ("status", str(folder)), ("status", str(folder), "--json"), ("models", str(folder)),
            ("runs", str(folder.parent)), ("runs", str(folder.parent), "--json"), ("resume", str(folder)),
            ("why", str(folder), finished.ranked.ids[0]), ("why", str(folder), finished.ranked.ids[0], "--json"),
        )
    ]  # fmt: skip
    for text in shown:
        assert text
        assert not [mark for mark in ESCAPES if mark in text], text
    assert "[red]c[/red]" in shown[0]
    assert json.loads(shown[1])["campaign"] == evil
