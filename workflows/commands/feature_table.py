"""The command ``matloop features NAMES``: compute features beside the columns of a table, or of structure files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.errors import ROW_CODES, InputFileError, PlugInError, UnknownNameError, unknown_name
from matloop.data.options import parameters_of
from matloop.data.plain_text import counted
from matloop.data.properties.columns import Column
from matloop.data.registry import lookup
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.workflows.inspecting.plug_ins import brought_by
from matloop.workflows.modelling.input_rows import InputRows, beside, check_output, write_parts
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS


@dataclass
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
    output = Path(output).expanduser()
    check_output(output, of="features", given=Path(table).expanduser())
    _check_names(names)
    rows, features = InputRows(table, formula_column=formula_column, id_column=id_column), feature_set(list(names))
    columns = [Column.CANDIDATE_ID, Column.CODE, *features.feature_names]
    needs_crystals = any(CRYSTALS in featurizer.needs for featurizer in features.featurizers)
    rows.check_fit(columns, needs_crystals=needs_crystals)
    written = WrittenFeatures(output, 0, len(features.feature_names), Counter())
    write_parts(output, _parts(features, rows, written), columns=[*rows.columns, *columns])
    return written


def names_without_options() -> list[str]:
    """Featurizers that need nothing but their name, in the order of their table; those that cannot be loaded too."""
    names = []
    for name in brought_by("featurizer"):
        try:
            parameters = parameters_of(lookup("featurizer", CAMPAIGN_FEATURIZERS, name))
        except PlugInError:  # whoever names it is told why
            parameters = []
        if all(parameter.default is not parameter.empty for parameter in parameters):
            names.append(name)
    return names


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that a command line cannot give, and one name twice."""
    known = names_without_options()
    for place, name in enumerate(names):
        if name in CAMPAIGN_FEATURIZERS and name not in known:
            raise UnknownNameError(
                f"the featurizer '{name}' needs options, which this command cannot give", ", ".join(known),
                "name it in a campaign",
            )  # fmt: skip
        if name not in known:
            raise unknown_name("featurizer", name, known)
        if name in names[:place]:
            raise UnknownNameError(f"the featurizer '{name}' twice", "every featurizer once", "leave one of them out")


def _parts(features: FeatureSet, rows: InputRows, written: WrittenFeatures) -> Iterator[pa.Table]:
    """Rows of the input with their features, some thousand at a time; counts them and those that are refused."""
    for given, intake in rows.parts():
        matrix = features.featurize(intake.batch)
        values = {name: matrix.values[:, at] for at, name in enumerate(matrix.names)}
        part = beside(given, intake, matrix.codes, values)
        written.rows += part.num_rows
        written.refused.update(code for code in part[Column.CODE].to_pylist() if code)
        yield part
    if not written.rows:
        raise InputFileError(f"{rows.path.name} holds no rows", "a header and at least one row below it", "add rows")
