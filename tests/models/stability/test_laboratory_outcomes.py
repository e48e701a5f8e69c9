"""Outcomes of a laboratory move a prior as far as they can be trusted to, with exact limits."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import ModelError
from matloop.models.stability.laboratory_outcomes import ALIKE, COMMON, LaboratoryOutcomes, fractions_of, likeness


def compositions(*formulas: str) -> Compositions:
    found, codes = parse_formulas(list(formulas))
    assert not any(codes)
    return found


POOL = compositions("LiCoO2", "LiNiO2", "NaCl", "Bi2Te3", "GaN")
PRIOR = np.array([0.9, 0.5, 0.3, 1e-4, 0.02])


def moved(found: LaboratoryOutcomes) -> np.ndarray:
    return logit(found.probability(POOL, PRIOR)) - logit(PRIOR)


def test_without_outcomes_the_prior_stays_as_it_is() -> None:
    nothing = LaboratoryOutcomes.fit(compositions("GaN").take(np.empty(0, np.int64)), np.empty(0), np.empty(0))
    assert np.array_equal(nothing.probability(POOL, PRIOR), PRIOR)
    weightless = LaboratoryOutcomes.fit(POOL, PRIOR, np.zeros(5), weights=np.zeros(5))
    assert np.array_equal(weightless.probability(POOL, PRIOR), PRIOR)


def test_one_failure_has_the_closed_solution_and_moves_less_than_its_bound() -> None:
    found = LaboratoryOutcomes.fit(POOL.take(np.array([1])), PRIOR[1:2], np.zeros(1))
    variance = COMMON**2 + ALIKE**2
    own = brentq(lambda f: f + variance * expit(logit(0.5) + f), -10, 0)
    assert moved(found)[1] == pytest.approx(own, rel=1e-6)
    assert (np.abs(moved(found)) <= variance).all()
    assert moved(found)[0] < moved(found)[2] < 0  # a relative is moved more than a stranger
    stranger = moved(found)[3]
    assert stranger == pytest.approx(COMMON**2 / variance * own, rel=1e-6)


def test_what_was_expected_anyway_moves_nothing() -> None:
    expected = LaboratoryOutcomes.fit(POOL.take(np.array([3])), np.array([1e-6]), np.zeros(1))
    assert np.abs(moved(expected)).max() < 1e-5


def test_outcomes_are_exchangeable_and_half_a_success_is_one_of_each_with_half_the_weight() -> None:
    tried, prior, success = POOL.take(np.array([0, 1, 2])), PRIOR[:3], np.array([0.0, 1.0, 0.0])
    found = LaboratoryOutcomes.fit(tried, prior, success)
    turned = LaboratoryOutcomes.fit(tried.take(np.array([2, 0, 1])), prior[[2, 0, 1]], success[[2, 0, 1]])
    np.testing.assert_allclose(moved(found), moved(turned), atol=1e-8)
    half = LaboratoryOutcomes.fit(tried.take(np.array([1])), prior[1:2], np.array([0.5]))
    both = LaboratoryOutcomes.fit(
        tried.take(np.array([1, 1])), prior[[1, 1]], np.array([0.0, 1.0]), weights=np.full(2, 0.5)
    )
    np.testing.assert_allclose(moved(half), moved(both), atol=1e-8)


def test_many_outcomes_of_one_compound_reach_its_share_of_successes() -> None:
    often = np.full(400, 2)
    success = (np.arange(400) % 4 == 0).astype(float)
    found = LaboratoryOutcomes.fit(POOL.take(often), np.full(400, 0.9), success)
    assert found.probability(POOL, np.full(5, 0.9))[2] == pytest.approx(0.25, abs=0.03)


def test_likeness_is_a_covariance() -> None:
    shares = fractions_of(compositions("NaCl", "Na2Cl2", "NaBr", "MgO", "LiCoO2", "LiNiO2", "Li2O", "CoO"))
    found = likeness(shares, shares)
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert found[0, 1] == pytest.approx(1.0)
    assert found[0, 3] == 0
    assert np.linalg.eigvalsh(found).min() > -1e-12


def test_outcomes_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ModelError, match="no probabilities"):
        LaboratoryOutcomes.fit(POOL, PRIOR, np.full(5, 2.0))
