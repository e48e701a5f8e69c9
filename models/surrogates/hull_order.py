"""How well a surrogate of the energy above the hull puts crystals in order, and whether it beats saying 0.

Nearly all crystals with a label lie near the hull, since somebody made or computed them for a reason. A surrogate can
then have a small error and still not tell which crystals lie near the hull. So its card says both: the area under the
receiver operating characteristic curve (the chance that a crystal near the hull is predicted below one farther away;
Hanley and McNeil, Radiology 143, 29 (1982)), and its mean error beside that of always saying 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.definition import Transform

PROPERTY = "energy_above_hull"
NEAR = 0.05
"""eV/atom above the hull up to which a crystal counts as near."""
_OXYGEN = 8


def hull_order_statement(
    property_name: str,
    transform: Transform,
    target: NDArray[np.float64],
    predicted: NDArray[np.float64],
    elements: NDArray[np.bool_],
) -> dict[str, Any]:
    """Return the entry ``hull_order`` of a card; nothing for other properties, nor where all rows are near or none is.

    Args:
        property_name: Property of the surrogate.
        transform: Scale on which it works.
        target: Truth on that scale, shape (m,).
        predicted: Out-of-fold predictions on that scale, shape (m,).
        elements: Elements of each row, shape (m, 119).
    """
    if property_name != PROPERTY or transform != "identity":
        return {}
    near, oxides = target <= NEAR, elements[:, _OXYGEN]
    found = area_under_curve(near, -predicted)
    if found is None:
        return {}
    entry = {
        "near": NEAR, "rows": len(target), "rows_near": int(near.sum()), "auc": found,
        "auc_of_oxides": area_under_curve(near[oxides], -predicted[oxides]), "rows_of_oxides": int(oxides.sum()),
        "mae": float(np.abs(np.maximum(predicted, 0) - target).mean()), "mae_of_zero": float(np.abs(target).mean()),
    }  # fmt: skip
    return {"hull_order": entry}


def area_under_curve(yes: NDArray[np.bool_], score: NDArray[np.float64]) -> float | None:
    """Compute the chance that a row with yes has a higher score than one without; None where one side is empty.

    >>> area_under_curve(np.array([True, True, False]), np.array([0.9, 0.2, 0.5]))
    0.5
    """
    from scipy.stats import mannwhitneyu

    if yes.all() or not yes.any():
        return None
    return float(mannwhitneyu(score[yes], score[~yes]).statistic / (yes.sum() * (~yes).sum()))
