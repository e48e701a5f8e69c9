"""What the report says of surrogates that were chosen, and of classifiers."""

import json
from pathlib import Path
from typing import Any

import pytest

from matloop.data.whole_files import write_json, write_text
from matloop.screening.campaign.campaign_file import read_campaign, write_campaign
from matloop.screening.report.page import write_report
from matloop.screening.report.surrogates import SurrogateSection, scores_of, surrogate_sections
from matloop.screening.runs.card_records import CardScores
from matloop.screening.runs.run_view import RunView
from tests.screening.report.run_directories import Page, make_run

CHOICE: dict[str, Any] = {
    "winner": "boosted_trees", "reason": "…", "nested_mae": 0.412, "rows": 900, "split": "…",
    "budget": {"seconds": 150.0, "candidates": None},
    "tried": [
        {"candidate": "extra_trees", "family": "extra_trees", "outcome": "tried", "mae": 0.4444, "seconds": 20.4},
        {"candidate": "boosted_trees", "family": "boosted_trees", "outcome": "tried", "mae": 0.4, "seconds": 60.2},
        {"candidate": "deep_ensemble", "family": "deep_ensemble", "outcome": "E-MODEL: <no> torch", "mae": None,
         "seconds": 0.0},
        {"candidate": "stack", "family": "stack", "outcome": "out of budget", "mae": None, "seconds": 39.9},
    ],
}  # fmt: skip
PROBABILITY: dict[str, Any] = {
    "by": "classifier", "wanted": [None, 1.0], "rows": 1000, "rows_met": 310, "split": "…",
    "scores": {
        "brier": 0.0812, "brier_of_share": 0.2139, "log_loss": 0.2711, "log_loss_of_share": 0.6191,
        "calibration_error": 0.012, "reliability": [[0.031, 0.04, 600], [0.52, 0.483, 100], [0.971, 0.99, 300]],
    },
}  # fmt: skip


def run_with(folder: Path, **records: Any) -> Page:
    """A run whose surrogate's card has more on it."""
    make_run(folder, "band_gap")
    path = folder / "models" / "surrogates" / "band_gap" / "card.json"
    card = json.loads(path.read_text("utf-8"))
    write_json(path, {**card, "family": "boosted_trees", "transform": "identity", **records})
    if "probability" in records:
        campaign = read_campaign(folder / "campaign.yaml")
        targets = tuple(one.model_copy(update={"probability": "classifier"}) for one in campaign.targets)
        write_text(folder / "campaign.yaml", write_campaign(campaign.model_copy(update={"targets": targets})))
    write_report(folder)
    return Page((folder / "report.html").read_text("utf-8"))


def section_of(folder: Path) -> SurrogateSection:
    (section,) = surrogate_sections(RunView(folder))
    return section


def test_nothing_more_is_said_where_nothing_was_chosen(tmp_path: Path) -> None:
    page = run_with(tmp_path / "run")
    assert section_of(tmp_path / "run").tables == []
    assert "from a classifier" not in page.text
    assert "chosen among" not in page.text


@pytest.mark.parametrize(("transform", "unit"), [("identity", "eV"), ("log10", "decades")])
def test_what_was_tried_and_what_won(transform: str, unit: str, tmp_path: Path) -> None:
    page = run_with(tmp_path / "run", choice=CHOICE, transform=transform)
    section = section_of(tmp_path / "run")
    (score,) = [score for score in section.scores if "chosen among" in score.label.en]
    assert score.value == ("boosted trees", "梯度提升树")
    assert score.label == ("chosen among 4 families within 150 s", "从 4 种模型中选出，限时 150 秒")
    assert f"is off by 0.412 {unit} on average" in score.meaning.en
    in_chinese = {"eV": "eV", "decades": "个数量级"}[unit]
    assert f"0.412 {in_chinese}" in score.meaning.zh
    assert not any("decades" in text.zh for score in section.scores for text in (score.label, score.meaning))
    (table,) = section.tables
    assert [[str(cell if isinstance(cell, str) else cell.en) for cell in row] for row in table.rows] == [
        ["extra trees", "0.444", "20 s", "tried"],
        ["boosted trees", "0.400", "60 s", "chosen"],
        ["deep ensemble", "–", "0 s", "E-MODEL: <no> torch"],
        ["stack", "–", "40 s", "did not fit into the time"],
    ]
    assert "E-MODEL: <no> torch" in page.text
    assert f"mean absolute error ({unit})" in page.text


def test_without_limit_no_time_is_named(tmp_path: Path) -> None:
    run_with(tmp_path / "run", choice={**CHOICE, "budget": {"seconds": None, "candidates": None}})
    labels = [score.label.en for score in section_of(tmp_path / "run").scores]
    assert "chosen among 4 families" in labels


def test_what_a_classifier_is_worth(tmp_path: Path) -> None:
    page = run_with(tmp_path / "run", probability=PROBABILITY)
    section = section_of(tmp_path / "run")
    (score,) = [score for score in section.scores if "Brier" in score.label.en]
    assert score.value == "0.081"
    assert "31 % of the training crystals meet the target" in score.meaning.en
    assert "that share would score 0.214. Log loss 0.271 against 0.619" in score.meaning.en
    (table,) = section.tables
    assert table.rows == [["3 %", "4 %", "600"], ["52 %", "48 %", "100"], ["97 %", "99 %", "300"]]
    assert "or where the campaign says so from a classifier" in page.text
    assert "（或按任务设定由分类器）" in page.text


@pytest.mark.parametrize(
    ("error", "says"), [(0.1, "a good guide"), (0.9, "weak"), (0.98, "no better than a guess"), (1.4, "no better")]
)
def test_a_surrogate_is_held_against_guessing_the_mean(error: float, says: str) -> None:
    scores = {"mae": error, "mae_of_mean": 1.0}
    (told,) = scores_of({"scores": scores, "transform": "identity"}, "eV")[:1]
    assert says in told.meaning.en
    others = {"r2": 0.0, "coverage_90": 0.9, "width_error_rank_correlation": 0.0}
    assert CardScores.model_validate({**scores, **others}).is_a_guess == (error > 0.95)
