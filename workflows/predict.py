"""Predict a property of any input with a trained model; rows and columns of the input stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from matloop.data.errors import ROW_CODES
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import using
from matloop.data.properties.columns import Column
from matloop.workflows.modelling.input_rows import InputRows, check_output, write_parts
from matloop.workflows.modelling.trained_model import TrainedModel, read_model

_NO_CONDITIONS: Mapping[str, str] = {}


@dataclass
class WrittenPredictions:
    """What came of predicting an input.

    Attributes:
        path: The file that was written.
        label: The property with its unit.
        rows: Number of rows, which is that of the input.
        outside: Number of predicted rows outside the domain of the model.
        refused: Number of rows without a prediction, by row code.
        notes: What differs between the versions the model was trained with and those here.
    """

    path: Path
    label: str
    rows: int
    outside: int
    refused: Counter[str]
    notes: tuple[str, ...]

    @property
    def all_refused(self) -> bool:
        """Whether no row has a prediction."""
        return self.refused.total() == self.rows

    def lines(self) -> list[str]:
        """What happened, in lines for people."""
        refused = self.refused.total()
        head = f"{self.path}: {self.label} of {counted(self.rows, 'row')}, {refused:,} refused"
        outside = f"  {self.outside:,} of {self.rows - refused:,} outside the domain of the model"
        codes = [f"  {count:,} {code}: {ROW_CODES[code]}" for code, count in self.refused.most_common()]
        return [head, outside, *codes, *(f"  differs from where it was trained: {note}" for note in self.notes)]


def predict(
    model: str | Path | TrainedModel,
    table: str | Path,
    output: str | Path,
    *,
    formula_column: str = "formula",
    id_column: str | None = None,
    at: Mapping[str, str] = _NO_CONDITIONS,
) -> WrittenPredictions:
    """Predict the rows of an input, and write the predictions beside what the input holds.

    The output has the rows and the columns of the input, in their order; then the candidate id, the row code, which is
    empty where nothing went wrong, median, standard deviation and ends of the 90 % interval, the unit, whether the row
    lies in the domain of the model, and the probability of the range that the model was trained for. A model of gaps
    whose labels hold no metal says how probable a gap is at all (``insulator_probability``), and all its numbers count
    that. Memory does not grow with the number of rows.

    A model of labels under conditions predicts each row at the value in a column of the name of the condition, such as
    ``temperature (K)``; without such a column at the value it was trained for. A row whose value is missing or beyond
    the labels has the code E-MODEL-CONDITION. The columns ``condition_NAME`` say what was used.

    Args:
        model: A model, or the folder of one that :func:`matloop.workflows.train.train` wrote.
        table: A table of formulas (``.csv``, ``.xlsx`` or ``.parquet``), an ASE database (``.db``), or a structure
            file, a folder, a pattern or an archive of them.
        output: File to write; its suffix, ``.csv`` or ``.parquet``, says the format.
        formula_column: Column of the table with the formulas.
        id_column: Column of the table with ids, which are then kept as text.
        at: Conditions of all rows, whatever the columns say: ``{"temperature": "500 K"}``.

    Raises:
        RunError: If the folder of the output does not exist, or its suffix names no format.
        InputFileError: If the input cannot be read, or has a column of the name of one that is to be written.
        ModelError: If the model cannot be read or predicts other numbers here than where it was trained.
    """
    output = Path(output).expanduser()
    check_output(output, of="predictions", given=Path(table).expanduser())
    rows = InputRows(table, formula_column=formula_column, id_column=id_column)
    found = model if isinstance(model, TrainedModel) else read_model(model)
    found = found.at(at) if at else found
    written = WrittenPredictions(output, found.known.label, 0, 0, Counter(), found.notes)
    names = [Column.CANDIDATE_ID, Column.CODE, *found.columns]
    rows.check_fit(names, needs_crystals=found.needs_crystals)
    with using(found.catalogue):
        write_parts(output, _parts(found, rows, written), columns=[*rows.columns, *names])
    return written


def _parts(model: TrainedModel, rows: InputRows, written: WrittenPredictions) -> Iterator[pa.Table]:
    """Rows of the input with their predictions, some thousand at a time; counts what becomes of them."""
    for given, intake in rows.parts():
        part = model.predictions_beside(given, intake)
        written.rows += part.num_rows
        written.outside += pc.sum(pc.invert(part[Column.IN_DOMAIN])).as_py() or 0
        written.refused.update(code for code in part[Column.CODE].to_pylist() if code)
        yield part
