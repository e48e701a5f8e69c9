"""Figures on real results agree with exact limits and with closed forms."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import gammainc, gammaln

from matloop.models.surrogates.real_results import coverage_of, drift_of, hits_against, what_is_left


def test_capital_is_the_integral_of_the_power_martingales() -> None:
    below = np.array([0.02, 0.4, 0.99, 0.7, 0.05, 0.5])
    logs = -np.cumsum(np.log(2 * np.minimum(below, 1 - below)))
    count = np.arange(1, len(below) + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.exp(logs + gammaln(count + 1) - (count + 1) * np.log(logs)) * gammainc(count + 1, logs)
    np.testing.assert_allclose(drift_of(below).capital, exact, rtol=1e-4)
    assert drift_of(np.array([0.5])).capital[0] == pytest.approx(0.5, rel=1e-3)  # the integral of e from 0 to 1


def test_right_predictions_seldom_alarm_and_wrong_ones_do() -> None:
    random = np.random.default_rng(0)
    alarms = [drift_of(random.uniform(size=60)).alarms for _ in range(200)]
    assert np.mean(alarms) <= 0.05  # Ville's inequality
    shifted = [drift_of(random.beta(8, 1, size=60)) for _ in range(50)]
    assert np.mean([found.alarms for found in shifted]) > 0.9
    assert all(found.bias > 0 for found in shifted)


def test_hits_have_the_distribution_of_independent_trials() -> None:
    promised = np.array([0.1, 0.35, 0.8])
    outcomes = list(itertools.product((False, True), repeat=3))
    chance = {
        hits: sum(
            math.prod(p if hit else 1 - p for p, hit in zip(promised, one, strict=True))
            for one in outcomes
            if sum(one) == hits
        )
        for hits in range(4)
    }
    found = hits_against(promised, np.array([True, True, True]))
    assert found is not None
    assert found.chance == pytest.approx(2 * chance[3])
    assert found.promised == pytest.approx(1.25)
    assert hits_against(np.empty(0), np.empty(0, bool)) is None


def test_coverage_by_the_exact_binomial_test() -> None:
    found = coverage_of(np.zeros(3, bool))
    assert found is not None
    assert found.chance == pytest.approx(0.1**3)
    assert coverage_of(np.empty(0, bool)) is None


def test_what_is_left_lies_between_bounds_that_need_no_independence() -> None:
    chances = np.array([0.05, np.nan, 0.2, 0.1])
    found = what_is_left(chances)
    assert found.at_least <= found.any_left <= found.at_most
    assert found.any_left == pytest.approx(1 - 0.95 * 0.8 * 0.9)
    assert found.to_even_odds is None
    assert what_is_left(np.full(100, 0.1)).to_even_odds == math.ceil(math.log(0.5) / math.log(0.9))
    assert what_is_left(np.empty(0)).any_left == 0
