"""Stability from a potential: energies above the hull and formation energies, with the distribution of their errors.

A potential's energies become formation energies on the scale of a database, whose phases form the hull: energies of the
elements are fitted to crystals of which both energies are known. How wrong such formation energies are is learned from
crystals of compositions that the fit had not seen. The competing phases of a candidate are those of the database, so
the error of its distance from the known hull is the error of its own formation energy. How much lower the hull may be
once missing phases are known enters the same distribution (:mod:`matloop.models.stability.place_prediction`).

The predictive distribution of a candidate is its value and the errors of others (a split conformal predictive
distribution; Vovk et al., Neurocomputing 397, 292 (2020)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.stability.competition import Competition, compete
from matloop.models.stability.coverage import Coverage, KnownPhases, incomplete_references
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.error_distribution import ErrorDistribution, NearbyValues
from matloop.models.stability.formation_energies import held_out_formation_energies
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies
from matloop.models.stability.local_prediction import LocalPrediction
from matloop.models.stability.place_prediction import predict_places
from matloop.models.stability.polymorph_errors import polymorph_errors

ABOVE_HULL, FORMATION = "energy_above_hull", "formation_energy_per_atom"


class Judgement(NamedTuple):
    """What a potential says of the stability of n candidates.

    Attributes:
        predictions: Of ``energy_above_hull`` and ``formation_energy_per_atom``, by property.
        distances: Where the candidates lie on the hull of the database.
        own_distances: Energies above the hull of the potential's own energies in eV/atom, nan without one, shape (n,).
        coverage: What the hull knows of their chemical systems.
        incomplete: Why references are missing, empty where nothing shows it, shape (n,).
    """

    predictions: dict[str, LocalPrediction]
    distances: HullDistances
    own_distances: NDArray[np.float64]
    coverage: Coverage
    incomplete: NDArray[np.object_]


@dataclass(frozen=True)
class Stability:
    """Predicts stability from the energies of one potential.

    Attributes:
        elements: Energies of the elements, which bring energies of the potential to the scale of the hull.
        hull: Of the phases of a database.
        own_hull: Of energies by the potential alone, a second opinion.
        known: Compositions that are known, with an energy in the hull or without.
        errors: By property: how wrong predictions of known crystals are.
        candidate_errors: How wrong the distances of candidates are; those of known crystals where it is None.
        polymorphs: How wrong the energy of a crystal above a lower one of its composition is, by that energy.
        missing: How much the hull falls when more phases come to be known, by the place of a candidate; nothing is
            missing where it is None.
    """

    elements: ElementalReferences
    hull: Hull
    own_hull: Hull
    known: KnownPhases
    errors: dict[str, ErrorDistribution]
    candidate_errors: ErrorDistribution | None = None
    polymorphs: NearbyValues | None = None
    missing: NearbyValues | None = None

    @classmethod
    def fit(
        cls,
        labelled: PhaseEnergies,
        formation_energies: NDArray[np.float64],
        hull: Hull,
        *,
        known: KnownPhases | None = None,
        further: PhaseEnergies | None = None,
        corrected: Sequence[str] = (),
    ) -> Stability:
        """Learn from crystals whose formation energy is known.

        Each of them is compared with a hull without the phases of its own composition, as if it were a new compound,
        with a formation energy from energies of the elements that were fitted without its composition.

        Args:
            labelled: Energies of n crystals by the potential.
            formation_energies: Theirs in eV/atom on the scale of the hull, nan where unknown, shape (n,).
            hull: Of the phases of a database.
            known: Compositions that are known; by default those of the hull.
            further: Further reference phases evaluated by the same potential; compounds join both hulls, and elements
                that of the potential's own energies.
            corrected: Elements whose energy is corrected beside oxygen and fluorine; see
                :meth:`.elemental_references.ElementalReferences.fitted`.

        Raises:
            EnergySourceError: If the further phases come from another source.
        """
        elements = ElementalReferences.fitted(labelled, formation_energies, corrected=corrected)
        own = elements.formation_energies(labelled if further is None else labelled.joined(further))
        errors = _errors(labelled, formation_energies, hull, elements, corrected)
        if further is not None:
            # Known crystals refer to the hull of their database; candidates compete with further phases too.
            # Elements stay at zero: the database counts the formation energies of its phases from there.
            compounds = further.take(np.flatnonzero(further.compositions.lengths > 1))
            joining = replace(elements.formation_energies(compounds), source=hull.references.source)
            hull = Hull(hull.references.joined(joining))
        known = known or KnownPhases(hull, hull.references.compositions)
        polymorphs = polymorph_errors(labelled, formation_energies)
        return cls(elements, hull, Hull(own.joined(elements.elements())), known, errors, polymorphs=polymorphs)

    def formation_energies(self, candidates: PhaseEnergies) -> PhaseEnergies:
        """Return the formation energies of candidates on the scale of the hull, from their energies by the potential.

        Raises:
            EnergySourceError: If they come from another source than those of the crystals.
        """
        return replace(self.elements.formation_energies(candidates), source=self.hull.references.source)

    def predict(self, candidates: PhaseEnergies, *, competing: bool = False) -> Judgement:
        """Predict energy above hull and formation energy of n candidates, with their positions on the hulls.

        Args:
            candidates: Their energies by the potential.
            competing: Whether they compete with each other too, as the candidates of one run do
                (:mod:`matloop.models.stability.competition`).

        Raises:
            EnergySourceError: If they come from another source than those of the crystals.
        """
        formation, own_formation = self.formation_energies(candidates), self.elements.formation_energies(candidates)
        placed, own = _placed(self.hull, formation, competing), _placed(self.own_hull, own_formation, competing)
        compositions, distances = candidates.compositions, placed.distances
        errors = self.candidate_errors or self.errors[ABOVE_HULL]
        predictions = {
            ABOVE_HULL: predict_places(errors, placed, compositions, missing=self.missing, polymorphs=self.polymorphs),
            FORMATION: self.errors[FORMATION].around(FORMATION, formation.energies, compositions, distances.codes),
        }
        return Judgement(
            predictions, distances, own.distances.energy_above_hull, self.known.coverage(compositions),
            incomplete_references(compositions, distances),
        )  # fmt: skip

    def calibration_rows(
        self, name: str, lower: float, upper: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
        """Predict the known crystals from the errors of each other.

        Returns:
            Their rows, the probability of lying in [lower, upper], and whether they do, each of shape (m,).
        """
        errors = self.errors[name]
        prediction = errors.around_themselves(name)
        truth = np.clip(errors.predicted + errors.residuals, *prediction.bounds)
        inside = (truth >= lower) & (truth <= upper)
        share = prediction.probability_between(lower, upper)
        if not errors.local:
            return errors.rows, share, inside
        # Their own error is among the nearest.
        k = prediction.residuals.shape[1]
        return errors.rows, np.clip((k * share - inside) / (k - 1), 0, 1), inside


def _placed(hull: Hull, candidates: PhaseEnergies, competing: bool) -> Competition:
    """Where candidates lie on a hull, with each other or alone."""
    return compete(hull, candidates) if competing else Competition.of_nobody(hull.distances(candidates))


def _errors(
    labelled: PhaseEnergies,
    formation_energies: NDArray[np.float64],
    hull: Hull,
    elements: ElementalReferences,
    corrected: Sequence[str],
) -> dict[str, ErrorDistribution]:
    """How wrong predictions of the labelled crystals are, by property, each judged as a new compound."""
    found = held_out_formation_energies(labelled, formation_energies, corrected=corrected)
    if np.isnan(found).all():  # too few compositions for folds
        found = elements.formation_energies(labelled).energies
    judged = replace(labelled, source=hull.references.source, energies=found)
    above = hull.distances(judged, leave_out_own_composition=True).energy_above_hull
    above[labelled.compositions.lengths == 1] = np.nan
    truth = above + formation_energies - found
    return {
        ABOVE_HULL: ErrorDistribution.of(above, truth, labelled.compositions, local=False),
        FORMATION: ErrorDistribution.of(found, formation_energies, labelled.compositions, local=True),
    }
