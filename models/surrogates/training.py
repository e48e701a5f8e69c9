"""Train with grouped out-of-fold predictions, calibrate on them, and compute the scores on the card of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.contract import Ensemble
from matloop.models.families.row_weights import fitted
from matloop.models.grouped_folds import FOLDS, grouped_folds
from matloop.models.surrogates.calibration import Calibration, with_enough

COVERAGE_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FEWER_FOLDS = 2  # for a second point of the learning curve
STEEPEST = 0.5  # exponent of a learning curve, that of a mean over independent rows
LARGEST = 1e30  # ensembles keep values in single precision, which ends at 3e38
_NOTHING_APART: Mapping[str, NDArray[np.bool_]] = {}
SMALLEST_TRAINING_SET = 20  # intervals are wide and honest from here on; see tests/models/surrogates/test_small_data.py


def usable_rows(features: FeatureMatrix, scaled: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the rows to train a surrogate on: those with features and a finite target on the model scale (m,)."""
    return np.flatnonzero(np.isfinite(scaled) & (features.codes == ""))


def check_enough_rows(target: NDArray[np.float64], groups: NDArray[np.integer], what: str = "") -> None:
    """Refuse to train on too few rows.

    Args:
        target: What to learn, shape (m,).
        groups: Formula group of each row, shape (m,).
        what: What the rows are, for people.

    Raises:
        ModelError: If there are too few rows or groups.
    """
    if len(target) < SMALLEST_TRAINING_SET or len(np.unique(groups)) < 2 * FOLDS:
        raise ModelError(
            f"{len(target)} training rows {what}{' ' * bool(what)}of {len(np.unique(groups))} formulas",
            f"at least {SMALLEST_TRAINING_SET} rows of {2 * FOLDS} formulas; those with a common 'group' count as one",
            "add labelled rows or drop the target",
        )


