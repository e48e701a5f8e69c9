import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from matloop.data.candidates.reasons import OUTSIDE_DOMAIN, REPEATED
from matloop.workflows.running import pace, progress
from matloop.workflows.running.pace import Pace, resident_memory
from matloop.workflows.running.progress import (
    BarProgress,
    FileProgress,
    LineProgress,
    Progress,
    Progresses,
    SilentProgress,
)
from matloop.workflows.stages.fates import Ending

ENDINGS = [
    (Ending("intake", "rejected", REPEATED), 12),
    (Ending("features", "quarantined", "E-FEATURE-NODATA"), 3456),
    (Ending("ranking", "scored"), 700),
    (Ending("domain", "rejected", OUTSIDE_DOMAIN), 0),
]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1e9 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still, and processes without memory."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(pace, "time", clock)
    monkeypatch.setattr(pace, "resident_memory", lambda pid: 0)
    return clock


@pytest.fixture
def child() -> Iterator["subprocess.Popen[str]"]:
    """A process below this one that holds 300 MB."""
    code = "held = bytearray(300_000_000); print(len(held), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        it.stdout.readline()
        yield it
        it.kill()


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    silent: Progress = SilentProgress()
    silent.start("scoring", 10)
    silent.advance(10, "done", endings=ENDINGS)
    silent.close()
    assert capsys.readouterr() == ("", "")


def test_lines_come_every_few_seconds_and_at_the_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress(interval=5.0)
    lines.start("scoring", 4000)
    for seconds, note in [(1, "a"), (5, "b"), (6, "c"), (8, "d")]:
        clock.now = 100.0 + seconds
        lines.advance(1000, note)
    assert capsys.readouterr().out.splitlines() == [
        "scoring: 2,000/4,000, 400/s, 5 s left; b",
        "scoring: 4,000/4,000, 500/s, 0 s left; d",
    ]
    lines.start("writing", 1)
    clock.now += 0.1
    lines.advance(1, "e")
    lines.close()
    assert capsys.readouterr().out == "writing: 1/1, 10/s, 0 s left; e\n"


def test_a_step_without_anything_done_yet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    lines = LineProgress(interval=0.0)
    lines.start("scoring", 10)
    lines.advance(0, "nothing\nyet \x1b[2J")
    assert capsys.readouterr().out == "scoring: 0/10; nothing yet [2J\n"


def test_lines_name_the_most_frequent_reasons_and_the_memory(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "resident_memory", lambda pid: 410_000_000)
    lines = LineProgress(interval=0.0)
    lines.start("scoring", 10_000)
    clock.now += 2
    lines.advance(5000, "a tally", endings=ENDINGS, worker_memory=1_930_000_000)
    assert capsys.readouterr().out == (
        "scoring: 5,000/10,000, 2,500/s, 2 s left, memory 0.4 GB, largest worker 1.9 GB; "
        "features: E-FEATURE-NODATA 3,456, scored 700, intake: repeats an earlier candidate 12\n"
    )


def test_the_rate_is_that_of_the_last_minute_without_what_was_done_before(clock: Clock) -> None:
    step = Pace("scoring", 100_000)
    step.advance(60_000, "", endings=(), worker_memory=0, earlier=True)
    assert (step.rate, step.eta_seconds) == (0, None)
    for second in range(1, 201):
        clock.now = 100.0 + second
        step.advance(300 if second <= 100 else 60, "", endings=(), worker_memory=0)
    assert step.done == 96_000
    assert step.rate == pytest.approx(60)
    assert step.eta_seconds == pytest.approx(4000 / 60)
    clock.now += 60  # nothing happened for a minute
    assert step.rate == pytest.approx(30)


def largest_below() -> int:
    """Memory of the largest process below this one, which may have children of other tests."""
    return max((child.memory_info().rss for child in psutil.Process().children(recursive=True)), default=0)


