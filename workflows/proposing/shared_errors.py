"""What the errors of candidates have in common, from the members of the models that scored them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.acquisition.batch import Prospects
from matloop.models.acquisition.joint_posterior import loadings_of_features, loadings_of_members
from matloop.models.acquisition.outlook import TargetOutlook
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.runs.run_view import RunView
from matloop.workflows.proposing.models_in_use import ModelsInUse
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.stages.scoring import ScoringTask, features_of, surrogate_of


def with_shared_errors(
    view: RunView, prospects: Prospects, batch: CandidateBatch, in_use: ModelsInUse
) -> Prospects:  # fmt: skip
    """Give the outlook of each target the loadings of its candidates.

    A model whose family has members is asked for the prediction of each; for any other, candidates with similar
    features count as wrong together. A target that no surrogate of the run predicts keeps independent errors.

    Args:
        view: The run, whose first stage scored the candidates.
        prospects: What is predicted for n candidates.
        batch: The candidates.
        in_use: Models that learned from records since.
    """
    targets = [
        _with_loadings(outlook, *_model_inputs(view, name, batch, in_use))
        for name, outlook in zip(view.properties, prospects.targets, strict=True)
    ]
    return replace(prospects, targets=tuple(targets))


def _model_inputs(
    view: RunView, name: str, batch: CandidateBatch, in_use: ModelsInUse
) -> tuple[Surrogate | None, FeatureMatrix | None]:
    """The surrogate of a property, and the features of the candidates that it reads; None where there is none."""
    if (model := in_use.models.get(name)) is not None:
        return model.surrogate, model.features.featurize(batch)
    if not (view.paths.model(FIRST_STAGE, name) / "card.json").is_file():
        return None, None
    task = ScoringTask(view.campaign, view.folder, {name: (0.0, 0.0)})
    return surrogate_of(task, name), features_of(task, batch)


def _with_loadings(
    outlook: TargetOutlook, surrogate: Surrogate | None, features: FeatureMatrix | None
) -> TargetOutlook:  # fmt: skip
    if surrogate is None or features is None:
        return outlook
    inputs = surrogate.inputs(surrogate.completed(features).values)
    sound = np.flatnonzero(np.isfinite(inputs).all(axis=1) & np.isfinite(outlook.sigma))
    if not len(sound):
        return outlook
    values, sigma = inputs[sound], outlook.sigma[sound]
    members = surrogate.ensemble.member_predictions(values)
    own = loadings_of_features(values, sigma) if members is None else loadings_of_members(members, sigma)
    loadings = np.zeros((len(outlook), own.shape[1]))
    loadings[sound] = own
    return replace(outlook, loadings=loadings)
