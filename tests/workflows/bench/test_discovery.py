"""Replay of labelled data: arithmetic of its figures, a known target, labels of no meaning, rounds, page, command."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sklearn.metrics import f1_score, precision_score, recall_score

from matloop.data.errors import MatloopError
from matloop.models.registry import MODELS
from matloop.workflows import cli
from matloop.workflows.bench.discovery import DiscoveryRun, judge, run_discovery
from matloop.workflows.bench.discovery_report import discovery_json, print_discovery, render_discovery
from matloop.workflows.bench.discovery_rounds import measure, next_batch
from matloop.workflows.bench.discovery_settings import DiscoverySettings, ranked, wanted_range
from matloop.workflows.bench.labelled import ModelChoice, read_labelled
from matloop.workflows.bench.seeds import grouped_split
from tests.workflows.bench.labelled_tables import CHEAP, electrons, labelled_with, named, some_formulas, write_labels

FORMULAS = some_formulas(400)
FEW = ModelChoice("few_trees")


@pytest.fixture(scope="module", autouse=True)
def small_family() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "few_trees", "tests.workflows.bench.few_trees:FewTrees")  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="module")
def planted_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    formulas = [*FORMULAS, "Xx"]
    labels = np.append(electrons(FORMULAS), 1.0)
    return write_labels(tmp_path_factory.mktemp("planted") / "planted.parquet", formulas, labels)


@pytest.fixture(scope="module")
def planted(planted_file: Path) -> DiscoveryRun:
    """Labels that follow from the features."""
    data = read_labelled(str(planted_file), "band_gap", features=CHEAP)
    return run_discovery(data, DiscoverySettings(top=0.1, seeds=3, batch=10, rounds=3, model=FEW))


def test_a_known_target_is_found(planted: DiscoveryRun) -> None:
    reached = []
    for seed in planted.seeds:
        best, hits = seed.shortlists["most probable"], seed.prevalence * seed.pool
        limit = min(best["chosen"], hits) / best["chosen"] / seed.prevalence  # of a perfect order
        assert best["daf"] <= limit + 1e-9
        reached.append(best["daf"] / limit)
        assert seed.found[0] == 0
        assert seed.found[-1] == 1
        assert (np.diff(seed.found) >= 0).all()
        assert seed.found[25] > 0.9  # of the hits within a quarter of the pool
    assert np.mean(reached) > 0.8


def test_figures_of_a_seed_fit_together(planted: DiscoveryRun) -> None:
    for seed in planted.seeds:
        hits = seed.prevalence * seed.pool
        assert seed.labelled + seed.pool == len(planted.data.target)
        assert seed.shortlists["most probable"]["chosen"] == round(0.1 * seed.pool)
        for figures in seed.shortlists.values():
            assert figures["recall"] * hits == pytest.approx(figures["found"])
            if figures["chosen"]:
                assert figures["daf"] == pytest.approx(figures["precision"] / seed.prevalence)
        for k, (found, at_random) in seed.hits_at.items():
            assert found <= min(k, round(hits))
            assert at_random == pytest.approx(k * seed.prevalence)


def test_labels_of_no_meaning_give_no_acceleration(tmp_path: Path) -> None:
    """Each table has labels of its own: splits of one table share what its labels happen to hold."""
    factors, enhancements = [], []
    for draw in range(6):
        labels = np.random.default_rng(draw).random(len(FORMULAS))
        data = read_labelled(
            str(write_labels(tmp_path / f"{draw}.parquet", FORMULAS, labels)), "band_gap", features=CHEAP
        )
        settings = DiscoverySettings(top=0.2, seeds=2, batch=30, rounds=1, model=FEW)
        result = discovery_json(run_discovery(data, settings))
        factors.append(result["mean"]["shortlists"]["most probable"]["daf"]["mean"])
        enhancements.append(result["rounds"]["enhancement"]["mean"])
        assert result["mean"]["shortlists"]["conformal selection"]["chosen"]["mean"] < 3
    for values in (factors, enhancements):
        assert abs(np.mean(values) - 1) < 3 * np.std(values, ddof=1) / np.sqrt(len(values)) + 0.05


def test_low_values_can_be_wanted(planted: DiscoveryRun) -> None:
    mirrored = labelled_with(planted.data, 15.5 - planted.data.target)
    settings = DiscoverySettings(direction="min", top=0.1, seeds=2, model=FEW)
    low = run_discovery(mirrored, settings)
    for seed, other in zip(low.seeds, planted.seeds, strict=False):
        assert seed.threshold == pytest.approx(15.5 - other.threshold)
        assert seed.prevalence == other.prevalence
        assert seed.shortlists["most probable"]["daf"] > 0.6 / seed.prevalence


def test_the_threshold_is_that_of_labelled_rows_only(planted: DiscoveryRun) -> None:
    data, settings = planted.data, DiscoverySettings(top=0.1, seeds=1, model=FEW)
    train, pool = grouped_split(data.groups, 0.5, seed=0)
    assert not set(data.groups[train]) & set(data.groups[pool])
    spoilt = data.target.copy()
    spoilt[pool] = 19.0
    other = run_discovery(labelled_with(data, spoilt), settings).seeds[0]
    assert other.threshold == planted.seeds[0].threshold == np.sort(data.target[train])[-round(0.1 * len(train))]
    assert other.prevalence == 1
    for name, figures in planted.seeds[0].shortlists.items():
        assert other.shortlists[name]["chosen"] == figures["chosen"]  # truths of the pool change no choice


def test_rounds_find_the_best_sooner_than_chance(planted: DiscoveryRun) -> None:
    for seed in planted.seeds:
        assert seed.rounds is not None
        assert (np.diff(seed.rounds.evaluated) >= 10).all()
        assert (np.diff(seed.rounds.found) >= 0).all()
        assert seed.rounds.acceleration[1] > 3
        assert seed.rounds.enhancement[0] == pytest.approx(
            seed.rounds.found[1] / seed.rounds.best * seed.rounds.pool / seed.rounds.evaluated[1]
        )


def test_a_pool_without_a_hit_has_no_acceleration(planted: DiscoveryRun) -> None:
    data = planted.data
    _, pool = grouped_split(data.groups, 0.5, seed=0)
    target = data.target.copy()
    target[pool] = 0.0
    run = run_discovery(labelled_with(data, target), DiscoverySettings(top=0.05, seeds=1, rounds=1, model=FEW))
    result = discovery_json(run)
    assert result["seeds_without_a_hit"] == 1
    assert result["mean"]["shortlists"]["most probable"]["daf"]["mean"] is None
    json.dumps(result, allow_nan=False)
    assert "no recall and no DAF" in render_discovery(run, result)


def test_elements_new_to_the_model_are_counted_and_ranked_last(planted: DiscoveryRun) -> None:
    data = planted.data
    _, pool = grouped_split(data.groups, 0.5, seed=0)
    elements = data.features.elements.copy()
    elements[:, 118] = False
    elements[pool[:7], 118] = True
    features = type(data.features)(
        data.features.values, data.features.names, data.features.fingerprint, elements, data.features.codes
    )
    before, after = (
        run_discovery(d, DiscoverySettings(top=0.1, seeds=1, model=FEW)).seeds[0]
        for d in (data, data._replace(features=features))
    )
    assert before.not_predicted < after.not_predicted <= before.not_predicted + 7
    assert after.prevalence == before.prevalence
    assert after.pool == before.pool


masks = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)] * 2)
)


@given(masks)
def test_figures_of_a_shortlist_are_those_of_sklearn(pair: tuple[Any, Any]) -> None:
    chosen, hit = pair
    figures = judge(chosen, hit)
    if chosen.any():
        assert figures["precision"] == pytest.approx(precision_score(hit, chosen, zero_division=0))
        assert figures["false_discovery"] == pytest.approx(1 - figures["precision"])
    else:
        assert np.isnan(figures["precision"])
        assert figures["false_discovery"] == 0
    if hit.any():
        assert figures["recall"] == pytest.approx(recall_score(hit, chosen, zero_division=0))
        assert figures["f1"] == pytest.approx(f1_score(hit, chosen, zero_division=0))
    if hit.any() and chosen.any():
        assert figures["daf"] == pytest.approx(figures["precision"] / hit.mean())


def test_a_perfect_shortlist_reaches_the_limit() -> None:
    hit = np.arange(200) < 10
    assert judge(hit, hit) == {
        "chosen": 10, "found": 10, "precision": 1, "recall": 1, "f1": 1, "daf": 20, "false_discovery": 0
    }  # fmt: skip
    assert judge(np.ones(200, bool), hit)["daf"] == 1


def test_random_orders_have_an_acceleration_of_one() -> None:
    random, evaluations = np.random.default_rng(0), []
    best = np.arange(100) < 8
    for _ in range(4000):
        done = measure(random.permutation(best), np.array([0, 50, 100]), pool=100, best=8)
        evaluations.append(done.evaluations)
        assert done.enhancement[-1] == pytest.approx(1)
    expected = (done.acceleration * done.evaluations).tolist()  # evaluations of a random order
    np.testing.assert_allclose(np.mean(evaluations, axis=0), expected, rtol=0.03)


def test_the_perfect_order_and_shares_not_reached() -> None:
    done = measure(np.array([True] * 4), np.array([0, 4]), pool=80, best=8)
    np.testing.assert_array_equal(done.evaluations, [2, 4, np.nan])
    assert done.enhancement[0] == pytest.approx(10)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(1, 30), st.integers(0, 9))
def test_batches_hold_whole_formulas(groups: list[int], size: int, seed: int) -> None:
    own = np.array(groups)
    rows = np.random.default_rng(seed).permutation(len(own))
    chosen = next_batch(rows, own, size)
    assert len(set(chosen)) == len(chosen) >= min(size, len(own))
    assert not set(own[chosen]) & set(np.delete(own, chosen))
    assert chosen[0] == rows[0]


def test_ranges_and_ranking() -> None:
    values = np.random.default_rng(1).permutation(200.0 + np.arange(200))
    low, high = wanted_range(values, 0.05, "max")
    assert (values >= low).sum() == 10
    assert high == np.inf
    assert ranked(np.array([np.nan, -np.inf, 0.3])).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("option", "value"),
    [("top", 0.0), ("top", 0.5), ("top", float("nan")), ("labelled", 1.0), ("direction", "up"), ("seeds", 0),
     ("batch", 0), ("rounds", -1), ("shortlist", 0), ("max_false_discovery", 1.0)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(MatloopError, match=f"--{option.replace('_', '-')}"):
        DiscoverySettings(**{option: value})


def test_same_seeds_same_json(planted: DiscoveryRun, planted_file: Path) -> None:
    again = read_labelled(str(planted_file), "band_gap", features=CHEAP)
    results = [discovery_json(run) for run in (planted, run_discovery(again, planted.settings))]
    texts = [json.dumps({k: v for k, v in result.items() if k != "seconds"}, allow_nan=False) for result in results]
    assert texts[0] == texts[1]


def test_json_says_what_was_done(planted: DiscoveryRun, planted_file: Path) -> None:
    result = discovery_json(planted)
    assert result["rows"] == 401
    assert result["rows_used"] + sum(result["rows_left_out"].values()) == 401
    assert result["rows_left_out"] == {"E-FORMULA-ELEMENT": 1}
    assert result["command"].startswith("matloop bench discovery --data planted.parquet --property band_gap")
    assert str(planted_file.parent) not in json.dumps(result)
    assert len(result["by_seed"]) == 3
    daf = [entry["shortlists"]["most probable"]["daf"] for entry in result["by_seed"]]
    assert result["mean"]["shortlists"]["most probable"]["daf"]["mean"] == pytest.approx(np.mean(daf))
    assert set(result["machine"]) == {"processor", "cores", "system", "python", "versions"}


def test_page_is_whole_fetches_nothing_and_escapes_names(planted: DiscoveryRun) -> None:
    run = planted._replace(data=named(planted.data, "<script>alert(1)</script>.csv"))
    html = render_discovery(run, discovery_json(run))
    assert "&lt;script&gt;alert(1)" in html
    outside_scripts = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "alert(1)</script>" not in outside_scripts
    assert not re.search(r'(?:src|href)="(?!#)', outside_scripts)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy.count("sha256-") == 2
    figures = json.loads(re.findall(r'id="report-data">(.*?)</script>', html)[0])["figures"]
    assert set(figures) == set(re.findall(r'data-figure="(\w+)"', outside_scripts)) == {"found", "daf", "rounds"}
    assert "E-FORMULA-ELEMENT" in html


def test_what_is_printed(planted: DiscoveryRun) -> None:
    console = Console(width=140, file=io.StringIO(), no_color=True)
    print_discovery(planted, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "400 of 401 rows used" in text
    assert "left out: 1" in text
    for name in planted.seeds[0].shortlists:
        assert re.search(rf"^{name} ", text, re.MULTILINE)
    assert "3 rounds of 10" in text


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["matloop", "bench", *arguments])
    monkeypatch.setenv("COLUMNS", "140")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_command_writes_where_it_says(
    planted_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    options = [
        "--data", str(planted_file), "--property", "band_gap", "--top", "10%", "--seeds", "1", "--family", "few_trees",
        "--features", "stoichiometry", "--features", "valence_orbital", "--output", str(folder),
    ]  # fmt: skip
    assert run_command(monkeypatch, "discovery", *options) == 0
    assert f"Report: {folder / 'report.html'}" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"discovery.json", "report.html"}
    result = json.loads((folder / "discovery.json").read_text("utf-8"))
    assert result["settings"]["top"] == 0.1
    assert result["features"] == list(CHEAP)
    assert run_command(monkeypatch, "discovery", *options) == 1
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--property", "bandgap", "did you mean 'band_gap'"),
        ("--top", "60%", "a share above 0 and below 0.5"),
        ("--top", "many", "a share such as 1%"),
        ("--labelled", "2%", "at least 20 rows"),
        ("--family", "trees", "unknown model 'trees'"),
    ],
)
def test_command_refuses_with_a_code(
    planted_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    option: str, value: str, words: str,
) -> None:  # fmt: skip
    options = {
        "--data": str(planted_file), "--property": "band_gap", "--features": "stoichiometry", "--seeds": "1",
        "--output": str(tmp_path / "out"), option: value,
    }  # fmt: skip
    assert run_command(monkeypatch, "discovery", *(word for pair in options.items() for word in pair)) == 1
    told = capsys.readouterr().err
    assert words in told
    assert re.search(r"matloop: E-[A-Z-]+: ", told)


@pytest.mark.slow
def test_same_figures_for_any_number_of_workers(planted: DiscoveryRun) -> None:
    settings = DiscoverySettings(top=0.1, seeds=2)  # a family that workers can import
    results = [discovery_json(run_discovery(planted.data, settings, workers=workers)) for workers in (1, 2)]
    assert results[0]["by_seed"] == results[1]["by_seed"]
