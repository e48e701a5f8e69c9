"""The surrogate: a model of one property with calibrated uncertainty, applicability domain and card."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import FingerprintError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.definition import Transform
from matloop.models.families.contract import Ensemble
from matloop.models.families.making import make_ensemble, settings_by_name
from matloop.models.families.row_weights import fitted, relative_weights
from matloop.models.families.transfer import Transfer
from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.card_entries import describe_errors
from matloop.models.surrogates.card_statements import (
    best_of_training,
    data_statement,
    model_statement,
    transfer_statement,
)
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
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.held_out import Rows
from matloop.models.surrogates.hidden_chemistry import calibration_distance, calibration_rows
from matloop.models.surrogates.hull_order import hull_order_statement
from matloop.models.surrogates.intervals import Intervals
from matloop.models.surrogates.out_of_fold import OutOfFold
from matloop.models.surrogates.prediction import Prediction, backward, forward
from matloop.models.surrogates.surrogate_files import read_surrogate, told_as_damaged, write_surrogate
from matloop.models.surrogates.training import (
    FEWER_FOLDS,
    expected_shrinkage,
    out_of_fold,
    usable_rows,
)
from matloop.models.surrogates.unseen_elements import UnseenElements

_GOLDEN_ROWS = 5
_PINNED = ("numpy", "scikit-learn", "lightgbm")
_BASE = "fingerprint_without_conditions"
_NO_CONDITIONS: Mapping[str, NDArray[np.float64]] = {}


@dataclass(frozen=True)
class Surrogate:
    """A trained model of one property.

    An interval is about a new measurement of one compound, made like those of the training rows, with its noise. Rows
    of small weight count little in the fits, and like all others in calibration and scores.

    Attributes:
        property_name: Property in the catalogue (:mod:`matloop.data.properties.catalogue`).
        transform: Scale the ensemble works on.
        ensemble: Grown on all training rows.
        intervals: How wide predictive distributions are, calibrated on held-out formulas and on hidden chemistry.
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
    intervals: Intervals
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
            MissingColumnsError: If the features lack columns that the family needs.
            ModelError: If too few rows are left, or the family takes no weights.
        """
        features, about_features = _with_conditions(features, conditions)
        of_family, make = _makers(family, settings_by_name(family, parameters or {}, features.names), computed)
        used, rows = _training_rows(features, forward(np.asarray(target, float), transform), groups, weights, computed)
        values, truth, group, counts = rows.values, rows.target, rows.groups, rows.weights
        mean, plain_spread = out_of_fold(make, values, truth, group, weights=counts)
        ensemble = fitted(make(), values, truth, groups=group, weights=counts)
        widest = _domain(rows, ensemble, computed)
        of_half, _ = out_of_fold(make, values, truth, group, folds=FEWER_FOLDS, weights=counts)
        shrinkage = expected_shrinkage(truth, mean=mean, of_half=of_half)
        examples = calibration_rows(rows, widest, make, mean=mean, spread=plain_spread)
        found = Intervals.fit(rows, widest, examples, shrinkage=shrinkage)
        held_out, entries = describe_errors(
            rows, median=found.median, of_half=of_half + found.median - mean, shrinkage=shrinkage, domain=found.domain,
            family=family if computed is None else Transfer.family, parameters=ensemble.parameters,
            transform=transform, holds=found.intervals.hold_without,
        )  # fmt: skip
        card = {
            **model_statement(property_name, transform, family, of_family().parameters),
            **about_features,
            "best_of_training": list(best_of_training(np.asarray(target)[used])),
            "scores": {**found.scores, **held_out},
            **entries,
            "residual_shrinkage": shrinkage,
            **found.evidence,
            **data_statement(about, computed, rows, known=int(np.isfinite(target).sum())),
            **transfer_statement(computed, of_family, ensemble, rows, mean=mean),
            **hull_order_statement(property_name, transform, truth, found.median, rows.elements),
        }
        return cls(
            property_name, transform, ensemble, found.intervals, found.domain, _present(rows.elements, computed),
            OutOfFold.of(used, truth, mean, found.spread, found.distance, ids=ids, conditions=conditions), card,
            computed=computed,
        )  # fmt: skip

    @property
    def calibration(self) -> Calibration:
        """Distribution of its standardised residuals."""
        return self.intervals.calibration

    @functools.cached_property
    def unseen_elements(self) -> UnseenElements:
        """What it does with candidates that have an element without training rows."""
        return UnseenElements.from_scores(self.card["scores"])

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
        make = functools.partial(make_ensemble, self.card["family"], self.card["parameters"])
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
        never had gets a number where enough elements were left out to tell how wide its interval must be
        (:mod:`matloop.models.surrogates.unseen_elements`), and ``E-MODEL-ELEMENT`` elsewhere.

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
        unseen = self.unseen_elements.refused(features.elements, self.elements)
        inputs = self.inputs(features.values)
        finite = np.isfinite(inputs).all(axis=1)
        codes = np.where(unseen & (features.codes == ""), "E-MODEL-ELEMENT", features.codes)
        codes = np.where(~finite & (codes == ""), "E-FEATURE-NONFINITE", codes)
        good = np.flatnonzero(codes == "")
        centre, scale = np.full(len(features), np.nan), np.full(len(features), np.nan)
        in_domain, bins = np.zeros(len(features), bool), np.zeros(len(features), np.int64)
        if len(good):
            values, elements = inputs[good], features.elements[good]
            distances = self.domain.near(values)
            new = self.intervals.novelty(self.domain, values, elements, distances=distances)
            centre[good], scale[good] = self._centre_and_scale(values, new)
            distance = calibration_distance(self.intervals.support, elements, distances=distances)
            in_domain[good], bins[good] = self.domain.contains(values, distances.mean), self.calibration.bins(distance)
            in_domain[good] &= ~self.intervals.support.foreign(elements)
            in_domain[good] &= ~self.unseen_elements.outside(elements, self.elements)
            if self.computed is not None:
                in_domain[good] &= self.computed.contains(features.values[good])
        known = property_named(self.property_name)
        bounds = (known.lower, known.upper)
        prediction = Prediction(centre, scale, in_domain, codes, self.calibration, self.transform, bounds, bins)
        if self.computed is not None:
            value = np.where(codes == "", backward(inputs[:, -1], self.transform), np.nan)
            prediction = replace(prediction, computed=np.clip(value, *bounds))
        return prediction if self.classifier is None else self.classifier.judge(prediction, inputs)

    def calibration_distance(self, features: FeatureMatrix) -> NDArray[np.float64]:
        """Return the distance of n candidates by which residuals are binned, shape (n,).

        See :func:`matloop.models.surrogates.hidden_chemistry.calibration_distance`.
        """
        distances = self.domain.near(self.inputs(features.values))
        return calibration_distance(self.intervals.support, features.elements, distances=distances)

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
            in_domain=np.where(trained, oof.distance[near] <= self.domain.limit, plain.in_domain),
            bins=np.where(trained, self.calibration.bins(oof.distance[near]), plain.bins),
        )
        if oof.stands is not None:
            new = new.without(np.isin(asked, oof.ids) & ~trained & (plain.codes == ""), "E-MODEL-CONDITION")
        if self.classifier is None or new.met is None:
            return new
        return self.classifier.with_probabilities(new, np.where(trained, self.classifier.out_of_fold[near], new.met))

    def out_of_fold_prediction(self) -> Prediction:
        """Out-of-fold predictions of the training rows, in their order, shape (m,)."""
        known, oof = property_named(self.property_name), self.training
        prediction = Prediction(
            oof.mean, oof.spread + self.calibration.floor, oof.distance <= self.domain.limit,
            np.full(len(oof.mean), ""), self.calibration, self.transform, (known.lower, known.upper),
            self.calibration.bins(oof.distance),
        )  # fmt: skip
        classifier = self.classifier
        return prediction if classifier is None else classifier.with_probabilities(prediction, classifier.out_of_fold)

    def _centre_and_scale(
        self, values: NDArray[np.float64], novelty: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        centre, spread = self.ensemble.predict(values)
        return centre, self.intervals.scale(values, novelty, mean=centre, spread=spread)

    def save(self, folder: str | Path) -> None:
        """Write the ensemble, ``surrogate.npz``, ``out_of_fold.parquet`` and ``card.json`` into a new folder."""
        write_surrogate(Path(folder), self, self._centre_and_scale)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote and repeat a few of its predictions.

        Raises:
            ModelError: If the folder is no model, its card was changed, or the predictions come out differently here.
        """
        with told_as_damaged(Path(folder)):
            saved = read_surrogate(Path(folder))
            model = cls(**saved.parts)
            saved.repeat(model._centre_and_scale)
        return model


