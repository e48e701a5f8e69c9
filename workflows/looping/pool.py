"""The candidates of a run that nobody has tried yet, and the probability that each is made and meets all targets.

Probabilities are those of the models in use. What the laboratory made and failed to make corrects them: where the
campaign asks for a makeable phase, that probability is corrected; elsewhere the probability of being made begins at
one, as if four attempts had succeeded before the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.properties.columns import Column
from matloop.data.records.attempts import Attempt, Attempts
from matloop.models.stability.laboratory_outcomes import LaboratoryOutcomes
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.screening.runs.run_view import RunView
from matloop.workflows.modelling.trained_model import TrainedModel

ASSUMED = 4
"""Successes that are assumed before the first attempt, where no model says what can be made."""
_SMALLEST = 1e-6

Ranges = Mapping[str, tuple[float, float]]


class Pool(NamedTuple):
    """Candidates of a run that nobody has tried.

    Attributes:
        ids: Their ids.
        formulas: Their formulas.
        chances: Probability that each is made and meets all targets, nan outside the domain of a model, shape (n,).
    """

    ids: list[str]
    formulas: list[str]
    chances: NDArray[np.float64]


def pool_of(view: RunView, models: Mapping[str, TrainedModel], attempts: Attempts, ranges: Ranges) -> Pool:
    """Look at the ranked candidates of a run.

    Args:
        view: The run.
        models: Models in use, by property; unless every target has one, the run's own probabilities stand.
        attempts: What was tried.
        ranges: Wanted range of each target, in the unit of the property.
    """
    ids, formulas = ([str(one) for one in view.ranked.column(name)] for name in (Column.CANDIDATE_ID, Column.FORMULA))
    batch = view.ranked
    chances = np.asarray(view.ranked.column(Column.PROBABILITY), float)
    usable = {name: model for name, model in models.items() if name in ranges}
    if usable.keys() == set(view.properties):
        predictions = {name: model.surrogate.predict(model.features.featurize(batch)) for name, model in usable.items()}
        wanted = {name: ranges[name] for name in usable}
        supported = JointProbability.fit({name: model.surrogate for name, model in usable.items()}, wanted)
        inside = np.all([one.in_domain for one in predictions.values()], axis=0)
        chances = np.where(inside, supported.probabilities(predictions, wanted).of_all, np.nan)
    column = view.ranked.column(Column.MAKEABLE_PROBABILITY) if _has_makeable(view) else None
    prior = None if column is None else dict(zip(ids, np.asarray(column, float).tolist(), strict=True))
    chances = chances * made_factor(attempts, ids, batch.compositions, prior)
    tried = {one.candidate_id for one in attempts.counted}
    left = np.flatnonzero([name not in tried for name in ids])
    return Pool([ids[row] for row in left], [formulas[row] for row in left], chances[left])


def made_factor(
    attempts: Attempts, ids: list[str], compositions: Compositions, prior: Mapping[str, float] | None
) -> NDArray[np.float64]:
    """By what outcomes multiply the probability of meeting all targets, shape (n,).

    Args:
        attempts: What was tried.
        ids: Of the candidates of a pool.
        compositions: Of the same candidates.
        prior: Probability of being makeable that the probability of all targets holds, by id; None where it holds none.
    """
    if not attempts.counted:
        return np.ones(len(ids))
    if prior is None:
        weights = np.array([one.weight for one in attempts.counted])
        successes = float(weights @ np.array([one.success for one in attempts.counted]))
        rate = (successes + ASSUMED) / (float(weights.sum()) + ASSUMED)
        outcomes = _outcomes(attempts.counted, np.full(len(weights), rate))
        return outcomes.probability(compositions, np.full(len(ids), rate))
    known = [one for one in attempts.counted if np.isfinite(prior.get(one.candidate_id, np.nan))]
    if not known:
        return np.ones(len(ids))
    outcomes = _outcomes(known, np.array([prior[one.candidate_id] for one in known]))
    before = np.array([prior[name] for name in ids])
    after = outcomes.probability(compositions, before)
    return np.where(np.isfinite(before), after / np.maximum(before, _SMALLEST), 1.0)


def _outcomes(attempts: Sequence[Attempt], prior: NDArray[np.float64]) -> LaboratoryOutcomes:
    tried = CandidateBatch.from_formulas([one.formula for one in attempts], exact=True).batch.compositions
    success, weights = (np.array([getattr(one, name) for one in attempts]) for name in ("success", "weight"))
    return LaboratoryOutcomes.fit(tried, prior, success, weights=weights)


def _has_makeable(view: RunView) -> bool:
    return Column.MAKEABLE_PROBABILITY in view.ranked.table.column_names
