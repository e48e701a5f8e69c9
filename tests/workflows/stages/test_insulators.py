"""P(insulator) in a run: which campaigns ask for it, what it does to predictions of the gap, and what a run keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.insulators import GAPS, InsulatorLabels, insulator_labels
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.models.surrogates.insulators import InsulatorClassifier
from matloop.workflows.running import insulator_training
from matloop.workflows.running.insulator_training import place_insulators
from matloop.workflows.stages.insulators import (
    chances_of_labels,
    composition_features,
    lacks_metals,
    train_insulators,
    with_insulators,
)
from tests.workflows.stages.test_makeable import campaign, predicted


def few_labels() -> InsulatorLabels:
    """Every sixtieth composition; more would take long."""
    return insulator_labels().take(np.arange(0, len(insulator_labels()), 60))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a classifier."""
    folder = tmp_path_factory.mktemp("run") / "insulators"
    train_insulators(few_labels()).save(folder)
    return folder


def gap_prediction(n: int, **changes: Any) -> Any:
    return predicted(n, centre=np.full(n, 3.0), scale=np.full(n, 0.1), bounds=(0.0, 20.0), **changes)


def test_a_metal_hardly_has_a_gap_and_all_numbers_say_so(folder: Path) -> None:
    batch = CandidateBatch.from_formulas(["NaCl", "Ni3Al"]).batch
    own = gap_prediction(2)
    found = with_insulators(folder, {"band_gap": own}, batch, source=GAPS)["band_gap"]
    assert found.insulator is not None
    salt, alloy = found.insulator
    assert salt > 0.9 > 0.1 > alloy
    alone = own.probability_between(2.5, np.inf)
    np.testing.assert_allclose(found.probability_between(2.5, np.inf), found.insulator * alone)
    assert 0.0 == found.median[1] < found.median[0] < own.median[0]
    np.testing.assert_array_equal(found.with_a_value.median, own.median)
    low, high = found.interval()
    assert low[1] == high[1] == 0.0
    at_most = own.probability_between(-np.inf, 0.5)
    expected = 1 - found.insulator + found.insulator * at_most
    np.testing.assert_allclose(found.probability_between(-np.inf, 0.5), expected)


def test_elements_that_the_classifier_hardly_knows_are_outside_the_domain(folder: Path) -> None:
    batch = CandidateBatch.from_formulas(["NaCl", "CmO2"]).batch
    found = with_insulators(folder, {"band_gap": gap_prediction(2)}, batch, source=GAPS)["band_gap"]
    assert found.in_domain.tolist() == [True, False]


def test_other_properties_and_runs_without_a_classifier_are_left_alone(folder: Path, tmp_path: Path) -> None:
    batch = CandidateBatch.from_formulas(["NaCl"]).batch
    given = {"refractive_index": gap_prediction(1)}
    assert with_insulators(folder, given, batch, source=GAPS) == given
    gaps = {"band_gap": gap_prediction(1)}
    assert with_insulators(tmp_path, gaps, batch, source=GAPS) == gaps


def test_it_is_asked_for_where_the_labels_of_the_gap_hold_no_metal() -> None:
    packaged = TrainingSets.of(["energy_above_hull", "band_gap"])
    assert lacks_metals(campaign(), packaged)
    gaps = packaged_training_set("band_gap")
    values = np.where(np.arange(len(gaps)) % 10 == 0, 0.0, gaps.values)
    own = TrainingSet.of_rows(
        gaps.rows, values, property_name="band_gap", name="own", provenance="dft:pbe", licence="own"
    )  # fmt: skip
    assert not lacks_metals(campaign(), TrainingSets.of(["energy_above_hull", "band_gap"], [own]))
    without = campaign().model_copy(update={"targets": campaign().targets[:1]})
    assert not lacks_metals(without, packaged)


def test_it_is_trained_once_and_copied_into_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(insulator_training, "insulator_labels", few_labels)
    found = []
    for name in ("first", "second"):
        (tmp_path / name / "models").mkdir(parents=True)
        found.append(place_insulators(tmp_path / name, "0" * 32))
        monkeypatch.setattr(insulator_training, "train_insulators", lambda *_: pytest.fail("trained twice"))
    assert found[0] == found[1]
    assert set(found[0]) >= {"models/insulators/card.json", "models/insulators/booster_0.txt"}
    InsulatorClassifier.load(RunDirectory(tmp_path / "second").insulators)


def test_rows_that_taught_the_gap_are_judged_as_new_ones(folder: Path) -> None:
    crystals = packaged_training_set("band_gap").rows.take(range(40))
    found = InsulatorClassifier.load(folder)
    features = composition_features().featurize(crystals)
    expected = found.predict_as_new(features, crystals.compositions, GAPS).probability
    ids = np.array([*crystals.ids, "a row of the user"])
    chances = chances_of_labels(folder, ids, source=GAPS)
    np.testing.assert_allclose(chances.of_labels, [*expected, 1.0])
    assert len(chances.of_others) == found.card["rows"]