def _training_rows(
    features: FeatureMatrix,
    scaled: NDArray[np.float64],
    groups: NDArray[np.integer],
    weights: NDArray[np.float64] | None,
    computed: ComputedModel | None,
) -> tuple[NDArray[np.int64], Rows]:
    """Places of the rows with a target ``scaled`` as the model has it and finite features, and these rows."""
    used = usable_rows(features, scaled)
    counts = None if weights is None else relative_weights(weights[used], len(used))
    taught = None if computed is None else computed.taught
    return used, Rows(features.values[used], scaled[used], groups[used], features.elements[used], counts, taught)


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
    of_family: Callable[[], Ensemble] = functools.partial(make_ensemble, family, parameters)
    settings = of_family().parameters
    if computed is None:
        return of_family, of_family
    return of_family, functools.partial(Transfer, of=family, settings=settings, seed=settings.get("seed", 0))


def _domain(rows: Rows, ensemble: Ensemble, computed: ComputedModel | None) -> Domain:
    """Find the domain of the rows, in a transfer with ranges of features that reach over computed rows too."""
    domain = Domain.fit(rows.values, ensemble.importances(), rows.groups)
    return domain if computed is None else computed.widened(domain)


def _present(elements: NDArray[np.bool_], computed: ComputedModel | None) -> NDArray[np.bool_]:
    """Find the elements that occur in measured rows (m, 119), or in those that are transferred from, shape (119,)."""
    own = np.asarray(np.any(elements, axis=0))
    return own if computed is None else own | computed.elements
