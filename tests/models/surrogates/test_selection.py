from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control

from matloop.data.errors import ModelError
from matloop.models.surrogates.selection import AtLeast, Best, Chosen, Evidence, SelectionRule, conformal_selection
from matloop.models.surrogates.selection import selection_conditional as conditional

coarse = st.integers(0, 12).map(float)  # so that scores tie
scores = arrays(float, st.integers(1, 15), elements=coarse)


def by_swapping(rule: SelectionRule, calibration: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The definition, one pair after the other: would row i be picked in the place of a picked candidate j?"""
    found = []
    for j in np.flatnonzero(rule.selected(candidates)):
        swapped = [np.concatenate([candidates[:j], [score], candidates[j + 1 :]]) for score in calibration]
        found.append([rule.selected(each)[j] for each in swapped])
    return np.array(found)


@given(
    st.permutations(range(18)),
    st.integers(1, 12),
    st.one_of(st.integers(1, 10).map(Best), st.integers(0, 18).map(lambda x: AtLeast(x + 0.5))),
)
def test_reference_rows_are_those_that_swapping_gives(order: list[int], rows: int, rule: SelectionRule) -> None:
    calibration, candidates = np.array(order[:rows], float), np.array(order[rows:], float)
    expected = by_swapping(rule, calibration, candidates).reshape(-1, rows)  # none where nothing is picked
    assert (expected == rule.in_place_of_one(calibration, candidates)).all()


@given(scores, scores, st.integers(1, 15))
def test_tied_rows_count_only_if_they_are_picked_wherever_they_stand(
    calibration: np.ndarray, candidates: np.ndarray, count: int
) -> None:
    found = Best(count).in_place_of_one(calibration, candidates)
    for placed in by_swapping(Best(count), calibration, candidates):
        assert (placed[found]).all()


@given(scores, st.integers(1, 20))
def test_best_picks_the_highest(candidates: np.ndarray, count: int) -> None:
    holey = np.concatenate([candidates, [np.nan, np.nan]])
    picked = Best(count).selected(holey)
    assert picked.sum() == min(count, len(candidates))
    assert not picked[-2:].any()
    assert np.sort(holey[picked]).tolist() == np.sort(candidates)[-count:].tolist()


def biased(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are truth plus error, and the error of the prediction: high scores are high partly by error."""
    truth, noise = random.normal(size=count), random.normal(size=count)
    return truth + noise, -noise


@pytest.mark.parametrize("rule", [Best(10), AtLeast(1.8)], ids=["best", "at least"])
def test_truth_of_what_was_picked_lies_inside_as_often_as_promised(rule: SelectionRule) -> None:
    random = np.random.default_rng(0)
    inside, plain = [], []
    for _ in range(200):
        (calibration, errors), (candidates, misses) = biased(random, 800), biased(random, 100)
        found = conditional(errors, calibration, candidates, rule)
        assert found.exact
        picked = misses[rule.selected(candidates)]
        inside.append(((picked >= found.lower) & (picked <= found.upper)).mean())
        plain.append((np.abs(picked) <= 1.645).mean())
    assert 0.89 < np.mean(inside) < 0.95
    assert np.mean(plain) < 0.75


def test_without_selection_it_is_the_equal_tailed_interval_of_mapie() -> None:
    from mapie.conformity_scores import AbsoluteConformityScore
    from mapie.regression import SplitConformalRegressor
    from sklearn.dummy import DummyRegressor

    errors = np.random.default_rng(3).exponential(size=399)
    ones = np.ones((399, 1))
    nothing = DummyRegressor(strategy="constant", constant=0.0).fit(ones, errors)
    oracle = SplitConformalRegressor(nothing, confidence_level=0.9, prefit=True,
                                     conformity_score=AbsoluteConformityScore(sym=False))  # fmt: skip
    oracle.conformalize(ones, errors)
    expected = oracle.predict_interval(ones[:1])[1].ravel()
    found = conditional(errors, np.arange(399.0), np.zeros(5), Best(5))
    assert found.rows == 399
    np.testing.assert_allclose([found.lower, found.upper], expected)


def test_too_few_rows_are_filled_up_with_those_ranked_next_and_say_so() -> None:
    errors, ranks = np.arange(100.0), np.arange(100.0)
    found = conditional(errors, ranks, np.array([95.5, 1.0]), AtLeast(95.0))
    assert found == (81.0, 99.0, 19, False)
    assert conditional(errors, ranks, np.array([80.5]), AtLeast(81.0)) == (81.0, 99.0, 19, True)
    assert conditional(errors, ranks, np.array([80.5]), AtLeast(81.0), level=0.5).rows == 19


def test_rows_without_an_error_or_score_do_not_count() -> None:
    errors, ranks = np.arange(60.0), np.arange(60.0)
    errors[50:], ranks[:10] = np.nan, np.nan
    found = conditional(errors, ranks, np.array([1.0, np.nan]), Best(1))
    assert (found.lower, found.upper, found.rows) == (11.0, 48.0, 40)
    with pytest.raises(ModelError, match=r"18 calibration rows.*at least 19 for intervals at 90%"):
        conditional(errors[:28], ranks[:28], np.array([1.0]), Best(1))


def draw(random: np.random.Generator, rows: int, candidates: int, targets: int) -> list[tuple[Any, ...]]:
    """Evidence and the truth of the candidates for correlated targets, each met by a third."""
    common = random.normal(size=rows + candidates)
    made = []
    for _ in range(targets):
        truth = 2 * common + random.normal(size=rows + candidates)
        score = truth + 0.3 * random.normal(size=rows + candidates)
        met = truth > 1.0
        made.append((Evidence(score[:rows], met[:rows], score[rows:]), met[rows:]))
    return made


@pytest.mark.parametrize("targets", [1, 3])
def test_expected_share_of_misses_is_held(targets: int) -> None:
    random = np.random.default_rng(targets)
    shares, power = [], []
    for _ in range(200):
        made = draw(random, 400, 300, targets)
        hit = np.logical_and.reduce([met for _, met in made])
        mask, _ = conformal_selection([evidence for evidence, _ in made], max_false_discovery=0.2)
        shares.append((mask & ~hit).sum() / max(mask.sum(), 1))
        power.append((mask & hit).sum() / hit.sum())
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= 0.2 + 2 * error
    assert np.mean(power) > (0.6 if targets == 1 else 0.2)
    if targets == 1:
        assert np.mean(shares) > 0.14  # no larger set would do


def test_cut_is_that_of_scipy() -> None:
    (evidence, _), *_ = draw(np.random.default_rng(5), 500, 300, 1)
    mask, p_values = conformal_selection([evidence], max_false_discovery=0.1)
    assert 0 < mask.sum() < 300
    np.testing.assert_array_equal(mask, false_discovery_control(p_values) <= 0.1)


def test_p_value_counts_misses_that_score_as_high() -> None:
    # Of nine known rows those with 8, 7, 7 and 2 miss; the candidate itself counts as a tenth row that may miss.
    known, met = np.array([9.0, 8, 8, 7, 7, 5, 4, 3, 2]), np.array([1, 0, 1, 0, 0, 1, 1, 1, 0], bool)
    by_score = {8.5: 0.1, 8.0: 0.2, 7.5: 0.2, 7.0: 0.4, 2.5: 0.4, 2.0: 0.5, 1.0: 0.5}
    p_values = conformal_selection([Evidence(known, met, np.array(list(by_score)))], max_false_discovery=0.3).p_values
    assert p_values.tolist() == pytest.approx(list(by_score.values()))


@given(scores, scores, st.data())
def test_p_value_falls_with_the_score_and_is_never_zero(
    calibration: np.ndarray, candidates: np.ndarray, data: st.DataObject
) -> None:
    met = data.draw(arrays(bool, len(calibration)))
    p_values = conformal_selection([Evidence(calibration, met, candidates)], max_false_discovery=0.3).p_values
    assert (np.diff(p_values[np.argsort(candidates, kind="stable")]) <= 0).all()
    assert (p_values >= 1 / (1 + len(met))).all()
    everybody = conformal_selection([Evidence(calibration, ~met | met, candidates)], max_false_discovery=0.3).p_values
    assert (everybody <= p_values).all()


def test_what_was_not_predicted_is_not_chosen() -> None:
    rows = np.linspace(0, 1, 99)
    holey = Evidence(np.append(rows, np.nan), np.append(rows > 0.3, False), np.array([0.9, np.nan]))
    whole = Evidence(rows, rows > 0.3, np.array([0.9, 0.9]))
    for evidence in ([holey], [whole, holey]):
        found = conformal_selection(evidence, max_false_discovery=0.1)
        assert found.mask.tolist() == [True, False]
        assert found.p_values[1] == 1.0
    nobody = Evidence(rows, rows > 0.3, np.full(3, np.nan))
    assert not conformal_selection([nobody], max_false_discovery=0.1).mask.any()


def test_few_rows_cannot_vouch_for_a_handful_among_many() -> None:
    def choose(rows: int) -> Chosen:
        known = np.linspace(0, 1, rows)
        candidates = np.append(np.full(5, 0.99), np.zeros(995))
        return conformal_selection([Evidence(known, known > 0.5, candidates)], max_false_discovery=0.1)

    assert not choose(1000).mask.any()
    assert choose(3000).mask.sum() == 5


@pytest.mark.parametrize(("pieces", "share"), [(0, 0.1), (1, 0.0), (1, 1.0), (1, np.nan)])
def test_impossible_requests_are_refused(pieces: int, share: float) -> None:
    evidence = Evidence(np.ones(3), np.ones(3, bool), np.ones(3))
    with pytest.raises(ModelError, match="pieces of evidence"):
        conformal_selection([evidence] * pieces, max_false_discovery=share)
