"""The first model of a property: from everything but records, or from records alone where nothing else teaches it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from matloop.data.errors import ModelError, TrainingSetError
from matloop.data.records.database import RecordsDatabase
from matloop.data.runs.manifest import key_of
from matloop.data.whole_files import write_new_folder
from matloop.models.surrogates.contest import compare_with_mean
from matloop.models.surrogates.prediction import forward
from matloop.models.surrogates.training import SMALLEST_TRAINING_SET
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.looping.challengers import out_of_fold, results_of
from matloop.workflows.looping.champions import Champion, ModelDecision, describe_champion
from matloop.workflows.looping.learned_values import compounds_that_teach
from matloop.workflows.looping.taught_campaign import laboratory_of, without_records
from matloop.workflows.running.own_data import read_own_data, training_of
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.train import train


def first_from_records(database: RecordsDatabase, taught: Campaign, *, until: int, models: Path) -> ModelDecision:
    """Decide whether a model that learned from records alone is the first one in use.

    It is if its error is smaller than that of guessing the mean of the other results, in grouped cross-validation.

    Args:
        database: The records.
        taught: The campaign with one target, whose only labels are records.
        until: Number of the last action that counts.
        models: Folder of the models.
    """
    (target,) = taught.targets
    waits = ModelDecision(taught.name, target.property, "waits", None, results=compounds_that_teach(taught))
    if waits.results < SMALLEST_TRAINING_SET:
        return waits
    with tempfile.TemporaryDirectory() as scratch:
        try:
            results = results_of(database, taught, until=until)
            made = train(taught, output=Path(scratch) / "first")
        except (TrainingSetError, ModelError) as fault:
            return waits._replace(reason="cannot_learn", fault=str(fault))
        truth = forward(results.labels.values, made.surrogate.transform)
        predicted = out_of_fold(made, results.labels)
        found = compare_with_mean(truth, results.labels.groups, challenger=predicted)
        decision = ModelDecision(
            taught.name, target.property, "loses_to_mean", None, cross_validation=found,
            results=int(results.measured.sum()),
        )  # fmt: skip
        if found is None or not found.is_won:
            return decision
        made_of = laboratory_of(taught)
        champion = describe_champion(kept_model(made.folder, models, taught), until=until, laboratory=made_of)
    return decision._replace(reason="first_measured", champion=champion)


def first_model(campaign: Campaign, name: str, models: Path) -> Champion:
    """Train the model that learned from everything but records, unless it lies there."""
    base = without_records(campaign, name)
    place = models / _folder_name(base)
    if not place.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            kept_model(train(base, output=Path(scratch) / "first").folder, models, base)
    return describe_champion(place, until=0)


def train_again(champion: Champion, taught: Campaign, models: Path) -> None:
    """Train a model whose folder is gone once more, from what it learned from; whoever reads it checks its hash.

    Args:
        champion: The model.
        taught: The campaign with one target and the records that taught it.
        models: Folder of the models.
    """
    if (models / champion.folder).is_dir():
        return
    # Another version may not be able to; whoever reads the model says that it is gone.
    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(TrainingSetError, ModelError):
        kept_model(train(taught, output=Path(scratch) / "again").folder, models, taught)


def kept_model(folder: Path, models: Path, campaign: Campaign) -> Path:
    """Copy a model into the folder of models, whole or not at all; one that lies there is the same."""
    place = models / _folder_name(campaign)

    def fill(draft: Path) -> None:
        shutil.copytree(folder, draft)

    write_new_folder(place, fill)
    return place


def _folder_name(campaign: Campaign) -> str:
    """Name of the folder of a model: its property and a hash of all that decides its numbers."""
    (target,) = campaign.targets
    training = training_of(campaign, read_own_data(campaign))
    learned = store_key(
        campaign, FIRST_STAGE, target, training=training[target.property], helping=training.helping.get(target.property)
    )
    return f"{target.property}-{key_of(learned=learned, target=target.model_dump(mode='json'))[:16]}"
