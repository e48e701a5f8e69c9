"""Error on random folds beside that on grouped folds: how much a model knows from other rows of the same formula.

Random folds leave other crystals, or other measurements, of a formula in the training data. They flatter a model that
is asked about new formulas; grouped folds do not. Both errors are those of the small ensemble of
:mod:`matloop.models.surrogates.held_out`, so that only the folds differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.held_out import Rows, SmallEnsemble, grouped_errors


def random_split(rows: Rows, small: SmallEnsemble, of_groups: NDArray[np.float64]) -> dict[str, Any]:
    """Compute both errors for a card, as plain JSON values.

    Args:
        rows: Training rows of the model.
        small: The small ensemble.
        of_groups: Its errors on grouped folds, shape (m,).

    Returns:
        ``mae`` on random folds, ``grouped_mae``, and ``rows_with_siblings``: how many rows share their formula with
        another row. If none does, both errors are the same and nothing is fitted.
    """
    _, place, counts = np.unique(rows.groups, return_inverse=True, return_counts=True)
    siblings = int((counts[place] > 1).sum())
    alone = rows._replace(groups=np.arange(len(rows.target)))
    error = grouped_errors(alone, small) if siblings else of_groups
    return {
        "mae": float(error.mean()),
        "grouped_mae": float(of_groups.mean()),
        "rows_with_siblings": siblings,
    }
