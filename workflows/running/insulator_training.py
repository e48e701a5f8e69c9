"""The classifier of insulators and metals of a run: trained once for all runs of a user, and copied into each."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from matloop.data.cache_folder import cache_folder
from matloop.data.packaged.insulators import GAPS, files_of_labels, insulator_labels
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import sha256_of
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_folder
from matloop.models.surrogates.insulators import InsulatorClassifier
from matloop.models.surrogates.store import StoredSurrogate, SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.engine import Engine
from matloop.workflows.running.store_keys import key_of_training
from matloop.workflows.stages.insulators import composition_features, lacks_metals, train_insulators

INSULATORS = "insulators"
"""Kind of the line of the manifest, and folder in the user's cache."""
_LARGEST_STORE = 100_000_000
"""Bytes of the classifiers of a user; one has about three million."""


class WantedInsulators(NamedTuple):
    """The classifier to be trained for the user's cache; travels to a worker.

    Attributes:
        key: Hash of all that decides its numbers.
    """

    key: str

    def train(self) -> None:
        """Train it, unless the cache has it."""
        with tempfile.TemporaryDirectory() as folder:
            _fill(Path(folder) / INSULATORS, self.key)


def wanted_insulators(engine: Engine, campaign: Campaign, training: TrainingSets) -> list[WantedInsulators]:
    """The classifier, where a run needs one and does not have it: it can be trained beside other models.

    Args:
        engine: Of the run.
        campaign: The campaign.
        training: What its surrogates learn from.
    """
    if not lacks_metals(campaign, training) or engine.reused(_key()) is not None:
        return []
    return [WantedInsulators(_key())]


def provide_insulators(engine: Engine, campaign: Campaign, training: TrainingSets) -> None:
    """Put the classifier into the run where a target of the gap needs it, unless it is there.

    It depends on packaged data alone, so it is kept in the user's cache, like energies of reference phases.

    Args:
        engine: Of the run.
        campaign: The campaign.
        training: What its surrogates learn from.
    """
    if not lacks_metals(campaign, training):
        return
    key = _key()
    engine.watch.start("classifier of insulators", 1)
    line = engine.reused(key)
    if line is None:
        files = engine.ask(place_insulators, engine.run.folder.resolve(), key)
        engine.manifest.append(INSULATORS, key=key, files=files)
    elif engine.manifest.with_key(key) is not line:
        engine.manifest.append(**line)
    engine.watch.advance(1, "insulator or metal, by composition", earlier=line is not None)


def place_insulators(folder: Path, key: str) -> dict[str, str]:
    """Copy the classifier into a run, trained before if no run has; returns sha256 by file.

    Args:
        folder: The run directory.
        key: Hash of all that decides its numbers.
    """
    place = RunDirectory(folder).insulators
    inside = place.relative_to(folder).as_posix()
    return {f"{inside}/{name}": sha256 for name, sha256 in _fill(place, key).items()}


def fill_insulators(place: Path) -> None:
    """Put the classifier into a folder to be, from the user's cache or trained here."""
    _fill(place, _key())


def _fill(place: Path, key: str) -> dict[str, str]:
    """Put the classifier into a folder to be; returns sha256 by file."""
    store = SurrogateStore(cache_folder() / INSULATORS, limit=_LARGEST_STORE)
    files = store.copy(key, place)
    if files is not None:
        return dict(files)
    classifier = train_insulators(insulator_labels())
    write_folder(place, classifier.save)
    stored = _described(key, classifier, place)
    store.keep(stored, place)
    return {name: sha256 for name, (sha256, _) in stored.files.items()}


def _key() -> str:
    return key_of_training(what=INSULATORS, files=files_of_labels(), features=composition_features().fingerprint)


def _described(key: str, classifier: InsulatorClassifier, place: Path) -> StoredSurrogate:
    """What the store says of it; its error is the Brier score."""
    files = {path.name: (sha256_of(path), path.stat().st_size) for path in sorted(place.iterdir())}
    names = tuple(featurizer.name for featurizer in composition_features().featurizers)
    card = classifier.card
    return StoredSurrogate(
        key, INSULATORS, "1", card["family"], names, INSULATORS, card["rows"],
        card["scores"][GAPS]["brier"], files,
    )  # fmt: skip
