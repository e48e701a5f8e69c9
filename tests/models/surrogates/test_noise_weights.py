"""Weights from the noise of labels: lower errors, intervals that hold for new values, nothing without noise."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.training.label_noise import LabelNoise
from matloop.data.training.training_set import TrainingSet
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.gaussian_process import GaussianProcess
from matloop.models.surrogates.noise_weights import errors_on_scale, own_variance, weights_by_noise
from matloop.models.surrogates.surrogate import Surrogate

SETTINGS = {"tuning_rows": 120, "rounds": 15}
GOOD, BAD = 0.1, 2.0
FORMULAS = [f"{a}{n}{b}{m}" for a in ("Li", "Na", "K", "Mg", "Ca") for b in ("O", "S", "F", "Cl", "N")
            for n in range(2, 8) for m in range(2, 12) if np.gcd(n, m) == 1]  # fmt: skip


def truth(values: np.ndarray) -> np.ndarray:
    return 5 + 2 * values[:, 0] + np.sin(2 * values[:, 1]) + values[:, 2] * values[:, 0]


def noisy(rows: int, seed: int) -> tuple[FeatureMatrix, TrainingSet]:
    """Rows of which half have little noise, and half much."""
    random = np.random.default_rng(seed)
    batch = CandidateBatch.from_formulas(FORMULAS[:rows]).batch
    values = random.normal(size=(rows, 4))
    errors = random.choice([GOOD, BAD], rows)
    training = TrainingSet.of_rows(
        batch, 10 + truth(values) + errors * random.normal(size=rows), property_name="band_gap", name="noisy",
        provenance="exp", licence="CC0",
    )  # fmt: skip
    elements = np.zeros((rows, 119), bool)
    elements[:, 8] = True
    features = FeatureMatrix(values, tuple("abcd"), "print", codes=np.full(rows, ""), elements=elements)
    return features, replace(training, noise=LabelNoise(errors, float("nan"), 0))


def test_weights_lower_the_error_and_intervals_hold_for_new_measurements() -> None:
    features, training = noisy(400, 0)
    fit = functools.partial(
        Surrogate.fit, "band_gap", features, training.values, training.groups, family="gaussian_process",
        parameters=SETTINGS,
    )  # fmt: skip
    counted = weights_by_noise(functools.partial(GaussianProcess, **SETTINGS), features, training, transform="identity")
    assert counted.card is not None
    assert counted.card["deviation"] is None
    assert counted.card["error"] == pytest.approx(np.sqrt((GOOD**2 + BAD**2) / 2), rel=0.1)
    plain, weighted = fit(), fit(weights=counted.weights)
    fresh, _ = noisy(300, 1)
    errors = np.random.default_rng(2).choice([GOOD, BAD], 300)
    right = 10 + truth(fresh.values)
    measured = right + errors * np.random.default_rng(3).normal(size=300)
    before, after = (model.predict(fresh) for model in (plain, weighted))
    assert np.abs(after.centre - right).mean() < 0.8 * np.abs(before.centre - right).mean()
    scale = after.scale
    low, high = (after.centre + scale * weighted.calibration.quantile(p)[after.bins] for p in (0.05, 0.95))
    assert ((measured >= low) & (measured <= high)).mean() == pytest.approx(0.9, abs=0.04)
    assert weighted.card["scores"]["coverage_90"] == pytest.approx(0.9, abs=0.03)


def test_without_noise_or_with_the_same_for_all_rows_weights_stay() -> None:
    features, training = noisy(60, 0)
    gauge = functools.partial(ExtraTrees, trees=10)
    plain = weights_by_noise(gauge, features, replace(training, noise=None), transform="identity")
    assert plain.weights is training.weights
    assert plain.card is None
    same = replace(training, noise=LabelNoise(np.full(60, 0.3), 0.4, 12))
    counted = weights_by_noise(gauge, features, same, transform="identity")
    assert counted.weights is same.weights
    assert counted.card is not None
    assert (counted.card["deviation"], counted.card["repeats"], counted.card["error"]) == (0.4, 12, pytest.approx(0.3))


def test_rows_of_unknown_noise_have_the_median_of_the_others() -> None:
    features, training = noisy(60, 0)
    errors = np.where(np.arange(60) < 20, np.nan, np.where(np.arange(60) < 50, 0.5, 5.0))
    counted = weights_by_noise(
        functools.partial(ExtraTrees, trees=10), features, replace(training, noise=LabelNoise(errors, 0.5, 9)),
        transform="identity",
    )  # fmt: skip
    np.testing.assert_array_equal(counted.weights[:20], counted.weights[20])
    assert counted.weights[55] < counted.weights[0]


class Plain(Ensemble):
    """A family without weights."""

    family = "plain"

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> "Plain":
        self.mean = float(target.mean())
        return self

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(values), self.mean), np.ones(len(values))


def test_a_family_without_weights_learns_as_before_and_its_card_tells_the_noise() -> None:
    features, training = noisy(60, 0)
    counted = weights_by_noise(Plain, features, training, transform="identity")
    assert counted.weights is training.weights
    assert counted.card is not None


def test_variance_beyond_the_noise_is_found() -> None:
    random = np.random.default_rng(0)
    variances = random.choice([0.01, 1.0, 9.0], 4000)
    residuals = np.sqrt(0.25 + variances) * random.normal(size=4000)
    assert own_variance(residuals, variances) == pytest.approx(0.25, rel=0.15)
    assert own_variance(np.full(9, 0.1), np.full(9, 100.0)) == pytest.approx(0.0001, rel=1e-3)  # errors are too large


def test_errors_follow_the_scale_of_the_model() -> None:
    _, training = noisy(60, 0)
    found = errors_on_scale(training, "log10")
    assert found is not None
    assert training.noise is not None
    np.testing.assert_allclose(found, training.noise.errors / training.values / np.log(10))
    np.testing.assert_array_equal(errors_on_scale(training, "identity"), training.noise.errors)
