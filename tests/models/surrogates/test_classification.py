"""Probabilities by classifiers: calibrated, judged out of fold, and the same wherever a surrogate is asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import _SigmoidCalibration, calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from matloop.data.errors import ModelError
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.classification import (
    Classifier,
    Curve,
    RangeClassifier,
    calibration_error,
    cross_fitted,
    probability_scores,
    reliability,
)
from matloop.models.surrogates.prediction import value_at_probability
from matloop.models.surrogates.surrogate import Surrogate

INF = float("inf")
FAST = {"trees": 40}


def make() -> ExtraTrees:
    return ExtraTrees(trees=20, smallest_leaf=20)


def draw(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, chance of yes and outcome."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, 8))
    chance = 1 / (1 + np.exp(-3 * values[:, 0]))
    return values, chance, (random.random(rows) < chance).astype(float)


def test_probabilities_are_calibrated_where_means_of_trees_are_not() -> None:
    values, chance, target = draw(3, 3000)
    classifier = Classifier.fit(make, values[:2000], target[:2000], np.arange(2000))
    mean, _ = classifier.ensemble.predict(values[2000:])
    probability = classifier.probability(values[2000:])
    assert np.abs(probability - chance[2000:]).mean() < 0.7 * np.abs(mean - chance[2000:]).mean()
    assert roc_auc_score(target[2000:], probability) == pytest.approx(roc_auc_score(target[2000:], mean), abs=1e-6)
    assert sum(count for _, _, count in reliability(probability, target[2000:])) == 1000


def test_curve_is_platts() -> None:
    random = np.random.default_rng(1)
    mean = random.random(300)
    target = (random.random(300) < mean**2).astype(float)
    odds = np.log(mean / (1 - mean))
    expected = _SigmoidCalibration().fit(odds, target).predict(odds)
    np.testing.assert_allclose(Curve.fit(mean, target).probability(mean), expected, atol=1e-3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_curve_never_falls_and_is_never_sure(seed: int, share: float) -> None:
    """Also where all rows are of one kind, or the means tell the opposite."""
    random = np.random.default_rng(seed)
    mean, target = random.random(60), (random.random(60) < share).astype(float)
    probability = Curve.fit(mean, target).probability(np.linspace(-0.1, 1.1, 50))
    assert (np.diff(probability) >= 0).all()
    assert ((probability > 0) & (probability < 1)).all()


def test_means_that_tell_the_opposite_give_the_share() -> None:
    target = np.repeat([1.0, 0.0], [30, 70])
    np.testing.assert_allclose(Curve.fit(1 - target, target).probability(np.array([0.0, 0.5, 1.0])), 0.3, atol=0.01)


def test_no_row_calibrates_its_own_probability() -> None:
    random = np.random.default_rng(0)
    groups = np.arange(300) // 3
    mean = random.random(300)
    target = (random.random(300) < mean).astype(float)
    before = cross_fitted(mean, target, groups)
    for _, held_out in grouped_folds(groups):
        turned = target.copy()
        turned[held_out] = 1 - turned[held_out]
        after = cross_fitted(mean, turned, groups)
        np.testing.assert_array_equal(after[held_out], before[held_out])
        assert (np.delete(after, held_out) != np.delete(before, held_out)).all()


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(2)
    probability = random.uniform(0.001, 0.999, 500)
    target = (random.random(500) < probability**2).astype(float)
    scores = probability_scores(probability, target)
    assert scores["brier"] == pytest.approx(brier_score_loss(target, probability))
    assert scores["log_loss"] == pytest.approx(log_loss(target, probability))
    share = np.full(500, target.mean())
    assert scores["brier_of_share"] == pytest.approx(brier_score_loss(target, share))
    assert scores["log_loss_of_share"] == pytest.approx(log_loss(target, share))
    shares, means = calibration_curve(target, probability, n_bins=10)
    steps = np.array(scores["reliability"])
    np.testing.assert_allclose(steps[:, 0], means)
    np.testing.assert_allclose(steps[:, 1], shares)
    assert scores["calibration_error"] == pytest.approx(np.average(np.abs(shares - means), weights=steps[:, 2]))
    assert scores["calibration_error"] == calibration_error(probability, target)


def test_a_sure_mistake_costs_much_but_not_everything() -> None:
    scores = probability_scores(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    assert scores["brier"] == 0.5
    assert 5 < scores["log_loss"] < 10
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.fixture(scope="module")
def two_kinds(synthetic: Any) -> Any:
    """Values of exactly 0 or about 3, as band gaps of metals and others: one feature tells which, not quite surely."""
    random = np.random.default_rng(5)
    values = synthetic.features.values
    chance = 1 / (1 + np.exp(-4 * values[:, 0]))
    other = random.random(len(values)) < chance
    return synthetic._replace(target=np.where(other, 3 + values[:, 1] + 0.1 * random.normal(size=len(values)), 0.0))


@pytest.fixture(scope="module")
def classified(two_kinds: Any) -> Surrogate:
    train = two_kinds.take(np.arange(1200))
    ids = [f"row {row}" for row in range(1200)]
    surrogate = Surrogate.fit("band_gap", *train, parameters={**FAST, "smallest_leaf": 5}, ids=ids)
    return surrogate.with_classifier(*train, wanted=(1.0, INF))


def test_only_probabilities_come_from_the_classifier(classified: Surrogate, two_kinds: Any) -> None:
    fresh = two_kinds.take(np.arange(1200, 3500))
    plain = Surrogate(**{**vars(classified), "classifier": None}).predict(fresh.features)
    with_it = classified.predict(fresh.features)
    for name in ("median", "sigma", "codes", "in_domain"):
        np.testing.assert_array_equal(getattr(with_it, name), getattr(plain, name))
    np.testing.assert_array_equal(with_it.interval(), plain.interval())
    met = (fresh.target >= 1.0).astype(float)
    ours, theirs = (probability_scores(one.probability_between(1.0, INF), met) for one in (with_it, plain))
    assert ours["brier"] < 0.97 * theirs["brier"]
    assert ours["log_loss"] < 0.97 * theirs["log_loss"]
    assert ours["calibration_error"] < 0.03
    told = classified.card["probability"]["scores"]
    assert told["brier"] == pytest.approx(ours["brier"], rel=0.1)
    assert told["log_loss"] == pytest.approx(ours["log_loss"], rel=0.1)


def test_card_tells_range_rows_and_scores(classified: Surrogate, two_kinds: Any) -> None:
    card = json.loads(json.dumps(classified.card, allow_nan=False))["probability"]
    assert card["wanted"] == [1.0, None]
    assert card["rows"] == 1200
    assert card["rows_met"] == (two_kinds.target[:1200] >= 1).sum()
    assert card["scores"]["brier"] < 0.7 * card["scores"]["brier_of_share"]
    assert "each calibrated on the others" in card["split"]


def test_probability_of_another_range_is_refused(classified: Surrogate, two_kinds: Any) -> None:
    prediction = classified.predict(two_kinds.features.take(np.arange(3)))
    with pytest.raises(ModelError, match=r"in \[1, 2\].*\(1\.0, inf\), which the classifier knows"):
        prediction.probability_between(1.0, 2.0)


def test_no_value_stands_for_a_probability_of_the_classifier(classified: Surrogate, two_kinds: Any) -> None:
    prediction = classified.predict(two_kinds.features.take(np.arange(3)))
    assert value_at_probability(prediction, 0, ends=(1.0, INF), probability=0.5) is None


def test_training_rows_as_new_get_probabilities_they_had_no_part_in(classified: Surrogate, two_kinds: Any) -> None:
    rows = np.arange(1190, 1210)
    features = two_kinds.features.take(rows)
    new = classified.predict_as_new(features, [f"row {row}" for row in rows]).probability_between(1.0, INF)
    assert classified.classifier is not None
    np.testing.assert_array_equal(new[:10], classified.classifier.out_of_fold[1190:])
    seen = classified.predict(features).probability_between(1.0, INF)
    np.testing.assert_array_equal(new[10:], seen[10:])
    assert (new[:10] != seen[:10]).all()
    everything = classified.out_of_fold_prediction().probability_between(1.0, INF)
    np.testing.assert_array_equal(everything, classified.classifier.out_of_fold)


def test_probabilities_do_not_depend_on_batch_or_order(classified: Surrogate, two_kinds: Any) -> None:
    features = two_kinds.features.take(np.arange(1200, 1300))
    whole = classified.predict(features)
    order = np.random.default_rng(0).permutation(100)
    shuffled = classified.predict(features.take(order)).probability_between(1.0, INF)
    np.testing.assert_array_equal(shuffled, whole.take(order).probability_between(1.0, INF))
    alone = classified.predict(features.take(np.array([7]))).probability_between(1.0, INF)
    np.testing.assert_array_equal(alone, whole.probability_between(1.0, INF)[7])


def test_rows_without_a_number_get_no_probability(classified: Surrogate, two_kinds: Any) -> None:
    features = two_kinds.features.take(np.arange(1200, 1204))
    features.values[1, 0] = np.nan
    features.elements[2, 2] = True  # helium
    probability = classified.predict(features).probability_between(1.0, INF)
    assert np.isnan(probability).tolist() == [False, True, True, False]
    none = classified.predict(features.take(np.array([1, 2]))).probability_between(1.0, INF)
    assert np.isnan(none).all()


@pytest.mark.parametrize("family", ["extra_trees", "boosted_trees"])
def test_saved_and_loaded_without_pickle(family: str, two_kinds: Any, tmp_path: Path) -> None:
    train, fresh = two_kinds.take(np.arange(300)), two_kinds.features.take(np.arange(1200, 1250))
    parameters = FAST if family == "extra_trees" else {"boosters": 2, "rounds": 20}
    ids = [f"row {row}" for row in range(300)]
    model = Surrogate.fit("band_gap", *train, family=family, parameters=parameters, ids=ids)
    model = model.with_classifier(*train, wanted=(-INF, 0.5))
    model.save(tmp_path / "model")
    allowed = {".npz", ".json", ".txt", ".parquet"}
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= allowed
    again = Surrogate.load(tmp_path / "model")
    assert again.card == model.card
    for one in (fresh, train.features):
        told, retold = (m.predict_as_new(one, ids[: len(one)]).probability_between(-INF, 0.5) for m in (model, again))
        np.testing.assert_allclose(retold, told, rtol=1e-12)


def other_probabilities(folder: Path) -> None:
    arrays = dict(np.load(folder / "classifier.npz"))
    arrays["curve"][1] += 0.5
    np.savez_compressed(folder / "classifier.npz", **arrays)


def fewer_rows(folder: Path) -> None:
    arrays = dict(np.load(folder / "classifier.npz"))
    np.savez_compressed(folder / "classifier.npz", **{**arrays, "out_of_fold": arrays["out_of_fold"][:-1]})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (other_probabilities, "other probabilities here"),
        (fewer_rows, "1199 out-of-fold probabilities"),
        (lambda folder: (folder / "classifier.npz").unlink(), "no readable model"),
        (lambda folder: (folder / "trees.npz").write_bytes(b"PK"), "no readable model"),
    ],
)
def test_damaged_classifier_is_refused(
    damage: Callable[[Path], Any], words: str, classified: Surrogate, tmp_path: Path
) -> None:
    classified.save(tmp_path / "model")
    damage(tmp_path / "model" / "classifier")
    with pytest.raises(ModelError, match=words):
        Surrogate.load(tmp_path / "model")


def test_a_classifier_of_other_rows_is_refused(classified: Surrogate, two_kinds: Any) -> None:
    with pytest.raises(ModelError, match="the rows the surrogate was fitted on"):
        classified.with_classifier(*two_kinds.take(np.arange(1000)), wanted=(1.0, INF))


@pytest.mark.parametrize("wanted", [(100.0, INF), (-INF, 100.0), (3.99, INF)])
def test_a_range_that_nearly_all_or_none_meet_is_refused(wanted: tuple[float, float], two_kinds: Any) -> None:
    part = two_kinds.take(np.arange(300))
    with pytest.raises(ModelError, match=r"formulas with data lie inside and \d+ outside.*at least 10 on either side"):
        RangeClassifier.fit(make, part.features.values, part.target, part.groups, wanted=wanted)
