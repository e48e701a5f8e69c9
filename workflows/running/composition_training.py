"""Composition models of a run: trained once, kept in the user's store, and copied into every run that uses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from matloop.data.bounded_files import read_json
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import sha256_of
from matloop.data.whole_files import write_folder
from matloop.models.surrogates.store import StoredSurrogate, SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.dispatch import Died
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.insulator_training import WantedInsulators
from matloop.workflows.running.store_keys import key_of_training
from matloop.workflows.stages.composition_models import (
    PackagedCompositionModel,
    composition_columns,
    train_composition_model,
)
from matloop.workflows.stages.stage_features import stage_feature_set


class WantedComposition(NamedTuple):
    """A composition model to be trained; travels to a worker.

    Attributes:
        model: Which one.
        place: The folder to be.
    """

    model: PackagedCompositionModel
    place: Path

    def train(self) -> None:
        """Train it and save it, whole or not at all."""
        trained = train_composition_model(self.model.property_name, self.model.database)
        self.place.parent.mkdir(parents=True, exist_ok=True)
        write_folder(self.place, trained.save)


def used_composition_models(campaign: Campaign) -> list[PackagedCompositionModel]:
    """The composition models that the scoring stages of a campaign use, each once."""
    sets = [stage_feature_set(campaign, stage) for stage in campaign.scoring_stages]
    return list(dict.fromkeys(model for features in sets for model in composition_columns(features).values()))


def provide_composition_models(
    engine: Engine, campaign: Campaign, *, store: SurrogateStore | None, beside: Sequence[WantedInsulators] = ()
) -> None:
    """Give a run the composition models that it uses: those it has, those of the store, and the others trained.

    Args:
        engine: Of the run.
        campaign: The campaign.
        store: Where models are that were trained before.
        beside: What workers train meanwhile that have no composition model to train.
    """
    wanted = used_composition_models(campaign)
    if not wanted:
        return
    folder = engine.run.folder.resolve()
    home = RunDirectory(folder).composition_models
    engine.watch.start("training composition models", len(wanted))
    missing = []
    for model in wanted:
        line = engine.reused(_key(model))
        if line is not None:
            if engine.manifest.with_key(line["key"]) is not line:
                engine.manifest.append(**line)
            engine.watch.advance(1, _in_words(model, home), earlier=True)
        elif copy_composition_model(model, home, store):
            _record(engine, model, home, earlier=True)
        else:
            missing.append(model)
    calls: list[WantedComposition | WantedInsulators] = [
        *(WantedComposition(model, home / model.folder_name) for model in missing), *beside
    ]  # fmt: skip
    for answered in engine.answers(train_wanted, calls, in_flight=max(len(calls), 1)):
        if isinstance(answered.answer, Died):
            engine.ask(train_wanted, answered.call)
        if not isinstance(answered.call, WantedComposition):
            continue  # it waits in the cache of the user
        _record(engine, answered.call.model, home)
        keep_composition_model(answered.call.model, home, store)


def copy_composition_model(model: PackagedCompositionModel, home: Path, store: SurrogateStore | None) -> bool:
    """Copy a composition model from the store into a folder; returns whether the store had it.

    Args:
        model: Which one.
        home: Folder of composition models; it is made where it does not exist.
        store: The store, if any.
    """
    home.mkdir(parents=True, exist_ok=True)
    return store is not None and store.copy(_key(model), home / model.folder_name) is not None


def keep_composition_model(model: PackagedCompositionModel, home: Path, store: SurrogateStore | None) -> None:
    """Put a composition model that was just trained into the store.

    Args:
        model: Which one.
        home: Folder of composition models, with this one.
        store: The store, if any.
    """
    if store is not None:
        place = home / model.folder_name
        card = read_json(place / "card.json", inside=place)
        store.keep(StoredSurrogate.of(_key(model), place, card, features=("composition_value",)), place)


def train_wanted(wanted: WantedComposition | WantedInsulators) -> None:
    """Train one model that knows compositions."""
    wanted.train()


def fill_home(models: Iterable[PackagedCompositionModel], home: Path, store: SurrogateStore | None) -> None:
    """Fill a folder with composition models without any worker, from the store or trained here.

    Args:
        models: Those that are wanted.
        home: Folder of composition models.
        store: The store, if any.
    """
    for model in models:
        if not copy_composition_model(model, home, store):
            WantedComposition(model, home / model.folder_name).train()
            keep_composition_model(model, home, store)


def _record(engine: Engine, model: PackagedCompositionModel, home: Path, *, earlier: bool = False) -> None:
    """Write down that a composition model of the run is finished."""
    folder = engine.run.folder.resolve()
    paths = sorted(path for path in (home / model.folder_name).rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
    engine.manifest.append("composition_model", property=model.folder_name, key=_key(model), files=files)
    from_store = ", from the store" * earlier
    engine.watch.advance(1, f"{_in_words(model, home)}{from_store}", earlier=earlier)


def _key(model: PackagedCompositionModel) -> str:
    return key_of_training(what="composition model", identity=dict(model.identity))


def _in_words(model: PackagedCompositionModel, home: Path) -> str:
    card = read_json(home / model.folder_name / "card.json", inside=home)
    scale = card["unit"] if card["transform"] == "identity" else "decades"
    return (
        f"{model.property_name} of {card['rows_trained']:,} compositions of {model.database}: MAE "
        f"{card['scores']['mae']:.3g} {scale} on compositions held out"
    )
