"""Structure features that matminer defines, computed from flat arrays: distances, Coulomb matrix, complexity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS, list_parts
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.errors import BatchError
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.neighbours import distance_counts

# As in matminer, which uses the X-ray unit of 1.00001495e-10 m for ångström; the Bohr radius is that of CODATA 2022.
_ANGSTROM_IN_BOHR = 1.00001495 / 0.529177210544


class RadialDistribution(Featurizer):
    """Radial distribution function, like ``RadialDistributionFunction`` of matminer: one column per distance bin.

    It is the number of ordered pairs of atoms with a distance in [r, r + bin), divided by the volume of that shell and
    by the atoms per volume. As in matminer it is **not** divided by the number of atoms in the cell, so a supercell has
    larger values. With ``per_atom`` it is divided by that number, and tends to 1 at large r.

    Args:
        cutoff: Largest distance in Å, a whole number of bins.
        bin_size: Width of a bin in Å.
        per_atom: Whether to divide by the number of atoms too.
    """

    name = "radial_distribution"
    version = "1"
    needs = frozenset({CRYSTALS})

    def __init__(self, cutoff: float = 20.0, bin_size: float = 0.1, *, per_atom: bool = False) -> None:
        bins = round(cutoff / bin_size) if bin_size > 1e-6 and 0 < cutoff <= 50 else 0
        if not 0 < bins <= 10_000 or abs(bins * bin_size - cutoff) > 1e-6 * bin_size:
            raise BatchError(f"cutoff {cutoff} Å with bins of {bin_size} Å", "a whole number of bins, up to 50 Å")
        self.parameters: Mapping[str, Any] = {"cutoff": cutoff, "bin_size": bin_size, "per_atom": per_atom}
        self._edges: NDArray[np.float64] = np.arange(bins + 1, dtype=np.float64) * bin_size
        bounds = [*self._edges[:-1], cutoff]
        self.feature_names = tuple(f"rdf [{bounds[i]:.5f} - {bounds[i + 1]:.5f}]A" for i in range(bins))

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, number of bins)."""
        crystals = _crystals(batch)
        shells = 4 / 3 * np.pi * np.diff(self._edges**3)
        atoms_per_volume = crystals.site_counts / crystals.volumes
        values = distance_counts(crystals, self._edges) / shells / atoms_per_volume[:, None]
        if self.parameters["per_atom"]:
            values /= crystals.site_counts[:, None]
        return Features(values, no_codes(len(batch)))

    def words(self, name: str) -> FeatureWords:
        """Describe a bin of distances; all bins are one group."""
        return _member_words(Label("radial distribution", "径向分布"), name)


class SineCoulombEigenvalues(Featurizer):
    """Eigenvalues of the sine Coulomb matrix, sorted from the largest and padded with zeros.

    M_ii = Z_i^2.4 / 2 and M_ij = Z_i Z_j / |sum_k e_k sin^2(pi (f_ik - f_jk)) a_k| with fractional coordinates f and
    cell vectors a_k in bohr (Faber, Lindmaa, von Lilienfeld, Armiento, Int. J. Quantum Chem. 115, 1094 (2015)). As
    defined in the paper, the matrix depends on the choice of cell. matminer pads to the largest cell it was fitted to
    and keeps the eigenvalues in the order of the solver.

    Args:
        sites: Number of columns; a candidate with more sites is refused.
    """

    name = "sine_coulomb_eigenvalues"
    version = "1"
    needs = frozenset({CRYSTALS})

    def __init__(self, sites: int = 200) -> None:
        if not 1 <= sites <= 500:
            raise BatchError(f"sine_coulomb_eigenvalues for {sites} sites", "1 to 500")
        self.parameters: Mapping[str, Any] = {"sites": sites}
        self.feature_names = tuple(f"sine coulomb matrix eig {i}" for i in range(sites))

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, sites)."""
        crystals = _crystals(batch)
        width = self.parameters["sites"]
        values = _sine_eigenvalues(crystals.lattice, crystals.offsets, crystals.species, crystals.frac_coords, width)
        large = np.flatnonzero(crystals.site_counts > width)
        codes = no_codes(len(batch))
        codes[large] = "E-FEATURE-FAILED"
        return Features(values, codes, {int(i): f"{crystals.site_counts[i]} sites, at most {width}" for i in large})

    def words(self, name: str) -> FeatureWords:
        """Describe an eigenvalue; all eigenvalues are one group."""
        return _member_words(Label("sine Coulomb matrix", "正弦库仑矩阵"), name)


class StructuralComplexity(Featurizer):
    """Shannon entropy of the symmetry orbits, in bits per atom and per cell, like the set of that name in matminer.

    I = -sum_k (m_k / v) log2(m_k / v) over the orbits of m_k of the v sites (Krivovichev, Mineral. Mag. 77, 275
    (2013)), and v I. If the batch has a column ``orbits``, it is used; otherwise each crystal is analysed with moyo
    at a tolerance of 0.1 Å.
    """

    name = "structural_complexity"
    version = "1"
    needs = frozenset({CRYSTALS})
    parameters: Mapping[str, Any] = {"symprec": SYMMETRY_TOLERANCE}
    feature_names = ("structural complexity per atom", "structural complexity per cell")

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, 2)."""
        crystals = _crystals(batch)
        orbits, known = _orbits(batch, crystals)
        rows = np.repeat(np.arange(len(batch)), crystals.site_counts)
        of_orbit, members = np.unique(np.stack([rows, orbits]), axis=1, return_counts=True)
        share = members / crystals.site_counts[of_orbit[0]]
        entropy = np.bincount(of_orbit[0], -share * np.log2(share), minlength=len(batch)) + 0.0
        entropy[~known] = np.nan
        codes = np.where(known, no_codes(len(batch)), "E-FEATURE-FAILED")
        return Features(np.column_stack([entropy, entropy * crystals.site_counts]), codes)

    def words(self, name: str) -> FeatureWords:
        """Describe the complexity per atom or per cell."""
        return _member_words(Label("structural complexity", "结构复杂度"), name)


