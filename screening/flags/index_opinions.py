"""A second opinion about the refractive index of candidates: additive polarisabilities in the volume of the crystal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.chemistry.polarisabilities import disagrees, lorentz_lorenz_indices
from matloop.data.properties.columns import property_column

INDEX = "refractive_index"


def index_opinions(batch: CandidateBatch) -> tuple[NDArray[np.float64], list[str]]:
    """Tell the index by polarisabilities where a surrogate predicted one, and both where they disagree.

    Computed indices are compared with computed ones: on a measured scale the computed value of the surrogate counts.

    Args:
        batch: n candidates.

    Returns:
        Index by polarisabilities, nan where there is no prediction or no crystal, shape (n,), and for each candidate
        both indices as ``2.32; 1.90``, or an empty text.
    """
    found, told = np.full(len(batch), np.nan), [""] * len(batch)
    columns = [property_column(INDEX, "computed"), property_column(INDEX, "pred")]
    there = [name for name in columns if name in batch.table.column_names]
    rows = np.flatnonzero(batch.has_crystal)
    if there and len(rows):
        chosen, predicted = batch.take(rows), batch.column(there[0])[rows]
        found[rows] = np.where(np.isfinite(predicted), lorentz_lorenz_indices(chosen), np.nan)
        for row in np.flatnonzero(disagrees(chosen, found[rows], predicted)).tolist():
            told[rows[row]] = f"{predicted[row]:.2f}; {found[rows[row]]:.2f}"
    return found, told
