"""Opinions that agree change nothing; opinions that disagree widen, and never make a candidate look better by that."""

from typing import Any

import numpy as np
import pytest

from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.opinions import mixed_opinions
from matloop.models.stability.stability import ABOVE_HULL, FORMATION, Judgement

RESIDUALS = np.sort(np.random.default_rng(0).normal(0, 0.03, 300))


def prediction(*centres: float, residuals: Any = RESIDUALS) -> LocalPrediction:
    n = len(centres)
    return LocalPrediction(np.array(centres), np.tile(residuals, (n, 1)), np.full(n, ""), (-5.0, 5.0))


def judgement(above: list[float], own: list[float], **given: Any) -> Judgement:
    nothing: Any = None
    predictions = {ABOVE_HULL: prediction(*above, **given), FORMATION: prediction(*above, **given)}
    return Judgement(predictions, nothing, np.array(own), nothing, np.full(len(above), "", object))


def chances(found: dict[str, LocalPrediction], name: str = ABOVE_HULL) -> np.ndarray:
    return found[name].probability_between(-np.inf, 0.05)


def test_opinions_that_agree_change_nothing() -> None:
    first = judgement([0.0, 0.04, 0.1], [-0.2, 0.04, np.nan])
    expected = first.predictions[ABOVE_HULL]
    for second in (None, first, judgement([np.nan] * 3, [np.nan] * 3)):
        found = mixed_opinions(first, second)
        assert chances(found) == pytest.approx(chances({ABOVE_HULL: expected}))
        assert found[ABOVE_HULL].sigma == pytest.approx(expected.sigma, abs=5e-4)
        assert (found[ABOVE_HULL].centre == expected.centre).all()


def test_potentials_that_disagree_are_mixed_and_wider() -> None:
    first, second = judgement([-0.01], [-0.5]), judgement([0.15], [-0.5])
    found = mixed_opinions(first, second)
    parts = [chances(each.predictions)[0] for each in (first, second)]
    assert chances(found)[0] == pytest.approx(np.mean(parts), abs=1e-3)
    assert chances(found, FORMATION)[0] == pytest.approx(np.mean(parts))
    assert found[ABOVE_HULL].sigma[0] > 2 * first.predictions[ABOVE_HULL].sigma[0]


def test_the_own_hull_counts_only_where_it_is_less_favourable() -> None:
    worse, better = judgement([0.0], [0.2]), judgement([0.2], [0.0])
    assert chances(mixed_opinions(worse))[0] < 0.6 < 0.9 < chances(worse.predictions)[0]
    assert chances(mixed_opinions(better))[0] == pytest.approx(chances(better.predictions)[0])


def test_few_errors_of_one_opinion_count_as_many_of_the_other() -> None:
    few = judgement([0.1], [0.0], residuals=np.array([-0.001, 0.001]))
    assert chances(mixed_opinions(judgement([-0.2], [-0.5]), few), FORMATION)[0] == pytest.approx(0.5)
