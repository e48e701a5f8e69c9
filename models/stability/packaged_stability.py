"""What the packaged crystals and the packaged phases of the Materials Project teach about the stability of others."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.computed_phases import load_computed_phases, load_known_formulas
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.columns import Column
from matloop.models.stability.computed_hull import computed_hull, computed_phases
from matloop.models.stability.database_scale import formation_energies_on_scale
from matloop.models.stability.hull import PhaseEnergies
from matloop.models.stability.stability import Stability

DATABASE = "materials_project"
"""Whose phases form the hull; those of the other database are known without an energy, since two never share a hull."""
_OTHER = "oqmd"


def learn_stability(
    labelled: PhaseEnergies,
    crystals: CandidateBatch,
    *,
    further: PhaseEnergies | None = None,
    corrected: Sequence[str] = (),
) -> Stability:
    """Learn from the packaged crystals how the energies of a potential tell stability.

    Args:
        labelled: Energies of the packaged crystals by the potential, in their order.
        crystals: The packaged crystals.
        further: Further reference phases evaluated by the same potential.
        corrected: Elements whose energy is corrected beside oxygen and fluorine.

    Raises:
        EnergySourceError: If the further phases come from another source.
        DatasetError: If a packaged file is not the one that was released.
    """
    known = database_formation_energies(crystals)
    hull = computed_hull(DATABASE)
    return Stability.fit(labelled, known, hull, known=known_compositions(), further=further, corrected=corrected)


def database_formation_energies(crystals: CandidateBatch) -> NDArray[np.float64]:
    """Formation energies of the packaged crystals on the scale of the hull, nan where unknown, shape (n,)."""
    labels = crystals.column("formation_energy_per_atom_dft").astype(np.float64)
    polymorphs = load_computed_phases(DATABASE)["polymorphs"].to_numpy()
    return formation_energies_on_scale(crystals.compositions, labels, computed_phases(DATABASE), polymorphs)


@functools.cache
def known_compositions() -> Compositions:
    """Compositions that a packaged list knows; of the other database those with the lowest formation energies first."""
    other = load_computed_phases(_OTHER)
    order = np.argsort(other["formation_energy_per_atom"].to_numpy(), kind="stable")
    tables = [load_materials().table, load_transport(), other.take(pa.array(order))]
    formulas = load_known_formulas(DATABASE).to_pylist()
    formulas += [formula for table in tables for formula in table[Column.FORMULA].to_pylist()]
    formulas += load_known_formulas(_OTHER).to_pylist()
    compositions, codes = parse_formulas(list(dict.fromkeys(formulas)), exact=True)
    return compositions.take(np.flatnonzero(codes == ""))
