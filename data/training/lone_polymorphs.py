"""Labels of crystals from a table of computed values by composition, where no polymorph can be mistaken for another.

Such a table says what a database computed of a formula, not of which crystal. That leaves no doubt where the database
knew one crystal of the formula, or where all that it knew have the same value, as those of a metal mostly have. A
crystal near the hull then has that value, too. All other crystals stay without a label.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column

FARTHEST_FROM_HULL = 0.1
"""eV/atom above hull up to which a crystal may get a label; one without a known distance was chosen near the hull."""


def values_of_lone_polymorphs(crystals: CandidateBatch, table: pa.Table, *, agreement: float) -> NDArray[np.float64]:
    """Values that a table of compositions has of crystals, shape (n,); nan where they may be those of another crystal.

    Args:
        crystals: n crystals with their energies above hull.
        table: Rows by formula, as :func:`matloop.data.packaged.computed_properties.load_computed_properties` gives
            them: ``value``, ``lowest`` and ``highest`` of ``polymorphs`` crystals.
        agreement: Largest difference of the values of polymorphs that count as equal, in the unit of the property.
    """
    row_of = {formula: row for row, formula in enumerate(table[Column.FORMULA].to_pylist())}
    rows = np.array([row_of.get(formula, -1) for formula in crystals.formulas], dtype=np.int64)
    value, lowest, highest, known = (table[name].to_numpy() for name in ("value", "lowest", "highest", "polymorphs"))
    _, formula, count = np.unique(crystals.formulas, return_inverse=True, return_counts=True)
    same = (highest[rows] - lowest[rows] <= agreement) & (known[rows] >= count[formula])
    near = np.nan_to_num(crystals.column("energy_above_hull_dft"), nan=0.0) <= FARTHEST_FROM_HULL
    return np.where((rows >= 0) & near & same, value[rows], np.nan)
