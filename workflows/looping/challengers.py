"""Train the model that learns from new results, and compare it with the one in use on results that neither has seen."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.properties.catalogue import using
from matloop.data.records.contents import first_values, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.training.training_set import TrainingSet, row_names
from matloop.models.surrogates.contest import Comparison, compare, newest_groups
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET, usable_rows
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.running.own_data import read_own_data, training_of
from matloop.workflows.train import train


class Results(NamedTuple):
    """What a challenger learns from, and which of it came from the records, in which order.

    Attributes:
        labels: All rows that teach the property.
        came: Place of each row in the order in which the records got its first value; -1 for other rows, shape (n,).
        action: Number of the action that brought the first value of the material, which may be corrected since; 0 for
            other rows, shape (n,).
    """

    labels: TrainingSet
    came: NDArray[np.int64]
    action: NDArray[np.int64]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which rows are results of the records, shape (n,)."""
        return self.came >= 0

    def unseen_since(self, until: int) -> NDArray[np.bool_]:
        """Which rows are results of formulas that no model taught by an action had a label of, shape (n,).

        The other rows are labels that the campaign names itself, so that every model has seen them. A result that was
        corrected counts from its first value on.
        """
        seen = self.labels.groups[~self.measured | (self.action <= until)]
        return self.measured & ~np.isin(self.labels.groups, seen)


class Contest(NamedTuple):
    """What the comparison of two models gave.

    Attributes:
        cross_validation: On the results that the champion has not seen without the newest; None where there are none.
        newest: On the newest, with a challenger that learned without them; None where it has too little to learn from.
    """

    cross_validation: Comparison | None
    newest: Comparison | None


def results_of(database: RecordsDatabase, campaign: Campaign, *, until: int) -> Results:
    """The results that a campaign with records learns from.

    Args:
        database: The records.
        campaign: A campaign with one target, as :func:`~matloop.workflows.looping.taught_campaign.taught_by_records`
            gives it.
        until: Number of the last action that counts.

    Raises:
        TrainingSetError: If they are too few for any model, or do not fit the other labels of the campaign.
    """
    (target,) = campaign.targets
    with using(campaign.catalogue):
        labels = training_of(campaign, read_own_data(campaign))[target.property]
    values = values_table(database, [target.property], until=until)
    place = {name: at for at, name in enumerate(values["measurement_id"].to_pylist())}
    first = first_values(database, target.property)
    actions = np.array([first[name] for name in values["candidate_id"].to_pylist()], np.int64)
    came = np.array([place.get(name.rsplit(" ", 1)[-1], -1) for name in row_names(labels.rows)], np.int64)
    if len(actions):
        rank = np.argsort(np.lexsort((np.arange(len(actions)), actions)))
        came, action = np.where(came >= 0, rank[came], -1), np.where(came >= 0, actions[came], 0)
    else:
        action = np.zeros_like(came)
    return Results(labels, came, action)


def compete(
    champion: TrainedModel, challenger: TrainedModel, campaign: Campaign, results: Results, *, until: int
) -> Contest:
    """Compare two models on the results that the champion has not seen.

    Args:
        champion: The model in use.
        challenger: The model that learned from all results.
        campaign: With which the challenger was trained.
        results: What it learned from.
        until: Number of the last action whose results the champion learned from.
    """
    unseen = np.flatnonzero(results.unseen_since(until))
    if not len(unseen):
        return Contest(None, None)
    truth = forward(results.labels.values, challenger.surrogate.transform)
    groups = results.labels.groups
    of_champion = predicted(champion, results.labels, unseen)
    newest = newest_groups(results.came[unseen], groups[unseen])
    older, later = unseen[~newest], unseen[newest]
    cross_validation = compare(
        truth[older], groups[older], champion=of_champion[~newest],
        challenger=out_of_fold(challenger, results.labels)[older],
    )  # fmt: skip
    earlier = np.setdiff1d(np.arange(len(groups)), np.flatnonzero(np.isin(groups, groups[later])))
    without_them = _trained_on(campaign, results.labels.take(earlier), measured=int(results.measured[earlier].sum()))
    if without_them is None:
        return Contest(cross_validation, None)
    of_challenger = predicted(without_them, results.labels, later)
    return Contest(
        cross_validation, compare(truth[later], groups[later], champion=of_champion[newest], challenger=of_challenger)
    )


def predicted(model: TrainedModel, labels: TrainingSet, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Predictions of some rows of labels on the scale of the model, nan where there is none, shape (rows,)."""
    with using(model.catalogue):
        features = model.features.featurize(labels.rows.take(rows))
        return model.surrogate.predict(features, conditions=known_conditions(model, labels, rows)).scaled_median


def known_conditions(
    model: TrainedModel, labels: TrainingSet, rows: NDArray[np.int64]
) -> Mapping[str, NDArray[np.float64]]:
    """Conditions of some rows of labels, of those that a model learned from."""
    learned = {one.condition.name for one in model.surrogate.conditions if one.is_feature}
    return {name: values[rows] for name, values in labels.conditions.items() if name in learned}


def out_of_fold(model: TrainedModel, labels: TrainingSet) -> NDArray[np.float64]:
    """Predictions of rows by models that saw none of their formulas, nan where they have no features, shape (n,)."""
    surrogate = model.surrogate
    with using(model.catalogue):
        features = model.features.featurize(labels.rows)
    used = usable_rows(features, forward(labels.values, surrogate.transform))
    if len(used) != len(surrogate.training.mean):
        raise ModelError("a challenger that learned from other rows than the records hold now", "the same rows")
    found = np.full(len(labels), np.nan)
    found[used] = surrogate.out_of_fold_prediction().scaled_median
    return found


def _trained_on(campaign: Campaign, labels: TrainingSet, *, measured: int) -> TrainedModel | None:
    """The challenger with fewer rows; None where it has too few of them to learn from."""
    if measured < SMALLEST_TRAINING_SET:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return train(campaign, output=Path(scratch) / "earlier", training_sets=[labels], with_probability=False)
        except ModelError:  # too few have features, or all their values are equal
            return None
