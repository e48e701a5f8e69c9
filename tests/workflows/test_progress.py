import io

import pytest
from rich.console import Console

from matloop.workflows import progress as module
from matloop.workflows.progress import BarProgress, LineProgress, Progress, SilentProgress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Progress = SilentProgress()
    progress.start("scoring", 10)
    progress.advance(10, "done")
    progress.close()
    assert capsys.readouterr() == ("", "")


def test_lines_come_every_few_seconds_and_at_the_end(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress(interval=5.0)
    progress.start("scoring", 4000)
    for seconds, note in [(1, "a"), (5, "b"), (6, "c"), (7, "d")]:
        clock.now = 100.0 + seconds
        progress.advance(1000, note)
    assert capsys.readouterr().out.splitlines() == [
        "scoring: 2,000/4,000, 5 s left; b",
        "scoring: 4,000/4,000, 0 s left; d",
    ]
    progress.start("writing", 1)
    clock.now += 0.1
    progress.advance(1, "e")
    progress.close()
    assert capsys.readouterr().out == "writing: 1/1, 0 s left; e\n"


def test_a_step_without_anything_done_yet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress(interval=0.0)
    progress.start("scoring", 10)
    progress.advance(0, "nothing yet")
    assert capsys.readouterr().out == "scoring: 0/10, 0 s left; nothing yet\n"


def test_bars_show_step_count_and_note() -> None:
    text = io.StringIO()
    progress = BarProgress(Console(file=text, force_terminal=True, width=120))
    progress.start("training surrogates", 2)
    progress.advance(2, "[bold]no markup[/bold] MAE 0.1")
    progress.start("scoring candidates", 3)
    progress.advance(1, "scored 1")
    progress.close()
    shown = text.getvalue()
    assert "training surrogates" in shown
    assert "2/2" in shown
    assert "1/3" in shown
    assert "[bold]no markup[/bold]" in shown
