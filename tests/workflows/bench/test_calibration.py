"""Test of intervals: coverage, spread, positions of the truth, shortlists, page, command."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from matloop.data.errors import MatloopError
from matloop.models.registry import MODELS
from matloop.workflows import cli
from matloop.workflows.bench.calibration import (
    CalibrationRun,
    CalibrationSettings,
    best_counts,
    run_calibration,
    spread_bins,
)
from matloop.workflows.bench.calibration_report import (
    calibration_json,
    pooled_spread_bins,
    print_calibration,
    render_calibration,
)
from matloop.workflows.bench.labelled import ModelChoice, read_labelled
from matloop.workflows.bench.seeds import grouped_split
from tests.workflows.bench.labelled_tables import CHEAP, electrons, labelled_with, named, some_formulas, write_labels

FORMULAS = some_formulas(500)
FEW = ModelChoice("few_trees")


@pytest.fixture(scope="module", autouse=True)
def small_family() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "few_trees", "tests.workflows.bench.few_trees:FewTrees")  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="module")
def noisy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels with noise that grows with the label."""
    labels = electrons(FORMULAS)
    noisy = labels * (1 + 0.2 * np.random.default_rng(4).normal(size=len(labels)))
    return write_labels(tmp_path_factory.mktemp("noisy") / "noisy.parquet", FORMULAS, np.clip(noisy, 0.01, 19.9))


@pytest.fixture(scope="module")
def noisy(noisy_file: Path) -> CalibrationRun:
    data = read_labelled(str(noisy_file), "band_gap", features=CHEAP)
    return run_calibration(data, CalibrationSettings(splits=5, model=FEW))


def test_intervals_hold_and_widths_follow_errors(noisy: CalibrationRun) -> None:
    result = calibration_json(noisy)
    assert 0.84 <= result["mean"]["coverage"]["mean"] <= 0.96
    assert result["mean"]["rank correlation of width and error"]["mean"] > 0.15
    for level in result["coverage_curve"]:
        assert level["mean"] == pytest.approx(level["level"], abs=0.12)


def test_figures_of_a_split_fit_together(noisy: CalibrationRun) -> None:
    data = noisy.data
    for split in noisy.splits:
        held = split.held
        assert split.trained + len(held.error) + split.not_predicted == len(data.target)
        train, others = grouped_split(data.groups, 0.65, seed=split.seed)
        assert split.trained == len(train)
        assert not set(data.groups[train]) & set(data.groups[others])
        assert split.figures["coverage"] == held.inside.mean()
        # A truth inside the 90 % interval lies between 5 and 95 % of its distribution, but for steps of a rank.
        assert (held.inside == (np.abs(held.position - 0.5) <= 0.45)).mean() > 0.97
        bins = [split.by_distance[name]["rows"] for name in ("nearer half", "up to 80 %", "up to 95 %", "farther")]
        assert sum(bins) == len(held.error)
        inside, outside = (split.by_distance[f"{where} the domain"]["rows"] for where in ("inside", "outside"))
        assert inside + outside == len(held.error)
        expected = stats.spearmanr(held.width, held.error).statistic
        assert split.figures["rank correlation of width and error"] == pytest.approx(expected)


def test_truths_shifted_after_training_are_seen(noisy: CalibrationRun) -> None:
    data = noisy.data
    _, others = grouped_split(data.groups, 0.65, seed=0)
    target = data.target.copy()
    target[others] = 19.5
    shifted = run_calibration(labelled_with(data, target), CalibrationSettings(splits=1, model=FEW)).splits[0]
    assert shifted.figures["coverage"] < 0.2
    assert np.median(shifted.held.position) > 0.97
    assert shifted.curve[-1] < 0.3


def test_selection_conditional_intervals_hold_among_predictions_that_are_high_by_error(tmp_path: Path) -> None:
    # Nearly pure noise: whatever is predicted high is so by error, and its spread is no larger for it.
    labels = np.clip(5 + np.random.default_rng(6).standard_t(3, size=len(FORMULAS)), 0.01, 19)
    data = read_labelled(str(write_labels(tmp_path / "a.parquet", FORMULAS, labels)), "band_gap", features=CHEAP)
    mean = calibration_json(run_calibration(data, CalibrationSettings(splits=5, model=FEW)))["mean"]
    conditional = mean["coverage, top 20, selection-conditional"]
    assert conditional["mean"] > 0.9 - 3 * conditional["standard_error"]


