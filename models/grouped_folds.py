"""Make folds for cross-validation that keep the rows of one formula together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def grouped_folds(
    groups: NDArray[np.integer], *, folds: int = FOLDS, seed: int = 0
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield training and held-out rows of each fold. Rows of one group (reduced formula) stay on one side."""
    from sklearn.model_selection import GroupKFold

    yield from GroupKFold(folds, shuffle=True, random_state=seed).split(groups, groups=groups)
