"""Store the training sets of a run in its directory: packaged ones by name and sha256, others with all rows.

``training_sets.json`` names the training set of each property. The rows of a set that is not packaged are in
``training-PROPERTY.parquet``, and those of a set that helps in a transfer in ``training_from-PROPERTY.parquet``, so
that a run can be resumed and explained without the program that made the set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.bounded_files import read_json, read_table
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.errors import DamagedFileError, RunChangedError, RunError
from matloop.data.properties.catalogue import property_named
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.label_noise import LabelNoise
from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import PackagedSet, TrainingSets, packed
from matloop.data.whole_files import write_json, write_table

_ARRAYS = ("values", "groups", "weights")
_COLUMN = "training_"
_ERRORS = f"{_COLUMN}errors"
_HELPING = "transfer_from"
_ABOUT = {"packaged": bool, "name": str, "sha256": str, "provenance": str, "licence": str, "citation": str}


def write_training_sets(run: RunDirectory, sets: TrainingSets) -> None:
    """Store the training sets of a run in its directory."""
    kept: dict[str, Any] = {}
    for name, training in sets.by_property.items():
        kept[name] = _written(training, run.training_rows(name))
        if name in sets.helping:
            kept[name][_HELPING] = _written(sets.helping[name], run.training_rows(name, helping=True))
    write_json(run.training_sets, kept)


def _written(training: TrainingSet, path: Path) -> dict[str, Any]:
    """Write the rows of a training set unless it is packaged; return what is said of it."""
    by_name = isinstance(packed(training), PackagedSet)
    if not by_name:
        columns = {f"{_COLUMN}{part}": pa.array(getattr(training, part)) for part in _ARRAYS}
        table = training.rows.to_arrow()
        if training.noise is not None:
            columns[_ERRORS] = pa.array(training.noise.errors)
        for column, values in columns.items():
            table = table.append_column(column, values)
        write_table(path, table)
    written: dict[str, Any] = {**training.about, "packaged": by_name}
    if training.noise is not None:
        deviation = training.noise.deviation if np.isfinite(training.noise.deviation) else None
        written["noise"] = {"deviation": deviation, "repeats": training.noise.repeats}
    return written


def read_training_sets(run: RunDirectory) -> TrainingSets:
    """Read what :func:`write_training_sets` stored.

    Raises:
        RunError: If the run has no training sets.
        DamagedFileError: If a file is not one that a run writes.
        RunChangedError: If the rows are not those that the run learned from.
        DatasetError: If a packaged table has changed since the run began.
    """
    if not os.path.lexists(run.training_sets):
        raise RunError(
            f"no {run.training_sets.name} in {run.folder}", "a run that this version of matloop began",
            "start a new run",
        )  # fmt: skip
    written = read_json(run.training_sets, inside=run.folder)
    if not isinstance(written, dict):
        raise _unlike(run.training_sets.name, "no JSON object")
    sets, helping = dict[str, TrainingSet](), dict[str, TrainingSet]()
    for name, about in written.items():
        sets[name] = _read(run, property_named(name).name, about)
        if _HELPING in about:
            helping[name] = _read(run, name, about[_HELPING], helping=True)
    return TrainingSets(sets, helping)


def _read(run: RunDirectory, name: str, about: Any, *, helping: bool = False) -> TrainingSet:
    for key, kind in _ABOUT.items():
        if not isinstance(about, dict) or not isinstance(about.get(key), kind):
            raise _unlike(run.training_sets.name, f"no {key} of the training set of {name}")
    if about["packaged"]:
        return PackagedSet(about["name"], name, about["sha256"]).load()
    path = run.training_rows(name, helping=helping)
    table = read_table(path, inside=run.folder)
    columns = [f"{_COLUMN}{part}" for part in _ARRAYS] + ([_ERRORS] if "noise" in about else [])
    for column in columns:
        if column not in table.column_names or not _is_number(table[column].type):
            raise _unlike(path.name, f"no numbers in column {column}")
    values, groups, weights, *errors = (table[column].to_numpy() for column in columns)
    rows = checked_batch(table.drop_columns(columns), name=path.name)
    training = TrainingSet(
        about["name"], name, rows, values, about["provenance"], groups.astype(np.int64), weights, about["licence"],
        about["citation"], _noise(run, about["noise"], *errors) if errors else None,
    )  # fmt: skip
    if training.sha256 != about["sha256"]:
        raise RunChangedError(
            f"{path.name} has rows with sha256 {training.sha256}", about["sha256"],
            "restore the file, or start again",
        )  # fmt: skip
    return training


def _noise(run: RunDirectory, about: Any, errors: NDArray[np.float64]) -> LabelNoise:
    deviation, repeats = (about.get(key) if isinstance(about, dict) else None for key in ("deviation", "repeats"))
    if not isinstance(repeats, int) or not isinstance(deviation, float | None):
        raise _unlike(run.training_sets.name, "noise that is no deviation and number of repeats")
    return LabelNoise(errors, float("nan") if deviation is None else deviation, repeats)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _unlike(name: str, found: str) -> DamagedFileError:
    return DamagedFileError(f"{name} has {found}", "the training sets as the run kept them", "restore the file")
