"""Compare a prediction with training rows: a background, levels of features, and the nearest rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.surrogate import Surrogate

BACKGROUND_ROWS = 100


def training_features(surrogate: Surrogate) -> NDArray[np.float64]:
    """Return the features of the training rows as the domain keeps them, shape (m, k).

    The domain keeps them in single precision. It does not keep features that the ensemble never uses; all rows have the
    mean there.
    """
    domain = surrogate.domain
    scale = np.where(domain.weight > 0, domain.weight, np.inf)
    return np.asarray(domain.points / scale + domain.centre, np.float64)


def background_of(surrogate: Surrogate, *, rows: int = BACKGROUND_ROWS) -> NDArray[np.float64]:
    """Return the features of training rows that are evenly spaced by their value, shape (at most ``rows``, k)."""
    by_value = np.argsort(surrogate.training.target, kind="stable")
    picks = np.linspace(0, len(by_value) - 1, min(rows, len(by_value))).round().astype(np.int64)
    return training_features(surrogate)[by_value[picks]]


def levels(surrogate: Surrogate, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the share of training rows below each value, shape (n, k); equal rows count half.

    Args:
        surrogate: The surrogate whose training rows are used.
        values: Features of n candidates, shape (n, k).
    """
    rows = training_features(surrogate)
    slack = 1e-6 * rows.std(axis=0)  # of single precision
    below = [(rows < value - slack).mean(axis=0) for value in values]
    upto = [(rows <= value + slack).mean(axis=0) for value in values]
    return (np.array(below) + np.array(upto)).reshape(values.shape) / 2


def nearest_training(
    surrogate: Surrogate, values: NDArray[np.float64], *, count: int = 5
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the training rows nearest to n candidates by the distance of the applicability domain.

    Args:
        surrogate: The surrogate whose training rows are used.
        values: Features, shape (n, k).
        count: Number of training rows for each candidate.

    Returns:
        Training rows and their distances, each (n, count), nearest first.
    """
    domain = surrogate.domain
    weighted = ((values - domain.centre) * domain.weight).astype(np.float32)
    distances = np.array([np.sqrt(((domain.points - row) ** 2).sum(axis=1)) for row in weighted])
    distances = distances.reshape(len(values), len(domain.points))
    rows = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(distances, rows, axis=1).astype(np.float64)
