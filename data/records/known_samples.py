"""Samples that rows of a sheet are about, with their values, process steps and files, as the records hold them.

They are read at once for all names of a sheet, because a question to the database for each row makes the import of a
large one take minutes. What rows add is known here from then on, before it is written.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, exists, select

from matloop.data.records.ledger import read_json
from matloop.data.records.step_checks import StepParameter
from matloop.data.records.tables import (
    ACTIONS,
    MEASUREMENTS,
    PROCESS_PARAMETERS,
    RAW_FILES,
    REPLACED_STEPS,
    RETRACTIONS,
    SAMPLES,
    SHEET_ROWS,
)

_KEYS_AT_ONCE = 500  # databases limit how many values one statement may hold


@functools.cache
def stands(table: Table) -> ColumnElement[bool]:
    """Whether no other record of a table supersedes one."""
    newer = table.alias()
    return ~exists().where(newer.c.supersedes == table.c.id)


def rows_with(
    connection: Connection, query: Select[Any], column: Column[Any], keys: Collection[str]
) -> Iterator[Any]:  # fmt: skip
    """Rows of a query that have one of many keys in a column, by as few statements as databases allow."""
    listed = sorted(set(keys))
    for start in range(0, len(listed), _KEYS_AT_ONCE):
        yield from connection.execute(query.where(column.in_(listed[start : start + _KEYS_AT_ONCE])))


class RecordedSample(NamedTuple):
    """The newest record of a sample; its fields are columns of the table."""

    id: str
    laboratory: str
    candidate_id: str
    name: str
    outcome: str
    reason: str
    batch_mass: float | None
    made_on: str
    made_by: str
    phases_found: str
    note: str
    row_id: str  # that brought the record

    @property
    def key(self) -> SampleKey:
        """Which sample it is a record of."""
        return SampleKey(self.laboratory, self.candidate_id, self.name)


class SampleKey(NamedTuple):
    """A sample: whoever corrects it writes another record of the same."""

    laboratory: str
    candidate_id: str
    name: str


class RecordedValue(NamedTuple):
    """A value of a sample that no other supersedes.

    Attributes:
        id: Its permanent identifier.
        row_id: The row that brought it.
        sheet_id: The sheet of that row.
        property: Its property.
        value: In the unit of the catalogue.
        relation: As :class:`~matloop.data.records.row_checks.MeasuredValue` has it.
        uncertainty: One standard deviation; None if it was not stated.
        repeats: Measurements behind it.
        method: How it was measured.
        conditions: Value by name.
        cells: The row as it was written.
        retracted: Whether it was taken back.
    """

    id: str
    row_id: str
    sheet_id: str
    property: str
    value: float
    relation: str
    uncertainty: float | None
    repeats: int
    method: str
    conditions: Mapping[str, float]
    cells: Mapping[str, str]
    retracted: bool = False


class RecordedStep(NamedTuple):
    """A process step of a sample whose place no other took.

    Attributes:
        row_id: The row that brought it.
        sheet_id: The sheet of that row.
        step: Its number.
        operation: Key of the operation.
        parameters: Its parameters.
    """

    row_id: str
    sheet_id: str
    step: int
    operation: str
    parameters: tuple[StepParameter, ...]


class KnownSamples:
    """Samples by name; those of a name that was not read yet are read when they are asked for.

    Args:
        connection: In a transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._read: set[str] = set()
        self._samples: dict[str, dict[SampleKey, RecordedSample]] = defaultdict(dict)
        self._values: dict[SampleKey, dict[str, RecordedValue]] = defaultdict(dict)
        self._steps: dict[SampleKey, dict[str, RecordedStep]] = defaultdict(dict)
        self._files: dict[SampleKey, dict[str, str]] = defaultdict(dict)  # name by sha256

    def read(self, names: Collection[str]) -> None:
        """Read all samples of some names."""
        new = set(names) - self._read
        self._read |= new
        fields = [SAMPLES.c[name] for name in RecordedSample._fields]
        for row in rows_with(self._connection, select(*fields).where(stands(SAMPLES)), SAMPLES.c.name, new):
            self._note_sample(RecordedSample(*row))
        for key, value in self._values_of(new):
            self._values[key][value.id] = value
        for key, step in self._steps_of(new):
            self._steps[key][step.row_id] = step
        of_sample = (SAMPLES.c[name] for name in SampleKey._fields)
        files = select(RAW_FILES.c.sha256, RAW_FILES.c.name.label("file"), *of_sample)
        files = files.join(SAMPLES, SAMPLES.c.id == RAW_FILES.c.sample_id)
        for sha256, file, *key in rows_with(self._connection, files, SAMPLES.c.name, new):
            self._files[SampleKey(*key)][sha256] = file

    def _values_of(self, names: Collection[str]) -> list[tuple[SampleKey, RecordedValue]]:
        """Values that no other supersedes, in the order of import."""
        query = (
            select(
                *(SAMPLES.c[name] for name in SampleKey._fields), MEASUREMENTS, SHEET_ROWS.c.sheet_id,
                RETRACTIONS.c.number.label("retraction"), ACTIONS.c.number.label("action"), SHEET_ROWS.c.number,
                SHEET_ROWS.c.cells_json,
            )
            .join(MEASUREMENTS, MEASUREMENTS.c.sample_id == SAMPLES.c.id)
            .join(SHEET_ROWS, SHEET_ROWS.c.id == MEASUREMENTS.c.row_id)
            .join(ACTIONS, ACTIONS.c.id == MEASUREMENTS.c.action_id)
            .outerjoin(RETRACTIONS, RETRACTIONS.c.measurement_id == MEASUREMENTS.c.id)
            .where(stands(MEASUREMENTS))
        )  # fmt: skip
        rows = rows_with(self._connection, query, SAMPLES.c.name, names)
        return [
            (
                SampleKey(row.laboratory, row.candidate_id, row.name),
                RecordedValue(
                    row.id, row.row_id, row.sheet_id, row.property, row.value, row.relation, row.uncertainty,
                    row.repeats, row.method, read_json(row.conditions_json, of=f"value {row.id}"),
                    read_json(row.cells_json, of=f"row {row.row_id}"), row.retraction is not None,
                ),
            )
            for row in sorted(rows, key=lambda row: (row.action, row.number))
        ]  # fmt: skip

    def _steps_of(self, names: Collection[str]) -> list[tuple[SampleKey, RecordedStep]]:
        """Process steps whose place no other took."""
        query = (
            select(
                *(SAMPLES.c[name] for name in SampleKey._fields), SHEET_ROWS.c.sheet_id, PROCESS_PARAMETERS.c.row_id,
                PROCESS_PARAMETERS.c.step, PROCESS_PARAMETERS.c.operation, PROCESS_PARAMETERS.c.name.label("parameter"),
                PROCESS_PARAMETERS.c.value, PROCESS_PARAMETERS.c.unit, PROCESS_PARAMETERS.c.as_written,
            )
            .join(PROCESS_PARAMETERS, PROCESS_PARAMETERS.c.sample_id == SAMPLES.c.id)
            .join(SHEET_ROWS, SHEET_ROWS.c.id == PROCESS_PARAMETERS.c.row_id)
            .where(PROCESS_PARAMETERS.c.row_id.not_in(select(REPLACED_STEPS.c.replaced_row_id)))
        )  # fmt: skip
        rows = defaultdict[str, list[Any]](list)
        for row in rows_with(self._connection, query, SAMPLES.c.name, names):
            rows[row.row_id].append(row)
        return [
            (
                SampleKey(first.laboratory, first.candidate_id, first.name),
                RecordedStep(first.row_id, first.sheet_id, first.step, first.operation, _parameters(listed)),
            )
            for listed in rows.values()
            for first in listed[:1]
        ]

    def named(self, name: str) -> Sequence[RecordedSample]:
        """Samples of a name, of all candidates and laboratories."""
        self._read_one(name)
        return list(self._samples[name].values())

    def newest(self, key: SampleKey) -> RecordedSample | None:
        """The newest record of a sample; None where there is none."""
        self._read_one(key.name)
        return self._samples[key.name].get(key)

    def values(self, key: SampleKey, property_name: str = "") -> Sequence[RecordedValue]:
        """Values of a property of a sample, or of all, the retracted among them, in the order of import."""
        self._read_one(key.name)
        return [value for value in self._values[key].values() if property_name in ("", value.property)]

    def steps(self, key: SampleKey, number: int) -> Sequence[RecordedStep]:
        """Process steps of a sample that have a number; more than one where a sheet has several such rows."""
        self._read_one(key.name)
        return [step for step in self._steps[key].values() if step.step == number]

    def has_file(self, key: SampleKey, sha256: str) -> bool:
        """Whether a record of a sample has a file of that hash."""
        self._read_one(key.name)
        return sha256 in self._files[key]

    def add_sample(self, sample: RecordedSample) -> None:
        """Know a new sample, or a newer record of one."""
        self._read_one(sample.name)
        self._note_sample(sample)

    def add_value(self, key: SampleKey, value: RecordedValue, *, supersedes: str | None = None) -> None:
        """Know another value of a sample, in the place of the one that it supersedes."""
        self._read_one(key.name)
        if supersedes is not None:
            del self._values[key][supersedes]
        self._values[key][value.id] = value

    def retract(self, key: SampleKey, value: str) -> None:
        """Know that a value of a sample, by its id, was taken back."""
        self._values[key][value] = self._values[key][value]._replace(retracted=True)

    def add_step(self, key: SampleKey, step: RecordedStep, *, replaces: str | None = None) -> None:
        """Know another process step of a sample, in the place of that of the row which it replaces."""
        self._read_one(key.name)
        if replaces is not None:
            del self._steps[key][replaces]
        self._steps[key][step.row_id] = step

    def has_file_named(self, key: SampleKey, name: str) -> bool:
        """Whether a record of a sample has a file of that name."""
        self._read_one(key.name)
        return name in self._files[key].values()

    def add_file(self, key: SampleKey, sha256: str, name: str) -> None:
        """Know another file of raw data of a sample."""
        self._read_one(key.name)
        self._files[key][sha256] = name

    def _note_sample(self, sample: RecordedSample) -> None:
        self._samples[sample.name][sample.key] = sample

    def _read_one(self, name: str) -> None:
        if name not in self._read:
            self.read([name])


def _parameters(rows: Sequence[Any]) -> tuple[StepParameter, ...]:
    """Parameters of a step from its rows; a step without any has one row that names none."""
    return tuple(
        StepParameter(row.parameter, math.nan if row.value is None else row.value, row.unit, row.as_written)
        for row in rows
        if row.parameter
    )
