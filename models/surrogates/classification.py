"""Calibrated probabilities of yes or no from the regression ensembles, and of lying in a wanted range.

The predictive distribution of a value also gives the probability of a range. But it assumes that errors are distributed
alike for all candidates at the same distance to the training data. A classifier that learns the question itself does
not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.array_ensemble import read_arrays
from matloop.models.families.contract import Ensemble
from matloop.models.families.row_weights import fitted
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.training import out_of_fold

FEWEST_FORMULAS = 2 * FOLDS
"""Smallest number of formulas inside and outside a range, so that every fold is likely to have both."""
_BINS = 10
_LEAST = 1e-6  # a wrong probability of 0 would have an infinite log loss
_GOLDEN_ROWS = 5
_FILE = "classifier.npz"


@dataclass(frozen=True)
class Curve:
    """Turns the mean of an ensemble grown on targets 0 and 1 into a probability.

    Such a mean estimates the share of yes near a candidate, but is too close to one half. The logistic curve of Platt
    (Advances in Large Margin Classifiers, 1999, p. 61) over the logarithm of its odds increases, so the order of
    candidates does not change.

    Attributes:
        slope: Slope of the curve, at least zero.
        offset: Offset of the curve.
        margin: Smallest distance of a mean from 0 and 1.
    """

    slope: float
    offset: float
    margin: float

    @classmethod
    def fit(cls, mean: NDArray[np.float64], target: NDArray[np.float64]) -> Curve:
        """Fit to means of held-out rows and their targets 0 or 1, each (m,).

        As in the method of Platt, targets are smoothed as if there were one more row of either kind.
        """
        from sklearn.linear_model import LogisticRegression

        count, yes = len(target), float(target.sum())
        share = np.where(target > 0, (yes + 1) / (yes + 2), 1 / (count - yes + 2))
        margin = 0.5 / count
        odds = _log_odds(mean, margin)
        curve = LogisticRegression(C=1e6).fit(
            np.concatenate([odds, odds])[:, None], np.repeat([1, 0], count), np.concatenate([share, 1 - share])
        )
        slope, offset = float(curve.coef_[0, 0]), float(curve.intercept_[0])
        if slope <= 0:  # the means carry no information, so all rows get the share of yes
            slope, offset = 0.0, float(_log_odds(np.array([share.mean()]), 0.0)[0])
        return cls(slope, offset, margin)

    def probability(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of yes for each mean, shape (n,)."""
        return 1 / (1 + np.exp(-(self.slope * _log_odds(mean, self.margin) + self.offset)))


