"""Intervals from held-out formulas and hidden clusters: what is hidden, how new rows are, coverage there."""

from typing import Any

import numpy as np
import pytest

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.domain_limit import decide_limit, evidence_at_limits
from matloop.models.surrogates.held_out import Rows
from matloop.models.surrogates.hidden_chemistry import (
    FEWEST_ROWS,
    OF_FORMULAS,
    OF_TWINS,
    CalibrationRows,
    calibration_rows,
)
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.unseen_elements import UnseenElements
from matloop.models.surrogates.widening import KEPT, choose_widening


def crystals(count: int, *, seed: int) -> Rows:
    """Rows in six regions of feature space, each with an element of its own; two rows to a formula."""
    random = np.random.default_rng(seed)
    region = random.integers(6, size=count // 2).repeat(2)
    centre = np.random.default_rng(1).normal(scale=2.0, size=(6, 4))
    values = centre[region] + random.normal(size=(count, 4))
    elements = np.zeros((count, 119), bool)
    elements[:, 8] = elements[np.arange(count), 20 + region] = True
    target = values @ [1.0, 0.5, -0.5, 0.2] + 1.5 * np.sin(region) + 0.1 * random.normal(size=count)
    return Rows(values, target, np.arange(count) // 2, elements)


def test_rows_are_predicted_again_and_nothing_like_them_was_seen() -> None:
    rows = crystals(400, seed=0)
    seen: list[np.ndarray[Any, Any]] = []

    class Recorded(ExtraTrees):
        def fit(self, values: Any, target: Any, *, groups: Any = None) -> "Recorded":
            seen.append(groups)
            super().fit(values, target, groups=groups)
            return self

    domain = Domain.fit(rows.values, np.full(4, 0.25), rows.groups)
    nothing = np.zeros(400)
    found = calibration_rows(rows, domain, lambda: Recorded(trees=5), mean=nothing, spread=nothing)
    again = found.row[found.hidden]
    assert found.row[:400].tolist() == list(range(400))
    clusters = found.row[(found.group >= 0) & (found.group < 5)]
    assert sorted(clusters) == list(range(400))
    of_elements = [found.row[found.group == number] for number in range(5, 10)]
    assert sum(len(rows) for rows in of_elements) == found.hidden.sum() - 400
    for held in of_elements:
        elements = np.flatnonzero(rows.elements[held].all(axis=0))[1:]  # the first is in all rows
        assert len(elements) == 1
        assert sorted(held) == np.flatnonzero(rows.elements[:, elements[0]]).tolist()
    assert found.unseen[found.group >= 5].all()
    assert not found.unseen[~found.hidden].any()
    assert (found.distance[found.hidden] >= domain.own[again] - 1e-9).all()
    assert np.median(found.distance[found.hidden]) > 1.5 * np.median(domain.own)
    for groups in seen:
        assert 200 <= len(groups) < 400
    hidden_groups = [set(np.unique(rows.groups)) - set(groups.tolist()) for groups in seen]
    assert set().union(*hidden_groups) == set(rows.groups.tolist())


def test_folds_separate_formulas_and_hold_out_whole_hidden_groups() -> None:
    rows = crystals(400, seed=0)
    domain = Domain.fit(rows.values, np.full(4, 0.25), rows.groups)
    nothing = np.zeros(400)
    found = calibration_rows(rows, domain, lambda: ExtraTrees(trees=2), mean=nothing, spread=nothing)
    folds = list(found.folds(rows.groups))
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(len(found.row)))
    for train, held in folds:
        assert len(train) > 0.2 * len(found.row)
        assert not set(rows.groups[found.row[train]]) & set(rows.groups[found.row[held]])
        assert not set(found.group[train]) & set(found.group[held]) - {OF_FORMULAS, OF_TWINS}


def hidden_examples(held_of_groups: list[np.ndarray[Any, Any]], distances: list[np.ndarray[Any, Any]]) -> Any:
    """100 known rows at distances up to 1, whose intervals all hold, and groups of hidden ones."""
    known = np.linspace(0.01, 1, 100)
    group = np.repeat(np.arange(-1, len(distances)), [100, *map(len, distances)])
    count = len(group)
    examples = CalibrationRows(
        np.zeros(count, int), np.zeros(count), np.zeros(count), np.zeros((count, 6)),
        np.concatenate([known, *distances]), group,
    )  # fmt: skip
    one = np.ones(1)
    domain = Domain(one, one, np.zeros((100, 1), np.float32), 0.95, known, np.zeros((2, 1)), one)
    return domain, examples, np.concatenate([np.ones(100, bool), *held_of_groups])


def test_the_domain_reaches_as_far_as_enough_intervals_of_hidden_rows_hold() -> None:
    distances = np.linspace(0.5, 0.94, 100)
    far_fails, all_fail = distances < 0.79, np.arange(100) % 2 == 0
    good = np.arange(100) % 10 > 0
    for held, share in ((far_fails, 0.85), (all_fail, 0.8), (good, 0.95)):
        start, examples, holds = hidden_examples([held, good], [distances, distances])
        domain = decide_limit(start, examples, holds)
        evidence = evidence_at_limits(domain, examples, holds)
        chosen = [one for one in evidence if one["chosen"]]
        assert [one["share_of_training"] for one in chosen] == [share]
        assert domain.limit == chosen[0]["distance"] == pytest.approx(np.quantile(domain.own, share))
        assert [one["distance"] for one in evidence] == sorted((one["distance"] for one in evidence), reverse=True)
    few = evidence_at_limits(*hidden_examples([np.zeros(19, bool)], [np.full(19, 0.5)]))
    assert [one["groups"] for one in few] == [0, 0, 0, 0]  # too few to be evidence
    domain, examples, known = hidden_examples([], [])
    assert decide_limit(domain, examples, known) == domain
    assert evidence_at_limits(domain, examples, known) == []


def test_the_median_hidden_group_decides_on_the_width_as_far_as_held_out_formulas_allow() -> None:
    distances = [np.full(40, 0.5)] * 3
    _, examples, _ = hidden_examples([np.ones(40, bool)] * 3, distances)
    # An interval holds where the factor is at least what the example needs.
    of_formulas, one_bad_group = np.linspace(0.5, 1.2, 100), np.full(40, 9.0)
    easy, hard = np.linspace(0.5, 0.95, 40), np.linspace(0.5, 1.1, 40)
    for groups, expected in (((easy, easy, one_bad_group), 1.1), ((hard, hard, easy), 1.1), ((hard,) * 3, 1.1)):
        needed = np.concatenate([of_formulas, *groups])
        chosen = choose_widening(examples, np.ones(220, bool), lambda factor, needed=needed: needed <= factor)
        assert KEPT[0] <= chosen.formulas <= KEPT[1]
        assert chosen.factor == pytest.approx(expected, abs=0.051)
    easy_formulas = np.concatenate([np.linspace(0.5, 1.0, 100), *(easy,) * 3])
    assert choose_widening(examples, np.ones(220, bool), lambda factor: easy_formulas <= factor).factor < 1
    assert choose_widening(examples, ~examples.hidden, lambda factor: easy_formulas <= factor).factor == 1
    one_fails = np.concatenate([np.linspace(0.5, 1.0, 100), *(easy, easy, one_bad_group)])
    chosen = choose_widening(examples, np.ones(220, bool), lambda factor: one_fails <= factor)
    assert chosen.factor == 1, "a median does not see the group that fails"


def test_few_rows_are_not_predicted_again() -> None:
    rows = crystals(FEWEST_ROWS - 10, seed=0)
    domain = Domain.fit(rows.values, np.full(4, 0.25), rows.groups)
    nothing = np.zeros(len(rows.target))
    found = calibration_rows(rows, domain, lambda: ExtraTrees(trees=2), mean=nothing, spread=nothing)
    assert not found.hidden.any()


def test_one_of_several_rows_with_the_same_features_is_predicted_by_an_ensemble_that_saw_the_others() -> None:
    rows = crystals(400, seed=0)
    rows = rows._replace(values=rows.values[rows.groups * 2])
    domain = Domain.fit(rows.values, np.full(4, 0.25), rows.groups)
    nothing = np.zeros(400)
    found = calibration_rows(rows, domain, lambda: ExtraTrees(trees=2), mean=nothing, spread=nothing)
    twins = found.group == OF_TWINS
    assert sorted(found.row[twins]) == list(range(400))  # two rows of each: each once, by an ensemble with the other
    assert (found.distance[twins] == 0).all()
    assert sorted(rows.groups[found.row[twins][:200]]) == list(range(200))


def test_formulas_whose_crystals_differ_in_their_features_have_no_twins() -> None:
    """They would be nearer to training rows than a new formula, and calibrate its interval with errors too small."""
    rows = crystals(400, seed=0)
    domain = Domain.fit(rows.values, np.full(4, 0.25), rows.groups)
    nothing = np.zeros(400)
    found = calibration_rows(rows, domain, lambda: ExtraTrees(trees=2), mean=nothing, spread=nothing)
    assert not (found.group == OF_TWINS).any()


def test_intervals_hold_for_another_polymorph_of_a_known_formula() -> None:
    """Features of the composition alone: polymorphs differ, and trees have learned the label of one by heart."""
    random = np.random.default_rng(4)
    groups = np.arange(300).repeat(3)
    values = random.normal(size=(300, 4))[groups]
    target = values.sum(axis=1) + random.normal(scale=0.5, size=900)
    elements = np.zeros((900, 119), bool)
    elements[np.arange(900), 20 + groups % 9] = True
    all_rows = FeatureMatrix(values, tuple("abcd"), "four", elements, np.full(900, ""))
    held = np.arange(0, 450, 3)  # one polymorph of every second formula
    train = np.setdiff1d(np.arange(900), held)
    surrogate = Surrogate.fit(
        "formation_energy_per_atom", all_rows.take(train), target[train], groups[train], parameters={"trees": 20}
    )
    low, high = surrogate.predict(all_rows.take(held)).interval(0.9)
    assert 0.83 <= ((low <= target[held]) & (target[held] <= high)).mean() <= 0.97
    assert 0.86 <= surrogate.card["scores"]["same_features"]["coverage_90"] <= 0.94
    assert surrogate.card["scores"]["coverage_90"] == pytest.approx(0.9, abs=0.04)


def test_compounds_of_a_nonmetal_that_hardly_a_row_has_lie_outside_the_domain() -> None:
    rows = oxides_and_a_few_sulfides(seed=1)
    few = np.r_[:300, 300:305]  # five sulfides
    surrogate = Surrogate.fit(
        "formation_energy_per_atom", matrix(rows).take(few), rows.target[few], rows.groups[few],
        parameters={"trees": 5}, ids=[str(row) for row in few],
    )  # fmt: skip
    oxides, sulfides = matrix(rows).take(np.arange(100)), matrix(rows).take(np.arange(309, 410))
    assert surrogate.predict(oxides).in_domain.mean() > 0.9
    assert not surrogate.predict(sulfides).in_domain.any()
    assert not surrogate.predict_as_new(matrix(rows).take(few[300:]), [str(row) for row in few[300:]]).in_domain.any()
    of_sulfur = np.arange(119) == 16
    transferred = ChemicalSupport.of(rows.elements[few], rows.groups[few], taught=of_sulfur)
    assert not transferred.foreign(sulfides.elements).any()  # computed rows have taught sulfides
    assert not ChemicalSupport.of(rows.elements[200:305], rows.groups[200:305]).foreign(sulfides.elements).any()
    enough = Surrogate.fit("formation_energy_per_atom", matrix(rows), rows.target, rows.groups, parameters={"trees": 5})
    assert enough.predict(sulfides).in_domain.mean() > 0.9
    metals = oxides.elements.copy()
    metals[:, 8] = False  # a metal without training rows is judged by evidence
    metals[:, 28] = True
    assert not surrogate.intervals.support.foreign(metals).any()


def oxides_and_a_few_sulfides(*, seed: int) -> Rows:
    """Rows of four kinds of oxides, and of one kind of sulfides that is a quarter of them."""
    random = np.random.default_rng(seed)
    oxides, count = 300, 410
    values, elements = random.normal(size=(count, 4)), np.zeros((count, 119), bool)
    kind = random.integers(4, size=oxides)
    values[:oxides, 0] += 6 + 4 * kind
    values[:oxides, 1] += 3 * (kind % 2)
    elements[:oxides, 8] = elements[oxides:, 16] = True
    elements[np.arange(count), random.choice([3, 11, 12, 19, 20, 22, 26, 38, 40, 56], size=count)] = True
    target = values.sum(axis=1) + random.normal(scale=0.3, size=count)
    return Rows(values, target, np.arange(count), elements)


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_with_hardly_anything_but_oxides_teach_intervals(seed: int) -> None:
    """All oxides and the cluster of all sulfides were one fold, which left nothing to calibrate it on."""
    rows = oxides_and_a_few_sulfides(seed=seed)
    domain = Domain.fit(rows.values, np.full(4, 0.25), rows.groups)
    nothing = np.zeros(len(rows.target))
    found = calibration_rows(rows, domain, lambda: ExtraTrees(trees=2), mean=nothing, spread=nothing)
    held_out = []
    for train, held in found.folds(rows.groups):
        assert len(train) >= 100
        assert not np.isin(rows.groups[found.row[train]], rows.groups[found.row[held]]).any()
        held_out += held.tolist()
    assert sorted(held_out) == list(range(len(found.row)))
    surrogate = Surrogate.fit(
        "formation_energy_per_atom", matrix(rows), rows.target, rows.groups, parameters={"trees": 5}
    )
    assert 0.85 <= surrogate.card["scores"]["coverage_90"] <= 0.95
    assert np.isfinite(surrogate.predict(matrix(rows)).sigma).all()


def test_support_counts_formulas_not_rows() -> None:
    elements = np.zeros((4, 119), bool)
    elements[:2, [11, 17]] = elements[2, [11, 35]] = elements[3, 29] = True  # NaCl twice, NaBr, Cu
    support = ChemicalSupport.of(elements, np.array([0, 0, 1, 2]))
    counts = np.expm1(support.features(elements))
    np.testing.assert_allclose(counts[:, 0], [1, 1, 1, 1])
    np.testing.assert_allclose(counts[:, 1], [1, 1, 1, 1])
    new = np.zeros((2, 119), bool)
    new[0, [17, 35, 11]] = new[1, [11, 79]] = True  # Na, Cl and Br; Na and Au
    found = support.features(new)
    np.testing.assert_allclose(np.expm1(found[:, 0]), [1, 0])
    np.testing.assert_allclose(np.expm1(found[:, 1]), [0, 0])
    np.testing.assert_allclose(found[:, 2], [np.log(2) * 2 / 3, 0])


def test_support_of_rows_grouped_by_where_they_come_from_counts_their_compounds() -> None:
    elements = np.zeros((400, 119), bool)
    elements[np.arange(400), 20 + np.arange(400) % 10] = True
    paper = np.arange(400) // 10
    elements[::10, 8] = True  # the first compound of each paper is an oxide, nine are sulfides
    elements[:, 16] = ~elements[:, 8]
    support = ChemicalSupport.of(elements, paper)
    assert support.formulas[16, 16] == 360
    assert not support.hardly_seen[[8, 16]].any()


def test_a_part_of_the_rows_hardly_sees_what_all_of_them_hardly_see() -> None:
    rows = oxides_and_a_few_sulfides(seed=1)
    every = np.r_[:300, 300:308]
    some = Rows(rows.values[every], rows.target[every], rows.groups[every], rows.elements[every])
    assert not some.support(np.arange(308)).hardly_seen[16]  # eight of 308 are enough
    train = np.r_[:240, 300:306]  # four fifths
    assert not some.support(train).hardly_seen[16]


def matrix(rows: Rows) -> FeatureMatrix:
    names = tuple("abcd")
    return FeatureMatrix(rows.values, names, "four", rows.elements, np.full(len(rows.target), ""))


def test_intervals_hold_in_a_region_nobody_trained_on() -> None:
    """Each region is hidden in turn, from calibration too."""
    rows = crystals(900, seed=3)
    held, widths, promised = [], [], []
    for region in range(6):
        hidden = rows.elements[:, 20 + region]
        train, new = np.flatnonzero(~hidden), np.flatnonzero(hidden)
        surrogate = Surrogate.fit(
            "band_gap", matrix(rows).take(train), rows.target[train], rows.groups[train], parameters={"trees": 20}
        )
        prediction = surrogate.predict(matrix(rows).take(new))
        assert (prediction.codes == "").all() == surrogate.unseen_elements.predicted
        half = prediction.scale * prediction.calibration.quantile(0.95)[prediction.bins]
        held.append(np.abs(prediction.centre - rows.target[new]) <= half)
        scores = surrogate.card["scores"]
        widths.append(scores["hidden_chemistry"]["width_90"] / scores["width_90"])
        promised.append(scores["hidden_chemistry"]["coverage_90"])
        assert 0.85 <= scores["coverage_90"] <= 0.96
    assert min(widths) > 1
    assert np.concatenate(held).mean() > 0.7
    # The card says nothing better of hidden chemistry, calibrated without its own group, than what then happens.
    assert 0.5 < np.mean(promised) <= np.concatenate(held).mean() + 0.05


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ({"folds": 30, "mae": 0.1, "mae_of_mean": 0.3, "coverage_inside": 0.9}, (True, True)),
        ({"folds": 30, "mae": 0.1, "mae_of_mean": 0.3, "coverage_inside": 0.7}, (True, False)),
        ({"folds": 30, "mae": 0.1, "mae_of_mean": 0.3, "coverage_inside": None}, (True, False)),
        ({"folds": 30, "mae": 0.3, "mae_of_mean": 0.3, "coverage_inside": 0.9}, (True, False)),
        ({"folds": 4, "mae": 0.1, "mae_of_mean": 0.3, "coverage_inside": 0.9}, (False, False)),
        ({"folds": 0, "mae": None, "mae_of_mean": None, "coverage_inside": None}, (False, False)),
    ],
)
def test_evidence_decides_on_unseen_elements(score: dict[str, Any], expected: tuple[bool, bool]) -> None:
    found = UnseenElements.from_scores({"leave_one_element_out": score})
    assert (found.predicted, found.in_domain) == expected
    own = {"leave_one_element_out": score, "unseen_elements_inside": {"rows": 50, "coverage_90": 0.84}}
    assert not UnseenElements.from_scores(own).in_domain  # ensembles like the model's own go first
    elements, known = np.zeros((4, 119), bool), np.zeros(119, bool)
    known[[ATOMIC_NUMBERS["Zn"], ATOMIC_NUMBERS["S"]]] = True
    for row, symbols in enumerate([["Zn", "S"], ["Zn", "Se"], ["He"], ["Zn", "Xe"]]):
        elements[row, [ATOMIC_NUMBERS[symbol] for symbol in symbols]] = True
    assert found.refused(elements, known).tolist() == [False, not found.predicted, True, True]
    assert found.outside(elements, known)[:2].tolist() == [False, not found.in_domain]