def test_the_lowest_can_be_the_best(noisy: CalibrationRun) -> None:
    low = run_calibration(noisy.data, CalibrationSettings(direction="min", splits=1, model=FEW)).splits[0]
    high = noisy.splits[0]
    assert low.figures["coverage"] == high.figures["coverage"]
    assert low.figures["width, top 20, plain"] < high.figures["width, top 20, plain"]  # noise grows with the label


def test_bins_of_similar_spread() -> None:
    random = np.random.default_rng(0)
    sigma = random.uniform(1, 5, 20_000)
    error = np.abs(random.normal(scale=sigma))
    bins = spread_bins(sigma, error, error < 1.645 * sigma)
    assert [found.rows for found in bins] == [2000] * 10
    for found in bins:
        assert found.rmse == pytest.approx(found.sigma, rel=0.08)
        assert found.coverage == pytest.approx(0.9, abs=0.03)
    assert sum(found.rows for found in spread_bins(sigma[:7], error[:7], error[:7] > 0)) == 7


def test_few_held_out_rows_are_all_among_the_best() -> None:
    assert best_counts(12) == {"top 20": 12, "top 5 %": 1}


@pytest.mark.parametrize(("option", "value"), [("splits", 0), ("held_out", 0.0), ("held_out", 1.0), ("direction", "")])
def test_settings_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(MatloopError, match=f"--{option.replace('_', '-')}"):
        CalibrationSettings(**{option: value})


def test_same_seeds_same_json(noisy: CalibrationRun, noisy_file: Path) -> None:
    again = read_labelled(str(noisy_file), "band_gap", features=CHEAP)
    results = [calibration_json(run) for run in (noisy, run_calibration(again, noisy.settings))]
    texts = [json.dumps({k: v for k, v in result.items() if k != "seconds"}, allow_nan=False) for result in results]
    assert texts[0] == texts[1]
    rows = sum(len(split.held.error) for split in noisy.splits)
    assert sum(results[0]["positions"]["rows"]) == rows == sum(found.rows for found in pooled_spread_bins(noisy.splits))


def test_page_is_whole_fetches_nothing_and_escapes_names(noisy: CalibrationRun) -> None:
    run = noisy._replace(
        data=named(noisy.data, "<script>alert(1)</script>.csv")._replace(left_out={"E-FORMULA-EMPTY": 2})
    )
    html = render_calibration(run, calibration_json(run))
    assert "&lt;script&gt;alert(1)" in html
    assert "the formula is empty (E-FORMULA-EMPTY)" in html
    outside_scripts = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!#)', outside_scripts)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy.count("sha256-") == 2
    figures = json.loads(re.findall(r'id="report-data">(.*?)</script>', html)[0])["figures"]
    assert set(figures) == set(re.findall(r'data-figure="(\w+)"', outside_scripts))
    assert set(figures) == {"best", "curve", "positions", "spread", "distance"}


def test_what_is_printed(noisy: CalibrationRun) -> None:
    console = Console(width=140, file=io.StringIO(), no_color=True)
    print_calibration(noisy, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    coverage = calibration_json(noisy)["mean"]["coverage"]["mean"]
    assert re.search(rf"^all +{100 * coverage:.1f} ± ", text, re.MULTILINE)
    for words in ("top 20, selection-conditional", "top 5 %, plain", "outside the domain", "rank correlation"):
        assert words in text


def test_command_writes_where_it_says(
    noisy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    options = [
        "--data", str(noisy_file), "--property", "band_gap", "--splits", "1", "--family", "few_trees",
        "--features", "stoichiometry", "--transform", "log10", "--output", str(folder),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["matloop", "bench", "calibration", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert f"{folder / 'report.html'}" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"calibration.json", "report.html"}
    result = json.loads((folder / "calibration.json").read_text("utf-8"))
    assert (result["transform"], result["settings"]["held_out"]) == ("log10", 0.35)
    assert result["mean"]["coverage"]["standard_error"] is None
