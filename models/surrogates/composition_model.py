"""Models by composition of a large table of computed values, whose prediction is one more feature of surrogates.

A few thousand crystals with labels have seen little chemistry, and a table of computed values by composition a lot. A
composition model brings that knowledge to surrogates of compositions and of crystals as one number: the value it
expects for the composition (stacked generalisation: Wolpert, Neural Netw. 5, 241 (1992),
doi:10.1016/S0893-6080(05)80023-1).

That number must be as good for the rows that teach a surrogate as it is for candidates, although the table holds the
formulas of the former. So a hash of the reduced formula puts every composition, known or not, into one of three folds,
and each fold is predicted by trees that saw no composition of it. No composition is predicted from its own value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json
from matloop.data.candidates.compositions import Compositions, composition_keys, mix_bits
from matloop.data.errors import ModelError
from matloop.data.properties.catalogue import property_named
from matloop.models.families.array_ensemble import read_arrays
from matloop.models.families.boosted_trees import BoostedTrees
from matloop.models.surrogates.prediction import forward

FOLDS = 3
SETTINGS: Mapping[str, Any] = {
    "boosters": 1, "rounds": 300, "learning_rate": 0.05, "smallest_leaf": 5, "row_share": 1.0, "feature_share": 0.3,
    "seed": 0,
}  # fmt: skip
"""Settings of the boosted trees of a fold."""
ROWS_PER_LEAF, FEWEST_LEAVES, MOST_LEAVES = 150, 31, 255
"""Trees grow with the table: so many rows for each leaf, within limits."""
DECISIVE: Mapping[str, Any] = {
    "folds": FOLDS, "settings": dict(SETTINGS), "leaves": [ROWS_PER_LEAF, FEWEST_LEAVES, MOST_LEAVES],
}  # fmt: skip
"""What decides the numbers of every composition model beside its table and features, as plain JSON values."""
_GOLDEN_ROWS = 5


def composition_folds(compositions: Compositions) -> NDArray[np.int64]:
    """Fold of each of n compositions, shape (n,); multiples of a formula share one.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> composition_folds(parse_formulas(["NaCl", "Na2Cl2", "MgO"])[0]).tolist()
    [0, 0, 2]
    """
    return (mix_bits(composition_keys(compositions)) % np.uint64(FOLDS)).astype(np.int64)


@dataclass(frozen=True)
class CompositionModel:
    """What the values of a table teach about a composition, on the scale on which surrogates learn the property.

    Attributes:
        parts: One ensemble for each fold, which saw no composition of that fold.
        golden: Features of a few compositions, shape (g, k), whose predictions are repeated after loading.
        card: Describes the table, the settings and the error on compositions held out, as plain JSON values.
    """

    parts: tuple[BoostedTrees, ...]
    golden: NDArray[np.float64]
    card: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        folds: NDArray[np.int64],
        *,
        about: Mapping[str, str],
    ) -> Self:
        """Learn the values of a table.

        Args:
            values: Finite features of n compositions, shape (n, k).
            target: Their values in the unit of the property, shape (n,).
            folds: As :func:`composition_folds` gives them, shape (n,).
            about: What a card says of the table (:attr:`matloop.data.training.training_set.TrainingSet.about`).

        Raises:
            ModelError: If a fold has no rows.
        """
        known = property_named(about["property"])
        scaled = forward(target, known.transform)
        used = np.isfinite(scaled)
        values, scaled, folds = values[used], scaled[used], folds[used]
        if len(np.unique(folds)) < FOLDS:
            raise ModelError(f"{len(folds)} compositions in {len(np.unique(folds))} folds", f"rows in {FOLDS} folds")
        leaves = int(np.clip(len(scaled) // ROWS_PER_LEAF, FEWEST_LEAVES, MOST_LEAVES))
        settings = {**SETTINGS, "leaves": leaves}
        parts, mean = [], np.empty(len(scaled))
        for fold in range(FOLDS):
            held = folds == fold
            parts.append(BoostedTrees(**settings).fit(values[~held], scaled[~held]))
            mean[held] = parts[-1].predict(values[held])[0]
        card = {
            "property": known.name,
            "unit": known.unit,
            "transform": known.transform,
            "family": BoostedTrees.family,
            "parameters": settings,
            "split": f"{FOLDS} folds by a hash of the reduced formula",
            "training_set": dict(about),
            "licence": about["licence"],
            "rows_trained": len(scaled),
            "scores": {
                "mae": float(np.abs(mean - scaled).mean()),
                "mae_of_mean": float(np.abs(scaled - scaled.mean()).mean()),
                "mae_of_median": float(np.abs(scaled - np.median(scaled)).mean()),
            },
        }
        return cls(tuple(parts), values[:_GOLDEN_ROWS], card)

    def predict(self, values: NDArray[np.float64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Predict compositions from other compositions only.

        Args:
            values: Features, shape (n, k).
            folds: As :func:`composition_folds` gives them, shape (n,).

        Returns:
            Expected value on the scale of the surrogate, shape (n,); nan where a feature is not finite.
        """
        found, sound = np.full(len(values), np.nan), np.isfinite(values).all(axis=1)
        for fold, part in enumerate(self.parts):
            rows = np.flatnonzero(sound & (folds == fold))
            if len(rows):
                found[rows] = part.predict(values[rows])[0]
        return found

    def save(self, folder: Path) -> None:
        """Write ``card.json``, a few predictions and the trees of each fold into a new folder."""
        folder.mkdir(parents=True)
        for fold, part in enumerate(self.parts):
            (folder / f"fold_{fold}").mkdir()
            part.save(folder / f"fold_{fold}")
        np.savez_compressed(folder / "golden.npz", values=self.golden, predictions=self._golden_predictions())
        (folder / "card.json").write_text(json.dumps(self.card, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote, and repeat a few of its predictions.

        Raises:
            ModelError: If the predictions come out differently here.
        """
        parts = tuple(BoostedTrees.load(folder / f"fold_{fold}") for fold in range(FOLDS))
        golden = read_arrays(folder / "golden.npz")
        model = cls(parts, golden["values"], read_json(folder / "card.json", inside=folder))
        if not np.allclose(model._golden_predictions(), golden["predictions"], rtol=1e-6, atol=1e-9):
            raise ModelError("a composition model that predicts other numbers here than where it was trained")
        return model

    def _golden_predictions(self) -> NDArray[np.float64]:
        """Predictions of every fold for the golden rows, shape (folds, g)."""
        return np.stack([part.predict(self.golden)[0] for part in self.parts])