@dataclass(frozen=True)
class Classifier:
    """An ensemble grown on targets 0 and 1, and the curve that calibrates it.

    The curve is fitted to out-of-fold means, so that no row calibrates a prediction it was trained on.

    Attributes:
        ensemble: Ensemble that learned from all training rows.
        curve: Turns its mean into a probability.
    """

    ensemble: Ensemble
    curve: Curve

    @classmethod
    def fit(
        cls,
        make: Callable[[], Ensemble],
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        groups: NDArray[np.integer],
    ) -> Classifier:
        """Train on features (m, k), targets 0 or 1 (m,) and formula groups (m,), which no fold separates.

        Raises:
            ModelError: If there are too few rows or groups.
        """
        mean, _ = out_of_fold(make, values, target, groups)
        return cls.fit_to(mean, make().fit(values, target, groups=groups), target)

    @classmethod
    def fit_to(cls, mean: NDArray[np.float64], ensemble: Ensemble, target: NDArray[np.float64]) -> Classifier:
        """Calibrate a fitted ensemble on out-of-fold means (m,) of its training rows."""
        return cls(ensemble, Curve.fit(mean, target))

    def probability(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict the probability of yes for each row, shape (n,)."""
        return self.curve.probability(self.ensemble.predict(values)[0])


@dataclass(frozen=True)
class RangeClassifier:
    """Predicts the probability that a property lies in a wanted range, beside the surrogate of the property.

    Attributes:
        wanted: Lower and upper end of the range in the unit of the property, infinite if there is no limit.
        classifier: Classifier that learned whether each training row lies in the range.
        out_of_fold: Probability of each training row, from an ensemble and a curve that saw no row of its fold, shape
            (m,).
        golden: Features of a few training rows, whose probabilities :meth:`load` checks, shape (g, k).
        card: Training data and scores as plain JSON values.
    """

    wanted: tuple[float, float]
    classifier: Classifier
    out_of_fold: NDArray[np.float64]
    golden: NDArray[np.float64]
    card: dict[str, Any]

    @classmethod
    def fit(
        cls,
        make: Callable[[], Ensemble],
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        groups: NDArray[np.integer],
        *,
        wanted: tuple[float, float],
        weights: NDArray[np.float64] | None = None,
    ) -> RangeClassifier:
        """Train on whether targets lie in a range.

        Args:
            make: Makes an unfitted ensemble.
            values: Finite features, shape (m, k).
            target: Values in the unit of the property, shape (m,).
            groups: Formula group of each row, shape (m,).
            wanted: Lower and upper end of the range; both belong to it.
            weights: How much each row counts in the fits, shape (m,); all the same if left out.

        Raises:
            ModelError: If fewer than ten formulas lie inside the range, or outside.
        """
        met = ((target >= wanted[0]) & (target <= wanted[1])).astype(float)
        check_both_sides(met, groups, wanted)
        mean, _ = out_of_fold(make, values, met, groups, weights=weights)
        crossed = cross_fitted(mean, met, groups)
        ensemble = fitted(make(), values, met, groups=groups, weights=weights)
        classifier = Classifier.fit_to(mean, ensemble, met)
        card = {
            "by": "classifier",
            "wanted": [float(end) if np.isfinite(end) else None for end in wanted],
            "rows": len(met),
            "rows_met": int(met.sum()),
            "split": f"{FOLDS} folds grouped by reduced formula, each calibrated on the others",
            "scores": probability_scores(crossed, met),
        }
        return cls(wanted, classifier, crossed, values[:_GOLDEN_ROWS], card)

    def judge(self, prediction: Prediction, values: NDArray[np.float64]) -> Prediction:
        """Return the prediction of n candidates with probabilities from the classifier.

        Args:
            prediction: Prediction of the surrogate.
            values: Features of the candidates, shape (n, k). Rows without a prediction are ignored.
        """
        met = np.full(len(values), np.nan)
        good = np.flatnonzero(prediction.codes == "")
        if len(good):
            met[good] = self.classifier.probability(values[good])
        return self.with_probabilities(prediction, met)

    def with_probabilities(self, prediction: Prediction, met: NDArray[np.float64]) -> Prediction:
        """Return the prediction of n candidates with given probabilities (n,) of lying in the range."""
        return replace(prediction, met=met, wanted=self.wanted)

    def save(self, folder: Path) -> None:
        """Write the ensemble and ``classifier.npz`` into a new folder."""
        folder.mkdir()
        self.classifier.ensemble.save(folder)
        curve = self.classifier.curve
        np.savez_compressed(
            folder / _FILE, curve=[curve.slope, curve.offset, curve.margin], wanted=self.wanted,
            out_of_fold=self.out_of_fold, golden_values=self.golden,
            golden=self.classifier.probability(self.golden),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path, load: Callable[[Path], Ensemble], card: dict[str, Any]) -> RangeClassifier:
        """Read what :meth:`save` wrote, and check a few of its probabilities.

        Args:
            folder: Folder with the files.
            load: Reads an ensemble of the family of the surrogate from a folder.
            card: Card of the classifier.

        Raises:
            ModelError: If the probabilities are not those of all training rows, or this machine computes others.
            OSError: If a file is missing.
        """
        a = read_arrays(folder / _FILE)
        slope, offset, margin = a["curve"].tolist()
        lower, upper = a["wanted"].tolist()
        classifier = Classifier(load(folder), Curve(slope, offset, margin))
        if a["out_of_fold"].shape != (card["rows"],):
            raise ModelError(f"{len(a['out_of_fold'])} out-of-fold probabilities", f"{card['rows']}, one for each row")
        if not np.allclose(classifier.probability(a["golden_values"]), a["golden"], rtol=1e-6, atol=1e-9):
            raise ModelError("a classifier that tells other probabilities here than where it was trained",
                             "the versions on its card", "install those versions or train again")  # fmt: skip
        return cls((lower, upper), classifier, a["out_of_fold"], a["golden_values"], card)


def check_both_sides(met: NDArray[np.float64], groups: NDArray[np.integer], wanted: tuple[float, float]) -> None:
    """Refuse a range that nearly all formulas lie inside, or outside.

    Args:
        met: Whether each row lies inside, 1 or 0, shape (m,).
        groups: Formula group of each row, shape (m,).
        wanted: Lower and upper end of the range.

    Raises:
        ModelError: If fewer than ten formulas lie on either side.
    """
    inside, outside = (len(np.unique(groups[met == side])) for side in (1, 0))
    if min(inside, outside) < FEWEST_FORMULAS:
        raise ModelError(
            f"a classifier of lying in [{wanted[0]:g}, {wanted[1]:g}], where {inside} formulas with data lie inside and"
            f" {outside} outside",
            f"at least {FEWEST_FORMULAS} on either side", "use probability: distribution, or another range",
        )  # fmt: skip


def cross_fitted(
    mean: NDArray[np.float64], target: NDArray[np.float64], groups: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Compute the probability of each row with a curve that was fitted to the other folds, shape (m,).

    Args:
        mean: Out-of-fold means, shape (m,).
        target: 0 or 1, shape (m,).
        groups: Formula group of each row, shape (m,).
    """
    probability = np.empty(len(target))
    for train, held_out in grouped_folds(groups):
        probability[held_out] = Curve.fit(mean[train], target[train]).probability(mean[held_out])
    return probability


def probability_scores(probability: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, Any]:
    """Score probabilities (m,) of yes against targets 0 or 1 (m,); the result is plain JSON values.

    Scores are the Brier score (Monthly Weather Review 78, 1 (1950); the mean square of probability minus target) and
    the log loss in natural logarithms; smaller is better. Beside each stands the score of predicting the share of yes
    for every row. ``reliability`` holds the result of :func:`reliability`.
    """
    share = target.mean()
    inside = np.clip(probability, _LEAST, 1 - _LEAST)
    return {
        "brier": float(((probability - target) ** 2).mean()),
        "brier_of_share": float(share * (1 - share)),
        "log_loss": float(-np.where(target > 0, np.log(inside), np.log1p(-inside)).mean()),
        "log_loss_of_share": float(-(share * np.log(share) + (1 - share) * np.log1p(-share))) if 0 < share < 1 else 0.0,
        "calibration_error": calibration_error(probability, target),
        "reliability": [list(step) for step in reliability(probability, target)],
    }


def reliability(probability: NDArray[np.float64], target: NDArray[np.float64]) -> list[tuple[float, float, int]]:
    """Return mean probability, share of yes and number of rows for each of ten equal bins of probability with rows."""
    step = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    rows = [np.flatnonzero(step == number) for number in range(_BINS)]
    return [(float(probability[r].mean()), float(target[r].mean()), len(r)) for r in rows if len(r)]


def calibration_error(probability: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Compute the expected calibration error: mean distance of probability and share of yes over all bins.

    >>> calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([1.0, 1.0, 1.0, 0.0]))
    0.0
    """
    steps: Sequence[tuple[float, float, int]] = reliability(probability, target)
    return float(sum(count * abs(mean - share) for mean, share, count in steps) / len(target))


def _log_odds(mean: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    inside = np.clip(mean, margin, 1 - margin)
    return np.log(inside / (1 - inside))
