"""Measured labels of compounds, with the crystal of each where a packaged one is that compound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.properties.columns import Column

_NEAR_HULL = 0.01
"""eV/atom above hull of a packaged crystal without a known value; such crystals were chosen near the hull."""
_KEPT = (Column.CANDIDATE_ID, Column.FORMULA, Column.MATERIAL_ID, Column.SPACE_GROUP_NUMBER)


def rows_with_crystals(
    formulas: Sequence[str], crystals: CandidateBatch, *, space_groups: Sequence[int | None] | None = None
) -> Intake:
    """Candidates of formulas, with the crystal among given ones that has the formula.

    Models that read crystals learn from rows that have one; models that read compositions learn from all.

    Args:
        formulas: n formulas, as a program wrote them.
        crystals: Packaged crystals, with their energies above hull.
        space_groups: Space group of each compound; a crystal of another one is not it. None takes the crystal of the
            lowest energy above hull.

    Returns:
        The candidates in the order of the formulas, and the formulas that cannot be read.
    """
    plain, refused = CandidateBatch.from_formulas(formulas, exact=True)
    readable = np.setdiff1d(np.arange(len(formulas)), [row.row for row in refused])
    found = np.full(len(plain), -1)
    best = np.full(len(plain), np.inf)
    rows_of: dict[str, list[int]] = {}
    for row, formula in enumerate(plain.formulas):
        rows_of.setdefault(formula, []).append(row)
    groups = crystals.column(Column.SPACE_GROUP_NUMBER)
    energies = np.nan_to_num(crystals.column("energy_above_hull_dft"), nan=_NEAR_HULL)
    for place, formula in enumerate(crystals.formulas):
        for row in rows_of.get(formula, []):
            fits = space_groups is None or space_groups[int(readable[row])] == groups[place]
            if fits and energies[place] < best[row]:
                found[row], best[row] = place, energies[place]
    return Intake(_joined(plain, crystals, found), refused)


def _joined(plain: CandidateBatch, crystals: CandidateBatch, found: NDArray[np.int64]) -> CandidateBatch:
    """Candidates of which row i is the crystal ``found[i]``, or the composition i where that is -1."""
    with_crystal, without = np.flatnonzero(found >= 0), np.flatnonzero(found < 0)
    known = crystals.take(found[with_crystal])
    known = CandidateBatch(known.table.select([str(name) for name in _KEPT]), known.blocks)
    tables = [known.to_arrow(), plain.take(without).to_arrow()]
    joined = CandidateBatch.from_arrow(pa.concat_tables(tables, promote_options="permissive"))
    return joined.take(np.argsort(np.concatenate([with_crystal, without])))
