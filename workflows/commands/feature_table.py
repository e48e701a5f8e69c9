"""The command ``matloop features NAMES``: compute features beside the columns of a table, or of structure files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import Intake
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.errors import ROW_CODES, InputFileError, RunError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.plain_text import counted
from matloop.data.properties.columns import Column
from matloop.data.readers.open_table import TABLE_FORMATS
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.sources.table import FormulaTable
from matloop.data.whole_files import write_csv, write_table
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set

OUTPUT_FORMATS = (".csv", ".parquet")
_ROWS = 10_000
_SIGNED_NUMBER = re.compile(r"[+-][0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class WrittenFeatures:
    """What came of a table of features.

    Attributes:
        path: The file that was written.
        rows: Number of rows, which is that of the input.
        features: Number of features.
        refused: Number of rows without features, by row code.
    """

    path: Path
    rows: int
    features: int
    refused: Counter[str]

    @property
    def all_refused(self) -> bool:
        """Whether no row has features."""
        return self.refused.total() == self.rows

    def lines(self) -> list[str]:
        """What happened, in lines for people."""
        refused = self.refused.total()
        head = f"{self.path}: {counted(self.rows, 'row')}, {counted(self.features, 'feature')}, {refused:,} refused"
        return [head, *(f"  {count:,} {code}: {ROW_CODES[code]}" for code, count in self.refused.most_common())]


def write_features(
    names: Sequence[str],
    table: str | Path,
    output: str | Path,
    *,
    formula_column: str = "formula",
    id_column: str | None = None,
) -> WrittenFeatures:
    """Compute features of the rows of a table, or of structure files, and write them beside what the input holds.

    The output has the rows and the columns of the input, in their order; then the candidate id, the row code, which is
    empty where nothing went wrong, and the features. A row that is refused stays in its place, with its code.

    Args:
        names: Featurizers, whose columns are joined.
        table: A table of formulas (``.csv``, ``.xlsx`` or ``.parquet``), or a structure file, a folder, a pattern or an
            archive of them.
        output: File to write; its suffix, ``.csv`` or ``.parquet``, says the format.
        formula_column: Column of the table with the formulas.
        id_column: Column of the table with ids, which are then kept as text.

    Raises:
        RunError: If the folder of the output does not exist, or its suffix names no format.
        InputFileError: If the input cannot be read, or has a column of the name of one that is to be written.
        UnknownNameError: For an unknown featurizer.
    """
    table, output = Path(table).expanduser(), Path(output).expanduser()
    if output.suffix.lower() not in OUTPUT_FORMATS:
        raise RunError(
            f"--output {output.name} names no format that features are written in", " or ".join(OUTPUT_FORMATS),
            f"such as --output {output.stem or 'features'}.csv",
        )  # fmt: skip
    if not output.parent.is_dir():
        raise RunError(f"no folder {output.parent} to write {output.name} into", "an existing folder")
    features = feature_set(list(names))
    refused = Counter[str]()
    parts = list(_parts(features, table, refused, formula_column=formula_column, id_column=id_column))
    written = pa.concat_tables(parts) if parts else pa.table({name: pa.nulls(0) for name in features.feature_names})
    if output.suffix.lower() == ".csv":
        write_csv(output, written.column_names, _rows(written))
    else:
        write_table(output, written)
    return WrittenFeatures(output, written.num_rows, len(features.feature_names), refused)


def _parts(
    features: FeatureSet, table: Path, refused: Counter[str], *, formula_column: str, id_column: str | None
) -> Iterator[pa.Table]:
    """Rows of the input with their features, some thousand at a time; counts those that are refused."""
    if table.suffix.lower() in TABLE_FORMATS:
        source = FormulaTable(table, formula_column=formula_column, id_column=id_column)
        _check_fit(table, source.columns, features)
        windows: Iterable[tuple[pa.Table, Intake]] = zip(source.windows(_ROWS), source.intakes(_ROWS), strict=True)
    else:
        windows = ((_described(intake), intake) for intake in StructureFiles(table).intakes(_ROWS))
    for given, intake in windows:
        matrix = features.featurize(intake.batch)
        part = _beside(given, intake, matrix)
        refused.update(code for code in part[Column.CODE].to_pylist() if code)
        yield part


def _check_fit(table: Path, columns: Sequence[str], features: FeatureSet) -> None:
    """Refuse features of crystals for a table of formulas, and a column that the output is to hold."""
    if any(CRYSTALS in featurizer.needs for featurizer in features.featurizers):
        raise InputFileError(
            f"{table.name} holds formulas, and the features need crystals", "structure files",
            "give --input a structure file, a folder or an archive of them, or choose features of compositions",
        )  # fmt: skip
    taken = sorted(set(columns) & {Column.CANDIDATE_ID, Column.CODE, *features.feature_names})
    if taken:
        raise InputFileError(
            f"{table.name} has a column '{taken[0]}', which the output is to hold", "other names",
            "rename the column in the table",
        )  # fmt: skip


def _described(intake: Intake) -> pa.Table:
    """Origin and formula of each row of structure files, in place of the columns of a table."""
    refused = {row.row: row for row in intake.refused}
    origins, formulas = iter(intake.batch.column(Column.ORIGIN)), iter(intake.batch.formulas)
    rows = []
    for row in range(len(intake.batch) + len(refused)):
        found = refused.get(row)
        rows.append((next(origins), next(formulas)) if found is None else (found.detail.split(": ")[0], found.formula))
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate((Column.ORIGIN, Column.FORMULA))})


def _beside(given: pa.Table, intake: Intake, matrix: FeatureMatrix) -> pa.Table:
    """Put ids, codes and features beside the columns of the input, each row in its place."""
    count = len(intake.batch) + len(intake.refused)
    places = np.setdiff1d(np.arange(count), [row.row for row in intake.refused])
    ids, codes = np.full((2, count), "", object)
    ids[places], codes[places] = intake.batch.ids, matrix.codes
    for row in intake.refused:
        ids[row.row], codes[row.row] = row.candidate_id, row.code
    values = np.full((count, len(matrix.names)), np.nan)
    values[places] = np.where((matrix.codes == "")[:, None], matrix.values, np.nan)
    columns: dict[str, Any] = {name: given.column(name) for name in given.column_names}
    columns |= {Column.CANDIDATE_ID: pa.array(ids, pa.string()), Column.CODE: pa.array(codes, pa.string())}
    columns |= {name: pa.array(values[:, k], from_pandas=True) for k, name in enumerate(matrix.names)}
    return pa.table(columns)


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    """Rows of a table for a CSV file; what is missing is an empty cell."""
    for batch in table.to_batches(max_chunksize=1000):
        yield from (list(map(_cell, row)) for row in zip(*(column.to_pylist() for column in batch), strict=True))


def _cell(value: Any) -> Any:
    """A signed number stays a number: it must not get the apostrophe of text that looks like a formula."""
    if isinstance(value, str) and _SIGNED_NUMBER.fullmatch(value):
        return Decimal(value)
    return "" if value is None else value
