"""Hidden families and elements: what belongs to a family, nothing hidden is trained on, figures, command."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import ATOMIC_NUMBERS, require_elements
from matloop.data.errors import MatloopError
from matloop.models.registry import MODELS
from matloop.workflows import cli
from matloop.workflows.bench import families
from matloop.workflows.bench.chemical_families import FAMILIES
from matloop.workflows.bench.families import (
    FamiliesRun,
    FamiliesSettings,
    HiddenRows,
    coverage_by_distance,
    figures,
    folds_of,
    read_rows,
    run_families,
)
from matloop.workflows.bench.families_report import families_json
from tests.workflows.bench.labelled_tables import CHEAP

FEW = FamiliesSettings(("refractive_index",), rows=400, family="few_trees")


@pytest.fixture(scope="module", autouse=True)
def small_family() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "few_trees", "tests.workflows.bench.few_trees:FewTrees")  # type: ignore[arg-type]
        yield


@pytest.fixture(scope="module")
def few() -> FamiliesRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(families, "folds_of", lambda *rows: folds_of(*rows)[:2] + folds_of(*rows)[-1:])
        return run_families(FEW, features=CHEAP)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("LiNbO3", {"oxides of V, Nb, Ta, Mo, W"}),
        ("Zr(WO4)2", {"oxides of V, Nb, Ta, Mo, W", "oxides of Ti, Zr, Hf"}),
        ("Mg2SiO4", {"phosphates and silicates"}),
        ("CaCO3", {"borates, carbonates, nitrates"}),
        ("NaInS2", {"alkali chalcogenides", "chalcogenides of p-block metals"}),
        ("BaF2", {"halides of alkaline earths", "fluorides"}),
        ("KBr", {"chlorides, bromides, iodides of alkali metals"}),
        ("GaN", {"nitrides"}),
        ("NH4Cl", set()),
        ("TiB2", {"borides and carbides"}),
        ("NiAl", {"intermetallics of Al, Ga, In"}),
        ("ZrW2", {"intermetallics without Al, Ga, In"}),
        ("LaNi5", {"compounds of lanthanides", "intermetallics without Al, Ga, In"}),
        ("Cu", set()),
        ("MgO", set()),
    ],
)
def test_compounds_belong_to_the_families_a_chemist_would_name(formula: str, expected: set[str]) -> None:
    elements = CandidateBatch.from_formulas([formula]).batch.compositions.element_mask()
    assert {family.name for family in FAMILIES if family.contains(elements)[0]} == expected


def test_no_formula_of_a_hidden_family_or_element_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    data = read_rows("refractive_index", FEW, features=CHEAP)
    assert len(data.target) <= 400
    trained: list[np.ndarray[Any, Any]] = []
    original = families.ModelChoice.fit

    def recorded(self: Any, data: Any, rows: Any, *, seed: int) -> Any:
        trained.append(rows)
        return original(self, data, rows, seed=seed)

    monkeypatch.setattr(families.ModelChoice, "fit", recorded)
    folds = folds_of(data.features.elements, data.groups)
    kinds = {fold.kind: fold for fold in folds}
    for fold in kinds.values():
        families.predict_hidden(data, FEW, fold)
        hidden = np.unique(np.concatenate(list(fold.members.values())))
        assert not set(data.groups[hidden]) & set(data.groups[trained[-1]])
        assert len(hidden) >= 20
    for symbol, rows in kinds["elements"].members.items():
        assert data.features.elements[rows, ATOMIC_NUMBERS[symbol]].all()
        assert not data.features.elements[trained[-1], ATOMIC_NUMBERS[symbol]].any()


def test_figures_of_hidden_rows() -> None:
    truth = np.arange(40.0)
    predicted = np.where(truth < 10, np.nan, truth + 1)
    in_domain = truth >= 20
    hidden = HiddenRows(
        "V", 100, 5.0, truth, predicted, np.isin(truth, [15.0, *range(20, 38)]), in_domain, truth / 40, 0.9
    )
    found = figures([hidden], sign=1)
    assert found["rows"] == 40
    assert found["refused"] == found["outside"] == 0.25
    assert found["mae"] == 1
    assert found["mae_of_mean"] == pytest.approx(np.abs(np.arange(10, 40) - 5).mean())
    assert (found["rows_in_domain"], found["coverage_in_domain"], found["coverage_outside"]) == (20, 0.9, 0.1)
    assert found["coverage_interval"] == pytest.approx((0.683, 0.988), abs=1e-3)  # 18 of 20, tables of Clopper-Pearson
    near = {one["within"]: one for one in coverage_by_distance([hidden])}
    assert near[0.6]["share"] == 15 / 40
    assert near[0.6]["coverage"] == 6 / 15
    assert found["enrichment"] == 10
    assert figures([hidden], sign=-1)["enrichment"] == 0  # the lowest are refused, and refused rows come last
    refused = hidden._replace(predicted=np.full(40, np.nan), in_domain=np.zeros(40, bool))
    found = figures([refused], sign=1)
    assert (found["refused"], found["mae"], found["coverage_in_domain"], found["enrichment"]) == (1, None, None, None)


def test_results_are_counted_once_and_repeat(few: FamiliesRun) -> None:
    result = families_json(few)["properties"]["refractive_index"]
    assert len(result["families"]) == 2
    assert result["all"]["rows"] == sum(
        one["rows"] for kind in ("families", "elements") for one in result[kind].values()
    )
    for one in [*result["families"].values(), *result["elements"].values()]:
        assert one["rows"] >= one["rows_in_domain"]
        assert 0 < one["trained"] < result["rows"]
    assert result["all_families"]["outside"] <= 1


def test_counts_below_and_above_tell_chance_from_more(few: FamiliesRun) -> None:
    def of(inside: int, rows: int) -> HiddenRows:
        ones = np.ones(rows)
        return HiddenRows("V", 100, 0.0, ones, ones, np.arange(rows) < inside, ones > 0, ones, 1.0)

    one = few.properties["refractive_index"]
    counts = [(16, 20), (80, 120), (20, 20), (400, 400), (18, 20), (0, 19)]
    changed = one._replace(families=[of(*count)._replace(name=str(k)) for k, count in enumerate(counts)], elements=[])
    held = families_json(few._replace(properties={"refractive_index": changed}))["properties"]["refractive_index"][
        "held"
    ]
    assert held == {"counted": 5, "between": 1, "below": 2, "above": 2, "surely_below": 1, "surely_above": 1}


def test_fewer_folds_are_spread_over_both_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[families.Fold] = []

    def predicted(data: Any, settings: Any, fold: families.Fold) -> Any:
        fitted.append(fold)
        return [], 0.0

    monkeypatch.setattr(families, "predict_hidden", predicted)
    run_families(replace(FEW, folds=2), features=CHEAP)
    data = read_rows("refractive_index", FEW, features=CHEAP)
    every = folds_of(data.features.elements, data.groups)
    kinds = [[list(fold.members) for fold in every if fold.kind == kind] for kind in ("families", "elements")]
    assert [list(fold.members) for fold in fitted] == [kinds[0][0], kinds[0][-1], kinds[1][0], kinds[1][-1]]


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "folds_of", lambda *rows: folds_of(*rows)[:2])
    calls = []
    original = families.predict_hidden

    def stops(*call: Any) -> Any:
        calls.append(call)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*call)

    monkeypatch.setattr(families, "predict_hidden", stops)
    with pytest.raises(KeyboardInterrupt):
        run_families(FEW, folder=tmp_path, features=CHEAP)
    stopped = run_families(FEW, folder=tmp_path, features=CHEAP)
    assert len(calls) == 3
    whole = run_families(FEW, features=CHEAP)
    for one, other in zip(
        families_json(stopped)["properties"].values(), families_json(whole)["properties"].values(), strict=True
    ):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"properties": ("colour",)}, "unknown packaged property 'colour'"), ({"rows": 10}, "--rows 10")],
)  # fmt: skip
def test_settings_are_checked(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(MatloopError, match=said):
        FamiliesSettings(**settings)


def test_command_writes_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], few: FamiliesRun
) -> None:
    asked: list[FamiliesSettings] = []

    def ran(settings: FamiliesSettings, **_: Any) -> FamiliesRun:
        asked.append(settings)
        return few

    monkeypatch.setattr(families, "run_families", ran)
    words = "bench families --property refractive_index --rows 400 --family few_trees --output"
    monkeypatch.setattr(sys, "argv", ["matloop", *words.split(), str(tmp_path)])
    (tmp_path / "unfinished").mkdir()
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code in (0, None)
    assert asked == [FEW]
    printed = capsys.readouterr().out
    assert "all families" in printed
    assert few.properties["refractive_index"].families[0].name in printed
    written = json.loads((tmp_path / "families.json").read_text())
    assert (
        written["command"]
        == "matloop bench families --property refractive_index --rows 400 --family few_trees --seed 0"
    )
    assert require_elements(list(written["properties"]["refractive_index"]["elements"]))
