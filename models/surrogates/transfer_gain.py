"""What measured rows bought: errors of a transfer beside those of its rivals, on the same held-out measured rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.contract import Ensemble
from matloop.models.families.transfer import Line, Transfer
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.held_out import Rows
from matloop.models.surrogates.training import out_of_fold


def what_measured_rows_bought(
    make: Callable[[], Ensemble],
    transfer: Ensemble,
    rows: Rows,
    *,
    mean: NDArray[np.float64],
) -> dict[str, Any]:
    """Compare a transfer with what measured rows or computed values alone would give, as plain JSON values of a card.

    Every error is that of the measured rows in the grouped folds of the scores. The computed value of a row comes from
    a model that saw none of its formula.

    Args:
        make: Makes an unfitted ensemble of the family, which learns from measured rows alone.
        transfer: The transfer, fitted to all rows.
        rows: The m measured rows; the last column of their features is the computed value.
        mean: What the transfer predicts for the rows out of fold, shape (m,).

    Returns:
        ``mae`` of ``transfer``, ``measured_only``, ``computed_only``, ``computed_and_line`` and ``mean``, and weights
        and line of the transfer.

    Raises:
        ModelError: If the ensemble is no transfer.
    """
    if not isinstance(transfer, Transfer):
        raise ModelError(f"an ensemble of the family {transfer.family}", "a transfer")
    target, groups, computed = rows.target, rows.groups, rows.values[:, -1]
    alone, _ = out_of_fold(make, rows.values[:, :-1], target, groups, weights=rows.weights)
    on_line, middle = np.empty((2, len(target)))
    for train, held in grouped_folds(groups):
        own = None if rows.weights is None else rows.weights[train]
        on_line[held] = Line.fit(computed[train], target[train], own).predict(computed[held])
        middle[held] = target[train].mean()
    predictions = {
        "transfer": mean, "measured_only": alone, "computed_only": computed, "computed_and_line": on_line,
        "mean": middle,
    }  # fmt: skip
    return {
        "mae": {name: float(np.abs(predicted - target).mean()) for name, predicted in predictions.items()},
        "weights": transfer.weights,
        "line": transfer.line._asdict(),
    }
