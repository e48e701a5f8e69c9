"""How much each training row counts: check the weights of rows, and hand them to families that take them."""

from __future__ import annotations

import inspect
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import RowWeightsError
from matloop.data.registry import lookup
from matloop.models.families.contract import Ensemble
from matloop.models.registry import MODELS

_Family = TypeVar("_Family", bound=Ensemble)


def relative_weights(weights: NDArray[np.float64] | None, rows: int) -> NDArray[np.float64] | None:
    """Return weights with mean 1, shape (rows,); None if all rows count the same.

    Args:
        weights: Positive numbers, shape (rows,), or None.
        rows: Number of training rows.

    Raises:
        RowWeightsError: If there is not one positive number per row.

    >>> relative_weights(np.array([1.0, 3.0]), 2), relative_weights(np.array([2.0, 2.0]), 2)
    (array([0.5, 1.5]), None)
    """
    if weights is None:
        return None
    weights = np.asarray(weights, np.float64)
    if weights.shape != (rows,) or not (np.isfinite(weights) & (weights > 0)).all():
        raise RowWeightsError(
            f"weights of shape {weights.shape} for {rows} rows, {int((weights > 0).sum())} of them above zero",
            "one positive number per row", "leave out rows that shall not count",
        )  # fmt: skip
    return None if rows == 0 or (weights == weights[0]).all() else weights / weights.mean()


def fitted(
    ensemble: _Family,
    values: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    groups: NDArray[np.integer] | None,
    weights: NDArray[np.float64] | None,
) -> _Family:
    """Fit an ensemble to rows that may count differently.

    Families of other packages may not know weights. They are fitted without where all rows count the same.

    Args:
        ensemble: An unfitted ensemble.
        values: Features, shape (n, k).
        target: Values to learn, shape (n,).
        groups: Formula group of each row, shape (n,).
        weights: How much each row counts, shape (n,), or None.

    Raises:
        RowWeightsError: If the weights differ and the family takes none.
    """
    relative = relative_weights(weights, len(target))
    if relative is None:
        return ensemble.fit(values, target, groups=groups)
    require_weights(type(ensemble))
    return ensemble.fit(values, target, groups=groups, weights=relative)


def require_weights(family: type[Ensemble]) -> None:
    """Refuse a family that takes no weights of rows.

    Raises:
        RowWeightsError: Naming the families that do.
    """
    if not takes_weights(family):
        able = [name for name in sorted(MODELS) if takes_weights(lookup("model", MODELS, name))]
        raise RowWeightsError(
            f"rows with unequal weights for the family {family.family}, which takes none",
            f"one of {', '.join(able)}", "choose one of these families, or leave out weights and uncertainties",
        )  # fmt: skip


def takes_weights(family: type[Ensemble]) -> bool:
    """Whether the ``fit`` of a family has an argument ``weights``."""
    return "weights" in inspect.signature(family.fit).parameters
