"""Stability from a potential: energies above hull and formation energies, with the distribution of their errors.

A potential's energies are compared with reference phases evaluated by the same potential. The difference from the
density functional is learned from labelled crystals, for which both results are known. The predictive distribution of a
candidate is that of the labelled crystals whose distance from the hull is nearest to its own (a split conformal
predictive distribution local in the prediction; Vovk et al., Neurocomputing 397, 292 (2020)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.catalogue import property_named
from matloop.models.stability.competition import distances_among_candidates
from matloop.models.stability.elemental_references import ElementalReferences
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies

NEIGHBOURS = 300
"""Labelled crystals that say how wrong a prediction is; 300 of them place the ends of a 90 % interval to 2 %."""
_STABILITY = ("energy_above_hull", "formation_energy_per_atom")


@dataclass(frozen=True)
class LocalPrediction:
    """Predictions for n candidates with k residuals each.

    Attributes:
        centre: Values by the potential, in the unit of the property and within its bounds, shape (n,).
        residuals: Truth minus prediction of the nearest calibration rows, ascending, shape (n, k).
        codes: Row code of each candidate that was not predicted, empty otherwise, shape (n,).
        bounds: Physically possible values; a value beyond one counts as lying on it.
    """

    centre: NDArray[np.float64]
    residuals: NDArray[np.float64]
    codes: NDArray[np.str_]
    bounds: tuple[float, float]

    @property
    def in_domain(self) -> NDArray[np.bool_]:
        """Whether there is a number, shape (n,); a potential has no other limit of its domain."""
        return np.asarray(np.isfinite(self.centre))

    @property
    def mean(self) -> NDArray[np.float64]:
        """Median of each predictive distribution, shape (n,)."""
        return self.quantile(0.5)

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Half the width of the central 68.3 % interval, shape (n,)."""
        return (self.quantile(0.8413) - self.quantile(0.1587)) / 2

    def quantile(self, probability: float) -> NDArray[np.float64]:
        """Quantile of each predictive distribution with the finite-sample correction, shape (n,)."""
        k = self.residuals.shape[1]
        rank = int(np.ceil(probability * (k + 1))) if probability >= 0.5 else int(np.floor(probability * (k + 1)))
        return np.clip(self.centre + self.residuals[:, min(max(rank, 1), k) - 1], *self.bounds)

    def interval(self, level: float = 0.9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper end of the equal-tailed interval holding the truth with probability ``level``."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def probability_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Share of each predictive distribution in [lower, upper], nan where not predicted, shape (n,)."""
        values = np.clip(self.centre[:, None] + self.residuals, *self.bounds)
        share = ((values >= lower) & (values <= upper)).mean(axis=1)
        return np.where(np.isnan(self.centre), np.nan, share)


@dataclass(frozen=True)
class Stability:
    """Predicts stability from the energies of one potential.

    Attributes:
        elements: Energies of the elements that formation energies count from.
        hull: Of the formation energies of the reference phases.
        calibration: By property: predictions for the labelled crystals, ascending, the residuals and the rows of
            the labelled crystals that go with them.
    """

    elements: ElementalReferences
    hull: Hull
    calibration: dict[str, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]]

    @classmethod
    def fit(
        cls,
        labelled: PhaseEnergies,
        truth: Mapping[str, NDArray[np.float64]],
        *,
        further: PhaseEnergies | None = None,
        corrected: Sequence[str] = (),
    ) -> Stability:
        """Calibrate on crystals whose stability is known.

        Each of them is compared with a hull without the phases of its own composition, as if it were a new compound. A
        crystal that breaks this hull has a negative distance. Four of five packaged crystals lie within 50 meV/atom of
        the hull; fewer candidates that nobody has made do, so a probability learnt here tends to be too high. For a
        candidate whose composition is among the references it tends to be too low, because the candidate is compared
        with its own composition.

        Args:
            labelled: Energies of n labelled crystals by the potential.
            truth: Their labels in eV/atom by property, nan where unknown, each of shape (n,):
                ``energy_above_hull`` and ``formation_energy_per_atom``.
            further: Further reference phases evaluated by the same potential.
            corrected: Elements whose energy is corrected beside oxygen and fluorine; see
                :meth:`.elemental_references.ElementalReferences.fitted`.

        Raises:
            EnergySourceError: If the further phases come from another source.
        """
        elements = ElementalReferences.fitted(labelled, truth["formation_energy_per_atom"], corrected=corrected)
        # Further phases lower the hull of candidates, but labelled crystals refer to the hull of their database.
        formation = elements.formation_energies(labelled)
        hull = Hull(formation.joined(elements.elements()))
        known = np.flatnonzero(np.isfinite(truth["energy_above_hull"]) & np.isfinite(formation.energies))
        judged = formation.take(known)
        predicted = {
            "energy_above_hull": hull.distances(judged, leave_out_own_composition=True).energy_above_hull,
            "formation_energy_per_atom": judged.energies,
        }
        calibration = {}
        for name, values in predicted.items():
            used = np.isfinite(values) & np.isfinite(truth[name][known])
            order = np.argsort(values[used], kind="stable")
            residuals = truth[name][known][used] - _possible(name, values[used])
            calibration[name] = values[used][order], residuals[order], known[used][order]
        if further is not None:
            phases = elements.formation_energies(labelled.joined(further))
            hull = Hull(phases.joined(elements.elements()))
        return cls(elements, hull, calibration)

    def predict(
        self, candidates: PhaseEnergies, *, competing: bool = False
    ) -> tuple[dict[str, LocalPrediction], HullDistances]:
        """Predict energy above hull and formation energy of n candidates, with their positions on the hull.

        Args:
            candidates: Their energies by the potential.
            competing: Whether they compete with each other too, as the candidates of one run do
                (:mod:`matloop.models.stability.competition`).

        Raises:
            EnergySourceError: If they come from another source than the references.
        """
        formation = self.elements.formation_energies(candidates)
        distances = self.hull.distances(formation)
        if competing:
            distances = distances_among_candidates(self.hull, formation, distances)
        values = {"energy_above_hull": distances.energy_above_hull, "formation_energy_per_atom": formation.energies}
        return {name: self._local(name, values[name], distances.codes) for name in _STABILITY}, distances

    def calibration_rows(
        self, name: str, lower: float, upper: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
        """Predict the labelled crystals of the calibration, each from the others.

        Returns:
            Their rows, the probability of lying in [lower, upper] without their own residual, and whether they do, each
            of shape (m,).
        """
        values, residuals, rows = self.calibration[name]
        truth = _possible(name, values) + residuals
        inside = (truth >= lower) & (truth <= upper)
        prediction = self._local(name, values, np.full(len(values), ""))
        k = prediction.residuals.shape[1]
        share = prediction.probability_between(lower, upper)
        return rows, np.clip((k * share - inside) / (k - 1), 0, 1), inside

    def _local(self, name: str, values: NDArray[np.float64], codes: NDArray[np.str_]) -> LocalPrediction:
        known, residuals, _ = self.calibration[name]
        k = min(NEIGHBOURS, len(known))
        # The k nearest of sorted values are a window; it is centred on the value and pushed inside at the ends.
        at = np.searchsorted(known, np.nan_to_num(values)) - k // 2
        first = np.clip(at, 0, len(known) - k)
        nearest = np.sort(residuals[first[:, None] + np.arange(k)], axis=1)
        bounds = property_named(name)
        return LocalPrediction(_possible(name, values), nearest, codes, (bounds.lower, bounds.upper))


def _possible(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A distance below the hull means that the candidate would be part of it, at a distance of zero."""
    bounds = property_named(name)
    return np.clip(values, bounds.lower, bounds.upper)
