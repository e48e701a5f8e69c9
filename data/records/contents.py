"""What the records hold now: samples and values of properties, corrections in place of what they replace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import ColumnElement, Select, Table, func, select

from matloop.data.errors import InputFileError
from matloop.data.properties.conditions import CONDITIONS
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import read_json
from matloop.data.records.proposals import withdrawn_candidates
from matloop.data.records.questions import open_questions
from matloop.data.records.tables import (
    ACTIONS,
    CANDIDATES,
    MEASUREMENTS,
    PROCESS_PARAMETERS,
    PROPOSALS,
    REPLACED_STEPS,
    RETRACTIONS,
    SAMPLES,
    VERDICTS,
)
from matloop.data.whole_files import write_csv, write_json, write_table

_VALUES = pa.schema([
    ("measurement_id", pa.string()), ("candidate_id", pa.string()), ("formula", pa.string()), ("sample", pa.string()),
    ("laboratory", pa.string()), ("property", pa.string()), ("value", pa.float64()), ("relation", pa.string()),
    ("uncertainty", pa.float64()), ("repeats", pa.int64()), ("unit", pa.string()), ("method", pa.string()),
    ("as_written", pa.string()), ("imported_at", pa.string()), ("action", pa.int64()), ("outcome", pa.string()),
])  # fmt: skip
_SAMPLES = pa.schema([
    ("sample_id", pa.string()), ("candidate_id", pa.string()), ("formula", pa.string()), ("sample", pa.string()),
    ("laboratory", pa.string()), ("outcome", pa.string()), ("reason", pa.string()), ("batch_mass_g", pa.float64()),
    ("made_on", pa.string()), ("made_by", pa.string()), ("phases_found", pa.string()), ("note", pa.string()),
    ("imported_at", pa.string()), ("action", pa.int64()),
])  # fmt: skip
_STEPS = pa.schema([
    ("sample_id", pa.string()), ("step", pa.int64()), ("operation", pa.string()), ("parameter", pa.string()),
    ("value", pa.float64()), ("unit", pa.string()), ("as_written", pa.string()),
])  # fmt: skip


class Contents(NamedTuple):
    """How much the records hold.

    Attributes:
        actions: Actions so far.
        samples: Samples by outcome.
        values: Values by property, limits included.
        retracted: Values that were retracted.
        of_failed: Values of samples that count as failed by now, which do not count.
        rows: Rows of sheets by their newest verdict.
        open_questions: Questions that nobody has settled.
        proposed: Candidates that were proposed.
        withdrawn: Those of them whose proposals were withdrawn.
    """

    actions: int
    samples: Mapping[str, int]
    values: Mapping[str, int]
    retracted: int
    of_failed: int
    rows: Mapping[str, int]
    open_questions: int
    proposed: int
    withdrawn: int


def contents_of(database: RecordsDatabase) -> Contents:
    """Count what the records hold."""
    newest = select(func.max(VERDICTS.c.number)).group_by(VERDICTS.c.row_id)
    with database.reading() as connection:
        actions = connection.execute(select(func.count()).select_from(ACTIONS)).scalar_one()
        proposed = connection.execute(select(func.count(PROPOSALS.c.candidate_id.distinct()))).scalar_one()
        withdrawn = len(withdrawn_candidates(connection))
        retracted = connection.execute(select(func.count()).select_from(RETRACTIONS)).scalar_one()
        verdicts = connection.execute(select(VERDICTS.c.verdict).where(VERDICTS.c.number.in_(newest))).scalars().all()
    samples = Counter(samples_table(database)["outcome"].to_pylist())
    values = values_table(database, failed=True)
    counted = values.filter(pc.not_equal(values["outcome"], "failed"))
    return Contents(
        actions, samples, Counter(counted["property"].to_pylist()), retracted, values.num_rows - counted.num_rows,
        Counter(verdicts), len(open_questions(database)), proposed, withdrawn,
    )  # fmt: skip


def newest_action(database: RecordsDatabase) -> int:
    """Number of the newest action; 0 where there is none."""
    with database.reading() as connection:
        return int(connection.execute(select(func.coalesce(func.max(ACTIONS.c.number), 0))).scalar_one())


def structures_of(database: RecordsDatabase, candidates: Sequence[str]) -> dict[str, str]:
    """Structures of candidates as CIF, by id, of those that the records have one of."""
    wanted = set(candidates)
    with database.reading() as connection:
        rows = connection.execute(select(CANDIDATES.c.candidate_id, CANDIDATES.c.cif).where(CANDIDATES.c.cif != ""))
        return {name: cif for name, cif in rows if name in wanted}


def values_table(
    database: RecordsDatabase, properties: Sequence[str] = (), *, until: int | None = None, failed: bool = False
) -> pa.Table:
    """Values that count now, in the unit of the catalogue; conditions in the unit of each.

    A value that was superseded or retracted does not count, and one of a sample that counts as failed by now neither.

    Args:
        database: The records.
        properties: Names of the properties wanted; all if empty.
        until: Number of the last action that counts; all if None. So the records can be read as they were.
        failed: Whether values of samples that count as failed are given too.

    Returns:
        One row a value, in the order of import; a column ``condition_NAME`` for each condition that any of them states.
        The outcome is that of the newest record of the sample.
    """
    query = (
        select(
            MEASUREMENTS.c.id, SAMPLES.c.candidate_id, SAMPLES.c.formula, SAMPLES.c.name, SAMPLES.c.laboratory,
            MEASUREMENTS.c.property, MEASUREMENTS.c.value, MEASUREMENTS.c.relation, MEASUREMENTS.c.uncertainty,
            MEASUREMENTS.c.repeats, MEASUREMENTS.c.unit, MEASUREMENTS.c.method, MEASUREMENTS.c.as_written, ACTIONS.c.at,
            ACTIONS.c.number, MEASUREMENTS.c.conditions_json,
        )
        .join(SAMPLES, SAMPLES.c.id == MEASUREMENTS.c.sample_id)
        .join(ACTIONS, ACTIONS.c.id == MEASUREMENTS.c.action_id)
        .where(*_standing_values(until), *_not_after(until))
        .order_by(ACTIONS.c.number, SAMPLES.c.candidate_id, SAMPLES.c.name)
        .order_by(MEASUREMENTS.c.property, MEASUREMENTS.c.value)
    )  # fmt: skip
    if properties:
        query = query.where(MEASUREMENTS.c.property.in_(list(properties)))
    samples = samples_table(database, until=until)
    keys = ("laboratory", "candidate_id", "sample", "outcome")
    outcomes = {
        tuple(key): outcome for *key, outcome in zip(*(samples[name].to_pylist() for name in keys), strict=True)
    }
    with database.reading() as connection:
        found = [(row, outcomes[row.laboratory, row.candidate_id, row.name]) for row in connection.execute(query)]
    rows = [(*row, outcome) for row, outcome in found if failed or outcome != "failed"]
    table = _as_table([(*row[:-2], row[-1]) for row in rows], _VALUES)
    stated: list[dict[str, float]] = [read_json(row[-2], of=f"value {row[0]}") for row in rows]
    for name, condition in CONDITIONS.items():
        if any(name in conditions for conditions in stated):
            column = pa.array([conditions.get(name) for conditions in stated], pa.float64())
            table = table.append_column(condition.column, column)
    return table


def first_values(database: RecordsDatabase, property_name: str) -> dict[str, int]:
    """Number of the action that brought the first value of each candidate, by its id, corrected values among them."""
    query = (
        select(SAMPLES.c.candidate_id, func.min(ACTIONS.c.number))
        .join(MEASUREMENTS, MEASUREMENTS.c.sample_id == SAMPLES.c.id)
        .join(ACTIONS, ACTIONS.c.id == MEASUREMENTS.c.action_id)
        .where(MEASUREMENTS.c.property == property_name)
        .group_by(SAMPLES.c.candidate_id)
    )
    with database.reading() as connection:
        return {name: int(number) for name, number in connection.execute(query)}


def samples_table(database: RecordsDatabase, *, until: int | None = None) -> pa.Table:
    """Samples that no later record supersedes, failures included, in the order of import.

    Args:
        database: The records.
        until: Number of the last action that counts; all if None.
    """
    superseded = _superseded(SAMPLES, until)
    query = (
        select(
            SAMPLES.c.id, SAMPLES.c.candidate_id, SAMPLES.c.formula, SAMPLES.c.name, SAMPLES.c.laboratory,
            SAMPLES.c.outcome, SAMPLES.c.reason, SAMPLES.c.batch_mass, SAMPLES.c.made_on, SAMPLES.c.made_by,
            SAMPLES.c.phases_found, SAMPLES.c.note, ACTIONS.c.at, ACTIONS.c.number,
        )
        .join(ACTIONS, ACTIONS.c.id == SAMPLES.c.action_id)
        .where(SAMPLES.c.id.not_in(superseded), *_not_after(until))
        .order_by(ACTIONS.c.number, SAMPLES.c.candidate_id, SAMPLES.c.name)
    )  # fmt: skip
    with database.reading() as connection:
        return _as_table([tuple(row) for row in connection.execute(query)], _SAMPLES)


def steps_table(database: RecordsDatabase) -> pa.Table:
    """Process parameters that count now in the order of steps, each with the newest record of its sample."""
    query = (
        select(
            PROCESS_PARAMETERS.c.sample_id, PROCESS_PARAMETERS.c.step, PROCESS_PARAMETERS.c.operation,
            PROCESS_PARAMETERS.c.name, PROCESS_PARAMETERS.c.value, PROCESS_PARAMETERS.c.unit,
            PROCESS_PARAMETERS.c.as_written,
        )
        .where(PROCESS_PARAMETERS.c.row_id.not_in(select(REPLACED_STEPS.c.replaced_row_id)))
        .order_by(PROCESS_PARAMETERS.c.sample_id, PROCESS_PARAMETERS.c.step, PROCESS_PARAMETERS.c.name)
    )  # fmt: skip
    with database.reading() as connection:
        corrected = select(SAMPLES.c.supersedes, SAMPLES.c.id).where(SAMPLES.c.supersedes.is_not(None))
        newer = {str(row.supersedes): str(row.id) for row in connection.execute(corrected)}
        rows = [(_newest(row[0], newer), *row[1:]) for row in connection.execute(query)]
    return _as_table(sorted(rows, key=lambda row: row[:2]), _STEPS)


def _newest(record: str, newer: Mapping[str, str]) -> str:
    """The last of the records that supersede each other from a given one on."""
    while record in newer:
        record = newer[record]
    return record


def _not_after(until: int | None) -> list[ColumnElement[bool]]:
    return [] if until is None else [ACTIONS.c.number <= until]


def _standing_values(until: int | None) -> list[ColumnElement[bool]]:
    """That a value is neither superseded nor retracted."""
    retracted = select(RETRACTIONS.c.measurement_id)
    if until is not None:
        retracted = retracted.join(ACTIONS, ACTIONS.c.id == RETRACTIONS.c.action_id).where(*_not_after(until))
    return [MEASUREMENTS.c.id.not_in(_superseded(MEASUREMENTS, until)), MEASUREMENTS.c.id.not_in(retracted)]


def _superseded(table: Table, until: int | None) -> Select[tuple[str]]:
    """Records of a table that another one takes the place of."""
    query = select(table.c.supersedes).where(table.c.supersedes.is_not(None))
    if until is not None:
        query = query.join(ACTIONS, ACTIONS.c.id == table.c.action_id).where(ACTIONS.c.number <= until)
    return query


def export_table(path: Path, table: pa.Table) -> None:
    """Write a table as CSV, Parquet or JSON, by the suffix of the name.

    Raises:
        InputFileError: For another suffix.
    """
    if path.suffix.lower() == ".csv":
        write_csv(path, table.column_names, [list(row.values()) for row in table.to_pylist()])
    elif path.suffix.lower() == ".parquet":
        write_table(path, table)
    elif path.suffix.lower() == ".json":
        write_json(path, table.to_pylist())
    else:
        raise InputFileError(f"an export to {path.name}", "a name that ends in .csv, .parquet, .json or .eln")


def _as_table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
