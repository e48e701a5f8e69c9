"""The surrogate: a model of one property with calibrated uncertainty, applicability domain and card."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.bounded_files import LARGEST_JSON, parse_json, read_bounded, read_table
from matloop.data.errors import DamagedFileError, FileAccessError, FingerprintError, MatloopError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.data.properties.conditions import CONDITIONS
from matloop.data.properties.definition import Transform
from matloop.data.registry import lookup
from matloop.models.families.array_ensemble import read_arrays
from matloop.models.families.contract import Ensemble
from matloop.models.families.row_weights import fitted, relative_weights
from matloop.models.families.transfer import Transfer
from matloop.models.registry import MODELS
from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.card_entries import describe_errors
from matloop.models.surrogates.classification import RangeClassifier
from matloop.models.surrogates.computed_model import ComputedModel
from matloop.models.surrogates.conditions import (
    LearnedCondition,
    check_asked,
    features_with,
    learned_conditions,
    standing_rows,
    within_labels,
)
from matloop.models.surrogates.difficulty import Difficulty
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.held_out import Rows
from matloop.models.surrogates.prediction import Prediction, backward, forward
from matloop.models.surrogates.training import (
    FEWER_FOLDS,
    data_hash,
    expected_shrinkage,
    out_of_fold,
    scores,
    usable_rows,
)
from matloop.models.surrogates.transfer_gain import what_measured_rows_bought

_GOLDEN_ROWS = 5
_PINNED = ("numpy", "scikit-learn", "lightgbm")
_BASE = "fingerprint_without_conditions"
_NO_CONDITIONS: Mapping[str, NDArray[np.float64]] = {}


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of the training rows, for plots and for calibration on a selection.

    Attributes:
        target: Truth on the model scale, shape (m,).
        mean: Prediction by an ensemble that saw no row of the formula, model scale, shape (m,).
        spread: Its spread adjusted for difficulty, model scale, shape (m,).
        ids: ``candidate_id`` of each row, empty where none was given, shape (m,).
        conditions: Value of each condition by name, in the unit in which it is stored, each (m,).
        stands: Which rows stand for their material at the asked conditions, shape (m,); None where all do.
    """

    target: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    ids: NDArray[np.str_]
    conditions: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    stands: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        used: NDArray[np.int64],
        target: NDArray[np.float64],
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        *,
        ids: Sequence[str] | None,
        conditions: Mapping[str, NDArray[np.float64]],
    ) -> Self:
        """Those of the rows used, with what is known of all rows.

        Args:
            used: The rows that a surrogate learned from, shape (m,).
            target: Of these rows, shape (m,).
            mean: Likewise.
            spread: Likewise.
            ids: Of all rows.
            conditions: Of all rows by name.
        """
        names = np.full(len(used), "") if ids is None else np.array(ids, str)[used]
        return cls(target, mean, spread, names, {name: kept[used] for name, kept in conditions.items()})

    @property
    def standing(self) -> NDArray[np.int64]:
        """Rows that stand for their material at the asked conditions, in their order."""
        return np.arange(len(self.target)) if self.stands is None else np.flatnonzero(self.stands)


