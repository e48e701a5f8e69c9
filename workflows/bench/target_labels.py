"""Candidates with labels of several properties: every row of the data is used, merged with its repeats, or counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import InputFileError, MatloopError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.catalogue import catalogue
from matloop.data.properties.columns import Column
from matloop.featurizers.registry import feature_set
from matloop.workflows.bench.labelled import FEWEST_ROWS, OpenLabels, default_features, label_column, open_labels
from matloop.workflows.bench.quantities import quantity_named
from matloop.workflows.bench.wanted_targets import WantedTarget
from matloop.workflows.stages.stage_features import featurizers_needed

_REPEAT = "repeats another row; the mean of their values counts"


class TargetLabels(NamedTuple):
    """Candidates with features and labels of every target.

    Attributes:
        name: File name, or name of the packaged table.
        sha256: Of the file.
        columns: Column of the labels of each property.
        feature_names: Names of the featurizers.
        candidates: n different candidates: crystals where the data have crystals.
        features: Of n candidates.
        labels: By property in its unit, each of shape (n,).
        groups: Number of the formula of each candidate, shape (n,).
        rows: Rows of the data, used or not.
        left_out: How many rows were left out, by reason.
        seconds: Wall time of reading and features.
    """

    name: str
    sha256: str
    columns: Mapping[str, str]
    feature_names: tuple[str, ...]
    candidates: CandidateBatch
    features: FeatureMatrix
    labels: Mapping[str, NDArray[np.float64]]
    groups: NDArray[np.int64]
    rows: int
    left_out: Mapping[str, int]
    seconds: float


def read_target_labels(
    data: str,
    targets: Sequence[WantedTarget],
    *,
    formula_column: str = "formula",
    features: Sequence[str] | None = None,
    family: str | None = None,
) -> TargetLabels:
    """Read the rows that have a label of every target.

    Args:
        data: A ``.csv``, ``.xlsx`` or ``.parquet`` file with formulas, and crystals in a column ``structure`` where it
            has one; or the name of a packaged table.
        targets: What is wanted; each names a property, a column of one, or another column of numbers.
        formula_column: Column of the formulas of a file.
        features: Names of featurizers; by default those for crystals where there are crystals, else for compositions.
        family: Model family whose further columns are added.

    Raises:
        UnknownNameError: For an unknown featurizer or packaged data.
        InputFileError: If the file cannot be read, lacks a column, or has fewer than 100 usable candidates.
        MatloopError: If two targets are of one quantity.
    """
    start = time.perf_counter()
    asked = _asked(targets)
    table = open_labels(data, formula_column)
    names = tuple(features or default_features(table))
    if family is not None:
        names = (*featurizers_needed([family], feature_set(names).feature_names), *names)
    candidates, columns, rows, left_out = _labelled_rows(table, asked)
    candidates, labels = _merged(candidates, columns, left_out)
    chosen = feature_set(names)
    matrix = chosen.featurize(candidates)
    left_out.update(str(code) for code in matrix.codes if code)
    good = np.flatnonzero(matrix.codes == "")
    _require(len(good), rows, left_out, table.name)
    candidates = candidates.take(good)
    return TargetLabels(
        table.name, table.sha256, columns, names,
        candidates, matrix.take(good), {name: values[good] for name, values in labels.items()}, candidates.groups(),
        rows, dict(sorted(left_out.items())), time.perf_counter() - start,
    )  # fmt: skip


def _asked(targets: Sequence[WantedTarget]) -> dict[str, str | None]:
    """Column of each property, None where it is the one named after the property."""
    asked: dict[str, str | None] = {}
    for target in targets:
        if target.name in asked:
            raise MatloopError(
                f"two targets of {target.name}", "one target for each property",
                f"a window is one target: --target '{target.name}:LOW..HIGH'",
            )  # fmt: skip
        asked[target.name] = None if target.column in catalogue() else target.column
    return asked


def _labelled_rows(
    table: OpenLabels, asked: Mapping[str, str | None]
) -> tuple[CandidateBatch, dict[str, str], int, Counter[str]]:
    """The rows with a possible label of every property, the columns of the labels, and what was left out."""
    rows, left_out, parts = 0, Counter[str](), list[pa.Table]()
    columns, stored = dict[str, str](), dict[str, str]()
    for intake in table.intakes:
        batch = intake.batch
        rows += len(batch) + len(intake.refused)
        left_out.update(refused.code for refused in intake.refused)
        if not stored:
            for name, column in asked.items():
                columns[name], stored[name] = label_column(batch, name, column, of=table.name, origin=table.origin)
        kept = np.ones(len(batch), bool)
        for name, place in stored.items():
            known, values = quantity_named(name), batch.column(place).astype(float)
            empty, fits = np.isnan(values), (values >= known.lower) & (values <= known.upper)
            for reason, lost in (("no value", empty), ("impossible value", ~empty & ~fits)):
                if count := int((kept & lost).sum()):
                    left_out[f"{reason} of {columns[name]}"] += count
            kept &= fits
        part = batch.take(np.flatnonzero(kept))
        own = part.table.select([Column.CANDIDATE_ID, Column.FORMULA])
        for name, place in stored.items():
            own = own.append_column(columns[name], part.table.column(place).cast(pa.float64()))
        parts.append(replace(part, table=own).to_arrow())
    if not rows:
        raise InputFileError(f"{table.name} holds no rows", f"at least {FEWEST_ROWS} rows")
    joined = pa.concat_tables(parts, promote_options="permissive")
    _require(joined.num_rows, rows, left_out, table.name)
    return CandidateBatch.from_arrow(joined), columns, rows, left_out


def _merged(
    batch: CandidateBatch, columns: Mapping[str, str], left_out: Counter[str]
) -> tuple[CandidateBatch, dict[str, NDArray[np.float64]]]:
    """Each candidate once, in the order of the data, with the mean of its values."""
    _, first, member = np.unique(batch.ids, return_index=True, return_inverse=True)
    if repeats := len(batch) - len(first):
        left_out[_REPEAT] += repeats
    order = np.argsort(first)
    counts = np.bincount(member)
    means = {name: np.bincount(member, batch.column(column)) / counts for name, column in columns.items()}
    return batch.take(first[order]), {name: values[order] for name, values in means.items()}


def _require(usable: int, rows: int, left_out: Mapping[str, int], name: str) -> None:
    if usable < FEWEST_ROWS:
        why = "; ".join(f"{count} with {reason}" for reason, count in sorted(left_out.items()))
        raise InputFileError(
            f"{usable} usable rows of {rows} in {name}" + (f" ({why})" if why else ""),
            f"at least {FEWEST_ROWS} rows with a formula and a value of every target",
        )
