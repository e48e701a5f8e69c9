"""A Gaussian process for a few hundred rows that takes a fraction of a second: one length scale for all features.

The kernel is the squared exponential of the distance between standardised features. Length scale and noise are those of
a small grid with the largest evidence; the amplitude has a closed form. One eigendecomposition for each length scale
gives the evidence at any noise (Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press (2006),
section 5.4.1).

:class:`matloop.models.families.gaussian_process.GaussianProcess` has a length scale for each component, and is what
campaigns train; this one is for loops that train again after every batch.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

LENGTHS = (0.35, 0.7, 1.4, 2.8, 5.6)
"""Length scales, in units of the root mean square distance that one standard deviation of every feature makes."""
NOISES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Variances of the noise, in units of that of the process."""
_FURTHEST = 5.0  # standard deviations; a feature farther out counts as there
_BLOCK = 4096  # rows predicted at once


class IsotropicProcess(NamedTuple):
    """A fitted process.

    Attributes:
        rows: Scaled features of the n training rows, shape (n, k).
        length: Length scale.
        center: Mean of the targets.
        amplitude: Variance of the process.
        axes: Eigenvectors of the correlation matrix, shape (n, n).
        spectrum: Its eigenvalues plus the noise, shape (n,).
        weights: Targets along the eigenvectors over the spectrum, shape (n,).
    """

    rows: NDArray[np.float64]
    length: float
    center: float
    amplitude: float
    axes: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: NDArray[np.float64], targets: NDArray[np.float64]) -> Self:
        """Fit it to scaled features (n, k), see :func:`scaled_features`, and targets (n,)."""
        center = float(np.mean(targets))
        centered, distances = targets - center, _squared_distances(rows, rows)
        best: tuple[float, Self] | None = None
        for length in LENGTHS:
            values, axes = np.linalg.eigh(np.exp(-distances / (2 * length**2)))
            along = axes.T @ centered
            for noise in NOISES:
                spectrum = np.maximum(values, 0) + noise
                amplitude = max(float(np.mean(along**2 / spectrum)), np.finfo(float).tiny)
                evidence = -(len(targets) * np.log(amplitude) + float(np.log(spectrum).sum())) / 2
                if best is None or evidence > best[0]:
                    best = evidence, cls(rows, length, center, amplitude, axes, spectrum, along / spectrum)
        assert best is not None
        return best[1]

    def predict(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation without noise for scaled features (m, k), each (m,)."""
        parts = [self._moments(rows[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK)]
        mean, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self.center + mean, np.sqrt(self.amplitude * np.maximum(variance, 0))

    def _moments(self, rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        along = np.exp(-_squared_distances(rows, self.rows) / (2 * self.length**2)) @ self.axes
        return along @ self.weights, 1 - along**2 @ (1 / self.spectrum)


def scaled_features(features: NDArray[np.float64]) -> NDArray[np.float32]:
    """Standardised columns, those that are constant left out, each weighed so that k of them count as one.

    Args:
        features: Of all candidates, shape (n, k).

    >>> scaled_features(np.array([[1.0, 0.0, 7.0], [3.0, 4.0, 7.0]])).astype(float).round(2).tolist()
    [[-0.71, -0.71], [0.71, 0.71]]
    """
    spread = features.std(axis=0)
    varied = spread > 0
    standardised = (features[:, varied] - features[:, varied].mean(axis=0)) / spread[varied]
    return (np.clip(standardised, -_FURTHEST, _FURTHEST) / np.sqrt(max(varied.sum(), 1))).astype(np.float32)


def _squared_distances(rows: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    squares = np.einsum("ij,ij->i", rows, rows)[:, None] + np.einsum("ij,ij->i", others, others)
    return np.maximum(squares - 2 * (rows @ others.T), 0)
