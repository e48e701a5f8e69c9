"""Surrogate: one property's model with calibrated uncertainty, applicability domain and card."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import FingerprintError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.registry import lookup
from matloop.data.schema import property_named
from matloop.models.conformal import Calibration
from matloop.models.domain import Domain
from matloop.models.ensembles import Ensemble
from matloop.models.prediction import Prediction, Transform, forward
from matloop.models.registry import MODELS
from matloop.models.training import data_hash, out_of_fold, scores

_GOLDEN_ROWS = 5
_PINNED = ("numpy", "scikit-learn", "lightgbm")


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of the training rows, for plots and later calibration; all (m,), model scale."""

    target: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


@dataclass(frozen=True)
class Surrogate:
    """A trained model of one property.

    Attributes:
        property_name: Property in :data:`matloop.data.schema.PROPERTIES`.
        transform: Scale the ensemble works on.
        ensemble: Grown on all training rows.
        calibration: From grouped out-of-fold residuals.
        domain: From the training features.
        elements: Elements that occur in the training data, shape (119,).
        training: Out-of-fold predictions.
        card: What the model is, what it was trained on and what it is worth; plain JSON values.
    """

    property_name: str
    transform: Transform
    ensemble: Ensemble
    calibration: Calibration
    domain: Domain
    elements: NDArray[np.bool_]
    training: OutOfFold
    card: Mapping[str, Any]

    @classmethod
    def fit(
        cls,
        property_name: str,
        features: FeatureMatrix,
        target: NDArray[np.float64],
        groups: NDArray[np.integer],
        *,
        family: str = "extra_trees",
        transform: Transform = "identity",
        parameters: Mapping[str, Any] | None = None,
    ) -> Surrogate:
        """Train on all rows that have a target and finite features.

        Args:
            property_name: What is predicted.
            features: Features of m rows.
            target: Values in the property's unit, nan where unknown, shape (m,).
            groups: Reduced-formula group of each row, shape (m,); splits never separate a group.
            family: Registered ensemble.
            transform: ``log10`` for positive quantities that span decades.
            parameters: Settings of the ensemble.

        Raises:
            UnknownNameError: For an unknown property or family.
            ModelError: If too few rows are left.
        """
        bounds = property_named(property_name)
        make_ensemble = lookup("model", MODELS, family)
        scaled = forward(np.asarray(target, float), transform)
        used = np.flatnonzero(np.isfinite(scaled) & (features.codes == ""))
        values, truth, group = features.values[used], scaled[used], groups[used]

        def make() -> Ensemble:
            return make_ensemble(**(parameters or {}))  # type: ignore[no-any-return]

        mean, spread = out_of_fold(make, values, truth, group)
        ensemble = make().fit(values, truth)
        labelled = int(np.isfinite(target).sum())
        card = {
            "property": property_name,
            "unit": bounds.unit,
            "transform": transform,
            "family": family,
            "parameters": dict(ensemble.parameters),
            "feature_fingerprint": features.fingerprint,
            "feature_names": list(features.names),
            "rows_trained": len(used),
            "rows_left_out": labelled - len(used),
            "formulas": len(np.unique(group)),
            "split": "5 folds grouped by reduced formula",
            "scores": scores(truth, mean, spread, group),
            "data_sha256": data_hash(values, truth),
            "versions": {name: importlib.metadata.version(name) for name in ("matloop", *_PINNED)},
            "licence": "Apache-2.0; trained on Materials Project data, CC BY 4.0",
        }
        return cls(
            property_name, transform, ensemble, Calibration.fit(truth, mean, spread),
            Domain.fit(values, ensemble.importances(), group), features.elements[used].any(axis=0),
            OutOfFold(truth, mean, spread), card,
        )  # fmt: skip

    def predict(self, features: FeatureMatrix) -> Prediction:
        """Predict n candidates.

        A row with a non-finite feature keeps its code and gets no number. A row with an element the training data
        never had gets ``E-MODEL-ELEMENT`` and no number.

        Raises:
            FingerprintError: If the features come from another feature set.
        """
        if features.fingerprint != self.card["feature_fingerprint"]:
            raise FingerprintError(
                f"features with fingerprint {features.fingerprint}",
                f"{self.card['feature_fingerprint']}, which the {self.property_name} model was trained on",
                "use the same feature sets and versions, or train again",
            )
        unseen = (features.elements & ~self.elements).any(axis=1)
        finite = np.isfinite(features.values).all(axis=1)
        codes = np.where(unseen & (features.codes == ""), "E-MODEL-ELEMENT", features.codes)
        codes = np.where(~finite & (codes == ""), "E-FEATURE-NONFINITE", codes)
        good = np.flatnonzero(codes == "")
        centre, scale = np.full(len(features), np.nan), np.full(len(features), np.nan)
        in_domain = np.zeros(len(features), bool)
        if len(good):
            values = features.values[good]
            centre[good], spread = self.ensemble.predict(values)
            scale[good] = spread + self.calibration.floor
            in_domain[good] = self.domain.distances(values) <= self.domain.limit
        known = property_named(self.property_name)
        bounds = (known.lower, known.upper)
        return Prediction(centre, scale, in_domain, codes, self.calibration, self.transform, bounds)

    def save(self, folder: Path) -> None:
        """Write into a new folder: native or array files, ``surrogate.npz`` and ``card.json``; no pickle."""
        folder.mkdir(parents=True)
        self.ensemble.save(folder)
        golden = self.domain.points[:_GOLDEN_ROWS] / np.where(self.domain.weight > 0, self.domain.weight, np.inf)
        golden_values = (golden + self.domain.centre).astype(float)
        np.savez_compressed(
            folder / "surrogate.npz",
            floor=self.calibration.floor, residuals=self.calibration.residuals, elements=self.elements,
            domain_centre=self.domain.centre, domain_weight=self.domain.weight, domain_points=self.domain.points,
            domain_limit=self.domain.limit, target=self.training.target, mean=self.training.mean,
            spread=self.training.spread, golden_values=golden_values,
            golden_centre=self.ensemble.predict(golden_values)[0],
        )  # fmt: skip
        (folder / "card.json").write_text(json.dumps(self.card, indent=1, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote and repeat a few of its predictions.

        Raises:
            ModelError: If the folder is no model, or the predictions come out differently here.
        """
        try:
            card = json.loads((folder / "card.json").read_text())
            with np.load(folder / "surrogate.npz", allow_pickle=False) as arrays:
                a = {name: arrays[name] for name in arrays.files}
            ensemble = lookup("model", MODELS, card["family"]).load(folder)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"no readable model in {folder.name}: {error}", "a folder that save() wrote") from error
        if not np.allclose(ensemble.predict(a["golden_values"])[0], a["golden_centre"], rtol=1e-6, atol=1e-9):
            raise ModelError(
                f"the {card['property']} model predicts other numbers here than where it was trained",
                f"the versions on its card: {card['versions']}",
                "install those versions or train again",
            )
        return cls(
            card["property"], card["transform"], ensemble, Calibration(float(a["floor"]), a["residuals"]),
            Domain(a["domain_centre"], a["domain_weight"], a["domain_points"], float(a["domain_limit"])),
            a["elements"], OutOfFold(a["target"], a["mean"], a["spread"]), card,
        )  # fmt: skip
