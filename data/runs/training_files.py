"""The training sets of a run, kept in its directory: packaged ones by name and sha256, all others whole.

``training_sets.json`` says of each property what its training set is. The rows of a set that is not packaged are in
``training-PROPERTY.parquet``, so that a run goes on, and explains itself, without whoever made the set.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import RunChangedError, RunError
from matloop.data.properties.catalogue import property_named
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import PackagedSet, TrainingSets, packed
from matloop.data.whole_files import write_json, write_table

_ARRAYS = ("values", "groups", "weights")
_COLUMN = "training_"


def write_training_sets(run: RunDirectory, sets: TrainingSets) -> None:
    """Keep the training sets of a run in its directory."""
    kept: dict[str, Any] = {}
    for name, training in sets.by_property.items():
        by_name = isinstance(packed(training), PackagedSet)
        if not by_name:
            columns = {f"{_COLUMN}{part}": pa.array(getattr(training, part)) for part in _ARRAYS}
            table = training.rows.to_arrow()
            for column, values in columns.items():
                table = table.append_column(column, values)
            write_table(run.training_rows(name), table)
        kept[name] = {**training.about, "packaged": by_name}
    write_json(run.training_sets, kept)


def read_training_sets(run: RunDirectory) -> TrainingSets:
    """What :func:`write_training_sets` kept.

    Raises:
        RunError: If the run kept none.
        RunChangedError: If the rows are not those the run learned from.
        DatasetError: If a packaged table is another one than when the run began.
    """
    if not run.training_sets.is_file():
        raise RunError(
            f"no {run.training_sets.name} in {run.folder}", "a run that this version of matloop began",
            "start a new run",
        )  # fmt: skip
    written = json.loads(run.training_sets.read_text(encoding="utf-8"))
    return TrainingSets({name: _read(run, property_named(name).name, about) for name, about in written.items()})


def _read(run: RunDirectory, name: str, about: dict[str, Any]) -> TrainingSet:
    if about["packaged"]:
        return PackagedSet(about["name"], name, about["sha256"]).load()
    table = pq.read_table(run.training_rows(name))
    columns = [f"{_COLUMN}{part}" for part in _ARRAYS]
    values, groups, weights = (table[column].to_numpy() for column in columns)
    rows = CandidateBatch.from_arrow(table.drop_columns(columns))
    training = TrainingSet(
        about["name"], name, rows, values, about["provenance"], groups.astype(np.int64), weights, about["licence"],
        about["citation"],
    )  # fmt: skip
    if training.sha256 != about["sha256"]:
        raise RunChangedError(
            f"{run.training_rows(name).name} has rows with sha256 {training.sha256}", about["sha256"],
            "restore the file, or start again",
        )  # fmt: skip
    return training