def test_memory_of_this_process_and_of_the_largest_below(child: "subprocess.Popen[str]") -> None:
    step = Pace("scoring", 10)
    step.advance(1, "", endings=(), worker_memory=5)
    step.measure()
    assert step.worker_memory > 300e6
    assert step.worker_memory == pytest.approx(largest_below(), rel=0.05)
    own = step.driver_memory
    assert own > 20e6
    held = bytearray(200_000_000)
    step.measure()
    assert step.driver_memory - own > 0.9 * len(held)
    child.kill()
    child.wait()
    step.measure()
    assert step.worker_memory == pytest.approx(largest_below(), rel=0.05, abs=1e6)
    assert resident_memory(child.pid) == 0


def test_bars_show_step_count_figures_and_reasons() -> None:
    text = io.StringIO()
    bars = BarProgress(Console(file=text, force_terminal=True, width=140))
    bars.start("training surrogates", 2)
    bars.advance(2, "[bold]no markup[/bold] MAE 0.1")
    bars._live.refresh()
    assert "[bold]no markup[/bold] MAE 0.1" in text.getvalue()
    bars.start("[i]scoring[/i]", 3)
    bars.advance(1, "scored 0", earlier=True)
    time.sleep(0.01)
    bars.advance(1, "scored 1", endings=ENDINGS)
    bars.close()
    shown = text.getvalue()
    assert "training surrogates" in shown
    assert "2/2" in shown
    assert "[i]scoring[/i]" in shown
    last = shown[shown.rindex("training surrogates") :]
    assert "2/3" in last
    assert re.search(r" left, memory \d+\.\d GB", last)
    assert "3,456  features: E-FEATURE-NODATA" in last
    assert "12  intake: repeats an earlier candidate" in last
    assert "outside the domain" not in last


def read(folder: Path) -> dict[str, object]:
    return json.loads((folder / "progress.json").read_text(encoding="utf-8"))


def test_the_file_follows_the_run(clock: Clock, tmp_path: Path) -> None:
    kept = FileProgress(tmp_path)
    kept.start("scoring candidates", 8000)
    assert read(tmp_path)["state"] == "running"
    clock.now += 1
    kept.advance(1000, "a", endings=ENDINGS)
    assert read(tmp_path)["done"] == 0  # a write every two seconds is enough
    clock.now += 1
    kept.advance(1000, "b", worker_memory=7)
    assert read(tmp_path) == {
        "state": "running", "step": "scoring candidates", "done": 2000, "total": 8000, "rate": 1000.0,
        "eta_seconds": 6.0, "counts": [[*ending, n] for ending, n in ENDINGS], "driver_memory": 0, "worker_memory": 7,
        "updated": 1e9 + 102, "message": "b",
    }  # fmt: skip
    clock.now += 0.1
    kept.advance(1000, "c")
    kept.finish("failed", "no room on the disk")
    kept.close()
    told = read(tmp_path)
    assert (told["state"], told["message"], told["done"]) == ("failed", "no room on the disk", 3000)
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_a_file_closed_early_says_interrupted_and_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    kept = FileProgress(tmp_path / "run")
    kept.start("scoring", 10)  # the folder is not even there
    (tmp_path / "run").mkdir()
    kept.advance(1, "a")
    kept.close()
    assert read(tmp_path / "run")["state"] == "interrupted"


def test_several_are_told_the_same(clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several: Progress = Progresses(LineProgress(interval=0.0), FileProgress(tmp_path, interval=0.0))
    several.start("scoring", 10)
    several.advance(5, "a", endings=ENDINGS, worker_memory=9)
    several.close()
    assert capsys.readouterr().out.startswith("scoring: 5/10")
    assert read(tmp_path)["done"] == 5
    assert read(tmp_path)["worker_memory"] == 9
    assert read(tmp_path)["state"] == "interrupted"


def test_the_memory_of_this_very_process() -> None:
    assert resident_memory(os.getpid()) > 20e6
