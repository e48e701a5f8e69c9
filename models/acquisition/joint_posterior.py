"""What the errors of several candidates have in common, and what the result of one would say of the others.

Members of an ensemble give a joint distribution: two crystals that reach the same leaves are wrong together, two that
share nothing are wrong independently. The deviations of m members from their mean, divided by the square root of m,
are the *loadings* of a candidate, and the covariance of two candidates is the product of their loadings. A calibrated
width that is larger than the disagreement of the members leaves an independent part. Where a model has no members, a
kernel over standardised features takes their place.

A result of one candidate is taken into account by conditioning the normal distribution on it. Its covariance loses one
rank, which in terms of loadings is a projection (the rank-one form of the update of a Kalman filter; Potter's square
root, see Bierman, Factorization Methods for Discrete Sequential Estimation, Academic Press (1977), section II.4).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.acquisition.outlook import TargetOutlook

MOST_ROWS = 5000
"""Candidates whose features are compared with each other."""
_SHARE_OF_MEDIAN = 1 / 3  # two candidates at the median distance then have a correlation of 0.01
_SMALLEST = 1e-300


def loadings_of_members(members: NDArray[np.floating], sigma: NDArray[np.floating]) -> NDArray[np.float64]:
    """Loadings of n candidates from what m members predict for them, shape (n, m).

    Args:
        members: Prediction of each member, shape (n, m).
        sigma: Calibrated standard deviations, shape (n,). Members that disagree more are drawn together.

    >>> found = loadings_of_members(np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 0.0]]), np.array([1.0, 1.0, 0.5]))
    >>> (found @ found.T).round(3).tolist()
    [[1.0, 1.0, -0.5], [1.0, 1.0, -0.5], [-0.5, -0.5, 0.25]]
    """
    deviations = (members - members.mean(axis=1, keepdims=True)) / np.sqrt(members.shape[1])
    disagreement = np.sqrt(np.square(deviations).sum(axis=1))
    return np.asarray(deviations * np.minimum(sigma / np.maximum(disagreement, _SMALLEST), 1.0)[:, None])


def loadings_of_features(values: NDArray[np.floating], sigma: NDArray[np.floating]) -> NDArray[np.float64]:
    """Loadings of n candidates from their features, shape (n, n), for models without members.

    The correlation of two candidates is a squared exponential of the distance of their standardised features. Its
    length is a third of the median distance, so most pairs are nearly independent.

    Args:
        values: Finite features, shape (n, k).
        sigma: Standard deviations, shape (n,).

    Raises:
        ModelError: If there are too many candidates to compare each with each.
    """
    from scipy.spatial.distance import pdist, squareform

    if len(values) > MOST_ROWS:
        raise ModelError(f"{len(values):,} candidates to compare with each other", f"at most {MOST_ROWS:,}")
    if len(values) < 2:
        return np.asarray(sigma, np.float64)[:, None]
    deviation = values.std(axis=0)
    varied = deviation > 0
    squared = pdist((values[:, varied] - values[:, varied].mean(axis=0)) / deviation[varied], "sqeuclidean")
    length = float(np.median(squared)) * _SHARE_OF_MEDIAN**2 or 1.0
    correlation = squareform(np.exp(-0.5 * squared / length), checks=False)
    np.fill_diagonal(correlation, 1.0)
    levels, axes = np.linalg.eigh(correlation)
    return np.asarray(axes * np.sqrt(np.maximum(levels, 0.0)) * np.asarray(sigma)[:, None])


def correlations(target: TargetOutlook, row: int) -> NDArray[np.float64]:
    """Correlation of the error of one candidate with that of each, shape (n,); 1 with itself."""
    found = np.zeros(len(target))
    if target.loadings.size:
        scale = np.maximum(target.sigma * target.sigma[row], _SMALLEST)
        found = np.clip(target.loadings @ target.loadings[row] / scale, -1.0, 1.0)
    found[row] = 1.0
    return found


def given_result(target: TargetOutlook, row: int, result: float) -> TargetOutlook:
    """The outlook that a result of one candidate would leave, as the models see it before anything is measured.

    Args:
        target: The outlook before.
        row: The candidate.
        result: Its value, on the scale of the model.

    >>> pair = TargetOutlook(np.zeros(2), np.ones(2), lower=0.0, loadings=np.array([[1.0, 0.0], [0.6, 0.8]]))
    >>> after = given_result(pair, 0, 2.0)
    >>> after.mean, after.sigma.round(6)
    (array([2. , 1.2]), array([0. , 0.8]))
    """
    variance = float(target.sigma[row]) ** 2
    mean, sigma = target.mean.astype(np.float64), target.sigma.astype(np.float64)
    loadings = target.loadings
    if loadings.size and variance > 0:
        shared = loadings @ loadings[row]
        mean += shared / variance * (result - float(target.mean[row]))
        strength = float(shared[row])
        own = max(variance - strength, 0.0)
        sigma = np.sqrt(np.maximum(sigma**2 - shared**2 / variance, 0.0))
        if strength > 0:
            loadings = loadings - np.outer(shared, loadings[row]) * (1 - np.sqrt(own / variance)) / strength
            loadings[row] = 0.0
    mean[row], sigma[row] = result, 0.0
    return replace(target, mean=mean, sigma=sigma, loadings=loadings)


def explained_variance(target: TargetOutlook) -> NDArray[np.float64]:
    """Mean variance of all candidates that a result of each would explain, in units of the spread, shape (n,).

    This is the criterion of Cohn, Neural Netw. 9, 1071 (1996): it favours candidates of which the models know little
    and that have much in common with others, over those that are merely odd.
    """
    if not target.loadings.size:
        return np.asarray(np.square(target.sigma / target.spread) / max(len(target), 1))
    finite = np.nan_to_num(target.loadings)
    together = finite.T @ finite
    explained = np.einsum("nm,mk,nk->n", finite, together, finite, optimize=True)
    own = np.square(target.sigma) - np.square(finite).sum(axis=1)  # what nobody shares explains only itself
    explained += np.maximum(own, 0.0) * (2 * np.square(finite).sum(axis=1) + np.maximum(own, 0.0))
    return np.asarray(explained / np.maximum(np.square(target.sigma), _SMALLEST) / len(target) / target.spread**2)
