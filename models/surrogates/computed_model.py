"""A model of many computed values, whose prediction is one more feature of the model of few measured values.

The two sets of labels meet in the features alone: an ensemble learns the computed values of one set, and the measured
rows get its prediction as a column. A measured row whose formula has a computed value gets it from an ensemble that
saw no computed value of that formula, because the candidates that are screened are new formulas too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.definition import Transform
from matloop.models.families.array_ensemble import read_arrays
from matloop.models.families.contract import Ensemble
from matloop.models.families.making import load_ensemble, make_ensemble, settings_by_name
from matloop.models.families.row_weights import fitted
from matloop.models.grouped_folds import grouped_folds
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.training import check_enough_rows, usable_rows

COMPUTED_VALUE = "computed_value"
"""Name of the column with the predictions of the model of computed values."""

_FILE = "computed.npz"
_GOLDEN_ROWS = 5


class ComputedLabels(NamedTuple):
    """Rows with computed values that measured values are learned from.

    Attributes:
        features: Features of c rows, of the feature set of the measured rows.
        values: In the unit of the property, nan where unknown, shape (c,).
        groups: Formula group of each row, shape (c,); numbers of equal formulas agree with those of measured rows.
        about: What a card says of them (:attr:`matloop.data.training.training_set.TrainingSet.about`).
        weights: How much each row counts, shape (c,); all the same if None.
    """

    features: FeatureMatrix
    values: NDArray[np.float64]
    groups: NDArray[np.integer]
    about: Mapping[str, str]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class ComputedModel:
    """A model of computed values on the scale of the surrogate.

    Attributes:
        family: Registered family of the ensemble.
        ensemble: Learned from all rows with computed values.
        domain: Of these rows.
        elements: Elements that occur in them, shape (119,).
        taught: Those of them whose compounds it knows: all but nonmetals that hardly any row has, shape (119,).
        card: Describes the rows and the error on rows whose formula was held out, as plain JSON values.
    """

    family: str
    ensemble: Ensemble
    domain: Domain
    elements: NDArray[np.bool_]
    taught: NDArray[np.bool_]
    card: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        computed: ComputedLabels,
        measured: FeatureMatrix,
        groups: NDArray[np.integer],
        *,
        family: str,
        parameters: Mapping[str, Any],
        transform: Transform,
    ) -> tuple[Self, FeatureMatrix]:
        """Learn computed values, and add the column with their predictions to the features of measured rows.

        Args:
            computed: Rows with computed values.
            measured: Features of m measured rows.
            groups: Formula group of each of them, shape (m,).
            family: Registered family.
            parameters: Its settings.
            transform: Scale of the surrogate.

        Returns:
            The model, and the features of the measured rows with the column.

        Raises:
            MissingColumnsError: If the features lack columns that the family needs.
            ModelError: If too few rows have a computed value.
        """
        scaled = forward(np.asarray(computed.values, float), transform)
        used = usable_rows(computed.features, scaled)
        values, truth, group = computed.features.values[used], scaled[used], computed.groups[used]
        check_enough_rows(truth, group, "with a computed value")
        settings = settings_by_name(family, parameters, computed.features.names)
        counts = np.ones(len(used)) if computed.weights is None else computed.weights[used]
        ensemble = fitted(make_ensemble(family, settings), values, truth, groups=group, weights=counts)
        sound = np.isfinite(measured.values).all(axis=1)
        column, mean = np.full(len(measured), np.nan), np.empty(len(truth))
        column[sound] = ensemble.predict(measured.values[sound])[0]
        for train, held in grouped_folds(group):
            own = counts[train]
            part = fitted(
                make_ensemble(family, settings), values[train], truth[train], groups=group[train], weights=own
            )  # fmt: skip
            mean[held] = part.predict(values[held])[0]
            rows = np.flatnonzero(np.isin(groups, group[held]) & sound)
            if len(rows):
                column[rows] = part.predict(measured.values[rows])[0]
        card = {
            "source": computed.about["provenance"],
            "rows": len(used),
            "formulas": len(np.unique(group)),
            "formulas_in_both": len(np.intersect1d(group, groups)),
            "mae_of_computed": float(np.abs(mean - truth).mean()),
            "family": family,
            "parameters": ensemble.parameters,
            "training_set": dict(computed.about),
        }
        domain = Domain.fit(values, ensemble.importances(), group)
        elements = computed.features.elements[used]
        present, support = np.asarray(elements.any(axis=0)), ChemicalSupport.of(elements, group)
        model = cls(family, ensemble, domain, present, present & ~support.hardly_seen, card)
        return model, model._extended(measured, column)

    def inputs(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return features (n, k) with the computed value as last column, nan where a feature is not finite."""
        column, sound = np.full(len(values), np.nan), np.isfinite(values).all(axis=1)
        if sound.any():
            column[sound] = self.ensemble.predict(values[sound])[0]
        return np.column_stack([values, column])

    def contains(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether rows of features (n, k) lie in the domain of the computed values, shape (n,)."""
        return self.domain.contains(values, self.domain.distances(values))

    def widened(self, domain: Domain) -> Domain:
        """Return the domain of measured rows with ranges of features that reach over the computed rows too.

        The measured rows are few, and a feature of nearly every candidate lies outside the range of thirty rows. What
        is learned from many computed rows holds there. The computed value itself keeps its range.
        """
        both = np.stack([domain.ranges[:, :-1], self.domain.ranges])
        ranges = np.column_stack([[both[:, 0].min(axis=0), both[:, 1].max(axis=0)], domain.ranges[:, -1]])
        return replace(domain, ranges=ranges)

    def save(self, folder: Path) -> None:
        """Write the ensemble and ``computed.npz`` into a new folder."""
        folder.mkdir()
        self.ensemble.save(folder)
        rows = self._golden_rows()
        np.savez_compressed(
            folder / _FILE, elements=self.elements, taught=self.taught, golden_values=rows,
            golden=self.ensemble.predict(rows)[0], **self.domain.arrays(),  # type: ignore[arg-type]
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path, *, card: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote, and repeat a few of its predictions.

        Raises:
            ModelError: If the predictions come out differently here.
        """
        a = read_arrays(folder / _FILE)
        ensemble = load_ensemble(card["family"], card["parameters"], folder)
        if not np.allclose(ensemble.predict(a["golden_values"])[0], a["golden"], rtol=1e-6, atol=1e-9):
            raise ModelError("a model of computed values that predicts other numbers here than where it was trained")
        return cls(card["family"], ensemble, Domain.from_arrays(a), a["elements"], a["taught"], card)

    def _golden_rows(self) -> NDArray[np.float64]:
        weight = np.where(self.domain.weight > 0, self.domain.weight, np.inf)
        return np.asarray(self.domain.points[:_GOLDEN_ROWS] / weight + self.domain.centre, float)

    def _extended(self, features: FeatureMatrix, column: NDArray[np.float64]) -> FeatureMatrix:
        values = np.column_stack([features.values, column])
        return replace(features, values=values, names=(*features.names, COMPUTED_VALUE))
