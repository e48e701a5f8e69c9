"""The featurizer ``crystal_local``: the surroundings of each atom, averaged over the crystal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.elements import element_table
from matloop.data.errors import BatchError
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.composition import MAGPIE_PROPERTIES
from matloop.featurizers.local_kernels import (
    COULOMB,
    GPA,
    bond_weights,
    force_constants,
    network_stiffness,
    over_sites,
    site_statistics,
)
from matloop.featurizers.neighbours import neighbour_list
from matloop.featurizers.property_density import bonding_electrons
from matloop.featurizers.site_words import site_words

_CRYSTALS_AT_ONCE = 256
SITE_QUANTITIES = (
    "coordination", "reduced bond length", "spread of reduced bond lengths", "shortest reduced bond length",
    "bond length", "ionicity", "q1", "q2", "q3", "q4", "q6", "site volume",
    *(f"difference {name}" for name in MAGPIE_PROPERTIES),
)  # fmt: skip
"""Quantities of each site, in the order of :func:`~matloop.featurizers.local_kernels.site_statistics`."""
SITE_STATISTICS = ("mean", "avg_dev", "minimum", "maximum")
_SITE_VOLUME = len(SITE_STATISTICS) * SITE_QUANTITIES.index("site volume")  # column of its mean; the deviation is next
_NETWORKS = ("electron", "thermal")
_STIFFNESSES = (*(f"stiffness {mode}" for mode in range(1, 7)), "bulk stiffness", "shear stiffness", "shear to bulk")
_SCREENING = (2.0, 2.8)  # C below which an atom screens a bond completely, and above which not at all (Baskes 1992)
_BOLTZMANN = 8.617333262e-5  # eV/K, CODATA 2018


class CrystalLocal(Featurizer):
    """Bonds, their angles and the chemistry across them, averaged over atoms; stiffness of the network they form.

    Two atoms i, j at distance d, with covalent radii r (Cordero et al., Dalton Trans. 2832 (2008), from the elemental
    table), are candidates for a bond by the reduced distance x = d / (r_i + r_j):

        u(x) = 1 for x <= inner;  (1 + cos(pi (x - inner) / (outer - inner))) / 2 up to outer;  0 beyond.

    Bonds scatter around x = 1 (0.97 in copper, 1.05 in rock salt), so with inner = 1.1 and outer = 1.5 the first shell
    counts in full. Radii alone cannot tell the cations of rock salt (x = 1.20) from bonded atoms, so a bond is screened
    by the atoms k between its ends, as in the modified embedded-atom method (Baskes, Phys. Rev. B 46, 2727 (1992)):

        w_ij = u(x_ij) prod_k (1 - u(x_ik) u(x_jk) (1 - s((C_k - 2.0) / (2.8 - 2.0)))),
        C_k = (2 (a + b) - (a - b)^2 - 1) / (1 - (a - b)^2),  a = (d_ik / d_ij)^2,  b = (d_jk / d_ij)^2,
        s(y) = (1 - (1 - y)^4)^2 for 0 <= y <= 1, 0 below and 1 above; |a - b| >= 1 does not screen.

    C_k places k on an ellipse through i and j; the factors u make only atoms bonded to both ends screen, so that the
    weight has no steps and is the same from both ends. It gives the coordination numbers of the textbooks: 12 in
    copper, 8 in iron, 6 in rock salt, 4 in diamond, 3 in graphite, 12, 6 and 6 in SrTiO3.

    With W_i = sum_j w_ij and <f>_i = sum_j w_ij f_ij / W_i, the quantities of a site are

    - coordination W_i; reduced bond length <x>_i, its spread sqrt(<x^2>_i - <x>_i^2), and the smallest x;
    - bond length <d>_i in Å, and site volume 4 pi/3 <h^3>_i in Å3, where h = x r_i is the bond's share of this atom;
    - ionicity <1 - exp(-(X_i - X_j)^2 / 4)>_i with electronegativities X (Pauling, The Nature of the Chemical Bond);
    - the order parameters q_l, l = 1, 2, 3, 4, 6, of Steinhardt, Nelson and Ronchetti (Phys. Rev. B 28, 784 (1983)),
      weighted, in the form the addition theorem of spherical harmonics gives them:
      q_l^2 = sum_jk w_ij w_ik P_l(cos theta_jik) / W_i^2. q1 measures how far the atom is from the centre of its bonds;
    - the difference <|p_i - p_j|>_i of 22 elemental properties p, as Ward et al. (Phys. Rev. B 96, 024104 (2017)) take
      over the faces of Voronoi cells.

    Each gives mean, mean absolute deviation, minimum and maximum over the atoms. Two columns more are the variation of
    site volumes, mean absolute deviation over mean, and the packing, sum of site volumes over volume of the cell.

    A site without any neighbour has coordination, spread, ionicity, order parameters and differences 0, both reduced
    bond lengths equal to outer, bond length 2 outer r_i and site volume 4 pi/3 (outer r_i)^3, what these tend to as a
    last neighbour of its kind leaves.

    The bonds also form a network of springs, in two versions:

    - electron: k_ij = w_ij (e^2 / 4 pi eps0) sqrt(z_i z_j / (W_i W_j)) / d^3, each atom's z bonding electrons (see
      :func:`~matloop.featurizers.property_density.bonding_electrons`) shared among its bonds, in the spirit of the
      bond strength of Šimůnek and Vackář (Phys. Rev. Lett. 96, 085501 (2006));
    - thermal: k_ij = w_ij k_B sqrt(T_i T_j / (W_i W_j)) / d^2 with the melting temperatures T of the elements.

    A bond resists being turned with a fifth of k_ij. From the network's elastic tensor with relaxed atoms (Born and
    Huang, Dynamical Theory of Crystal Lattices, section 11), C = (C_affine - L^T D^-1 L) / V in GPa: the six Kelvin
    moduli (eigenvalues, softest first), bulk and shear modulus (Voigt averages) and their ratio, which is 0 without
    bonds. They tell a layered or molecular crystal from a framework; they are no predictions of elastic constants.

    Nothing depends on the choice of cell, its origin and orientation, or the order of sites.

    Args:
        inner: Reduced distance up to which a bond counts in full.
        outer: Reduced distance from which on there is no bond.
    """

    name = "crystal_local"
    version = "2"
    needs = frozenset({CRYSTALS})

    def __init__(self, inner: float = 1.1, outer: float = 1.5) -> None:
        if not 0.5 <= inner < outer <= 3.0:
            raise BatchError(f"crystal_local from {inner} to {outer}", "0.5 <= inner < outer <= 3")
        self.parameters: Mapping[str, Any] = {"inner": inner, "outer": outer}
        self.feature_names = (
            *(f"local {quantity} {statistic}" for quantity in SITE_QUANTITIES for statistic in SITE_STATISTICS),
            "local site volume variation",
            "local packing",
            *(f"{network} {stiffness}" for network in _NETWORKS for stiffness in _STIFFNESSES),
        )
        self._radii, self._table, self._no_data = atom_tables()
        melting = np.nan_to_num(element_table().columns(("MeltingT",))[:, 0])
        self._charges = (COULOMB * bonding_electrons(), _BOLTZMANN * melting)

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 156)."""
        return features_in_parts(batch, len(self.feature_names), self._values, self._no_data)

    def words(self, name: str) -> FeatureWords:
        """Describe a statistic over sites, in the group of its quantity; all stiffnesses are one group."""
        if name.startswith(_NETWORKS):
            group = Label("stiffness of the bond network", "键网络刚度")
            unit = "" if name.endswith("shear to bulk") else "GPa"
            return FeatureWords(group, Label(f"{group.en} ({name})", f"{group.zh}（{name}）"), unit=unit)
        return site_words(name)

    def _values(self, crystals: Crystals) -> NDArray[np.float64]:
        inner, outer = self.parameters["inner"], self.parameters["outer"]
        species = crystals.species
        pairs = neighbour_list(crystals, (outer * self._radii)[species])
        weights = bond_weights(*pairs, species, self._radii, (inner, outer), _SCREENING)
        sites = site_statistics(*pairs, weights, species, self._radii, self._table, outer)
        blocks = [over_sites(crystals.offsets, sites)]
        mean, deviation = blocks[0][:, _SITE_VOLUME : _SITE_VOLUME + 2].T
        blocks.append(np.column_stack([deviation / mean, mean * crystals.site_counts / crystals.volumes]))
        for charge, power in zip(self._charges, (3, 2), strict=True):
            constants = force_constants(
                pairs.offsets, pairs.sites, pairs.distances, weights, species, sites[:, 0], charge, power
            )
            blocks.append(_moduli(GPA * network_stiffness(crystals.offsets, *pairs, constants, crystals.volumes, 0.2)))
        return np.hstack(blocks)


