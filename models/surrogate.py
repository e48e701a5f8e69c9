"""Surrogate: one property's model with calibrated uncertainty, applicability domain and card."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.errors import FingerprintError, MatloopError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.registry import lookup
from matloop.data.schema import property_named
from matloop.models.conformal import Calibration
from matloop.models.difficulty import Difficulty
from matloop.models.domain import Domain
from matloop.models.ensembles import Ensemble, read_arrays
from matloop.models.prediction import Prediction, Transform, backward, forward
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
        difficulty: Where its predictions are hard.
        calibration: From grouped out-of-fold residuals.
        domain: From the training features.
        elements: Elements that occur in the training data, shape (119,).
        training: Out-of-fold predictions.
        card: What the model is, what it was trained on and what it is worth; plain JSON values.
    """

    property_name: str
    transform: Transform
    ensemble: Ensemble
    difficulty: Difficulty
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
            return make_ensemble(**(parameters or {}))

        mean, plain_spread = out_of_fold(make, values, truth, group)
        spread = Difficulty.out_of_fold(values, mean, plain_spread, truth, group)
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
            "best_of_training": [float(q) for q in np.quantile(np.asarray(target)[used], [0.05, 0.95])],
            "split": "5 folds grouped by reduced formula",
            "scores": scores(truth, mean, spread, group),
            "data_sha256": data_hash(values, truth),
            "versions": {name: importlib.metadata.version(name) for name in ("matloop", *_PINNED)},
            "licence": "Apache-2.0; trained on Materials Project data, CC BY 4.0",
        }
        return cls(
            property_name, transform, ensemble, Difficulty.fit(values, mean, plain_spread, truth),
            Calibration.fit(truth, mean, spread),
            Domain.fit(values, ensemble.importances(), group), np.any(features.elements[used], axis=0),
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
            centre[good], scale[good] = self._centre_and_scale(values)
            in_domain[good] = self.domain.distances(values) <= self.domain.limit
        known = property_named(self.property_name)
        bounds = (known.lower, known.upper)
        return Prediction(centre, scale, in_domain, codes, self.calibration, self.transform, bounds)

    def _centre_and_scale(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        centre, spread = self.ensemble.predict(values)
        return centre, self.difficulty.adjust(values, centre, spread) + self.calibration.floor

    def save(self, folder: Path) -> None:
        """Write the ensemble, ``surrogate.npz``, ``out_of_fold.parquet`` and ``card.json`` into a new folder."""
        folder.mkdir(parents=True)
        self.ensemble.save(folder)
        self.difficulty.save(folder / "difficulty")
        golden = self.domain.points[:_GOLDEN_ROWS] / np.where(self.domain.weight > 0, self.domain.weight, np.inf)
        golden_values = (golden + self.domain.centre).astype(float)
        card = json.dumps(self.card, indent=1, ensure_ascii=False)
        np.savez_compressed(
            folder / "surrogate.npz",
            softening=self.difficulty.softening, floor=self.calibration.floor,
            residuals=self.calibration.residuals, elements=self.elements,
            domain_centre=self.domain.centre, domain_weight=self.domain.weight, domain_points=self.domain.points,
            domain_limit=self.domain.limit, golden_values=golden_values,
            golden=self._centre_and_scale(golden_values), card_sha256=_text_hash(card),
        )  # fmt: skip
        pq.write_table(self._out_of_fold_table(), folder / "out_of_fold.parquet", compression="zstd")
        (folder / "card.json").write_text(card, encoding="utf-8")

    def _out_of_fold_table(self) -> pa.Table:
        """Target, mean and 90 % interval in the property's unit, and the spread on the model scale."""
        oof = self.training
        scale = oof.spread + self.calibration.floor
        ends = [oof.mean + scale * self.calibration.quantile(probability) for probability in (0.05, 0.95)]
        columns = {"target": oof.target, "mean": oof.mean, "lo": ends[0], "hi": ends[1]}
        own_unit = {name: backward(values, self.transform) for name, values in columns.items()}
        return pa.table({**own_unit, "spread": oof.spread})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote and repeat a few of its predictions.

        Raises:
            ModelError: If the folder is no model, its card was changed, or the predictions come out differently here.
        """
        try:
            text = (folder / "card.json").read_text(encoding="utf-8")
            card = json.loads(text)
            a = read_arrays(folder / "surrogate.npz")
            if a["card_sha256"].item() != _text_hash(text):
                raise ModelError(f"the card in {folder.name} was changed", "a folder that save() wrote", "train again")
            table = pq.read_table(folder / "out_of_fold.parquet")
            ensemble = lookup("model", MODELS, card["family"]).load(folder)
            model = cls(
                card["property"], card["transform"], ensemble,
                Difficulty.load(folder / "difficulty", softening=float(a["softening"])),
                Calibration(float(a["floor"]), a["residuals"]),
                Domain(a["domain_centre"], a["domain_weight"], a["domain_points"], float(a["domain_limit"])),
                a["elements"], _out_of_fold(table, card["transform"]), card,
            )  # fmt: skip
            repeated = model._centre_and_scale(a["golden_values"])
        except MatloopError:
            raise
        except Exception as error:  # whatever a damaged file makes a reader raise, the user gets one message
            raise ModelError(f"no readable model in {folder.name}: {error}", "a folder that save() wrote") from error
        if not np.allclose(repeated, a["golden"], rtol=1e-6, atol=1e-9):
            raise ModelError(
                f"the {model.property_name} model predicts other numbers here than where it was trained",
                f"the versions on its card: {card['versions']}",
                "install those versions or train again",
            )
        return model


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _out_of_fold(table: pa.Table, transform: Transform) -> OutOfFold:
    target, mean = (forward(table[name].to_numpy(), transform) for name in ("target", "mean"))
    return OutOfFold(target, mean, table["spread"].to_numpy())
