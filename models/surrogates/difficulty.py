"""Difficulty: a second forest learns from out-of-fold errors for which candidates predictions are hard.

The spread of an ensemble sorts candidates by error only moderately well. The geometric mean of that spread and of the
error expected by a forest trained on out-of-fold errors (a learned difficulty estimate in the sense of Boström et al.,
Machine Learning 106, 1967 (2017)) sorts them better, and calibration then sets its scale.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.extra_trees import ExtraTrees

_SOFTENING = 0.1  # share of the median that is added before taking logarithms, since a few errors are zero
_TREES, _SMALLEST_LEAF = 100, 10


@dataclass(frozen=True)
class Difficulty:
    """Expected error of a prediction.

    Attributes:
        forest: Predicts the logarithm of the softened error from features, mean and spread.
        softening: Number added to spreads, on the model scale.
    """

    forest: ExtraTrees
    softening: float

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float64],
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        target: NDArray[np.float64],
    ) -> Difficulty:
        """Learn from features (m, k) and out-of-fold mean, spread and truth, each (m,)."""
        error = np.abs(target - mean)
        softened = np.log(error + _SOFTENING * max(float(np.median(error)), 1e-12))
        forest = ExtraTrees(trees=_TREES, smallest_leaf=_SMALLEST_LEAF)
        return cls(forest.fit(_inputs(values, mean, spread), softened), _SOFTENING * float(np.median(spread)))

    @classmethod
    def out_of_fold(
        cls,
        values: NDArray[np.float64],
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        target: NDArray[np.float64],
        folds: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]],
    ) -> NDArray[np.float64]:
        """Adjust the spread of each row with a forest that saw no row of its fold, shape (m,).

        Args:
            values: Features, shape (m, k).
            mean: Out-of-fold prediction, shape (m,).
            spread: Its spread, shape (m,).
            target: Truth, shape (m,).
            folds: Places of training rows and of held-out rows.
        """
        adjusted = np.empty(len(target))
        for train, held_out in folds:
            fitted = cls.fit(values[train], mean[train], spread[train], target[train])
            adjusted[held_out] = fitted.adjust(values[held_out], mean[held_out], spread[held_out])
        return adjusted

    def adjust(
        self, values: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the geometric mean of spread and expected error, shape (n,)."""
        log_error, _ = self.forest.predict(_inputs(values, mean, spread))
        return np.sqrt((spread + self.softening) * np.exp(log_error))

    def save(self, folder: Path) -> None:
        """Write the forest into a new folder."""
        folder.mkdir()
        self.forest.save(folder)

    @classmethod
    def load(cls, folder: Path, *, softening: float) -> Self:
        """Read what :meth:`save` wrote."""
        return cls(ExtraTrees.load(folder), softening)


def _inputs(values: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([values, mean, spread])
