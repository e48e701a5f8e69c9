"""Training of the surrogates of a campaign: one for each scoring stage and target."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError, TrainingSetError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.conditions import write_conditions
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.training_set import TrainingSet, groups_of_both
from matloop.data.whole_files import write_folder
from matloop.models.families.contract import Ensemble
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.making import make_ensemble, settings_by_name
from matloop.models.surrogates.card_statements import best_of_training
from matloop.models.surrogates.choice import ROWS_WITHIN_TIME, fit_chosen
from matloop.models.surrogates.composition_gain import with_composition_models
from matloop.models.surrogates.computed_model import ComputedLabels, ComputedModel
from matloop.models.surrogates.conditions import learned_conditions, values_at
from matloop.models.surrogates.family_candidates import Budget, Candidate
from matloop.models.surrogates.noise_weights import weights_by_noise
from matloop.models.surrogates.prediction import backward, forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import usable_rows
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.target import Target
from matloop.workflows.stages.composition_models import composition_columns
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.stages.stage_features import settings_in_stage, stage_feature_set

FEWEST_AT_CONDITIONS = 10
"""Materials with labels near the conditions of a target below which no percentile of them is told."""


def train_surrogate(
    campaign: Campaign,
    stage: str,
    target: Target,
    *,
    training: TrainingSet,
    folder: Path,
    helping: TrainingSet | None = None,
) -> dict[str, Any]:
    """Train one stage's surrogate of one target and save it.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        training: What is learned from.
        folder: The run directory.
        helping: Labels of another provenance that it transfers from.

    Returns:
        Its card.

    Raises:
        RowWeightsError: If the rows of the training set have unequal weights, and the family takes none.
    """
    surrogate = fit_surrogate(
        campaign, stage, target, training=training, helping=helping, models=RunDirectory(folder).models
    )
    place = RunDirectory(folder).model(stage, target.property)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_folder(place, surrogate.save)
    return dict(surrogate.card)


def fit_surrogate(
    campaign: Campaign,
    stage: str,
    target: Target,
    *,
    training: TrainingSet,
    helping: TrainingSet | None = None,
    models: Path | None = None,
) -> Surrogate:
    """Train one stage's surrogate of one target.

    Args:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        training: What is learned from.
        helping: Labels of another provenance that it transfers from.
        models: Folder of the models of the run, with the composition models that the stage uses.

    Raises:
        RowWeightsError: If the rows of a training set have unequal weights, and the family takes none.
    """
    feature_set = stage_feature_set(campaign, stage, models=models)
    features, computed = feature_set.featurize(training.rows), None
    if helping is not None:
        of_both = (features, feature_set.featurize(helping.rows))
        computed, features = _computed_model(campaign, stage, target, of_both, sets=(training, helping))
    counted = weights_by_noise(
        _noise_gauge(campaign, stage, target, features), features, training, transform=target.scale()
    )
    surrogate = _fitted(
        campaign, stage, target, features, training=training, weights=counted.weights, computed=computed
    )  # fmt: skip
    if target.probability == "classifier":
        wanted = target.range(best_of_first_stage(campaign, stage, target, surrogate.card, training, models=models))
        surrogate = surrogate.with_classifier(
            features,
            training.values,
            training.groups,
            wanted=wanted,
            weights=counted.weights,
            conditions=training.conditions,
        )
    columns = {column: model.model.card for column, model in composition_columns(feature_set).items()}
    surrogate = with_composition_models(
        surrogate, features, forward(training.values, target.scale()), training.groups, columns=columns
    )
    if counted.card is None:
        return surrogate
    return replace(surrogate, card={**surrogate.card, "label_noise": counted.card})


def _noise_gauge(campaign: Campaign, stage: str, target: Target, features: FeatureMatrix) -> Callable[[], Ensemble]:
    """What makes the ensemble whose errors the noise of labels is compared with; extra trees where families compete."""
    families = campaign.families(stage, target)
    name = families[0] if len(families) == 1 else ExtraTrees.family
    settings = {"seed": campaign.seed, **settings_in_stage(campaign, stage, name)}
    return functools.partial(make_ensemble, name, settings_by_name(name, settings, features.names))


def _computed_model(
    campaign: Campaign,
    stage: str,
    target: Target,
    features: tuple[FeatureMatrix, FeatureMatrix],
    *,
    sets: tuple[TrainingSet, TrainingSet],
) -> tuple[ComputedModel, FeatureMatrix]:
    """The model of the labels that help, of the first family, and features of measured rows with its predictions."""
    training, helping = sets
    for one in sets:
        if differing := [each.condition.name for each in learned_conditions(one.conditions) if each.is_feature]:
            raise TrainingSetError(
                f"a transfer of {target.property} whose labels '{one.name}' differ in {', '.join(differing)}",
                "labels under one condition, of either provenance", "leave out the labels under other conditions",
            )  # fmt: skip
    groups, of_helping = groups_of_both(training, helping)
    labels = ComputedLabels(features[1], helping.values, of_helping, helping.about, helping.weights)
    family = campaign.families(stage, target)[0]
    return ComputedModel.fit(
        labels, features[0], groups, family=family, transform=target.scale(),
        parameters={"seed": campaign.seed, **settings_in_stage(campaign, stage, family)},
    )  # fmt: skip


def _fitted(
    campaign: Campaign,
    stage: str,
    target: Target,
    features: FeatureMatrix,
    *,
    training: TrainingSet,
    weights: NDArray[np.float64],
    computed: ComputedModel | None,
) -> Surrogate:
    """The surrogate of the one family the campaign names, or of the best of those it names."""
    families = campaign.families(stage, target)
    own = {family: settings_in_stage(campaign, stage, family) for family in families}
    if len(families) == 1:
        return Surrogate.fit(
            target.property, features, training.values, training.groups, family=families[0],
            transform=target.scale(), parameters={"seed": campaign.seed, **own[families[0]]}, ids=training.rows.ids,
            about=training.about, weights=weights, conditions=training.conditions, computed=computed,
        )  # fmt: skip
    seconds = campaign.seconds_for(stage)
    fits, rows = 1 + (target.probability == "classifier"), None if seconds is None else ROWS_WITHIN_TIME
    budget = Budget(seconds=seconds, fits=fits, rows=rows)
    candidates = [Candidate(family, parameters=settings) for family, settings in own.items()]
    return fit_chosen(
        target.property, candidates, {"": features}, target=training.values,
        groups=training.groups, budget=budget, transform=target.scale(), ids=training.rows.ids, about=training.about,
        conditions=training.conditions, seed=campaign.seed, weights=weights, computed=computed,
    )  # fmt: skip


def best_of_first_stage(
    campaign: Campaign,
    stage: str,
    target: Target,
    card: Mapping[str, Any],
    training: TrainingSet,
    *,
    models: Path | None = None,
) -> tuple[float, float]:
    """Percentiles of the training data that all stages count from: those of the rows the first stage has features of.

    Where labels differ in their conditions, they are those of the materials at the conditions of the target.

    Args:
        campaign: The campaign.
        stage: The stage at hand.
        target: The target at hand.
        card: Card of its surrogate in that stage.
        training: What it learned from.
        models: Folder of the models of the run.

    Raises:
        ModelError: If too few materials have a label near the conditions of the target.
    """
    if target.is_relative() and any(one.is_feature for one in learned_conditions(training.conditions)):
        return _best_at(target, training)
    if stage == FIRST_STAGE or not target.is_relative():
        low, high = card["best_of_training"]
        return low, high
    values = training.values
    first = stage_feature_set(campaign, FIRST_STAGE, models=models).featurize(training.rows)
    return best_of_training(values[usable_rows(first, forward(values, target.scale()))])


def _best_at(target: Target, training: TrainingSet) -> tuple[float, float]:
    """Percentiles of the materials of a training set at the conditions of a target."""
    values = values_at(
        learned_conditions(training.conditions), training.conditions, target.conditions(), ids=training.rows.ids,
        target=forward(training.values, target.scale()),
    )  # fmt: skip
    if len(values) < FEWEST_AT_CONDITIONS:
        raise ModelError(
            f"{len(values)} materials with {target.property} near {write_conditions(target.conditions())}",
            f"at least {FEWEST_AT_CONDITIONS} to tell what is better than nearly all of them",
            "write a 'value' in the target, or ask for conditions with more labels",
        )  # fmt: skip
    return best_of_training(backward(values, target.scale()))
