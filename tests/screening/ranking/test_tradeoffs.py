"""Scores of objectives against published examples, closed formulas and what must not change them."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.errors import UnitError, UnknownNameError
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.ranking.desirability import desirability_of_values, overall_desirability
from matloop.screening.ranking.non_dominated import non_dominated_probability, standard_error
from matloop.screening.ranking.objectives import ObjectiveColumn, objectives_of, unknown_objectives
from matloop.screening.ranking.topsis import topsis_closeness
from matloop.screening.ranking.tradeoffs import TRADEOFFS, criterion_of
from tests.workflows.conftest import campaign

OBJECTIVES = (ObjectiveColumn("n", "n", weight=2.0, worst=1.0, best=3.0),
              ObjectiveColumn("price", "price", is_maximized=False, worst=100.0, best=1.0))  # fmt: skip


def test_topsis_ranks_the_fighter_aircraft_of_its_authors() -> None:
    """Hwang and Yoon 1981: four aircraft by six attributes; speed, range, load, cost, reliability, manoeuvrability."""
    aircraft = np.array([
        [2.0, 1500, 20000, 5.5, 5, 9], [2.5, 2700, 18000, 6.5, 3, 5],
        [1.8, 2000, 21000, 4.5, 7, 7], [2.2, 1800, 20000, 5.0, 5, 5],
    ])  # fmt: skip
    weights, maximized = [0.2, 0.1, 0.1, 0.1, 0.2, 0.3], [True, True, True, False, True, True]
    closeness = topsis_closeness(aircraft, weights=weights, maximized=maximized)
    assert closeness == pytest.approx([0.643, 0.268, 0.613, 0.312], abs=0.001)


def test_desirability_of_the_tyre_tread_of_its_authors() -> None:
    """Derringer and Suich 1980: abrasion of 129.5 between 120 and 170, and a mean of four of 0.583."""
    abrasion, modulus = desirability_of_values(np.array([[129.5, 1300.0]]), worst=[120, 1000], best=[170, 1300])[0]
    assert (abrasion, modulus) == (pytest.approx(0.189, abs=0.002), 1.0)
    each = np.array([[abrasion, modulus, 0.656, 0.932]])
    assert overall_desirability(each, weights=[1, 1, 1, 1]) == pytest.approx([0.583], abs=0.002)


def test_desirability_ends_at_its_limits() -> None:
    small = desirability_of_values(np.array([[0.5], [1.0], [50.5], [100.0], [500.0]]), worst=[100], best=[1])
    assert small.ravel().tolist() == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert desirability_of_values(np.array([[50.5]]), worst=[1], best=[100], shape=[2]).item() == pytest.approx(0.25)
    assert np.isnan(overall_desirability(np.array([[np.nan, 1.0]]), weights=[1, 1])).all()


@given(st.integers(0, 1000), st.integers(2, 30))
def test_topsis_does_not_depend_on_units(seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    values, options = random.lognormal(size=(rows, 3)), {"weights": [1, 2, 3], "maximized": [True, False, True]}
    closeness = topsis_closeness(values, **options)
    assert topsis_closeness(values * [1e3, 1, 1e-6], **options) == pytest.approx(closeness)
    assert ((closeness >= 0) & (closeness <= 1)).all()
    better = values.copy()
    better[0] *= [1.5, 0.5, 1.5]
    assert topsis_closeness(better, **options)[0] >= closeness[0] - 1e-12


def test_topsis_of_equal_candidates_and_of_unknown_values() -> None:
    assert topsis_closeness(np.ones((2, 2)), weights=[1, 1], maximized=[True, True]).tolist() == [1.0, 1.0]
    closeness = topsis_closeness(np.array([[1.0, np.nan], [1, 2], [2, 1]]), weights=[1, 1], maximized=[True, True])
    assert np.isnan(closeness[0])
    assert closeness[1:].tolist() == topsis_closeness(
        np.array([[1.0, 2], [2, 1]]), weights=[1, 1], maximized=[True, True]
    ).tolist()  # fmt: skip


def test_probability_of_being_unbeaten_is_that_of_the_closed_formula() -> None:
    """Two candidates in one objective: the better one in the mean is better with the probability Phi(d / s sqrt 2)."""
    gains, deviations = np.array([[1.0], [0.0]]), np.full((2, 1), 0.8)
    found = non_dominated_probability(gains, deviations, ["a", "b"])
    expected = 0.5 * (1 + math.erf(1.0 / (0.8 * math.sqrt(2)) / math.sqrt(2)))
    assert found[0] == pytest.approx(expected, abs=4 * standard_error(np.array([expected]))[0])
    assert found.sum() == pytest.approx(1.0)


def test_draws_do_not_depend_on_order_and_follow_the_seed() -> None:
    random = np.random.default_rng(0)
    gains, deviations = random.random((30, 3)), random.random((30, 3))
    ids = [f"x{at:02}" for at in range(30)]
    found = non_dominated_probability(gains, deviations, ids, draws=50)
    order = random.permutation(30)
    again = non_dominated_probability(gains[order], deviations[order], [ids[row] for row in order], draws=50)
    assert again.tolist() == found[order].tolist()
    assert non_dominated_probability(gains, deviations, ids, draws=50, seed=1).tolist() != found.tolist()
    certain = non_dominated_probability(gains, np.zeros((30, 3)), ids, draws=3)
    assert set(certain.tolist()) == {0.0, 1.0}


def test_candidates_far_behind_are_not_drawn() -> None:
    gains = np.column_stack([np.arange(10.0)] * 2)
    found = non_dominated_probability(gains, np.full((10, 2), 5.0), [str(at) for at in range(10)], most=3)
    assert (found[:7] == 0).all()
    assert (found[7:] > 0).all()


def candidates(**columns: list[Any]) -> pa.Table:
    ids = [f"x{at}" for at in range(len(next(iter(columns.values()))))]
    return pa.table({"candidate_id": ids, **columns})


@pytest.mark.parametrize("name", TRADEOFFS)
def test_an_unknown_fact_is_never_good(name: str) -> None:
    table = candidates(n=[2.0, 2.9, 2.5], price=[50.0, None, 10.0])
    criterion = TRADEOFFS[name](OBJECTIVES)
    assert np.isnan(criterion.scores(table)).tolist() == [False, True, False]
    assert criterion.order(table).tolist() == [2, 0]
    assert unknown_objectives(OBJECTIVES, table) == ["", "price", ""]
    assert unknown_objectives(OBJECTIVES, candidates(n=[1.0])) == ["price"]


@pytest.mark.parametrize("name", TRADEOFFS)
def test_equal_scores_follow_probability_and_then_the_id(name: str) -> None:
    table = candidates(n=[2.0] * 3, price=[5.0] * 3, probability=[0.1, 0.3, 0.3])
    assert TRADEOFFS[name](OBJECTIVES).order(table).tolist() == [1, 2, 0]


def of_campaign(*objectives: dict[str, Any], criterion: str = "topsis") -> Campaign:
    return campaign(ranking={"criterion": criterion, "objectives": list(objectives)})


def test_objectives_are_properties_scores_and_what_candidates_bring() -> None:
    found = objectives_of(of_campaign(
        {"name": "refractive_index", "goal": "maximize"}, {"name": "price_per_mole", "goal": "minimize"},
        {"name": "band_gap_exp", "goal": "maximize", "unit": "meV", "worst": 500, "best": 2500},
    ))  # fmt: skip
    assert [(one.column, one.sigma, one.unit) for one in found] == [
        ("refractive_index_pred", "refractive_index_sigma", "1"), ("price_per_mole", "", "USD/mol"),
        ("band_gap_exp", "", "eV"),
    ]  # fmt: skip
    assert (found[2].worst, found[2].best) == (0.5, 2.5)


@pytest.mark.parametrize(
    ("objective", "error"),
    [
        ({"name": "band_gap", "goal": "maximize"}, UnknownNameError),  # no target, so it is not predicted
        ({"name": "suply_risk", "goal": "minimize"}, UnknownNameError),
        ({"name": "supply_risk", "goal": "minimize", "unit": "eV", "worst": 1, "best": 0}, UnitError),
    ],
)
def test_objectives_that_do_not_exist_are_refused(objective: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        criterion_of(of_campaign(objective, {"name": "refractive_index", "goal": "maximize"}))


N, PRICE = {"name": "refractive_index", "goal": "maximize"}, {"name": "price_per_mole", "goal": "minimize"}


@pytest.mark.parametrize(
    ("criterion", "objectives", "message"),
    [
        ("topsis", [N], "weighs two objectives at least"),
        ("topsis", [N, N], "two objectives 'refractive_index'"),
        ("most_probable", [N, PRICE], "takes no objectives"),
        ("desirability", [N, PRICE], "needs 'worst', 'best' and 'unit'"),
        ("topsis", [{**N, "worst": 1.0}, PRICE], "go together"),
        ("topsis", [{**N, "worst": 1.0, "best": 2.0}, PRICE], "need a 'unit'"),
        ("topsis", [{**N, "worst": 2.0, "best": 1.0, "unit": "1"}, PRICE], "'best' is the larger"),
        ("topsis", [{**PRICE, "worst": 2.0, "best": 2.0, "unit": "USD/mol"}, N], "'best' is the smaller"),
        ("topsis", [{**N, "weight": 0}, PRICE], "weight"),
        ("best", [N, PRICE], "criterion"),
    ],
)
def test_settings_that_say_nothing_are_refused(criterion: str, objectives: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_campaign(*objectives, criterion=criterion)