@dataclass(frozen=True)
class Surrogate:
    """A trained model of one property.

    An interval is about a new measurement of one compound, made like those of the training rows, with its noise. Rows
    of small weight count little in the fits, and like all others in calibration and scores.

    Attributes:
        property_name: Property in the catalogue (:mod:`matloop.data.properties.catalogue`).
        transform: Scale the ensemble works on.
        ensemble: Grown on all training rows.
        difficulty: Estimates for which candidates predictions are hard.
        calibration: From grouped out-of-fold residuals.
        domain: From the training features.
        elements: Elements that occur in the training data, shape (119,).
        training: Out-of-fold predictions.
        card: Describes the model, its training data and its scores, as plain JSON values.
        classifier: Gives the probability of lying in a wanted range; None if the predictive distribution gives it.
        asked: Conditions at which it predicts, by name, in the unit in which each is stored; see :meth:`at`.
        computed: Model of computed values that the ensemble transfers from, whose prediction is one more feature; None
            if the ensemble learned from features alone.
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
    classifier: RangeClassifier | None = None
    asked: Mapping[str, float] | None = None
    computed: ComputedModel | None = None

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
        ids: Sequence[str] | None = None,
        about: Mapping[str, str] | None = None,
        weights: NDArray[np.float64] | None = None,
        conditions: Mapping[str, NDArray[np.float64]] = _NO_CONDITIONS,
        computed: ComputedModel | None = None,
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
            ids: ``candidate_id`` of each row, shape (m,); lets :meth:`predict_as_new` recognise them.
            about: What the card says of the data (:attr:`matloop.data.training.training_set.TrainingSet.about`).
            weights: How much each row counts in fits, shape (m,); all the same if left out. Scores count all alike.
            conditions: Of each row by name, in the unit of storage, each (m,); they become features behind the others.
            computed: Model of computed values to transfer from; ``features`` are then those that its fit returned.

        Raises:
            UnknownNameError: For an unknown property, condition or family.
            ModelError: If too few rows are left, or the family takes no weights.
        """
        features, about_features = _with_conditions(features, conditions)
        of_family, make = _makers(family, parameters or {}, computed)
        scaled = forward(np.asarray(target, float), transform)
        used = usable_rows(features, scaled)
        counts = None if weights is None else relative_weights(weights[used], len(used))
        rows = Rows(features.values[used], scaled[used], groups[used], features.elements[used], counts)
        values, truth, group = rows.values, rows.target, rows.groups
        mean, plain_spread = out_of_fold(make, values, truth, group, weights=counts)
        spread = Difficulty.out_of_fold(values, mean, plain_spread, truth, group)
        ensemble = fitted(make(), values, truth, groups=group, weights=counts)
        domain = _domain(rows, ensemble, computed)
        of_half, _ = out_of_fold(make, values, truth, group, folds=FEWER_FOLDS, weights=counts)
        shrinkage = expected_shrinkage(truth, mean=mean, of_half=of_half)
        calibration = Calibration.fit(truth, mean, spread, domain.own, shrinkage=shrinkage)
        held_out, entries = describe_errors(
            rows, mean=mean, of_half=of_half, shrinkage=shrinkage, domain=domain, family=ensemble.family,
            parameters=ensemble.parameters, transform=transform,
        )  # fmt: skip
        card = {
            **_model_statement(property_name, transform, family, of_family().parameters),
            **about_features,
            "best_of_training": list(best_of_training(np.asarray(target)[used])),
            "scores": {**scores(truth, mean, spread, group, domain.own), **held_out},
            **entries,
            "residual_shrinkage": shrinkage,
            "distance_bins": {"edges": calibration.edges.tolist(), "rows": calibration.sizes.tolist()},
            **_data_statement(about, computed, rows, known=int(np.isfinite(target).sum())),
            **_transfer_statement(computed, of_family, ensemble, rows, mean=mean),
        }
        return cls(
            property_name, transform, ensemble, Difficulty.fit(values, mean, plain_spread, truth), calibration, domain,
            _present(rows.elements, computed), OutOfFold.of(used, truth, mean, spread, ids=ids, conditions=conditions),
            card, computed=computed,
        )  # fmt: skip

    @functools.cached_property
    def conditions(self) -> tuple[LearnedCondition, ...]:
        """Conditions of its labels.

        Raises:
            ModelError: If the card states others than matloop knows.
        """
        return tuple(LearnedCondition.from_card(said) for said in self.card.get("conditions", ()))

    @property
    def condition_words(self) -> tuple[FeatureWords, ...]:
        """Words of the features of conditions, which stand behind those of the material."""
        return tuple(words for one in self.conditions if one.is_feature for words in one.words())

    @property
    def base_fingerprint(self) -> str:
        """Fingerprint of the features of materials, without those of conditions."""
        return str(self.card.get(_BASE, self.card["feature_fingerprint"]))

    def at(self, asked: Mapping[str, float]) -> Self:
        """Return the same surrogate for predictions at some conditions.

        Args:
            asked: By name, in the unit in which the condition is stored; the labels may lie close by, but not all on
                one side.

        Raises:
            ModelError: If a condition is none of the labels, one that varies is missing, or a value lies beyond them.
        """
        values = check_asked(self.conditions, asked, of=self.property_name)
        if not any(one.is_feature for one in self.conditions):
            return replace(self, asked=values)
        stands = standing_rows(self.conditions, self.training.conditions, values, self.training.ids)
        return replace(self, asked=values, training=replace(self.training, stands=stands))

    def completed(
        self, features: FeatureMatrix, conditions: Mapping[str, NDArray[np.float64]] | None = None
    ) -> FeatureMatrix:
        """Put the features of conditions behind those of n materials; features that have them stay as they are.

        Args:
            features: Of the materials.
            conditions: Of each material by name, each (n,); those asked for where left out.

        Raises:
            ModelError: If it learned from labels under several conditions, and none are asked for.
        """
        if features.fingerprint != self.base_fingerprint or not any(one.is_feature for one in self.conditions):
            return features
        values: Mapping[str, NDArray[np.float64] | float] | None = self.asked if conditions is None else conditions
        if values is None:
            values = check_asked(self.conditions, {}, of=self.property_name)
        return features_with(features, self.conditions, values)

    def truth_of(self, ids: Sequence[str]) -> NDArray[np.float64]:
        """Return the label that stands for each material at the asked conditions, nan where there is none, shape (n,).

        Args:
            ids: ``candidate_id`` of n materials.
        """
        oof = self.training
        row_of = {oof.ids[row]: row for row in oof.standing.tolist()}
        rows = [row_of.get(name, -1) for name in ids]
        return np.where(np.array(rows) < 0, np.nan, backward(oof.target, self.transform)[rows])

    def with_classifier(
        self,
        features: FeatureMatrix,
        target: NDArray[np.float64],
        groups: NDArray[np.integer],
        *,
        wanted: tuple[float, float],
        weights: NDArray[np.float64] | None = None,
        conditions: Mapping[str, NDArray[np.float64]] = _NO_CONDITIONS,
    ) -> Self:
        """Return the same surrogate with a classifier of its family for the probability of lying in a range.

        Args:
            features: Features on which the surrogate was fitted.
            target: Likewise.
            groups: Likewise.
            wanted: Lower and upper end of the range, in the property's unit, infinite where open.
            weights: Weights of the rows on which the surrogate was fitted.
            conditions: Likewise.

        Raises:
            ModelError: If these are not the rows it was fitted on, or nearly all formulas lie inside the range, or
                outside.
        """
        scaled = forward(np.asarray(target, float), self.transform)
        features = self.completed(features, conditions)
        used = usable_rows(features, scaled)
        if features.fingerprint != self.card["feature_fingerprint"] or len(used) != self.card["rows_trained"]:
            raise ModelError(f"{len(used)} rows for a classifier", "the rows the surrogate was fitted on")
        make = functools.partial(lookup("model", MODELS, self.card["family"]), **self.card["parameters"])
        classifier = RangeClassifier.fit(
            make, features.values[used], np.asarray(target, float)[used], groups[used], wanted=wanted,
            weights=None if weights is None else weights[used],
        )  # fmt: skip
        return replace(self, classifier=classifier, card={**self.card, "probability": classifier.card})

    def predict(
        self, features: FeatureMatrix, *, conditions: Mapping[str, NDArray[np.float64]] | None = None
    ) -> Prediction:
        """Predict n candidates.

        A row with a non-finite feature keeps its code and gets no number. A row with an element the training data
        never had gets ``E-MODEL-ELEMENT`` and no number.

        Args:
            features: Of the materials, with the features of conditions or without.
            conditions: Of each candidate by name, in the unit in which the condition is stored, each (n,); those asked
                for where left out. A candidate with one beyond the labels gets ``E-MODEL-CONDITION`` and no number.

        Raises:
            FingerprintError: If the features come from another feature set.
            ModelError: If it learned from labels under several conditions, and none are asked for.
        """
        if conditions:
            kept, beyond = within_labels(self.conditions, conditions, of=self.property_name)
            return self.predict(self.completed(features, kept)).without(beyond, "E-MODEL-CONDITION")
        features = self.completed(features)
        if features.fingerprint != self.card["feature_fingerprint"]:
            raise FingerprintError(
                f"features with fingerprint {features.fingerprint}",
                f"{self.card['feature_fingerprint']}, which the {self.property_name} model was trained on",
                "use the same feature sets and versions, or train again",
            )
        unseen = (features.elements & ~self.elements).any(axis=1)
        inputs = self.inputs(features.values)
        finite = np.isfinite(inputs).all(axis=1)
        codes = np.where(unseen & (features.codes == ""), "E-MODEL-ELEMENT", features.codes)
        codes = np.where(~finite & (codes == ""), "E-FEATURE-NONFINITE", codes)
        good = np.flatnonzero(codes == "")
        centre, scale = np.full(len(features), np.nan), np.full(len(features), np.nan)
        in_domain, bins = np.zeros(len(features), bool), np.zeros(len(features), np.int64)
        if len(good):
            values = inputs[good]
            centre[good], scale[good] = self._centre_and_scale(values)
            distances = self.domain.distances(values)
            in_domain[good], bins[good] = self.domain.contains(values, distances), self.calibration.bins(distances)
            if self.computed is not None:
                in_domain[good] &= self.computed.contains(features.values[good])
        known = property_named(self.property_name)
        bounds = (known.lower, known.upper)
        prediction = Prediction(centre, scale, in_domain, codes, self.calibration, self.transform, bounds, bins)
        return prediction if self.classifier is None else self.classifier.judge(prediction, inputs)

    def inputs(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the ensemble reads for features (n, k): the features, and in a transfer the computed value."""
        return values if self.computed is None else self.computed.inputs(values)

    def predict_as_new(self, features: FeatureMatrix, ids: Sequence[str]) -> Prediction:
        """Predict n candidates; ensembles that never saw their formula predict those on which the model was trained.

        Selections are calibrated on rows that are predicted like this. A ranking by several targets can then be
        repeated for the training rows of each target, with an honest prediction of every target.

        A material with labels under several conditions is predicted at those of the label that stands for it; one
        without a label near the asked conditions gets ``E-MODEL-CONDITION`` and no number.

        Args:
            features: Features of n rows.
            ids: ``candidate_id`` of each row, shape (n,).

        Raises:
            FingerprintError: If the features come from another feature set.
            ModelError: If the model was trained without ids.
        """
        oof = self.training
        if (oof.ids == "").any():
            raise ModelError(
                f"a {self.property_name} model whose training rows have no ids", "a model trained with ids",
                "pass ids to Surrogate.fit",
            )  # fmt: skip
        plain = self.predict(features)
        order = oof.standing[np.argsort(oof.ids[oof.standing], kind="stable")]
        asked = np.array(ids, str)
        near = np.zeros(len(asked), np.int64)
        if len(order):
            near = order[np.minimum(np.searchsorted(oof.ids[order], asked), len(order) - 1)]
        trained = (oof.ids[near] == asked) & (plain.codes == "") & (len(order) > 0)
        new = replace(
            plain,
            centre=np.where(trained, oof.mean[near], plain.centre),
            scale=np.where(trained, oof.spread[near] + self.calibration.floor, plain.scale),
            in_domain=np.where(trained, self.domain.own[near] <= self.domain.limit, plain.in_domain),
            bins=np.where(trained, self.calibration.bins(self.domain.own[near]), plain.bins),
        )
        if oof.stands is not None:
            new = new.without(np.isin(asked, oof.ids) & ~trained & (plain.codes == ""), "E-MODEL-CONDITION")
        if self.classifier is None or new.met is None:
            return new
        return self.classifier.with_probabilities(new, np.where(trained, self.classifier.out_of_fold[near], new.met))

    def out_of_fold_prediction(self) -> Prediction:
        """Out-of-fold predictions of the training rows, in their order, shape (m,)."""
        known, oof, own = property_named(self.property_name), self.training, self.domain.own
        prediction = Prediction(
            oof.mean, oof.spread + self.calibration.floor, own <= self.domain.limit, np.full(len(oof.mean), ""),
            self.calibration, self.transform, (known.lower, known.upper), self.calibration.bins(own),
        )  # fmt: skip
        classifier = self.classifier
        return prediction if classifier is None else classifier.with_probabilities(prediction, classifier.out_of_fold)

    def _centre_and_scale(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        centre, spread = self.ensemble.predict(values)
        return centre, self.difficulty.adjust(values, centre, spread) + self.calibration.floor

    def save(self, folder: str | Path) -> None:
        """Write the ensemble, ``surrogate.npz``, ``out_of_fold.parquet`` and ``card.json`` into a new folder."""
        folder = Path(folder)
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
            calibration_edges=self.calibration.edges, calibration_sizes=self.calibration.sizes,
            golden_values=golden_values, golden=self._centre_and_scale(golden_values), card_sha256=_text_hash(card),
            **self.domain.arrays(),  # type: ignore[arg-type]
        )  # fmt: skip
        if self.computed is not None:
            self.computed.save(folder / "computed")
        if self.classifier is not None:
            self.classifier.save(folder / "classifier")
        pq.write_table(self._out_of_fold_table(), folder / "out_of_fold.parquet", compression="zstd")
        (folder / "card.json").write_text(card, encoding="utf-8")

    def _out_of_fold_table(self) -> pa.Table:
        """Ids, target, mean and 90 % interval in the property's unit, and the spread on the model scale."""
        oof, bins = self.training, self.calibration.bins(self.domain.own)
        scale = oof.spread + self.calibration.floor
        ends = [oof.mean + scale * self.calibration.quantile(probability)[bins] for probability in (0.05, 0.95)]
        columns = {"target": oof.target, "mean": oof.mean, "lo": ends[0], "hi": ends[1]}
        own_unit = {name: backward(values, self.transform) for name, values in columns.items()}
        return pa.table(
            {Column.CANDIDATE_ID: pa.array(oof.ids.tolist(), pa.string()), **own_unit, "spread": oof.spread}
            | {CONDITIONS[name].column: kept for name, kept in oof.conditions.items()}
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote and repeat a few of its predictions.

        Raises:
            ModelError: If the folder is no model, its card was changed, or the predictions come out differently here.
        """
        folder = Path(folder)
        try:
            content = read_bounded(folder / "card.json", most_bytes=LARGEST_JSON)
            text, card = content.decode("utf-8"), parse_json(content, name="card.json", allow_nan=True)
            a = read_arrays(folder / "surrogate.npz")
            if a["card_sha256"].item() != _text_hash(text):
                raise ModelError(f"the card in {folder.name} was changed", "a folder that save() wrote", "train again")
            table = read_table(folder / "out_of_fold.parquet")
            family = lookup("model", MODELS, card["family"])
            classified, transfer = card.get("probability"), card.get("transfer")
            computed = None
            if transfer is not None:
                computed = ComputedModel.load(folder / "computed", family=card["family"], card=transfer)
            model = cls(
                card["property"], card["transform"], (family if transfer is None else Transfer).load(folder),
                Difficulty.load(folder / "difficulty", softening=float(a["softening"])),
                Calibration(float(a["floor"]), a["residuals"], a["calibration_edges"], a["calibration_sizes"]),
                Domain.from_arrays(a), a["elements"], _out_of_fold(table, card["transform"]), card,
                RangeClassifier.load(folder / "classifier", family, classified) if classified else None,
                computed=computed,
            )  # fmt: skip
            repeated = model._centre_and_scale(a["golden_values"])
        except FileAccessError:
            raise
        except DamagedFileError as error:
            raise ModelError(
                f"no readable model in {folder.name}: {error.got}", "a folder that save() wrote"
            ) from error
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


def _with_conditions(
    features: FeatureMatrix, conditions: Mapping[str, NDArray[np.float64]]
) -> tuple[FeatureMatrix, dict[str, Any]]:
    """Put the features of conditions (m,) behind those of m rows; also return the statement of a card about both."""
    learned = learned_conditions(conditions)
    complete = features_with(features, learned, conditions)
    said: dict[str, Any] = {"feature_fingerprint": complete.fingerprint, "feature_names": list(complete.names)}
    if learned:
        said |= {"conditions": [one.card() for one in learned], _BASE: features.fingerprint}
    return complete, said


def _makers(
    family: str, parameters: Mapping[str, Any], computed: ComputedModel | None
) -> tuple[Callable[[], Ensemble], Callable[[], Ensemble]]:
    """Return what makes an unfitted ensemble of the family, and what makes that of the surrogate: maybe a transfer."""
    of_family: Callable[[], Ensemble] = functools.partial(lookup("model", MODELS, family), **parameters)
    if computed is None:
        return of_family, of_family
    settings = of_family().parameters
    return of_family, functools.partial(Transfer, of=family, settings=settings, seed=settings.get("seed", 0))


def _domain(rows: Rows, ensemble: Ensemble, computed: ComputedModel | None) -> Domain:
    """Find the domain of the rows, in a transfer with ranges of features that reach over computed rows too."""
    domain = Domain.fit(rows.values, ensemble.importances(), rows.groups)
    return domain if computed is None else computed.widened(domain)


def _present(elements: NDArray[np.bool_], computed: ComputedModel | None) -> NDArray[np.bool_]:
    """Find the elements that occur in measured rows (m, 119), or in those that are transferred from, shape (119,)."""
    own = np.asarray(np.any(elements, axis=0))
    return own if computed is None else own | computed.elements


def _model_statement(
    property_name: str, transform: Transform, family: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a card says of what is predicted and with which family."""
    return {
        "property": property_name,
        "unit": property_named(property_name).unit,
        "transform": transform,
        "family": family,
        "parameters": dict(settings),
    }


def _data_statement(
    about: Mapping[str, str] | None, computed: ComputedModel | None, rows: Rows, *, known: int
) -> dict[str, Any]:
    """Return what a card says of the training data, the versions, and the licences that hold for the model.

    Args:
        about: What the training set says of itself.
        computed: Model of computed values that is transferred from.
        rows: The rows used.
        known: Number of rows with a value.
    """
    licences = ["not stated" if about is None else about["licence"]]
    if computed is not None:
        licences.append(computed.card["training_set"]["licence"])
    return {
        "split": "5 folds grouped by reduced formula",
        "data_sha256": data_hash(rows.values, rows.target),
        "versions": {name: importlib.metadata.version(name) for name in ("matloop", *_PINNED)},
        "rows_trained": len(rows.target),
        "rows_left_out": known - len(rows.target),
        "formulas": len(np.unique(rows.groups)),
        "training_set": None if about is None else dict(about),
        "licence": f"Apache-2.0; training data: {'; '.join(dict.fromkeys(licences))}",
    }


def _transfer_statement(
    computed: ComputedModel | None,
    of_family: Callable[[], Ensemble],
    ensemble: Ensemble,
    rows: Rows,
    *,
    mean: NDArray[np.float64],
) -> dict[str, Any]:
    """Return the statement of a card about a transfer and what its measured rows bought; nothing without a transfer."""
    if computed is None:
        return {}
    return {"transfer": {**computed.card, **what_measured_rows_bought(of_family, ensemble, rows, mean=mean)}}


def best_of_training(target: NDArray[np.float64]) -> tuple[float, float]:
    """5th and 95th percentile of training targets (m,), which the targets of a campaign may count from."""
    low, high = np.quantile(target, [0.05, 0.95])
    return float(low), float(high)


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _out_of_fold(table: pa.Table, transform: Transform) -> OutOfFold:
    target, mean = (forward(table[name].to_numpy(), transform) for name in ("target", "mean"))
    ids = np.array(table[Column.CANDIDATE_ID].to_pylist(), str)
    there = [one for one in CONDITIONS.values() if one.column in table.column_names]
    conditions = {one.name: table[one.column].to_numpy() for one in there}
    return OutOfFold(target, mean, table["spread"].to_numpy(), ids, conditions)
