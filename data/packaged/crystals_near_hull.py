"""Packaged crystals as facts to compare with: those that show usual bond lengths, and which one a composition has."""

from __future__ import annotations

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column, property_column

NEAR_HULL = 0.05  # eV/atom
MOST_SITES = 24
"""Larger known crystals, one in a hundred, would take most of the time."""


def crystals_near_hull() -> CandidateBatch:
    """The packaged crystals near the hull, with up to 24 sites, that show what bond lengths are usual.

    >>> len(crystals_near_hull()) > 1000
    True
    """
    materials = load_materials()
    assert materials.crystals is not None  # packaged crystals all have cells
    near = materials.column(property_column("energy_above_hull", "dft")) <= NEAR_HULL
    return materials.take(np.flatnonzero(near & (materials.crystals.site_counts <= MOST_SITES)))


def packaged_identifier(composition: Compositions) -> str:
    """Identifier of the packaged crystal of lowest energy with a composition; empty where there is none.

    Args:
        composition: One composition.
    """
    materials = load_materials()
    rows = np.flatnonzero(composition_keys(materials.compositions) == composition_keys(composition)[0])
    if not len(rows):
        return ""
    above = materials.column(property_column("energy_above_hull", "dft"))[rows]
    return str(materials.table[Column.MATERIAL_ID][rows[np.nan_to_num(above, nan=np.inf).argmin()]].as_py())
