"""What the packaged crystals and the packaged phases of the Materials Project teach about the stability of others."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.packaged.computed_phases import load_computed_phases
from matloop.data.packaged.known_compositions import EARLIER_LISTS, list_formulas
from matloop.data.packaged.relaxed_children import load_relaxed_children
from matloop.data.properties.columns import Column
from matloop.models.potentials.contract import GGA_AND_U
from matloop.models.stability.computed_hull import computed_hull, computed_phases
from matloop.models.stability.coverage import KnownPhases
from matloop.models.stability.database_scale import formation_energies_on_scale
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.error_distribution import ErrorDistribution, NearbyValues
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies, packaged_references
from matloop.models.stability.makeable import earlier_compositions
from matloop.models.stability.polymorph_errors import polymorph_errors
from matloop.models.stability.stability import Stability

DATABASE = "materials_project"
"""Whose phases form the hull; those of the other database are known without an energy, since two never share a hull."""
_OTHER = "oqmd"
_RELAXED_BY, _JUDGED_BY = "chgnet", "sevennet"
NEIGHBOURS = 100
"""Candidates of nearest place on the hull that say how much it falls when phases come to be known."""
FEWEST_BEYOND = 20
"""A rise that fewer candidates reach is of unknown size."""


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
    known, hull = database_formation_energies(crystals), computed_hull(DATABASE)
    learnt = Stability.fit(labelled, known, hull, known=known_phases(), further=further, corrected=corrected)
    if further is not None:
        learnt = replace(learnt, known=_known_beside(learnt.hull))
    return with_sample(learnt, crystals)


def with_sample(learnt: Stability, crystals: CandidateBatch) -> Stability:
    """Add what the packaged sample of relaxed candidates teaches.

    Args:
        learnt: From the packaged crystals.
        crystals: The packaged crystals.
    """
    sample, missing = load_relaxed_children(), missing_phases(crystals)
    if learnt.elements.source != sample.schema.metadata[_RELAXED_BY.encode()].decode():
        return replace(learnt, missing=missing)
    by_judge = sample_energies(sample, _JUDGED_BY).energies
    polymorphs = polymorph_errors(sample_energies(sample, _RELAXED_BY), by_judge)
    errors = errors_of_candidates(learnt.elements, crystals)
    return replace(learnt, candidate_errors=errors, polymorphs=polymorphs, missing=missing)


def errors_of_candidates(elements: ElementalReferences, crystals: CandidateBatch) -> ErrorDistribution | None:
    """Return how wrong the distances of candidates are; None for a potential that no sample was relaxed with.

    A sample of children of new compositions is judged by the potential, and by SevenNet, whose own errors are a quarter
    of CHGNet's: the errors are the differences of the two and an error of SevenNet in a known crystal, drawn at random.
    Both potentials judge the crystal that CHGNet relaxed.

    Args:
        elements: Of the potential.
        crystals: The packaged crystals.
    """
    sample = load_relaxed_children()
    if elements.source != sample.schema.metadata[_RELAXED_BY.encode()].decode():
        return None
    sample = sample.filter(pc.invert(sample["listed"]))
    known, labelled = database_formation_energies(crystals), packaged_references(crystals, _JUDGED_BY)
    judge = ElementalReferences.fitted(labelled, known, corrected=GGA_AND_U)
    errors = known - judge.formation_energies(labelled).energies
    errors = np.random.default_rng(0).choice(errors[np.isfinite(errors)], sample.num_rows)
    above = [
        place_candidates(sample_energies(sample, name), references).energy_above_hull
        for name, references in ((_RELAXED_BY, elements), (_JUDGED_BY, judge))
    ]
    compositions = sample_energies(sample, _RELAXED_BY).compositions
    return ErrorDistribution.of(above[0], above[1] + errors, compositions, local=False)


def missing_phases(crystals: CandidateBatch) -> NearbyValues:
    """How much the hull fell below places of candidates when a database grew, by the place in eV/atom.

    The sample of candidates, none of them listed in 2017, is placed by CHGNet on the hull of the phases listed then and
    on that of 2019, which holds nearly three times as many; phases of their own compositions do not count. As much as
    that is taken to be missing from the hull of 2019. How large the largest rises are, fewer than
    :data:`FEWEST_BEYOND` rows tell: they count as infinite.

    Args:
        crystals: The packaged crystals.
    """
    phases = computed_phases(DATABASE)
    labelled = packaged_references(crystals, _RELAXED_BY)
    elements = ElementalReferences.fitted(labelled, database_formation_energies(crystals), corrected=GGA_AND_U)
    sample = sample_energies(load_relaxed_children(), _RELAXED_BY)
    formation = replace(elements.formation_energies(sample), source=phases.source)
    then, now = (hull.distances(formation, leave_out_own_composition=True).energy_above_hull
                 for hull in (Hull(earlier_phases()), computed_hull(DATABASE)))  # fmt: skip
    return rises_between(then, now)


def rises_between(then: NDArray[np.float64], now: NDArray[np.float64]) -> NearbyValues:
    """Collect how much higher candidates lie on a later hull, by their place on an earlier one.

    Args:
        then: Energies above the earlier hull in eV/atom, nan where unknown, shape (n,).
        now: The same above the later one.

    Returns:
        Rises in eV/atom; those that fewer than :data:`FEWEST_BEYOND` others reach are infinite.

    >>> rises_between(np.zeros(30), np.arange(30) / 10).around(np.zeros(1))[0, [0, 9, 10, 11]].tolist()
    [0.0, 0.9, 1.0, inf]
    """
    rises = np.maximum(now - then, 0.0)
    known = np.sort(rises[np.isfinite(rises)])
    largest = known[-min(FEWEST_BEYOND, len(known))]
    return NearbyValues.of(then, np.where(rises > largest, np.inf, rises), NEIGHBOURS)


def earlier_phases() -> PhaseEnergies:
    """The elements, and the phases of the hull whose compositions the Materials Project listed by 2017."""
    phases = computed_phases(DATABASE)
    listed = np.isin(composition_keys(phases.compositions), composition_keys(earlier_compositions()))
    return phases.take(np.flatnonzero(listed | (phases.compositions.lengths < 2)))


def sample_energies(sample: pa.Table, potential: str) -> PhaseEnergies:
    """Energies of a sample of candidates by a potential.

    Args:
        sample: Rows of :func:`matloop.data.packaged.relaxed_children.load_relaxed_children`.
        potential: ``chgnet`` or ``sevennet``.
    """
    formulas = sample[Column.FORMULA].to_pylist()
    compositions, _ = parse_formulas(formulas, exact=True)
    energies = sample[f"{potential}_energy_per_atom"].to_numpy().astype(np.float64)
    return PhaseEnergies(sample.schema.metadata[potential.encode()].decode(), compositions, energies, formulas)


def place_candidates(candidates: PhaseEnergies, elements: ElementalReferences) -> HullDistances:
    """Return where candidates lie on the hull, without the phases of their own compositions.

    Args:
        candidates: Energies by a potential.
        elements: Of the same potential.
    """
    formation = replace(elements.formation_energies(candidates), source=computed_phases(DATABASE).source)
    return computed_hull(DATABASE).distances(formation, leave_out_own_composition=True)


def database_formation_energies(crystals: CandidateBatch) -> NDArray[np.float64]:
    """Formation energies of the packaged crystals on the scale of the hull, nan where unknown, shape (n,)."""
    labels = crystals.column("formation_energy_per_atom_dft").astype(np.float64)
    polymorphs = load_computed_phases(DATABASE)["polymorphs"].to_numpy()
    return formation_energies_on_scale(crystals.compositions, labels, computed_phases(DATABASE), polymorphs)


@functools.cache
def known_phases() -> KnownPhases:
    """Compositions that a packaged list knows, and those that lie near the hull of another database."""
    return _known_beside(computed_hull(DATABASE))


def _known_beside(hull: Hull) -> KnownPhases:
    """The same, beside a hull that may hold further phases."""
    formulas = [formula for name in (DATABASE, *EARLIER_LISTS) for formula in list_formulas(name)]
    compositions, codes = parse_formulas(list(dict.fromkeys(formulas)), exact=True)
    listed = compositions.take(np.flatnonzero(codes == ""))
    return KnownPhases(hull, listed, computed_hull(_OTHER))
