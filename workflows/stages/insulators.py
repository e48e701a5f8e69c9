"""P(insulator) in the scoring stages: what a surrogate says of the band gap holds if the candidate has one.

Where the labels of the gap hold hardly any metal, the run keeps a classifier of insulators and metals
(:mod:`matloop.models.surrogates.insulators`), which reads the composition alone. For a limit x above zero

    P(gap >= x) = P(insulator) * P(gap >= x | insulator),

and value and interval speak of both cases together. Labels with metals in them teach the surrogate itself what has no
gap, so it is not asked for there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.insulators import GAPS, MEASURED, SOURCES, InsulatorLabels, files_of_labels
from matloop.data.properties.provenance import Provenance
from matloop.data.training.packaged_tables import packaged_crystals
from matloop.data.training.training_sets import TrainingSets
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.charge_balance import ChargeBalanceFeatures
from matloop.featurizers.composition import Magpie, Stoichiometry, ValenceOrbital
from matloop.featurizers.d_electrons import DElectrons
from matloop.models.surrogates.insulators import CARD_FILE, InsulatorClassifier
from matloop.models.surrogates.joint_probability import InsulatorChances
from matloop.models.surrogates.prediction import Prediction
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.stages.model_files import ModelFiles

TARGET = "band_gap"
FOLDER = "insulators"
"""Folder of the classifier in that of a trained model."""
MOST_METALS = 0.01
"""Share of labels of the gap that are zero above which the surrogate is taken to know metals by itself."""


def lacks_metals(campaign: Campaign, training: TrainingSets) -> bool:
    """Whether a campaign has a target for the band gap whose labels hold hardly any metal.

    Args:
        campaign: The campaign.
        training: What its surrogates learn from.
    """
    if all(target.property != TARGET for target in campaign.targets):
        return False
    sets = [training[TARGET], *(each for name, each in training.helping.items() if name == TARGET)]
    return all(float((each.values <= 0).mean()) <= MOST_METALS for each in sets)


@functools.cache
def composition_features() -> FeatureSet:
    """The features of compositions that tell insulators from metals."""
    return FeatureSet((Magpie(), Stoichiometry(), ValenceOrbital(), ChargeBalanceFeatures(), DElectrons()))


def train_insulators(labels: InsulatorLabels, *, threads: int = 1) -> InsulatorClassifier:
    """Train the classifier.

    Args:
        labels: What it learns from.
        threads: Threads used while growing the trees.
    """
    batch, known = labels.batch, np.isfinite(labels.answers)
    about = {
        "answers": {source: int(count) for source, count in zip(SOURCES, known.sum(axis=0), strict=True)},
        "in_several": int((known.sum(axis=1) > 1).sum()),
        "disagreeing": int(labels.disagreeing.sum()),
        "files": files_of_labels(),
    }
    features = composition_features().featurize(batch)
    return InsulatorClassifier.fit(
        features, batch.compositions, labels.answers, sources=SOURCES, about=about, threads=threads
    )  # fmt: skip


def source_asked(provenance: str) -> str:
    """Which source says what an insulator is, for gaps of a provenance.

    Args:
        provenance: Of the predicted gap.

    >>> source_asked("dft:pbe"), source_asked("exp")
    ('computed gaps', 'measured classes')
    """
    return MEASURED if Provenance.read("exp").covers(Provenance.read(provenance)) else GAPS


def with_insulators(
    folder: Path, predictions: Mapping[str, Prediction], batch: CandidateBatch, *, source: str, as_new: bool = False
) -> dict[str, Prediction]:
    """Give predictions of the gap the probability that there is one, where a folder holds the classifier.

    Where the classifier has no support, a candidate is outside the domain.

    Args:
        folder: Folder of the classifier.
        predictions: By property, of n candidates.
        batch: The candidates.
        source: Which source is asked, by :func:`source_asked`.
        as_new: Whether compositions that the classifier learned from are judged by trees that never saw them.
    """
    changed = dict(predictions)
    found = insulators_of(folder) if TARGET in changed else None
    if found is None:
        return changed
    features = composition_features().featurize(batch)
    chance = (
        found.predict_as_new(features, batch.compositions, source) if as_new else found.predict(features, source)
    )  # fmt: skip
    inside = changed[TARGET].in_domain & chance.supported
    changed[TARGET] = replace(changed[TARGET], insulator=chance.probability, in_domain=inside)
    return changed


def chances_of_labels(folder: Path, ids: NDArray[np.str_], *, source: str) -> InsulatorChances:
    """P(insulator) of rows that taught a surrogate of the gap, and of those that taught the classifier.

    Args:
        folder: Folder of the classifier.
        ids: ``candidate_id`` of each row, shape (n,). Packaged crystals are judged; of other rows only the ids are
            there, and they count as what their labels say, insulators.
        source: Which source is asked, by :func:`source_asked`.
    """
    found = insulators_of(folder)
    if found is None:
        return InsulatorChances(np.ones(len(ids)), np.empty(0))
    crystals = packaged_crystals()
    known = np.flatnonzero(np.isin(crystals.ids, ids))
    rows = crystals.take(known)
    chance = found.predict_as_new(composition_features().featurize(rows), rows.compositions, source).probability
    by_id = dict(zip(rows.ids, chance.tolist(), strict=True))
    return InsulatorChances(np.array([by_id.get(one, 1.0) for one in ids.tolist()]), found.chances_as_new(source))


def insulators_of(folder: Path) -> InsulatorClassifier | None:
    """The classifier in a folder, read once per worker; None where there is none."""
    return _read(ModelFiles.of(folder)) if (folder / CARD_FILE).is_file() else None


@functools.lru_cache(maxsize=2)
def _read(files: ModelFiles) -> InsulatorClassifier:
    return InsulatorClassifier.load(files.folder)
