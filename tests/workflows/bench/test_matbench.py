"""The protocol of Matbench, its scores and what a run leaves behind, on small files made from packaged data."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import InputFileError, MatloopError, ModelError, RunError, UnknownNameError
from matloop.data.packaged.materials import load_materials
from matloop.models.registry import MODELS
from matloop.models.surrogates.classification import calibration_error
from matloop.models.surrogates.family_candidates import Candidate
from matloop.workflows import cli
from matloop.workflows.bench import matbench
from matloop.workflows.bench.finished_parts import UNFINISHED, results_folder
from matloop.workflows.bench.matbench import MatbenchRun, MatbenchSettings, published_folds, run_matbench
from matloop.workflows.bench.matbench_fold import OUT_OF_BUDGET, FoldTask, Judged, best_cut, compare, means, run_fold
from matloop.workflows.bench.matbench_report import (
    comparison,
    matbench_json,
    print_matbench,
    render_matbench,
    write_matbench,
)
from tests.workflows.bench.matbench_files import crystals_with, structure_dicts, write_json_gz

# Rows that the published results for matbench_steels hold out, the first six of each fold; counted from one.
STEELS_HELD_OUT = [
    [3, 5, 20, 26, 27, 32], [4, 9, 10, 12, 24, 30], [17, 19, 21, 23, 33, 48], [2, 7, 14, 22, 31, 34],
    [1, 6, 8, 11, 13, 15],
]  # fmt: skip


MEAN = Candidate("mean")


@pytest.fixture(scope="module", autouse=True)
def small_families() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, attribute in (("few_trees", "FewTrees"), ("stump", "Stump")):
            patch.setitem(MODELS, name, f"tests.workflows.bench.few_trees:{attribute}")  # type: ignore[arg-type]
        # Cheap features: what is tested here is the protocol.
        patch.setattr(matbench, "_OF_COMPOSITIONS", ("stoichiometry", "valence_orbital", "charge_balance"))
        patch.setattr(matbench, "_OF_CRYSTALS", ("stoichiometry", "valence_orbital", "charge_balance", "density"))
        yield


def few(**options: Any) -> MatbenchSettings:
    return MatbenchSettings(("few_trees",), **options)


@pytest.fixture(scope="module")
def kvrh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    crystals = crystals_with(load_materials(), "bulk_modulus_vrh_dft", 300)
    target = np.log10(crystals.column("bulk_modulus_vrh_dft"))
    rows = [[cell, float(value)] for cell, value in zip(structure_dicts(crystals), target, strict=True)]
    rows[7][0] = None  # a row without a structure is held out, scored and counted like the others
    return write_json_gz(tmp_path_factory.mktemp("kvrh") / "kvrh.json.gz", ["structure", "log10(K_VRH)"], rows)


@pytest.fixture(scope="module")
def kvrh(kvrh_file: Path) -> MatbenchRun:
    return run_matbench("log_kvrh", kvrh_file, settings=MatbenchSettings(("stump", "few_trees")))


@pytest.fixture(scope="module")
def insulators() -> CandidateBatch:
    return crystals_with(load_materials(), "band_gap_dft", 240)


@pytest.fixture(scope="module")
def is_metal(insulators: CandidateBatch, tmp_path_factory: pytest.TempPathFactory) -> MatbenchRun:
    # Wide gaps stand in for yes: the packaged data hold no metals with a computed gap.
    answer = insulators.column("band_gap_dft") > np.median(insulators.column("band_gap_dft"))
    rows = [[formula, bool(yes)] for formula, yes in zip(insulators.formulas, answer, strict=True)]
    path = write_json_gz(tmp_path_factory.mktemp("metal") / "metal.json.gz", ["composition", "is_metal"], rows)
    return run_matbench("matbench_expt_is_metal", path, settings=few())


def test_folds_are_the_published_ones() -> None:
    folds = published_folds(np.arange(312.0), classification=False)
    assert [(held_out[:6] + 1).tolist() for _, held_out in folds] == STEELS_HELD_OUT
    for train, held_out in folds:
        assert sorted([*train, *held_out]) == list(range(312))


def test_folds_of_a_classification_hold_equal_shares() -> None:
    target = (np.arange(500) % 5 == 0).astype(float)
    folds = published_folds(target, classification=True)
    assert sorted(np.concatenate([held_out for _, held_out in folds])) == list(range(500))
    assert [target[held_out].sum() for _, held_out in folds] == [20] * 5


def test_every_row_is_held_out_once_and_scored(kvrh: MatbenchRun) -> None:
    folds = published_folds(kvrh.data.target, classification=False)
    for fold, (_, held_out) in zip(kvrh.folds, folds, strict=True):
        np.testing.assert_array_equal(fold.rows, held_out)
        target, predicted = kvrh.data.target[fold.rows], fold.columns["prediction"]
        assert np.isfinite(predicted).all()
        assert fold.scores["mae"] == pytest.approx(np.abs(predicted - target).mean())
        inside = (target >= fold.columns["lo"]) & (target <= fold.columns["hi"])
        assert fold.scores["coverage_90"] == pytest.approx(inside.mean())
    assert sum(fold.rows_without_features for fold in kvrh.folds) == 1
    assert kvrh.data.refused == {7: "E-FILE-FORMAT"}


def test_row_without_features_gets_the_middle_of_its_training_rows(kvrh: MatbenchRun) -> None:
    (fold,) = (fold for fold in kvrh.folds if 7 in fold.rows)
    place = fold.rows.tolist().index(7)
    training = np.delete(kvrh.data.target, fold.rows)
    assert fold.columns["prediction"][place] == pytest.approx(np.median(training))
    assert fold.columns["hi"][place] == pytest.approx(np.quantile(training, 0.95))


def test_scores_are_better_than_guessing_and_intervals_hold(kvrh: MatbenchRun) -> None:
    target = kvrh.data.target
    guess = np.abs(target - target.mean()).mean()
    assert np.mean([fold.scores["mae"] for fold in kvrh.folds]) < 0.5 * guess
    assert 0.83 <= np.mean([fold.scores["coverage_90"] for fold in kvrh.folds]) <= 0.97


def test_the_better_family_is_chosen_within_the_training_rows(kvrh: MatbenchRun) -> None:
    for fold in kvrh.folds:
        tried = fold.chosen["out_of_fold_mae"]
        assert fold.chosen["family"] == "few_trees"
        assert set(tried) == {"stump, log10", "few_trees, log10"}
        assert tried["few_trees, log10"] < tried["stump, log10"]


def test_targets_of_held_out_rows_do_not_matter(kvrh: MatbenchRun, kvrh_file: Path) -> None:
    held_out = kvrh.folds[0].rows
    features, groups = matbench._features(kvrh.data, matbench.feature_set(matbench._OF_CRYSTALS))
    spoilt = kvrh.data.target.copy()
    spoilt[held_out] = 3.0
    task = FoldTask(kvrh.task, features, spoilt, groups, kvrh.settings.candidates, 0)
    again = run_fold(task, np.setdiff1d(np.arange(300), held_out), held_out)
    for name, values in kvrh.folds[0].columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
    assert again.chosen == kvrh.folds[0].chosen


def test_elements_new_to_a_fold_are_predicted_all_the_same(tmp_path: Path) -> None:
    formulas = [f"Na{a}Cl{b}" for a in range(1, 13) for b in range(1, 13) if np.gcd(a, b) == 1]
    rows = [[formula, 100.0 + n] for n, formula in enumerate([*formulas, *(f"K{n}Br7" for n in range(8, 40)), "FeO"])]
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "yield strength"], rows)
    run = run_matbench("steels", path, settings=few())
    assert all(np.isfinite(fold.columns["prediction"]).all() for fold in run.folds)
    assert sum(fold.rows_without_features for fold in run.folds) == 0
    assert {fold.chosen["transform"] for fold in run.folds} <= {"identity", "log10"}
    assert {len(fold.chosen["out_of_fold_mae"]) for fold in run.folds} == {2}


def test_classification_scores_and_probabilities(is_metal: MatbenchRun) -> None:
    for fold in is_metal.folds:
        target, probability = is_metal.data.target[fold.rows], fold.columns["prediction"]
        assert ((probability > 0) & (probability < 1)).all()
        assert fold.scores["roc_auc"] == pytest.approx(roc_auc_score(target, probability))
        assert fold.scores["roc_auc_of_answers"] == pytest.approx(roc_auc_score(target, fold.columns["answer"]))
        assert fold.scores["roc_auc_cut_at_half"] == pytest.approx(roc_auc_score(target, probability >= 0.5))
        np.testing.assert_array_equal(fold.columns["answer"], probability >= fold.chosen["cut"])
        assert fold.trivial["roc_auc_of_answers"] == 0.5
        assert fold.scores["brier"] < 0.25
    assert np.mean([fold.scores["roc_auc"] for fold in is_metal.folds]) > 0.8
    pooled = np.concatenate([fold.columns["prediction"] for fold in is_metal.folds])
    truth = is_metal.data.target[np.concatenate([fold.rows for fold in is_metal.folds])]
    assert calibration_error(pooled, truth) < 0.12


def test_the_cut_is_where_both_classes_are_right_most_often() -> None:
    random = np.random.default_rng(3)
    target = (random.random(4000) < 0.8).astype(float)  # most rows are yes, so 0.5 says yes too often
    probability = 1 / (1 + np.exp(-(1.4 + 1.2 * (2 * target - 1) + random.normal(size=4000))))
    cut = best_cut(probability, target)
    gained = roc_auc_score(target, probability >= cut) - roc_auc_score(target, probability >= 0.5)
    assert cut > 0.6
    assert gained > 0.05
    assert best_cut(np.full(4, 0.3), np.array([0.0, 1.0, 0.0, 1.0])) == 0.5


def test_the_trivial_rival_is_scored_on_the_same_rows(kvrh: MatbenchRun) -> None:
    for fold in kvrh.folds:
        guess = np.delete(kvrh.data.target, fold.rows).mean()
        assert fold.trivial["mae"] == pytest.approx(np.abs(kvrh.data.target[fold.rows] - guess).mean())
        assert fold.scores["mae"] < fold.trivial["mae"]


def test_means_of_the_best_families_are_compared_too_and_one_may_win(
    kvrh_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_each = [Candidate("extra_trees", parameters={"trees": 2, "seed": seed}) for seed in (1, 7)]
    candidates = (*few_each, Candidate("stump"), MEAN)
    monkeypatch.setattr(MatbenchSettings, "candidates", property(lambda _: candidates))
    (fold,) = run_matbench("log_kvrh", kvrh_file, settings=MatbenchSettings(folds=1)).folds
    tried = fold.chosen["out_of_fold_mae"]
    assert len(tried) == 5  # three families, the best two, and all three
    assert fold.chosen["family"].startswith("mean of ")
    assert fold.chosen["family"].count(",") == 1  # without the stump
    assert tried[f"{fold.chosen['family']}, log10"] == min(tried.values())
    assert fold.scores["mae"] < fold.trivial["mae"] / 2
    assert 0.8 < fold.scores["coverage_90"] <= 1


def test_means_take_part_in_a_classification_unless_time_is_short(
    is_metal: MatbenchRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, groups = matbench._features(is_metal.data, matbench.feature_set(matbench._OF_COMPOSITIONS))
    families = (Candidate("few_trees"), Candidate("extra_trees", parameters={"trees": 20, "seed": 7}), MEAN)
    task = FoldTask(is_metal.task, features, is_metal.data.target, groups, families, 0)
    train, held = published_folds(is_metal.data.target, classification=True)[0]
    fold = run_fold(task, train, held)
    assert len(fold.chosen["out_of_fold_roc_auc"]) == 3
    best = max(fold.chosen["out_of_fold_roc_auc"], key=lambda family: fold.chosen["out_of_fold_roc_auc"][family])
    assert fold.chosen["family"] == best
    judged = [Judged(each, np.zeros(4), 3.0) for each in families[:2]]
    assert len(means(task, judged, errors=[1.0, 2.0], seconds=6.0)) == 1
    assert means(task, judged, errors=[1.0, 2.0], seconds=5.0) == []


def test_a_budget_passes_families_over_and_says_so() -> None:
    trees, costly = Candidate("extra_trees"), Candidate("stack")
    judged, passed_over = compare([costly, trees], str, seconds=1e-9)
    assert [each[:2] for each in judged] == [(trees, "extra_trees")]  # the cheapest is always tried
    assert passed_over == {"stack": OUT_OF_BUDGET}

    def refuse(candidate: Candidate) -> str:
        if candidate.family == "extra_trees":
            raise ModelError("no trees today")
        return "fine"

    judged, passed_over = compare([costly, trees], refuse, seconds=None)
    assert [each[:2] for each in judged] == [(costly, "fine")]
    assert "no trees today" in passed_over["extra_trees"]
    with pytest.raises(ModelError, match=r"no family can be fitted.*no trees today"):
        compare([trees, trees], refuse, seconds=None)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"folds": 6}, {"folds": 0}, {"budget": 0.0}, {"budget": float("nan")}):
        with pytest.raises(MatloopError, match=f"--{next(iter(wrong))}"):
            MatbenchSettings(**wrong)


def test_a_stopped_run_goes_on_and_other_settings_do_not(
    kvrh: MatbenchRun, kvrh_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = results_folder(tmp_path / "out", "kvrh")
    first = few(folds=2)
    done: list[int] = []

    def stops_after_one(*arguments: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return run_fold(*arguments)

    monkeypatch.setattr(matbench, "run_fold", stops_after_one)
    with pytest.raises(KeyboardInterrupt):
        run_matbench("log_kvrh", kvrh_file, settings=first, folder=folder)
    assert {path.name for path in (folder / UNFINISHED).iterdir()} == {"key.json", "fold_1.json"}
    monkeypatch.setattr(matbench, "run_fold", run_fold)
    assert results_folder(folder, "kvrh") == folder
    with pytest.raises(RunError, match="seed 0, not 1"):
        run_matbench("log_kvrh", kvrh_file, settings=few(folds=2, seed=1), folder=folder)
    again = run_matbench("log_kvrh", kvrh_file, settings=first, folder=folder)
    whole = run_matbench("log_kvrh", kvrh_file, settings=first)
    assert len(again.folds) == len(whole.folds) == 2
    for fold, other_fold in zip(again.folds, whole.folds, strict=True):
        assert fold.scores == other_fold.scores
        np.testing.assert_array_equal(fold.columns["lo"], other_fold.columns["lo"])
    assert "the first 2 of 5 folds" in matbench_json(again, "kvrh.json.gz")["data"]


def test_structures_may_be_left_out_and_it_is_said(kvrh: MatbenchRun, tmp_path: Path) -> None:
    crystals = crystals_with(load_materials(), "bulk_modulus_vrh_dft", 110)
    target = np.log10(crystals.column("bulk_modulus_vrh_dft"))
    rows = [[formula, float(value)] for formula, value in zip(crystals.formulas, target, strict=True)]
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "log10(K_VRH)"], rows)
    run = run_matbench("log_kvrh", path, settings=few(folds=1))
    assert not run.is_whole
    assert "by composition alone" in matbench_json(run, path.name)["data"]
    assert any("by composition" in line.model for line in comparison(run))


def test_attention_over_elements_finds_its_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(matbench, "_OF_COMPOSITIONS", ("stoichiometry", "element_fraction", "valence_orbital"))
    rows = [[formula, 100.0 + n] for n, formula in enumerate(f"Fe{a}Ni{b}" for a in range(1, 90) for b in (97, 101))]
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "yield strength"], rows)
    network = Candidate("element_attention", parameters={"members": 1, "width": 8, "layers": 1, "epochs": 1})
    monkeypatch.setattr(MatbenchSettings, "candidates", property(lambda _: (network,)))
    run = run_matbench("steels", path, settings=MatbenchSettings(("element_attention",), folds=1))
    assert "element_attention" in run.folds[0].chosen["family"]
    assert np.isfinite(run.folds[0].columns["prediction"]).all()


@pytest.mark.parametrize("answers", [[True] * 120, [False] * 118 + [True] * 2])
def test_classes_too_few_for_the_folds_are_refused(answers: list[bool], tmp_path: Path) -> None:
    rows = [[f"Fe{n + 1}O{n + 2}", answer] for n, answer in enumerate(answers)]
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "is_metal"], rows)
    with pytest.raises(InputFileError, match="at least 5 of either"):
        run_matbench("expt_is_metal", path, settings=few())


def test_targets_that_do_not_differ_are_refused(tmp_path: Path) -> None:
    rows = [[f"Fe{n + 1}O{n + 2}", 7.0] for n in range(120)]
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "yield strength"], rows)
    with pytest.raises(InputFileError, match="values that differ"):
        run_matbench("steels", path, settings=few())


def test_too_few_rows_and_unknown_names_are_refused_before_the_work(kvrh_file: Path, tmp_path: Path) -> None:
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "yield strength"], [["Fe", 1.0]] * 99)
    with pytest.raises(InputFileError, match="at least 100"):
        run_matbench("steels", path)
    with pytest.raises(UnknownNameError, match="few_trees"):
        MatbenchSettings(("few_tree",))
    with pytest.raises(InputFileError, match="is it another task"):
        run_matbench("log_gvrh", kvrh_file, settings=few())


def test_files_of_a_run(kvrh: MatbenchRun, tmp_path: Path) -> None:
    folder = results_folder(tmp_path / "out", kvrh.task.name)
    write_matbench(kvrh, folder, "kvrh.json.gz")
    result = json.loads((folder / "matbench.json").read_text("utf-8"))
    assert result["mean"]["mae"] == pytest.approx(np.mean([fold.scores["mae"] for fold in kvrh.folds]))
    assert len(result["folds"]) == 5
    assert result["sha256"] == kvrh.data.sha256
    assert result["rows_refused"] == {"E-FILE-FORMAT": 1}
    assert result["published"]["RF-SCM/Magpie"] == 0.0820
    assert result["trivial"]["mae"] == pytest.approx(np.mean([fold.trivial["mae"] for fold in kvrh.folds]))
    assert set(result["machine"]) == {"processor", "cores", "system", "python", "versions"}
    table = pq.read_table(folder / "predictions.parquet")
    np.testing.assert_array_equal(table["row"].to_numpy(), np.arange(300))
    np.testing.assert_array_equal(table["target"].to_numpy(), kvrh.data.target)
    with pytest.raises(RunError, match="not empty"):
        results_folder(folder, kvrh.task.name)


@pytest.mark.parametrize("name", ["kvrh", "is_metal"])
def test_page_is_whole_fetches_nothing_and_escapes_names(name: str, request: pytest.FixtureRequest) -> None:
    run: MatbenchRun = request.getfixturevalue(name)
    html = render_matbench(run, matbench_json(run, "<script>alert(1)</script>.json.gz"))
    assert "&lt;script&gt;alert(1)" in html
    outside_scripts = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!#)', outside_scripts)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy.count("sha256-") == 2
    data = json.loads(re.findall(r'id="report-data">(.*?)</script>', html)[0])
    assert set(data["figures"]) == {"folds", "rows"}
    for line in run.task.published:
        assert f"{line.score:.4f}" in html
    assert "do not compare the scores" in html


def test_what_is_printed(kvrh: MatbenchRun) -> None:
    console = Console(width=110, file=io.StringIO(), no_color=True)
    print_matbench(kvrh, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    mean = np.mean([fold.scores["mae"] for fold in kvrh.folds])
    assert re.search(rf"^mean +{mean:.4f} ", text, re.MULTILINE)
    assert "300 rows instead of 10,987" in text
    assert "1 rows without features" in text
    trivial = np.mean([fold.trivial["mae"] for fold in kvrh.folds])
    assert re.search(rf"^mean of the training rows \(the same rows\) +{trivial:.4f}$", text, re.MULTILINE)
    for words in ("coNGN", "MODNet 0.1.12", "AMMExpress 2020", "RF-SCM/Magpie", "dummy", "on other data"):
        assert words in text


def test_comparison_puts_the_best_first(kvrh: MatbenchRun, is_metal: MatbenchRun) -> None:
    scores = [line.score for line in comparison(kvrh)]
    assert scores == sorted(scores)
    scores = [line.score for line in comparison(is_metal)]
    assert scores == sorted(scores, reverse=True)
    assert sum(line.ours for line in comparison(is_metal)) == 1


def test_command_writes_where_it_says(
    kvrh: MatbenchRun,
    kvrh_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: dict[str, Any] = {}

    def run(name: str, path: Path, **options: Any) -> MatbenchRun:
        asked.update(name=name, path=path, **options)
        return kvrh

    monkeypatch.setattr(matbench, "run_matbench", run)
    folder = tmp_path / "results"
    arguments = ["bench", "matbench", "--task", "log_kvrh", "--file", str(kvrh_file), "--output", str(folder)]
    options = ["--family", "few_trees", "--seed", "3", "--workers", "1", "--folds", "2", "--budget", "10m"]
    monkeypatch.setattr(sys, "argv", ["matloop", *arguments, *options])
    monkeypatch.setenv("COLUMNS", "110")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    del asked["progress"]
    settings = MatbenchSettings(("few_trees",), 3, 2, 600)
    assert asked == {"name": "log_kvrh", "path": kvrh_file, "settings": settings, "workers": 1, "folder": folder}
    shown = capsys.readouterr().out
    assert f"Report: {folder / 'report.html'}" in shown
    assert {path.name for path in folder.iterdir()} == {"matbench.json", "predictions.parquet", "report.html"}


@pytest.mark.slow
def test_same_scores_for_any_number_of_workers(tmp_path: Path) -> None:
    crystals = crystals_with(load_materials(), "bulk_modulus_vrh_dft", 110)
    rows = [[f, float(k)] for f, k in zip(crystals.formulas, crystals.column("bulk_modulus_vrh_dft"), strict=True)]
    path = write_json_gz(tmp_path / "a.json.gz", ["composition", "yield strength"], rows)
    one, two = (run_matbench("steels", path, settings=MatbenchSettings(("extra_trees",)), workers=n) for n in (1, 2))
    for fold, other in zip(one.folds, two.folds, strict=True):
        assert fold.scores == other.scores
        assert fold.chosen == other.chosen
