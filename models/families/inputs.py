"""Prepare inputs of smooth models (Gaussian process, networks): clip, standardise, and evaluate in equal blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError

_CLIPPED = 0.005  # share of the training rows beyond each end, whose values would lead slopes astray
_BLOCK = 64


@dataclass(frozen=True)
class Scaling:
    """Clips each feature to the bulk of its training values and gives those mean 0 and deviation 1.

    Attributes:
        low: Value to which smaller values of each feature are clipped, shape (k,).
        high: Value to which larger values are clipped, shape (k,).
        centre: Mean of the clipped training values, shape (k,).
        deviation: Their standard deviation, shape (k,). It is infinite for a constant feature, which then becomes zero.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    centre: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float64]) -> Self:
        """Learn from features (n, k).

        >>> Scaling.fit(np.array([[1.0, 5.0], [3.0, 5.0]])).apply(np.array([[2.0, 9.0]]))
        array([[0., 0.]])
        """
        low, high = np.quantile(values, [_CLIPPED, 1 - _CLIPPED], axis=0)
        rare = low == high  # a feature that is not zero in a few rows only must not be clipped to a constant
        low, high = np.where(rare, values.min(axis=0), low), np.where(rare, values.max(axis=0), high)
        clipped = np.clip(values, low, high)
        deviation = clipped.std(axis=0)
        tiny = deviation <= 1e-12 * np.maximum(np.abs(low), np.abs(high))
        return cls(low, high, clipped.mean(axis=0), np.where(tiny, np.inf, deviation))

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale features, shape (n, k).

        Raises:
            ModelError: If the number of features differs from that of the training rows.
        """
        if values.shape[1] != len(self.centre):
            raise ModelError(f"{values.shape[1]} features", f"the {len(self.centre)} it was fitted on")
        return (np.clip(values, self.low, self.high) - self.centre) / self.deviation

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays to store in a file, for :meth:`from_arrays`."""
        return {f"scaling_{name}": getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Restore from the arrays of a file."""
        return cls(**{name: arrays[f"scaling_{name}"] for name in cls.__dataclass_fields__})


def in_blocks(
    evaluate: Callable[..., NDArray[np.float64]], *inputs: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Evaluate mean and spread of n rows, 64 rows at a time.

    The last digits of a matrix product depend on its size. In blocks of equal size, of which the last is padded, a row
    gets the same numbers alone and among any others; see also :func:`filled_up`.

    Args:
        evaluate: Computes mean and spread, shape (64, 2), of rows of the inputs.
        inputs: Arrays of n rows.
    """
    count = len(inputs[0])
    if count == 0:
        return np.empty(0), np.empty(0)
    padded = [np.concatenate([rows, np.repeat(rows[-1:], -count % _BLOCK, axis=0)]) for rows in inputs]
    parts = [evaluate(*(rows[at : at + _BLOCK] for rows in padded)) for at in range(0, len(padded[0]), _BLOCK)]
    moments = np.concatenate(parts)[:count]
    return moments[:, 0].copy(), moments[:, 1].copy()


def filled_up(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pad a matrix with zero columns up to a multiple of 64.

    Matrix products are computed in tiles of a few rows and columns. If the last columns do not fill a tile, the last
    digits of a row can depend on its place among the others.

    >>> filled_up(np.ones((3, 70))).shape
    (3, 128)
    """
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % _BLOCK)))


def slope_shares(slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute importances from the slopes of a prediction along each standardised feature.

    Args:
        slopes: Slopes at some training rows, shape (n, k).

    Returns:
        Mean absolute slope of each feature as a share of all, shape (k,).

    >>> slope_shares(np.array([[1.0, 0.0], [-2.0, 1.0]]))
    array([0.75, 0.25])
    """
    size = np.abs(slopes).mean(axis=0)
    total = size.sum()
    return size / total if total > 0 else np.full(len(size), 1 / len(size))
