"""Weights of training rows from the noise of their labels.

A label is a prediction, plus what the model misses, plus the noise of the label: y = f(x) + d + e. With the variance s2
of d, which all rows share, and the variance u2 of e, the weight of a row is s2 / (s2 + u2), that of weighted least
squares with random effects (DerSimonian and Laird, Control. Clin. Trials 7, 177 (1986)). A noise that is small against
the error of the model changes next to nothing then, and labels of large noise count little.

The variance s2 is estimated from residuals of rows that an ensemble did not see. It is the one with which the mean of
residual2 / (s2 + u2) is 1 (Paule and Mandel, J. Res. Natl. Bur. Stand. 87, 377 (1982)). It is estimated twice, the
second time from ensembles that count rows by the first weights, because these miss the truth by less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.definition import Transform
from matloop.data.training.training_set import TrainingSet
from matloop.models.families.contract import Ensemble
from matloop.models.families.row_weights import takes_weights
from matloop.models.surrogates.conditions import features_with, learned_conditions
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.training import out_of_fold, usable_rows

_PASSES = 2
_SMALLEST_SHARE = 0.01
"""Of the mean squared residual that is the model's own at least; stated errors may be too large."""


class NoiseWeights(NamedTuple):
    """Weights of m rows, with the noise in them.

    Attributes:
        weights: How much each row counts, shape (m,).
        card: What a card says of the noise, on the scale of the model; None where nothing is known of it.
    """

    weights: NDArray[np.float64]
    card: dict[str, Any] | None


def weights_by_noise(
    make: Callable[[], Ensemble], features: FeatureMatrix, training: TrainingSet, *, transform: Transform
) -> NoiseWeights:
    """Multiply the weights of a training set by those from the noise of its labels.

    Rows whose noise is not known have the median of the others. The weights stay those of the training set where
    nothing is known of the noise, where it is the same for all rows, and where the family takes no weights.

    Args:
        make: Makes an unfitted ensemble.
        features: Features of the m materials; those of conditions are put behind them.
        training: The rows.
        transform: Scale of the model.

    Raises:
        ModelError: If there are too few rows.
    """
    errors = errors_on_scale(training, transform)
    if errors is None or training.noise is None:
        return NoiseWeights(training.weights, None)
    target = forward(training.values, transform)
    features = features_with(features, learned_conditions(training.conditions), training.conditions)
    used = usable_rows(features, target)
    variances = np.where(np.isfinite(errors), errors, np.nanmedian(errors)) ** 2
    counts, useful = training.weights[used], np.ptp(variances[used]) > 0 and takes_weights(type(make()))
    values, truth, groups = features.values[used], target[used], training.groups[used]
    own = 1.0
    for _ in range(_PASSES if useful else 1):
        mean, _ = out_of_fold(make, values, truth, groups, weights=counts)
        own = own_variance(truth - mean, variances[used])
        counts = training.weights[used] * own / (own + variances[used])
    known = transform == property_named(training.property_name).transform and np.isfinite(training.noise.deviation)
    card = {
        "deviation": float(training.noise.deviation) if known else None,
        "repeats": training.noise.repeats,
        "error": float(np.sqrt(variances[used].mean())),
        "model_deviation": float(np.sqrt(own)),
    }
    return NoiseWeights(training.weights * own / (own + variances) if useful else training.weights, card)


def errors_on_scale(training: TrainingSet, transform: Transform) -> NDArray[np.float64] | None:
    """Return the standard errors of labels on the scale of a model, shape (m,); None where none is known.

    Args:
        training: The labels; their errors are on the scale of the property.
        transform: Scale of the model. Between the two scales, errors count as small.
    """
    if training.noise is None or not np.isfinite(training.noise.errors).any():
        return None
    errors, own = training.noise.errors, property_named(training.property_name).transform
    if transform == own:
        return errors
    slope = training.values * np.log(10)
    return np.asarray(errors / slope if transform == "log10" else errors * slope)


def own_variance(residuals: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """Estimate the variance of residuals (m,) that the noise of the labels does not explain.

    Args:
        residuals: Labels minus predictions of ensembles that did not see them.
        variances: Variance of the noise of each label, shape (m,).

    >>> round(own_variance(np.array([1.0, -3.0]), np.array([0.0, 0.0])), 6)
    5.0
    """
    squares = residuals**2
    low, high = _SMALLEST_SHARE * float(squares.mean()), float(squares.mean())
    for _ in range(60):
        middle = (low + high) / 2
        if float((squares / (middle + variances)).mean()) > 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2