class AtomTables(NamedTuple):
    """Elemental data of site quantities, by atomic number.

    Attributes:
        radii: Covalent radii in Å, shape (119,).
        properties: Electronegativity, then the properties whose differences are taken, shape (119, 23).
        no_data: Elements that lack a number. Their numbers above are placeholders, and their rows must get a code.
    """

    radii: NDArray[np.float64]
    properties: NDArray[np.float64]
    no_data: NDArray[np.bool_]


def atom_tables() -> AtomTables:
    """Build the tables from the packaged elemental data."""
    needed = element_table().columns(("CovalentRadius", "Electronegativity", *MAGPIE_PROPERTIES))
    radii = np.where(np.isnan(needed[:, 0]), 1.5, needed[:, 0] / 100.0)  # pm to Å
    return AtomTables(radii, np.nan_to_num(needed[:, 1:]), np.isnan(needed).any(axis=1))


def features_in_parts(
    batch: CandidateBatch,
    columns: int,
    compute: Callable[[Crystals], NDArray[np.float64]],
    no_data: NDArray[np.bool_],
) -> Features:
    """Compute features of the crystals of a batch in parts, so that their bonds stay in the cache of the processor.

    Args:
        batch: n candidates.
        columns: Number of features.
        compute: Computes the features of m crystals, shape (m, columns).
        no_data: Elements whose crystals get a row code, shape (119,).

    Raises:
        BatchError: If the batch has no crystals.
    """
    crystals = batch.crystals
    if crystals is None:
        raise BatchError("candidates without crystals", "a batch with cells and sites")
    values = np.empty((len(crystals), columns))
    for start in range(0, len(crystals), _CRYSTALS_AT_ONCE):
        rows = np.arange(start, min(start + _CRYSTALS_AT_ONCE, len(crystals)))
        values[rows] = compute(crystals.take(rows))
    missing = rows_with(crystals, no_data)
    values[missing] = np.nan
    return Features(values, np.where(missing, "E-FEATURE-NODATA", no_codes(len(batch))))


def rows_with(crystals: Crystals, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each crystal holds an element that is marked true by atomic number, shape (n,)."""
    rows = np.repeat(np.arange(len(crystals)), crystals.site_counts)
    return np.bincount(rows, marked[crystals.species], minlength=len(crystals)) > 0


def _moduli(stiffness: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute Kelvin moduli, Voigt averages of bulk and shear modulus, and their ratio, shape (n, 9).

    Args:
        stiffness: Elastic tensors in Kelvin notation, shape (n, 6, 6).
    """
    bulk = stiffness[:, :3, :3].sum(axis=(1, 2)) / 9
    shear = (np.trace(stiffness, axis1=1, axis2=2) - 3 * bulk) / 10
    bonded = bulk > 1e-9  # GPa; smaller values are rounding errors
    ratio = np.where(bonded, shear / np.where(bonded, bulk, 1.0), 0.0)
    return np.column_stack([np.linalg.eigvalsh(stiffness), bulk, shear, ratio])
