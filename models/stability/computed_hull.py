"""The hull of all phases that a database computed, from packaged compositions and energies."""

from __future__ import annotations

import functools

import numpy as np

from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.computed_phases import load_computed_phases
from matloop.data.properties.columns import Column
from matloop.models.stability.hull import Hull, PhaseEnergies


@functools.cache
def computed_phases(source: str) -> PhaseEnergies:
    """Formation energies of the lowest phase of each composition, every element at zero among them.

    Args:
        source: Name in :data:`matloop.data.packaged.computed_phases.PHASE_FILES`.

    Returns:
        Phases named by their formulas, under the name that the database and its year give their energies. Formation
        energies from anywhere else do not meet them unless whoever made those says that they stand on this scale.

    Raises:
        DatasetError: If the packaged file is not the one that was released.
    """
    table = load_computed_phases(source)
    compositions, _ = parse_formulas(table[Column.FORMULA].combine_chunks(), exact=True)
    energies = table["formation_energy_per_atom"].to_numpy().astype(np.float64)
    name = table.schema.metadata[b"source"].decode()
    return PhaseEnergies(name, compositions, energies, table[Column.FORMULA].to_pylist())


@functools.cache
def computed_hull(source: str) -> Hull:
    """The hull of :func:`computed_phases`.

    Args:
        source: Name in :data:`matloop.data.packaged.computed_phases.PHASE_FILES`.

    Raises:
        DatasetError: If the packaged file is not the one that was released.

    >>> import numpy as np
    >>> hull, phases = computed_hull("materials_project"), computed_phases("materials_project")
    >>> garnet = phases.take(np.array([phases.ids.index("Ca3Al2(SiO4)3")]))
    >>> new = hull.distances(garnet, leave_out_own_composition=True)
    >>> [product.formula for product in new.products[0]], round(float(new.energy_above_hull[0]), 3)
    (['CaSiO3', 'CaAl2(SiO4)2', 'CaAl4O7'], 0.001)
    """
    return Hull(computed_phases(source))