def out_of_fold(
    make: Callable[[], Ensemble],
    values: NDArray[np.float64],
    target: NDArray[np.float64],
    groups: NDArray[np.integer],
    *,
    folds: int = FOLDS,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predict mean and spread of each row with an ensemble that saw no row of its group, each (m,).

    Args:
        make: Makes an unfitted ensemble.
        values: Features, shape (m, k).
        target: What to learn, shape (m,).
        groups: Formula group of each row, shape (m,).
        folds: Number of folds.
        weights: How much each row counts in the fits, shape (m,); all the same if left out.

    Raises:
        ModelError: If there are too few rows or groups, a value is too large, or the family takes no weights.
    """
    check_enough_rows(target, groups)
    if np.ptp(target) == 0:
        raise ModelError(
            f"{len(target)} training rows that all have one value", "values that differ", "drop the target"
        )
    if (largest := float(np.abs(target).max())) > LARGEST:
        raise ModelError(
            f"a training row with a value of {largest:g} on the scale of the model", f"at most {LARGEST:g}",
            "look at the label and its unit, or learn the property on the scale log10",
        )  # fmt: skip
    mean, spread = np.empty(len(target)), np.empty(len(target))
    for train, held_out in grouped_folds(groups, folds=folds):
        own = None if weights is None else weights[train]
        ensemble = fitted(make(), values[train], target[train], groups=groups[train], weights=own)
        mean[held_out], spread[held_out] = ensemble.predict(values[held_out])
    return mean, spread


def expected_shrinkage(
    target: NDArray[np.float64], *, mean: NDArray[np.float64], of_half: NDArray[np.float64]
) -> float:
    """Estimate how much smaller the errors of a model of all rows are than the errors of its five folds.

    Errors fall with a power of the number of rows (Cortes et al., Adv. Neural Inf. Process. Syst. 6, 327 (1993)). The
    power is estimated from ensembles of half the rows and of four fifths, and extrapolated to all rows.

    Args:
        target: What to learn, shape (m,).
        mean: What :func:`out_of_fold` predicts for the rows, shape (m,).
        of_half: The same with :data:`FEWER_FOLDS` folds, shape (m,).

    Returns:
        Factor, at most 1 and at least the square root of four fifths.
    """
    return _on_learning_curve(float(np.abs(of_half - target).mean()), float(np.abs(mean - target).mean()))


def _on_learning_curve(error_of_half: float, error: float) -> float:
    """Extrapolate the error with all rows over that with four fifths, from the errors with half and four fifths.

    >>> round(_on_learning_curve((0.8 / 0.5) ** 0.25, 1.0), 6) == round(0.8**0.25, 6)
    True
    """
    if not min(error_of_half, error) > 0:
        return 1.0
    half, most = 1 - 1 / FEWER_FOLDS, 1 - 1 / FOLDS
    exponent = np.log(error_of_half / error) / np.log(most / half)
    return float(most ** np.clip(exponent, 0.0, STEEPEST))


class CrossFitted(NamedTuple):
    """Where truths lie in predictive distributions that were calibrated on other rows.

    Attributes:
        central: Probability of the smallest central interval that holds the truth, shape (c,).
        width: Of the 90 % interval, shape (c,).
        median: Of each distribution, which is the value that people are shown, shape (c,).
    """

    central: NDArray[np.float64]
    width: NDArray[np.float64]
    median: NDArray[np.float64]


def cross_fitted(
    target: NDArray[np.float64],
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    folds: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    distance: NDArray[np.float64] | None = None,
    edges: NDArray[np.float64] | None = None,
    factor: float = 1.0,
    hidden: NDArray[np.bool_] | None = None,
) -> CrossFitted:
    """Calibrate the intervals of each fold on the residuals of its training rows.

    Args:
        target: Truth on the model scale, shape (c,).
        mean: Prediction of each row by an ensemble that saw nothing of its fold, shape (c,).
        spread: Its spread, shape (c,).
        folds: Places of training rows and of held-out rows.
        distance: Of each row to the rows its ensemble was fitted to, which bins the residuals, shape (c,).
        edges: Distances at which bins end, by default those of :func:`~.calibration.bin_edges`. Those that leave too
            few training rows in a bin do not count in that fold.
        factor: On the width of all intervals.
        hidden: Whether a whole chemistry was hidden with the row, see :meth:`~.calibration.Calibration.fit`, (c,).
    """
    apart = np.zeros(len(target)) if distance is None else distance
    central, width, median = np.empty((3, len(target)))
    for train, held_out in folds:
        of_train = None if distance is None else distance[train]
        kept = edges if edges is None or of_train is None else with_enough(edges, of_train)
        calibration = Calibration.fit(
            target[train], mean[train], spread[train], of_train, shrinkage=factor, edges=kept,
            hidden=None if hidden is None else hidden[train],
        )  # fmt: skip
        scale, bins = spread[held_out] + calibration.floor, calibration.bins(apart[held_out])
        central[held_out] = calibration.central((target[held_out] - mean[held_out]) / scale, bins)
        width[held_out] = scale * (calibration.quantile(0.95) - calibration.quantile(0.05))[bins]
        median[held_out] = mean[held_out] + scale * calibration.inverse(np.full(len(held_out), 0.5), bins)
    return CrossFitted(central, width, median)


def scores(
    target: NDArray[np.float64],
    crossed: CrossFitted,
    *,
    known: NDArray[np.bool_] | None = None,
    apart: Mapping[str, NDArray[np.bool_]] = _NOTHING_APART,
) -> dict[str, Any]:
    """Score out-of-fold predictions on the model scale, arrays of shape (c,): errors of the medians, and intervals.

    Medians and intervals both come from ensembles of four fifths of the rows, so no residual is shrunk here.

    Args:
        target: Truth.
        crossed: Where it lies in distributions that were calibrated on other rows.
        known: The rows whose formula alone was held out; all if left out.
        apart: Rows that were held out in other ways, by the name under which their error and coverage are told.
    """
    known = np.ones(len(target), bool) if known is None else known
    central, width, median = crossed
    error, truth = np.abs(target - median), target[known]
    found: dict[str, Any] = {
        "mae": float(error[known].mean()),
        "rmse": float(np.sqrt((error[known] ** 2).mean())),
        "r2": float(1 - (error[known] ** 2).sum() / ((truth - truth.mean()) ** 2).sum()),
        "mae_of_mean": float(np.abs(truth - truth.mean()).mean()),
        "coverage_90": float((central[known] <= 0.9).mean()),
        "coverage_curve": [[level, float((central[known] <= level).mean())] for level in COVERAGE_LEVELS],
        "width_90": float(width[known].mean()),
        "width_error_rank_correlation": _rank_correlation(width[known], error[known]),
    }
    for name, rows in apart.items():
        if rows.any():
            found[name] = {
                "rows": int(rows.sum()),
                "mae": float(error[rows].mean()),
                "coverage_90": float((central[rows] <= 0.9).mean()),
                "width_90": float(width[rows].mean()),
            }
    return found


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation; 0 where all values of either are equal, which says nothing about an order.

    >>> _rank_correlation(np.arange(3.0), np.zeros(3)), _rank_correlation(np.arange(3.0), np.arange(3.0))
    (0.0, 1.0)
    """
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic) if np.ptp(first) > 0 and np.ptp(second) > 0 else 0.0


def data_hash(values: NDArray[np.float64], target: NDArray[np.float64]) -> str:
    """sha256 of the training features and targets."""
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes())
    digest.update(np.ascontiguousarray(target).tobytes())
    return digest.hexdigest()
