"""Training sets of a campaign: given or packaged, on their way to workers, and what is known because of them."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import DatasetError, TrainingSetError, UnknownNameError
from matloop.data.training.packaged_tables import packaged_crystals, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import PackagedSet, TrainingSets, packed


@pytest.fixture
def films() -> TrainingSet:
    """Two compounds nobody else knows, one of them twice, and a packaged one."""
    known = packaged_crystals().take([0])
    own = CandidateBatch.from_formulas(["Ga7N9", "Zn7O9", "Ga14N18"]).batch
    rows = CandidateBatch.from_arrow(_concatenated(own, known))
    return TrainingSet.of_rows(
        rows, np.array([1.0, 2.0, 3.0, 4.0]), property_name="band_gap", name="our films", provenance="exp",
        licence="CC0",
    )  # fmt: skip


def _concatenated(*batches: CandidateBatch) -> object:
    import pyarrow as pa

    columns = ["candidate_id", "formula", "elements", "amounts", "lattice", "species", "frac_coords"]
    tables = [batch.to_arrow() for batch in batches]
    tables = [table.select([name for name in columns if name in table.column_names]) for table in tables]
    return pa.concat_tables(tables, promote_options="permissive")


def test_what_is_not_given_is_packaged(films: TrainingSet) -> None:
    sets = TrainingSets.of(["energy_above_hull", "band_gap"], [films])
    assert sets["band_gap"] is films
    assert sets["energy_above_hull"] is packaged_training_set("energy_above_hull")
    assert list(sets.about) == ["energy_above_hull", "band_gap"]


def test_sets_without_a_use_are_refused(films: TrainingSet) -> None:
    with pytest.raises(TrainingSetError, match="a second training set of band_gap"):
        TrainingSets.of(["band_gap"], [films, films])
    with pytest.raises(TrainingSetError, match=r"a training set of band_gap.*refractive_index"):
        TrainingSets.of(["refractive_index"], [films])
    with pytest.raises(UnknownNameError, match="seebeck_p"):
        TrainingSets.of(["seebeck_p"])


def test_packaged_sets_travel_by_name_and_others_by_value(films: TrainingSet) -> None:
    assert len(pickle.dumps(TrainingSets.of(["energy_above_hull", "band_gap"]))) < 2000
    sent = TrainingSets.of(["energy_above_hull", "band_gap"], [films])
    arrived = pickle.loads(pickle.dumps(sent))  # noqa: S301
    assert arrived.about == sent.about
    assert arrived["energy_above_hull"] is sent["energy_above_hull"]
    assert list(arrived.only("band_gap").by_property) == ["band_gap"]


def test_a_set_that_helps_travels_and_is_known(films: TrainingSet) -> None:
    helping = packaged_training_set("band_gap")
    sent = TrainingSets.of(["band_gap"], [films], helping={"band_gap": helping})
    arrived = pickle.loads(pickle.dumps(sent)).only("band_gap")  # noqa: S301
    assert arrived.helping["band_gap"] is helping
    assert arrived.about == sent.about
    assert list(sent.about) == ["band_gap", "band_gap (transfer)"]
    known = sent.known
    assert known.labels["band_gap"][known.row_of[films.rows.ids[-1]]] == films.values[-1]
    assert np.isfinite(known.labels["band_gap"]).sum() == len(set(films.rows.ids)), "no computed value among them"


def test_a_set_that_only_has_the_name_of_a_packaged_one_travels_by_value(films: TrainingSet) -> None:
    assert isinstance(packed(packaged_training_set("band_gap")), PackagedSet)
    assert packed(replace(films, name="materials")).name == "materials"  # type: ignore[union-attr]
    with pytest.raises(DatasetError, match="materials"):
        PackagedSet("materials", "band_gap", "0" * 64).load()


def test_default_knows_the_packaged_crystals_as_they_are() -> None:
    known = TrainingSets.of(["band_gap"]).known
    crystals = packaged_crystals()
    assert known.rows is crystals
    assert known.names == crystals.table["material_id"].to_pylist()
    assert known.labels["refractive_index"].tobytes() == crystals.column("refractive_index_dft").tobytes()


def test_known_are_the_packaged_crystals_and_own_rows_once(films: TrainingSet) -> None:
    known, crystals = TrainingSets.of(["band_gap"], [films]).known, packaged_crystals()
    assert len(known.rows) == len(crystals) + 2
    assert known.rows.formulas[-2:] == ["Ga7N9", "Zn7O9"]
    assert not known.rows.has_crystal[-2:].any()
    labels = known.labels["band_gap"]
    assert np.isfinite(labels).sum() == 3, "measured gaps do not stand among computed ones"
    assert labels[known.row_of[crystals.ids[0]]] == 4.0
    assert np.isfinite(known.labels["refractive_index"]).sum() == 1056


def test_compositions_of_own_sets_are_known(films: TrainingSet) -> None:
    asked = CandidateBatch.from_formulas(["Ga14N18", "NaCl", "Ga7N10"]).batch.compositions
    default, own = TrainingSets.of(["band_gap"]), TrainingSets.of(["band_gap"], [films])
    assert default.known_compositions.include(asked).tolist() == [False, True, False]
    assert own.known_compositions.include(asked).tolist() == [True, True, False]
    assert default.known_compositions.sha256 != own.known_compositions.sha256
    assert default.known_compositions.sha256 == TrainingSets.of(["refractive_index"]).known_compositions.sha256
