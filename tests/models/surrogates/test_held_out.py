import functools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.held_out import (
    CLUSTERS,
    ElementErrors,
    Rows,
    clusters,
    element_score,
    element_sets,
    held_out_scores,
    leave_elements_out,
    small_ensemble,
)
from matloop.models.surrogates.surrogate import Surrogate

FEW = {"trees": 10, "seed": 0}


def element_matrix(held: np.ndarray) -> np.ndarray:
    elements = np.zeros((len(held), 119), bool)
    elements[:, 1 : held.shape[1] + 1] = held
    return elements


def islands(count: int = 200) -> Rows:
    """Four islands in feature space, each with an element and a value of its own; two rows to a formula."""
    random = np.random.default_rng(6)
    island = np.arange(count) % 4
    values = 100.0 * np.eye(4)[island] + random.normal(size=(count, 4))
    elements = element_matrix(np.eye(4, dtype=bool)[island])
    target = 10.0 * island + 0.1 * random.normal(size=count)
    return Rows(values, target, np.arange(count) // 8 * 4 + island, elements)


def domain_of(rows: Rows) -> Domain:
    return Domain.fit(rows.values, ExtraTrees(trees=10).fit(rows.values, rows.target).importances(), rows.groups)


@given(arrays(bool, st.tuples(st.integers(30, 90), st.integers(1, 8))), st.integers(1, 3))
def test_each_common_element_is_left_out_once_and_never_trained_on(held: np.ndarray, per_group: int) -> None:
    elements, groups = element_matrix(held), np.arange(len(held)) // per_group
    elements = elements[groups * per_group]  # one formula, one set of elements
    sets = element_sets(elements, groups)
    numbers = [number for one in sets for number in one]
    assert len(set(numbers)) == len(numbers)
    formulas = elements[np.unique(groups, return_index=True)[1]].sum(axis=0)
    left = (~elements).sum(axis=0)
    assert sorted(numbers) == np.flatnonzero((formulas >= 10) & (left >= 20)).tolist()
    for one in sets:
        assert len(one) == 1 or elements[:, one].any(axis=1).mean() <= 0.2
        assert (~elements[:, one].any(axis=1)).sum() >= 20


class Witness:
    """Remembers which rows it was fitted on; the first feature of a row is its place."""

    seen: list[set[int]] = []  # noqa: RUF012  # of all that were made

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> "Witness":
        self.rows = set(values[:, 0].astype(int).tolist())
        Witness.seen.append(self.rows)
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert not self.rows & set(values[:, 0].astype(int).tolist())
        return np.zeros(len(values)), np.zeros(len(values))


def test_no_row_of_an_element_is_in_the_training_of_its_prediction() -> None:
    random = np.random.default_rng(0)
    elements = element_matrix(random.random((300, 12)) < np.linspace(0.02, 0.5, 12))
    places = np.column_stack([np.arange(300.0), random.normal(size=300)])
    rows = Rows(places, random.normal(size=300), np.arange(300), elements)
    sets = element_sets(elements, rows.groups)
    domain = Domain.fit(places, np.array([0.0, 1.0]), rows.groups)
    found = list(leave_elements_out(rows, sets, make=Witness, domain_of=lambda train, ensemble: domain))
    assert len(Witness.seen) == len(sets) < len(found)
    for numbers, seen in zip(sets, Witness.seen, strict=True):
        assert seen == set(np.flatnonzero(~elements[:, numbers].any(axis=1)).tolist())
    counts = {one.symbol: len(one.error) for one in found}
    assert counts["Mg"] == elements[:, 12].sum()
    assert all(len(one.error) == len(one.inside) == len(one.error_of_mean) >= 10 for one in found)


def test_an_island_that_is_left_out_is_mispredicted_and_known_to_be_outside() -> None:
    rows = islands()
    scores = held_out_scores(rows, domain_of(rows), family="extra_trees", parameters=FEW)
    one, other = scores["leave_one_element_out"], scores["leave_one_cluster_out"]
    assert scores["held_out_ensemble"]["grouped_mae"] < 0.5
    assert one["mae"] > 5
    assert one["folds"] == one["fits"] == 4
    assert one["rows"] == other["rows"] == 200
    assert one["share_outside"] == 1.0
    assert one["mae_inside"] is None
    assert one["outside_over_inside"] is None
    assert one["mae_outside"] == one["mae"]
    assert {entry["element"] for entry in one["worst"]} == {"H", "He", "Li", "Be"}
    assert [entry["mae"] for entry in one["worst"]] == sorted((e["mae"] for e in one["worst"]), reverse=True)


def test_clusters_are_the_islands_and_formulas_never_stand_on_both_sides() -> None:
    rows = islands()
    labels = clusters(domain_of(rows))
    assert len(np.unique(labels)) == CLUSTERS
    island = np.argmax(rows.elements[:, 1:5], axis=1)
    assert all(len(np.unique(island[labels == label])) == 1 for label in range(CLUSTERS))
    np.testing.assert_array_equal(labels, clusters(domain_of(rows)))
    scores = held_out_scores(rows, domain_of(rows), family="extra_trees", parameters=FEW)["leave_one_cluster_out"]
    assert scores["folds"] == CLUSTERS
    assert {mark for entry in scores["worst"] for mark in entry["elements"]} <= {"H", "He", "Li", "Be"}


def test_ratio_of_errors_counts_each_row_once_for_each_element() -> None:
    errors = [
        ElementErrors("Li", np.array([1.0, 3.0]), np.array([True, False]), np.array([2.0, 2.0])),
        ElementErrors(
            "Be",
            np.array([2.0, 6.0, 6.0]),
            np.array([True, False, False]),
            np.full(3, 7.0),
            np.array([False, True, True]),
        ),
    ]
    score = element_score(errors)
    assert score["mae"] == pytest.approx(18 / 5)
    assert (score["mae_inside"], score["mae_outside"]) == (pytest.approx(1.5), pytest.approx(5.0))
    assert score["outside_over_inside"] == pytest.approx(5 / 1.5)
    assert score["share_outside"] == pytest.approx(0.6)
    assert score["mae_of_mean"] == pytest.approx(25 / 5)
    assert score["coverage_inside"] == 0  # of the rows whose intervals are known
    assert score["worst"][0] == {"element": "Be", "rows": 3, "mae": pytest.approx(14 / 3)}


def test_nothing_to_leave_out() -> None:
    values = np.ones((60, 3))
    rows = Rows(values, np.arange(60.0), np.arange(60), element_matrix(np.ones((60, 2), bool)))
    domain = Domain.fit(values, np.full(3, 1 / 3), rows.groups)
    scores = held_out_scores(rows, domain, family="extra_trees", parameters=FEW)
    for name in ("leave_one_cluster_out", "leave_one_element_out"):
        assert (scores[name]["mae"], scores[name]["folds"], scores[name]["worst"]) == (None, 0, [])
    json.dumps(scores, allow_nan=False)


def test_small_ensembles() -> None:
    assert small_ensemble("extra_trees", {"trees": 5, "feature_share": 0.3}).parameters["trees"] == 5
    assert small_ensemble("boosted_trees", {"boosters": 8, "rounds": 60}).parameters == {"boosters": 1, "rounds": 60}
    stand_in = small_ensemble("gaussian_process", {"seed": 4})
    assert stand_in == ("extra_trees", {"seed": 4, "trees": 10}, "gaussian_process")
    assert stand_in.make().parameters["seed"] == 4


def test_a_family_without_cheap_fits_has_a_stand_in() -> None:
    rows = islands()
    trees, process = (
        held_out_scores(rows, domain_of(rows), family=family, parameters={"seed": 0})
        for family in ("extra_trees", "gaussian_process")
    )
    assert trees["held_out_ensemble"].pop("stands_in_for") is None
    assert process["held_out_ensemble"].pop("stands_in_for") == "gaussian_process"
    assert trees == process


def test_every_card_has_the_scores(synthetic: Any) -> None:
    part = synthetic.take(np.arange(600))
    settings = {"boosters": 2, "rounds": 20}
    fit = functools.partial(Surrogate.fit, "band_gap", *part, family="boosted_trees", parameters=settings)
    card = fit().card
    scores = card["scores"]
    assert scores["leave_one_element_out"]["folds"] == 10  # oxygen is in all rows and cannot be left out
    assert scores["leave_one_cluster_out"]["mae"] > 0.9 * scores["held_out_ensemble"]["grouped_mae"]
    assert scores["held_out_ensemble"]["parameters"] == {**card["parameters"], "boosters": 1}
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores == fit().card["scores"]
