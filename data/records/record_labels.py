"""Values that laboratories measured as labels: what the records accept is a training set like any other.

Only accepted rows are values in the records, so that nothing teaches whose questions are open. A correction stands in
place of what it replaces. The provenance is ``exp:LAB``, replicates tell the noise, and a limit teaches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import CampaignError
from matloop.data.own_labels.described_labels import DescribedLabels
from matloop.data.own_labels.label_account import LabelRow, ReadLabels
from matloop.data.own_labels.label_cells import LIMIT, LabelCell
from matloop.data.own_labels.label_conditions import LabelCondition, WrittenConditions, label_conditions
from matloop.data.plain_text import counted
from matloop.data.properties.conditions import CONDITIONS, condition_named
from matloop.data.properties.provenance import laboratory_provenance
from matloop.data.readers.cif import read_cif
from matloop.data.readers.structure_split import Unreadable
from matloop.data.records.contents import newest_action, structures_of, values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.remarks import Remark

IMPURE = "E-LABEL-SAMPLE"
"""The value was measured on a sample that was made only in part."""
FAILED = "E-LABEL-FAILED"
"""The value was measured on a sample that was corrected to one that was not made."""
_LIMITS = {"<": "below", ">": "above"}


class RecordLabels(DescribedLabels):
    """Measured values of a records database.

    Limits teach nothing, and neither do values of samples that were made only in part; the account names them all.
    Values of one material under equal conditions teach by their mean. A material is a crystal where the records hold
    its structure, and a formula elsewhere.

    Args:
        path: An SQLite file, or ``postgresql://USER@HOST/DATABASE``, whose password comes from ``PGPASSWORD``; what
            ``MATLOOP_RECORDS`` says if left out.
        property: Name of the property.
        laboratory: Whose values; those of all laboratories if left out.
        source: Provenance of the values; ``exp:LABORATORY`` if left out, and ``exp`` without a laboratory.
        partly: Whether values of samples that were made only in part teach too.
        licence: Under which the values may be used and passed on.
        citation: What to cite for them.
        conditions: Which of the conditions that the records state teach, such as ``{temperature: {}}``; with ``from``
            or ``to``, and perhaps ``unit``, only rows inside these limits teach. If left out, the conditions that every
            value states teach.
        until: Number of the last action of the records that counts, so that later ones change nothing; all if left out.
    """

    def __init__(
        self, path: str = "", *, property: str, laboratory: str = "", source: str | None = None, partly: bool = False,
        licence: str = "unknown", citation: str = "", conditions: WrittenConditions | None = None,
        until: int | None = None,
    ) -> None:  # fmt: skip
        source = laboratory_provenance(laboratory) if source is None else source
        name = Path(path.rpartition("/")[2] if "://" in path else path or "records")
        super().__init__(
            name, property=property, column="value", unit=None, source=source, licence=licence, citation=citation
        )
        self.laboratory, self.partly, self.until = laboratory, partly, until
        self._place = path if "://" in path or not path else str(Path(path).expanduser())
        self._asked = None if conditions is None else _with_columns(conditions)
        label_conditions(self._asked)
        self._records().close()

    def files(self) -> list[Path]:
        """The file of the records; none where a server holds them."""
        return [] if "://" in self._place or not self._place else [Path(self._place)]

    def stamps(self) -> tuple[Any, ...]:
        """What changes with the labels: the number of the newest action."""
        newest = newest_action(self._records())
        return (self._place, newest if self.until is None else min(newest, self.until))

    def read_rows(self) -> ReadLabels:
        """Read every value that counts now, and the material of each that teaches."""
        database = self._records()
        table = values_table(database, [self.property_name], until=self.until, failed=True)
        values = _values(table, self.laboratory)
        structures = structures_of(database, sorted({one.candidate for one in values}))
        remarks, self.conditions = self._conditions_of(values)
        materials, at = _materials(values, structures)
        rows = [self._row(value, refused=value.candidate not in at) for value in values]
        taught = [at[value.candidate] for value, row in zip(values, rows, strict=True) if not row.code]
        read = self.described(rows, [materials.take(np.array(taught, np.int64))])
        return replace(read, remarks=[*read.remarks, *remarks])

    def _records(self) -> RecordsDatabase:
        return open_records(self._place or None, may_create=False)

    def _conditions_of(self, values: Sequence[_Value]) -> tuple[list[str], tuple[LabelCondition, ...]]:
        """The conditions that teach, and what is to be said of others."""
        if self._asked is not None:
            return [], label_conditions(self._asked)
        stated = {name: sum(name in value.conditions for value in values) for name in CONDITIONS}
        always: dict[str, Mapping[str, str | float]] = {
            name: {} for name, count in stated.items() if values and count == len(values)
        }
        remarks = [
            f"{counted(count, 'value')} of {len(values):,} state the {condition_named(name).label.en}, which is not "
            f"used; write conditions: {{{name}: {{}}}} to learn from these alone"
            for name, count in stated.items()
            if 0 < count < len(values)
        ]
        return remarks, label_conditions(_with_columns(always))

    def _row(self, value: _Value, *, refused: bool) -> LabelRow:
        written = repr(value.value) if value.relation == "~" else f"{value.relation}{value.value!r}".removeprefix("=")
        cell = LabelCell(value.value, value.uncertainty)
        read = [one.read(value.text_of(one.condition.name)) for one in self.conditions]
        code, detail = next(((wrong, why) for _, wrong, why in read if wrong), ("", ""))
        if refused:
            code, detail = "E-FORMULA-SYNTAX", f"the formula {value.formula[:40]} cannot be read"
        elif value.outcome == "failed":
            code, detail = FAILED, "measured on a sample that counts as failed by now"
        elif value.relation in _LIMITS:
            code, detail = LIMIT, f"the value lies {_LIMITS[value.relation]} {value.value:g}: a limit, and not a value"
            cell = LabelCell(float("nan"), float("nan"), LIMIT, Remark("limit", (written,)))
        elif value.outcome == "partly" and not self.partly:
            code, detail = IMPURE, "measured on a sample that was made only in part; write partly: true to use it"
        place = f"{self.path.name} {value.measurement}"
        return LabelRow(
            place, value.formula, written, cell, code, detail, conditions=tuple(found for found, _, _ in read)
        )  # fmt: skip


class _Value(NamedTuple):
    """A measured value in the unit of the property, and the sample that it is of."""

    measurement: str
    candidate: str
    formula: str
    outcome: str
    value: float
    relation: str
    uncertainty: float
    conditions: Mapping[str, float]

    def text_of(self, condition: str) -> str:
        """A condition as the cell of a table has it; empty where the value states none."""
        return repr(self.conditions[condition]) if condition in self.conditions else ""


def _values(table: pa.Table, laboratory: str) -> list[_Value]:
    """The values of a laboratory, or of all of them."""
    columns = {name: CONDITIONS[name].column for name in CONDITIONS if CONDITIONS[name].column in table.column_names}
    return [
        _Value(
            row["measurement_id"], row["candidate_id"], row["formula"], row["outcome"], row["value"], row["relation"],
            float("nan") if row["uncertainty"] is None else row["uncertainty"],
            {name: row[column] for name, column in columns.items() if row[column] is not None},
        )
        for row in table.to_pylist()
        if not laboratory or row["laboratory"] == laboratory
    ]  # fmt: skip


def _with_columns(written: WrittenConditions) -> dict[str, Mapping[str, str | float]]:
    """Conditions with the columns in which the records give them, in the unit in which each is stored."""
    found: dict[str, Mapping[str, str | float]] = {}
    for name, said in written.items():
        if not isinstance(said, Mapping) or "column" in said:
            raise CampaignError(
                f"the condition {name} of records as {said!r}", "'from', 'to' and 'unit', or nothing",
                f"write {name}: {{}}, or {name}: {{from: ..., to: ...}}; the records state its values",
            )  # fmt: skip
        known, unit = condition_named(name), said.get("unit")
        ends = {
            key: known.convert(float(end), str(unit)) if unit is not None and isinstance(end, int | float) else end
            for key, end in said.items()
            if key != "unit"
        }
        found[name] = {"column": known.column, **ends}
    return found


def _materials(values: Sequence[_Value], structures: Mapping[str, str]) -> tuple[CandidateBatch, dict[str, int]]:
    """Materials of values, and the row of each by the id of its candidate; one that cannot be read has no row.

    A material is a crystal where a sound structure is recorded, and a composition elsewhere.
    """
    formulas = {value.candidate: value.formula for value in values}
    cells = {name: cell for name in formulas if (cell := _crystal(structures.get(name, ""))) is not None}
    plain = [name for name in formulas if name not in cells]
    compositions, refused = CandidateBatch.from_formulas([formulas[name] for name in plain], exact=True)
    unread = {row.row for row in refused}
    parts = [*(CandidateBatch.from_crystals(cell) for cell in cells.values()), compositions]
    joined = pa.concat_tables([part.to_arrow() for part in parts], promote_options="permissive")
    names = [*cells, *(name for row, name in enumerate(plain) if row not in unread)]
    return CandidateBatch.from_arrow(joined), {name: row for row, name in enumerate(names)}


def _crystal(cif: str) -> Crystals | None:
    """The crystal in the text of a CIF; None where there is no sound one."""
    if not cif:
        return None
    try:
        cell = read_cif(cif)
    except Unreadable:
        return None
    if not cell.is_ordered:
        return None
    sites = cell.numbers()
    crystal = Crystals(cell.lattice[None], np.array([0, len(sites)]), sites, cell.frac_coords)
    return crystal if not crystal.row_codes()[0] else None
