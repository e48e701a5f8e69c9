"""The featurizer ``crystal_voronoi``: the surroundings of each atom by its Voronoi cell, averaged over the crystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.feature_words import FeatureWords
from matloop.featurizers.base import Features, Featurizer
from matloop.featurizers.crystal_local import SITE_QUANTITIES, SITE_STATISTICS, atom_tables, features_in_parts
from matloop.featurizers.local_kernels import over_sites, site_statistics
from matloop.featurizers.site_words import site_words
from matloop.featurizers.voronoi import voronoi_cells

_COORDINATION, _SITE_VOLUME = SITE_QUANTITIES.index("coordination"), SITE_QUANTITIES.index("site volume")
_VOLUME_MEAN = len(SITE_STATISTICS) * _SITE_VOLUME  # its deviation is the next column


class CrystalVoronoi(Featurizer):
    """The site quantities of ``crystal_local``, with neighbours and weights from the Voronoi tessellation.

    Every face is a bond; its weight w_ij is the share of the sphere around atom i that the face covers, so that the
    weights of an atom add up to one. With them the quantities are those of
    :class:`~matloop.featurizers.crystal_local.CrystalLocal`, except the coordination, 1 / sum_j w_ij^2 (the number
    of faces if all were equal), and the site volume, which is that of the cell. Two more columns are defined as by Ward
    et al. (Phys. Rev. B 96, 024104 (2017)): the variation of cell volumes (mean absolute deviation over mean), and the
    packing, which is the volume of the largest spheres that fit into the cells over the volume of the crystal.

    Faces need no radii and no cutoff, but cells also touch across bonds. In place of ``crystal_local`` these columns
    give extra trees errors about 1 % larger for the refractive index and the shear modulus; beside it, 1 % smaller
    ones for the refractive index and 1 % larger ones for the shear modulus (``benchmarks/featurizers/structure_value.py
    --definitions``). They take five times longer. They serve for properties that
    depend on cells, and to compare with published work.

    Nothing depends on the choice of cell, its origin and orientation, or the order of sites.
    """

    name = "crystal_voronoi"
    version = "1"
    needs = frozenset({CRYSTALS})
    parameters: Mapping[str, Any] = {}
    feature_names = (
        *(f"voronoi {quantity} {statistic}" for quantity in SITE_QUANTITIES for statistic in SITE_STATISTICS),
        "voronoi site volume variation",
        "voronoi packing",
    )

    def __init__(self) -> None:
        self._radii, self._properties, self._no_data = atom_tables()

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 138)."""
        return features_in_parts(batch, len(self.feature_names), self._values, self._no_data)

    def words(self, name: str) -> FeatureWords:
        """Describe a statistic over sites, in the group of its quantity."""
        return site_words(name)

    def _values(self, crystals: Crystals) -> NDArray[np.float64]:
        cells = voronoi_cells(crystals)
        weights, faces = cells.solid_angles / (4 * np.pi), cells.faces
        sites = site_statistics(*faces, weights, crystals.species, self._radii, self._properties, np.inf)
        sites[:, _COORDINATION] = 1 / np.add.reduceat(weights**2, faces.offsets[:-1])
        sites[:, _SITE_VOLUME] = cells.volumes
        over = over_sites(crystals.offsets, sites)
        spheres = np.pi / 6 * np.minimum.reduceat(faces.distances, faces.offsets[:-1]) ** 3
        packing = np.add.reduceat(spheres, crystals.offsets[:-1]) / crystals.volumes
        return np.column_stack([over, over[:, _VOLUME_MEAN + 1] / over[:, _VOLUME_MEAN], packing])
