"""Training the surrogates of a run, one call of a worker each; those that are trained are not trained again.

What a run lacks it copies from the user's store, if any campaign has trained it before; what it trains it stores.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from matloop.data.bounded_files import read_json
from matloop.data.errors import TrainingSetError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.data.training.training_sets import TrainingSets
from matloop.models.surrogates.store import StoredSurrogate, SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.target import Target
from matloop.screening.runs.card_records import ModelCard
from matloop.screening.runs.run_view import RunView
from matloop.workflows.running.composition_training import provide_composition_models
from matloop.workflows.running.dispatch import Died
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.identity import code_key
from matloop.workflows.running.insulator_training import provide_insulators, wanted_insulators
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.stages.fates import FIRST_STAGE
from matloop.workflows.stages.scoring import Ranges
from matloop.workflows.stages.stage_features import stage_entries
from matloop.workflows.stages.training import best_of_first_stage, train_surrogate

_COST_OF_TRANSFER = 4
"""Time of a training by transfer against that of one without."""


class Wanted(NamedTuple):
    """A surrogate to be trained; travels to a worker.

    Attributes:
        campaign: The campaign.
        stage: Name of the scoring stage.
        target: What is predicted.
        folder: The run directory.
        training: The training set of the target's property.
    """

    campaign: Campaign
    stage: str
    target: Target
    folder: Path
    training: TrainingSets


def check_provenances(campaign: Campaign, training: TrainingSets) -> None:
    """Refuse to teach a target with labels of another provenance than it names.

    Args:
        campaign: The campaign.
        training: What its surrogates are to learn from.

    Raises:
        TrainingSetError: If a target names another provenance than its training set has.
    """
    for target in campaign.targets:
        given = training[target.property]
        if not target.accepts(given.provenance):
            raise TrainingSetError(
                f"'{given.name}' has {target.property} with provenance {given.provenance}",
                f"labels with provenance {target.provenance}",
                f"write 'provenance: {given.provenance}' in the target, or give other labels",
            )


def train(engine: Engine, campaign: Campaign, training: TrainingSets, *, store: SurrogateStore | None = None) -> Ranges:
    """Train what is not trained yet; returns the wanted range of each target.

    Ranges that hang on the training data are taken from the surrogates of the first stage.

    Args:
        engine: Of the run.
        campaign: The campaign.
        training: What the surrogates learn from.
        store: Where surrogates are that were trained before.
    """
    beside = wanted_insulators(engine, campaign, training)
    provide_composition_models(engine, campaign, store=store, beside=beside)
    folder = engine.run.folder.resolve()
    wanted = [
        Wanted(campaign, stage, target, folder, training.only(target.property))
        for stage in campaign.scoring_stages
        for target in campaign.targets
    ]
    engine.watch.start("training surrogates", len(wanted))
    missing = []
    for one in wanted:
        line = engine.reused(_key(one))
        if line is None:
            files = _copied(one, store)
            if files is None:
                missing.append(one)
            else:
                _record(engine, one, files, earlier=True)
            continue
        if engine.manifest.with_key(line["key"]) is not line:
            engine.manifest.append(**line)
        engine.watch.advance(1, _told(one, _card(one)), earlier=True)
    missing.sort(key=_cost, reverse=True)  # a long training that starts last would be waited for alone
    for answered in engine.answers(train_anew, missing, in_flight=max(len(missing), 1)):
        one = answered.call
        died = isinstance(answered.answer, Died)
        files = engine.ask(train_anew, one) if died else answered.answer
        _record(engine, one, files)
        _store(one, store)
    provide_insulators(engine, campaign, training)
    return {
        one.target.property: one.target.range(
            best_of_first_stage(
                campaign, FIRST_STAGE, one.target, _card(one).model_dump(), training[one.target.property]
            )
        )
        for one in wanted
        if one.stage == FIRST_STAGE
    }  # fmt: skip


def train_anew(wanted: Wanted) -> dict[str, str]:
    """Train one surrogate and save it, whole or not at all; returns sha256 by file."""
    campaign, stage, target, folder, training = wanted
    place = RunDirectory(folder).model(stage, target.property)
    name = target.property
    train_surrogate(
        campaign, stage, target, training=training[name], folder=folder, helping=training.helping.get(name)
    )  # fmt: skip
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _record(engine: Engine, one: Wanted, files: dict[str, str], *, earlier: bool = False) -> None:
    """Write down that a surrogate of the run is finished."""
    engine.manifest.append("model", stage=one.stage, property=one.target.property, key=_key(one), files=files)
    engine.watch.advance(1, f"{_told(one, _card(one))}{', from the store' * earlier}", earlier=earlier)


def _copied(one: Wanted, store: SurrogateStore | None) -> dict[str, str] | None:
    """Copy a surrogate from the store into the run; returns sha256 by file, or None if it must be trained."""
    if store is None:
        return None
    place = RunDirectory(one.folder).model(one.stage, one.target.property)
    place.parent.mkdir(parents=True, exist_ok=True)
    files = store.copy(_store_key(one), place)
    inside = place.relative_to(one.folder).as_posix()
    return None if files is None else {f"{inside}/{name}": sha256 for name, sha256 in files.items()}


def _store(one: Wanted, store: SurrogateStore | None) -> None:
    """Store a surrogate that was just trained."""
    if store is None:
        return
    view, names = RunView(one.folder), [entry.name for entry in stage_entries(one.campaign, one.stage)]
    place = view.paths.model(one.stage, one.target.property)
    card = read_json(place / "card.json", inside=one.folder, allow_nan=True)
    store.keep(StoredSurrogate.of(_store_key(one), place, card, features=tuple(names)), place)


def _store_key(one: Wanted) -> str:
    name, training = one.target.property, one.training
    return store_key(one.campaign, one.stage, one.target, training=training[name], helping=training.helping.get(name))


def _cost(wanted: Wanted) -> int:
    """Estimate how long a training takes compared with others of the campaign: rows times featurizers."""
    campaign, stage, target, _, training = wanted
    factor = 1 if target.transfer is None else _COST_OF_TRANSFER
    return factor * len(training[target.property]) * len(campaign.scoring_stages[stage].features)


def _key(wanted: Wanted) -> str:
    campaign, stage, target, _, training = wanted
    settings = campaign.scoring_stages[stage].model_dump(mode="json", exclude={"keep"})
    # The range of a relative goal hangs on the rows of the first stage, and a classifier on the range.
    first = campaign.surrogates.model_dump(mode="json", include={"features"})
    return key_of(
        what="surrogate", code=code_key(campaign), seed=campaign.seed, stage=stage, settings=settings, first=first,
        target=target.model_dump(mode="json"), training=training.about,
    )  # fmt: skip


def _card(wanted: Wanted) -> ModelCard:
    return RunView(wanted.folder).card(wanted.stage, wanted.target.property)


def _told(wanted: Wanted, card: ModelCard) -> str:
    scale = card.unit if card.transform == "identity" else "decades"
    told = f"{wanted.stage}, {card.property}: grouped MAE {card.scores.mae:.3g} {scale}"
    if card.scores.is_a_guess:
        told += ", no better than always guessing the mean"
    return told if card.transfer is None else f"{told} ({card.transfer.rivals})"
