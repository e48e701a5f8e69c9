"""Energy above the convex hull of reference phases, one hull per source of energies.

The hull is the lower envelope of energy per atom over composition. A candidate's distance from it is the difference
between its energy and that of the cheapest mixture of reference phases of the same composition (Ong, Wang, Kang and
Ceder, Chemistry of Materials 20, 1798-1807 (2008), doi:10.1021/cm702327g): a linear programme, solved exactly by the
simplex method from the pure elements.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.chemical_systems import SystemIndex, element_sets
from matloop.data.candidates.compositions import Compositions, composition_keys, gather_rows
from matloop.data.candidates.formula import parse_formulas, write_formulas
from matloop.data.elements import SYMBOLS
from matloop.data.errors import BatchError, EnergySourceError
from matloop.data.packaged.reference_energies import load_references
from matloop.data.properties.columns import Column

_SAME_COMPOSITION = 1e-6  # largest difference of an atomic fraction


@dataclass(frozen=True)
class PhaseEnergies:
    """Energies of ``n`` phases from one source.

    Attributes:
        source: Where all the energies come from (:func:`matloop.models.potentials.contract.energy_source`, or the name
            of a functional with its corrections).
        compositions: Elements and amounts.
        energies: eV/atom, nan where unknown, shape (n,).
        ids: Identifier of each phase.
    """

    source: str
    compositions: Compositions
    energies: NDArray[np.float64]
    ids: list[str]

    def __post_init__(self) -> None:
        sizes = {"compositions": len(self.compositions), "energies": len(self.energies), "ids": len(self.ids)}
        if len(set(sizes.values())) != 1:
            raise BatchError(f"parts of different length: {sizes}", "the same number of phases in every part")

    @classmethod
    def from_table(
        cls,
        formulas: Sequence[str],
        energies: Sequence[float],
        sources: Sequence[str],
        *,
        ids: Sequence[str] | None = None,
    ) -> PhaseEnergies:
        """Phases from columns of a table.

        Args:
            formulas: Formula of each phase.
            energies: eV/atom.
            sources: Where each energy comes from; the same for all.
            ids: Identifiers; the formulas by default.

        Raises:
            EnergySourceError: If the energies come from more than one source.
            BatchError: If a formula cannot be read.
        """
        if len(names := sorted(set(sources))) != 1:
            raise EnergySourceError(
                f"energies from {len(names)} sources: {', '.join(names)}", "energies from one source",
                "compute all phases with one potential, or with one functional and one set of corrections",
            )  # fmt: skip
        compositions, codes = parse_formulas(list(formulas))
        if (codes != "").any():
            row = int(np.flatnonzero(codes != "")[0])
            raise BatchError(f"a phase with formula '{formulas[row]}' ({codes[row]})", "chemical formulas")
        return cls(names[0], compositions, np.asarray(energies, float), list(ids if ids is not None else formulas))

    def require_source(self, source: str) -> None:
        """Check that these energies come from a given source.

        Raises:
            EnergySourceError: If they come from another source.
        """
        if self.source != source:
            raise EnergySourceError(
                f"energies from {self.source}", f"energies from {source}, like those they would meet",
                "evaluate all phases with the same potential and count them against the same elements",
            )  # fmt: skip

    def joined(self, other: PhaseEnergies) -> PhaseEnergies:
        """Return these phases followed by the others.

        Raises:
            EnergySourceError: If the others' energies come from another source.
        """
        other.require_source(self.source)
        ours, theirs = self.compositions, other.compositions
        compositions = Compositions(
            np.concatenate([ours.offsets, theirs.offsets[1:] + ours.offsets[-1]]),
            np.concatenate([ours.elements, theirs.elements]), np.concatenate([ours.amounts, theirs.amounts]),
        )  # fmt: skip
        energies = np.concatenate([self.energies, other.energies])
        return PhaseEnergies(self.source, compositions, energies, self.ids + other.ids)

    def take(self, rows: NDArray[np.integer]) -> PhaseEnergies:
        """The phases at ``rows``, in that order."""
        picked = [self.ids[row] for row in rows]
        return PhaseEnergies(self.source, self.compositions.take(rows), self.energies[rows], picked)


class Product(NamedTuple):
    """One phase a candidate decomposes into.

    Attributes:
        phase_id: Identifier of the reference phase.
        formula: Its reduced formula.
        fraction: Fraction of the candidate's atoms that end up in it.
    """

    phase_id: str
    formula: str
    fraction: float


@dataclass(frozen=True)
class HullDistances:
    """Positions of n candidates relative to a hull.

    Attributes:
        energy_above_hull: eV/atom, shape (n,); negative for a candidate below all mixtures of reference phases, nan
            where there is a code.
        products: The cheapest mixture of reference phases for each candidate; empty where there is a code.
        reference_counts: Reference compositions with at least two elements in each candidate's chemical system, (n,).
        sparse: Warning, shape (n,): the system has fewer such references than elements less one. Competing phases are
            then likely to be missing, and the distance from the hull is a lower bound.
        codes: Row code of each candidate without a number, else empty, shape (n,).
    """

    energy_above_hull: NDArray[np.float64]
    products: list[tuple[Product, ...]]
    reference_counts: NDArray[np.int64]
    sparse: NDArray[np.bool_]
    codes: NDArray[np.str_]


class Hull:
    """The convex hull of reference phases whose energies come from one source.

    Args:
        references: The phases. Of several phases with one composition the lowest counts; phases without energy do not
            count.
    """

    def __init__(self, references: PhaseEnergies) -> None:
        rows = np.flatnonzero(np.isfinite(references.energies))
        rows = rows[np.argsort(references.energies[rows], kind="stable")]
        keys = composition_keys(references.compositions.take(rows))
        lowest = np.sort(rows[np.unique(keys, return_index=True)[1]]) if len(rows) else rows
        self.references = references.take(lowest)
        self._index = SystemIndex(self.references.compositions)
        self._fractions = self.references.compositions.fractions

    @functools.cached_property
    def elements(self) -> NDArray[np.bool_]:
        """Return whether each element has a reference phase of its own, shape (119,)."""
        single = np.flatnonzero(self.references.compositions.lengths == 1)
        present = np.zeros(len(SYMBOLS), bool)
        present[self.references.compositions.take(single).elements] = True
        return present

    def distances(self, candidates: PhaseEnergies, *, leave_out_own_composition: bool = False) -> HullDistances:
        """Compute energy above the hull and decomposition products of n candidates.

        A candidate that is itself among the references is compared with itself too, so its distance is never negative.

        Args:
            candidates: With energies from the source of the references.
            leave_out_own_composition: Whether references with the composition of a candidate do not count for it; it
                is judged as a new compound then.

        Raises:
            EnergySourceError: If the candidates' energies come from another source than the references'.
        """
        candidates.require_source(self.references.source)
        n = len(candidates.energies)
        above, counts, sparse = np.full(n, np.nan), np.zeros(n, np.int64), np.zeros(n, bool)
        codes = np.full(n, "", dtype="<U32")
        codes[~np.isfinite(candidates.energies)] = "E-HULL-ENERGY"
        mixtures = [_NOTHING] * n
        for rows in _rows_by_system(candidates.compositions):
            system = candidates.compositions.take(rows[:1]).elements.astype(np.int64)
            phases = self._index.within(system.tolist())
            counts[rows] = (self.references.compositions.lengths[phases] > 1).sum()
            sparse[rows] = counts[rows] < len(system) - 1
            if not self.elements[system].all():
                codes[rows] = np.where(codes[rows] == "", "E-HULL-ELEMENT", codes[rows])
                continue
            asked = rows[codes[rows] == ""]
            bases, amounts, energies = _cheapest_mixtures(
                self._fractions_within(system, phases), self.references.energies[phases],
                candidates.compositions.take(asked).fractions.reshape(len(asked), len(system)),
                leave_out_own_composition and len(system) > 1,
            )  # fmt: skip
            above[asked] = candidates.energies[asked] - energies
            for row, basis, shares in zip(asked, phases[bases], amounts, strict=True):
                mixtures[row] = basis, shares
        return HullDistances(above, self._named(mixtures), counts, sparse, codes)

    def _fractions_within(self, system: NDArray[np.int64], phases: NDArray[np.int64]) -> NDArray[np.float64]:
        """Atomic fractions of phases within a system of elements in ascending order, shape (phases, elements)."""
        compositions = self.references.compositions
        flat, offsets = gather_rows(compositions.offsets, phases)
        fractions = np.zeros((len(phases), len(system)))
        places = np.searchsorted(system, compositions.elements[flat])
        fractions[np.repeat(np.arange(len(phases)), np.diff(offsets)), places] = self._fractions[flat]
        return fractions

    def _named(self, mixtures: Sequence[_Mixture]) -> list[tuple[Product, ...]]:
        """Products of each candidate, the largest first."""
        used = np.unique(np.concatenate([np.empty(0, np.int64), *(phases for phases, _ in mixtures)]))
        formulas = dict(zip(used.tolist(), write_formulas(self.references.compositions.take(used)), strict=True))
        products = []
        for phases, amounts in mixtures:
            pairs = sorted(zip(amounts.tolist(), phases.tolist(), strict=True), key=lambda pair: -pair[0])
            named = [
                Product(self.references.ids[phase], formulas[phase], share) for share, phase in pairs if share > 1e-8
            ]
            products.append(tuple(named))
        return products


def packaged_references(crystals: CandidateBatch, potential: str = "chgnet") -> PhaseEnergies:
    """Return the packaged crystals with their packaged energies by a potential.

    They were evaluated in their DFT cells, unrelaxed; relaxing with CHGNet lowers them by 1 meV/atom on average, at
    most by 9 in a sample of 24.

    Args:
        crystals: The packaged crystals, in their order.
        potential: Name in :data:`matloop.data.packaged.reference_energies.REFERENCE_FILES`.

    Returns:
        Phases named by material id, under the source name of the released potential without settings.

    Raises:
        DatasetError: If a packaged file is not the one that was released.
    """
    table = load_references(potential)
    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    source = f"{about['potential']}-{about['version']}-{about['weights_sha256'][:12]}"
    energies = table["energy_per_atom"].to_numpy().astype(np.float64)
    return PhaseEnergies(source, crystals.compositions, energies, table[Column.MATERIAL_ID].to_pylist())


_Mixture = tuple[NDArray[np.int64], NDArray[np.float64]]  # reference phases, and the fraction of atoms in each
_NOTHING: _Mixture = np.empty(0, np.int64), np.empty(0)


def _rows_by_system(compositions: Compositions) -> list[NDArray[np.int64]]:
    """Rows with one set of elements, for each set that occurs."""
    if not len(compositions):
        return []
    sets = element_sets(compositions)
    order = np.lexsort((sets[:, 1], sets[:, 0]))
    changes = (sets[order[1:]] != sets[order[:-1]]).any(axis=1)
    return np.split(order, np.flatnonzero(changes) + 1)


@numba.njit(cache=True, nogil=True)
def _cheapest_mixture(columns, energies, target):  # type: ignore[no-untyped-def]
    """Find the cheapest mixture by the simplex method; it starts from the pure elements.

    Args:
        columns: Atomic fractions of each phase, shape (phases, elements), pure elements among them.
        energies: eV/atom, shape (phases,).
        target: Atomic fractions of the candidate, shape (elements,).

    Returns:
        Phases of the mixture, their amounts (fractions of atoms), its energy in eV/atom.
    """
    phases, width = columns.shape
    basis = np.zeros(width, np.int64)
    for phase in range(phases):
        for element in range(width):
            if columns[phase, element] == 1.0:
                basis[element] = phase
    amounts = target.copy()
    for step in range(10000):
        matrix = columns[basis].T.copy()
        amounts = np.linalg.solve(matrix, target)
        potentials = np.linalg.solve(columns[basis].copy(), energies[basis])
        entering, best = -1, -1e-11
        for phase in range(phases):
            gain = energies[phase] - np.dot(columns[phase], potentials)
            if gain < best:
                entering, best = phase, gain
                if step > 200:  # Bland's rule: the first one that helps, so that ties cannot cycle
                    break
        if entering < 0:
            break
        change = np.linalg.solve(matrix, columns[entering].copy())
        leaving, ratio = -1, np.inf
        for k in range(width):
            if change[k] > 1e-12:
                bound = max(amounts[k], 0.0) / change[k]
                if bound < ratio or (bound == ratio and leaving >= 0 and basis[k] < basis[leaving]):
                    leaving, ratio = k, bound
        if leaving < 0:
            break
        basis[leaving] = entering
    return basis, amounts, np.dot(energies[basis], amounts)


@numba.njit(cache=True, nogil=True)
def _cheapest_mixtures(columns, energies, targets, leave_out_own_composition):  # type: ignore[no-untyped-def]
    """Find the cheapest mixture of phases for each of n compositions of one chemical system.

    Args:
        columns: Atomic fractions of each phase, shape (phases, elements), pure elements among them.
        energies: eV/atom, shape (phases,).
        targets: Atomic fractions, shape (n, elements).
        leave_out_own_composition: Whether phases with the composition of a target do not count for it.

    Returns:
        Phases of each mixture and their amounts (fractions of atoms), both of shape (n, elements), and its energy in
        eV/atom, shape (n,).
    """
    n, width = targets.shape
    bases, amounts, found = np.empty((n, width), np.int64), np.empty((n, width)), np.empty(n)
    for row in range(n):
        others = np.ones(len(columns), np.bool_)
        if leave_out_own_composition:
            for phase in range(len(columns)):
                others[phase] = np.abs(columns[phase] - targets[row]).max() > _SAME_COMPOSITION
        kept = np.flatnonzero(others)
        basis, amounts[row], found[row] = _cheapest_mixture(columns[kept], energies[kept], targets[row])
        bases[row] = kept[basis]
    return bases, amounts, found
