"""Training sets kept in a run directory: what comes back is what went in, or is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from matloop.data.errors import DatasetError, RunChangedError, RunError, UnknownNameError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.training_files import read_training_sets, write_training_sets
from matloop.data.training.label_noise import LabelNoise
from matloop.data.training.packaged_tables import packaged_crystals, packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.data.whole_files import write_table


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with a packaged training set and one of crystals with labels of their own."""
    crystals = packaged_crystals().take(np.arange(20))
    own = TrainingSet.of_rows(
        crystals, np.linspace(1, 2, 20), property_name="band_gap", name="our films", provenance="exp",
        licence="CC0", citation="A. Nobody, 2026",
    )  # fmt: skip
    run = RunDirectory(tmp_path)
    write_training_sets(run, TrainingSets.of(["energy_above_hull", "band_gap"], [own]))
    return run


def test_what_comes_back_is_what_went_in(run: RunDirectory) -> None:
    sets = read_training_sets(run)
    assert list(sets.by_property) == ["energy_above_hull", "band_gap"]
    assert sets["energy_above_hull"] is packaged_training_set("energy_above_hull")
    assert sets["band_gap"].about["citation"] == "A. Nobody, 2026"
    assert sets["band_gap"].values.tolist() == np.linspace(1, 2, 20).tolist()
    assert sorted(path.name for path in run.folder.iterdir()) == ["training-band_gap.parquet", "training_sets.json"]


@pytest.mark.parametrize("deviation", [0.3, float("nan")])
def test_noise_of_labels_comes_back(run: RunDirectory, deviation: float) -> None:
    errors = np.where(np.arange(20) % 3, 0.1, np.nan)
    noisy = replace(read_training_sets(run)["band_gap"], noise=LabelNoise(errors, deviation, 7))
    write_training_sets(run, TrainingSets.of(["band_gap"], [noisy]))
    found = read_training_sets(run)["band_gap"].noise
    assert found is not None
    np.testing.assert_array_equal(found.errors, errors)
    np.testing.assert_equal((found.deviation, found.repeats), (deviation, 7))


def test_changed_rows_are_refused(run: RunDirectory) -> None:
    table = pq.read_table(run.training_rows("band_gap"))
    write_table(run.training_rows("band_gap"), table.slice(1))
    with pytest.raises(RunChangedError, match="training-band_gap"):
        read_training_sets(run)


def test_another_packaged_table_is_refused(run: RunDirectory) -> None:
    kept = json.loads(run.training_sets.read_text("utf-8"))
    kept["energy_above_hull"]["sha256"] = "0" * 64
    run.training_sets.write_text(json.dumps(kept), "utf-8")
    with pytest.raises(DatasetError, match="energy_above_hull"):
        read_training_sets(run)


def test_what_is_no_property_becomes_no_path(run: RunDirectory) -> None:
    kept = json.loads(run.training_sets.read_text("utf-8"))
    run.training_sets.write_text(json.dumps({"../band_gap": kept["band_gap"]}), "utf-8")
    with pytest.raises(UnknownNameError):
        read_training_sets(run)


def test_a_folder_without_training_sets(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="training_sets"):
        read_training_sets(RunDirectory(tmp_path))


def test_a_set_that_helps_in_a_transfer_comes_back_too(tmp_path: Path) -> None:
    crystals, run = packaged_crystals(), RunDirectory(tmp_path)
    ours, theirs = (
        TrainingSet.of_rows(
            crystals.take(np.arange(count)),
            np.linspace(1, 2, count),
            property_name="band_gap",
            name=provenance,
            provenance=provenance,
            licence="CC0",
        )
        for count, provenance in ((20, "exp"), (40, "dft:hse"))
    )
    for helping in (theirs, packaged_training_set("band_gap")):
        write_training_sets(run, TrainingSets.of(["band_gap"], [ours], helping={"band_gap": helping}))
        found = read_training_sets(run)
        assert found.helping["band_gap"].about == helping.about
        assert found["band_gap"].about == ours.about
    assert "training_from-band_gap.parquet" in [path.name for path in run.folder.iterdir()]
