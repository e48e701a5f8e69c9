"""What the models in use say of a pool, where the records of a laboratory taught them after the run had scored it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.records.database import RecordsDatabase
from matloop.models.surrogates.joint_probability import InsulatorChances, JointProbability
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.runs.run_view import RunView
from matloop.workflows.looping.champions import champion_of, read_champion
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.proposing.predicted import PredictedColumns, Scores, WantedTarget, outlook_of
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.stages.makeable import kinship_targets
from matloop.workflows.stages.scoring import ScoringTask, insulators_of_labels, surrogate_of


class _AsTheRunSaid(NamedTuple):
    """What a run says of a target that no model in use judges: the probability that it is met, shape (n,)."""

    probability: NDArray[np.float64]

    def probability_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """That probability; the range is that of the run."""
        return self.probability


class ModelsInUse:
    """Models that learned from records, by property; a target without one keeps what the run predicted.

    Args:
        models: By property.
        ranges: Wanted range of each target of the run, in the unit of the property.
        of_run: Surrogates of the run for targets without one, by property; one that is left out is independent of the
            others.
        insulators: Of their training rows, see :func:`matloop.workflows.stages.scoring.insulators_of_labels`.
    """

    def __init__(
        self, models: Mapping[str, TrainedModel], ranges: Mapping[str, tuple[float, float]],
        of_run: Mapping[str, Surrogate] = MappingProxyType({}),
        insulators: Mapping[str, InsulatorChances] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.models, self.ranges, self._of_run, self._insulators = models, ranges, of_run, insulators

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
        ranges = {name: (float(low), float(high)) for name, (low, high) in ends.items()}
        task = ScoringTask(view.campaign, view.folder, ranges)
        others = [name for name in ranges if name not in {*models, *kinship_targets(view.campaign, ranges)}]
        saved = [name for name in others if (view.paths.model(FIRST_STAGE, name) / "card.json").is_file()]
        if not models:
            return cls(models, ranges)
        of_run = {name: surrogate_of(task, name) for name in saved}
        return cls(
            models, ranges, of_run, insulators_of_labels(replace(task, ranges={name: ranges[name] for name in saved}))
        )

    @property
    def left_to_run(self) -> list[str]:
        """Targets of which the run's own probability stands beside models in use; none where no model is."""
        return [name for name in self.ranges if name not in self.models] if self.models else []

    @cached_property
    def _joint(self) -> JointProbability:
        """How all targets are met together."""
        surrogates = {**{name: model.surrogate for name, model in self.models.items()}, **self._of_run}
        insulators = dict(self._insulators)
        for model in self.models.values():
            insulators |= model.insulators_of_labels
        ranges = {name: self.ranges[name] for name in surrogates}
        return JointProbability.fit(surrogates, ranges, insulators=insulators)

    def judged(
        self, scores: Scores, targets: Sequence[WantedTarget], batch: CandidateBatch,
        stated: Mapping[str, NDArray[np.float64]],
    ) -> Scores:  # fmt: skip
        """What the models in use say of n candidates, and the run of targets without one.

        Args:
            scores: As the run predicted them.
            targets: The targets, in the same order.
            batch: The candidates.
            stated: Probability of meeting each target that counted in the run, by property, each (n,).
        """
        features: dict[str, FeatureMatrix] = {}  # models with equal features share them
        for model in self.models.values():
            if model.features.fingerprint not in features:
                features[model.features.fingerprint] = model.features.featurize(batch)
        predictions = {
            name: model.with_insulators(model.surrogate.predict(features[model.features.fingerprint]), batch)
            for name, model in self.models.items()
        }
        known = {name: predictions.get(name) or _AsTheRunSaid(stated[name]) for name in self.ranges}
        outlooks, shown = list(scores.prospects.targets), scores.shown.copy()
        for place, target in enumerate(targets):
            if (found := predictions.get(target.name)) is not None:
                columns = PredictedColumns(found.median, found.sigma, *found.interval(0.9))
                inside = found.in_domain
                outlooks[place] = outlook_of(target, columns._replace(value=np.where(inside, columns.value, np.nan)))
                shown[:, place] = np.where(inside[:, None], columns.shown, np.nan)
        chances = self._joint.probabilities(known, self.ranges)
        unknown = np.any([np.isnan(outlook.mean) for outlook in outlooks], axis=0)
        prospects = replace(scores.prospects, targets=tuple(outlooks), probability=chances.uncapped)
        return Scores(prospects, shown, np.where(unknown, np.nan, chances.of_all))
