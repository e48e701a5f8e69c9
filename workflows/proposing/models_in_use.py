"""What the models in use say of a pool, where the records of a laboratory taught them after the run had scored it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.data.records.attempts import attempts_of
from matloop.data.records.contents import samples_table
from matloop.data.records.database import RecordsDatabase
from matloop.models.acquisition.batch import Prospects
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.runs.run_view import RunView
from matloop.workflows.looping.champions import champion_of, read_champion
from matloop.workflows.looping.pool import made_factor
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.proposing.predicted import PredictedColumns, WantedTarget, outlook_of
from matloop.workflows.stages.insulators import FOLDER as INSULATORS
from matloop.workflows.stages.insulators import with_insulators


class ModelsInUse:
    """Models that learned from records, by property; a target without one keeps what the run predicted.

    Args:
        models: By property.
        ranges: Wanted range of each target of the run, in the unit of the property.
    """

    def __init__(self, models: Mapping[str, TrainedModel], ranges: Mapping[str, tuple[float, float]]) -> None:
        self.models, self._ranges = models, ranges

    @classmethod
    def of(cls, view: RunView, database: RecordsDatabase | None, folder: Path) -> ModelsInUse:
        """The models that the newest decisions about a campaign name, if they learned from records.

        Args:
            view: A run of the campaign.
            database: The records; None for none.
            folder: Folder of the models.

        Raises:
            DamagedFileError: If a model that the records name is gone.
        """
        models = {}
        for name in view.properties if database is not None else ():
            champion = champion_of(database, view.campaign.name, name) if database is not None else None
            if champion is not None and champion.until > 0:
                models[name] = read_champion(champion, folder)
        ends = {name: tuple(sign * np.inf if end is None else end for end, sign in zip(stated, (-1, 1), strict=True))
                for name, stated in view.ranges.items()}  # fmt: skip
        return cls(models, {name: (float(low), float(high)) for name, (low, high) in ends.items()})

    @cached_property
    def _joint(self) -> JointProbability | None:
        """How all targets are met together; None unless a model in use predicts each."""
        if self.models.keys() != self._ranges.keys():
            return None
        return JointProbability.fit({name: model.surrogate for name, model in self.models.items()}, self._ranges)

    def judged(
        self, prospects: Prospects, targets: Sequence[WantedTarget], batch: CandidateBatch
    ) -> tuple[Prospects, NDArray[np.float64]]:
        """The prospects of candidates by the models in use, and the probability to state of each, shape (n,).

        Args:
            prospects: As the run predicted them.
            targets: The targets, in the same order.
            batch: The candidates.
        """
        predictions = {name: _prediction(model, batch) for name, model in self.models.items()}
        outlooks = list(prospects.targets)
        for place, target in enumerate(targets):
            if (found := predictions.get(target.name)) is not None:
                columns = PredictedColumns(found.mean, found.sigma, *found.interval(0.9))
                outside = ~found.in_domain
                mean = np.where(outside, np.nan, columns.mean)
                outlooks[place] = outlook_of(target, columns._replace(mean=mean))
        if self._joint is None:
            unknown = np.full(len(batch), np.nan)
            return replace(prospects, targets=tuple(outlooks), probability=None), unknown
        chances = self._joint.probabilities(predictions, self._ranges)
        return replace(prospects, targets=tuple(outlooks), probability=chances.uncapped), chances.of_all


def _prediction(model: TrainedModel, batch: CandidateBatch) -> Prediction:
    """What a model says of candidates; of a gap, also whether there is one."""
    name = model.known.name
    found = {name: model.surrogate.predict(model.features.featurize(batch))}
    if model.insulators is not None:
        found = with_insulators(model.folder / INSULATORS, found, batch, source=model.insulators)
    return found[name]


def outcome_factor(view: RunView, batch: CandidateBatch, database: RecordsDatabase | None) -> NDArray[np.float64]:
    """By what the laboratory made and failed to make multiply probabilities of meeting all targets, shape (n,).

    Args:
        view: The run.
        batch: The candidates.
        database: The records; None for none.
    """
    if database is None:
        return np.ones(len(batch))
    attempts, prior = attempts_of(samples_table(database)), None
    if Column.MAKEABLE_PROBABILITY in view.ranked.table.column_names:  # the probability of all targets holds it
        stated = np.asarray(view.ranked.column(Column.MAKEABLE_PROBABILITY), float).tolist()
        prior = dict.fromkeys(batch.ids, np.nan) | dict(zip(view.ranked.ids, stated, strict=True))
    return made_factor(attempts, batch.ids, batch.compositions, prior)