def _member_words(group: Label, name: str) -> FeatureWords:
    """Describe one of many similar columns by their group, with the name of the column in brackets."""
    return FeatureWords(group, Label(f"{group.en} ({name})", f"{group.zh}（{name}）"))


def _crystals(batch: CandidateBatch) -> Crystals:
    if batch.crystals is None:
        raise BatchError("candidates without crystals", "a batch with cells and sites")
    return batch.crystals


def _orbits(batch: CandidateBatch, crystals: Crystals) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the orbit of each site, numbered within its crystal, and the crystals for which orbits are known."""
    known = np.ones(len(batch), bool)
    if "orbits" in batch.table.column_names and batch.table.column("orbits").null_count == 0 and len(batch):
        offsets, orbits = list_parts(batch.table.column("orbits").combine_chunks())
        if np.array_equal(offsets, crystals.offsets):
            return orbits.astype(np.int64), known
    orbits = np.zeros(len(crystals.species), np.int64)
    for i in range(len(crystals)):
        sites = slice(crystals.offsets[i], crystals.offsets[i + 1])
        found = _orbits_of(crystals.lattice[i], crystals.frac_coords[sites], crystals.species[sites])
        known[i] = found is not None
        if found is not None:
            orbits[sites] = found
    return orbits, known


def _orbits_of(
    cell: NDArray[np.float64], frac_coords: NDArray[np.float64], species: NDArray[np.uint8]
) -> list[int] | None:
    found = symmetry_of(cell, frac_coords, species, SYMMETRY_TOLERANCE)
    return None if found is None else list(found.orbits)


@numba.njit(cache=True, nogil=True)
def _sine_eigenvalues(lattice, offsets, species, frac, width):  # type: ignore[no-untyped-def]
    values = np.zeros((len(lattice), width))
    for i in range(len(lattice)):
        start, size = offsets[i], offsets[i + 1] - offsets[i]
        if size > width:
            values[i] = np.nan
            continue
        cell, matrix = lattice[i] * _ANGSTROM_IN_BOHR, np.empty((size, size))
        for a in range(size):
            matrix[a, a] = 0.5 * float(species[start + a]) ** 2.4
            for b in range(a):
                square = 0.0
                along = np.sin(np.pi * (frac[start + a] - frac[start + b])) ** 2
                for axis in range(3):
                    part = along[0] * cell[0, axis] + along[1] * cell[1, axis] + along[2] * cell[2, axis]
                    square += part * part
                matrix[a, b] = float(species[start + a]) * float(species[start + b]) / np.sqrt(square)
                matrix[b, a] = matrix[a, b]
        values[i, :size] = np.linalg.eigvalsh(matrix)[::-1]
    return values
