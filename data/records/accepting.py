"""From a checked row to records: verdicts, questions, samples with their process, raw files and measurements."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Table, insert

from matloop.data.properties.catalogue import property_named
from matloop.data.records import result_codes as codes
from matloop.data.records.cells import Doubt, DoubtKey
from matloop.data.records.identifiers import new_id
from matloop.data.records.known_samples import KnownSamples, RecordedSample, RecordedStep, RecordedValue, SampleKey
from matloop.data.records.ledger import as_json
from matloop.data.records.questions import Part
from matloop.data.records.raw_files import file_beside
from matloop.data.records.recorded_samples import (
    ValueBeside,
    cells_of_sample,
    doubt_about_candidate,
    doubt_about_emptied,
    doubts_about_sample,
    emptied_values,
    is_same_cell,
    value_beside,
)  # fmt: skip
from matloop.data.records.recorded_steps import step_beside
from matloop.data.records.row_checks import CheckedRow, MeasuredValue, SampleStated
from matloop.data.records.step_checks import CheckedStep
from matloop.data.records.tables import (
    ANSWERS,
    MEASUREMENTS,
    PROCESS_PARAMETERS,
    QUESTIONS,
    RAW_FILES,
    REPLACED_STEPS,
    RETRACTIONS,
    SAMPLES,
    VERDICTS,
)  # fmt: skip
from matloop.data.remarks import Remark
from matloop.data.runs.manifest import sha256_of

Verdict = Literal["accepted", "held", "refused"]
_WRITTEN = (
    SAMPLES, RAW_FILES, MEASUREMENTS, RETRACTIONS, PROCESS_PARAMETERS, REPLACED_STEPS, VERDICTS, QUESTIONS, ANSWERS,
)  # fmt: skip


class RowVerdict(NamedTuple):
    """What became of a row.

    Attributes:
        part: The table in which it stands.
        number: Its number in the file.
        verdict: Accepted, held or refused.
        doubts: Why it is held or refused.
    """

    part: Part
    number: int
    verdict: Verdict
    doubts: tuple[Doubt, ...] = ()


class SheetSource(NamedTuple):
    """Where a row comes from.

    Attributes:
        laboratory: Who measured.
        sheet: Id of the sheet; empty where nothing is compared with values of the same sheet.
        folder: Where the sheet lies, and files of raw data beside it; None if it is not known.
        unchanged: Ids of rows of earlier sheets that stand in this one too; None if that is not known.
    """

    laboratory: str
    sheet: str = ""
    folder: Path | None = None
    unchanged: Collection[str] | None = None

    def sample(self, stated: SampleStated) -> SampleKey:
        """The sample that a row of the sheet is about."""
        return SampleKey(self.laboratory, stated.candidate_id, stated.name)


class Accepting:
    """Turns checked rows into records, or into questions; :meth:`write` writes them, all at once.

    Args:
        connection: In a transaction that writes.
        action: The action of which this is a part.
        samples: What was read of the records already, if anything.

    Attributes:
        samples: What the records hold of samples, with what was accepted here.
    """

    def __init__(self, connection: Connection, action: str, samples: KnownSamples | None = None) -> None:
        self.connection, self.action = connection, action
        self.samples = samples or KnownSamples(connection)
        self._told: set[str] = set()  # values of the records that a row says again, or another of
        self._added: dict[Table, list[dict[str, Any]]] = {table: [] for table in _WRITTEN}

    def take_result(
        self,
        row_id: str,
        checked: CheckedRow,
        source: SheetSource,
        *,
        waived: Collection[DoubtKey] = frozenset(),
        emptied: Collection[str] = (),
    ) -> Verdict:
        """Judge a row of the table of results that is not blank, and add what it says if it is accepted.

        Args:
            row_id: Its id.
            checked: The row.
            source: Where it comes from.
            waived: Keys of the doubts that were answered with 'as written'.
            emptied: Ids of values that an answer confirmed to be empty now, which are retracted.
        """
        if not checked.doubts:
            checked.doubts += self._doubts_beside_records(checked, source, waived)
        verdict = self.judge(row_id, checked.doubts)
        if verdict == "accepted":
            self._result(row_id, checked, source)
            self._retract(checked, source, emptied)
        return verdict

    def note_standing(self, checked: CheckedRow, source: SheetSource) -> None:
        """Note that a row which the records hold already stands in the sheet too, with its value."""
        if checked.sample is not None and checked.measured is not None:
            self._beside(checked.sample, checked.measured, source)

    def take_file(self, checked: CheckedRow, source: SheetSource) -> None:
        """Note the file of raw data of a row whose sample was accepted earlier."""
        if checked.sample is not None and (sample := self.samples.newest(source.sample(checked.sample))) is not None:
            self._raw_file(sample, checked.sample.data_file, source.folder)

    def may_be_emptied(self, checked: CheckedRow, source: SheetSource) -> bool:
        """Whether a row has no value while its sample has one, so that the other rows are to be judged before it."""
        if checked.sample is None or checked.measured is not None:
            return False
        return bool(self.samples.values(source.sample(checked.sample)))

    def take_step(
        self,
        row_id: str,
        checked: CheckedStep,
        source: SheetSource,
        *,
        waived: Collection[DoubtKey] = frozenset(),
    ) -> tuple[Verdict, tuple[Doubt, ...]]:
        """Judge a row of the table of process steps that is not blank, and add what it says if it is accepted."""
        doubts = tuple(checked.doubts)
        sample = None if doubts else self._sample_named(checked.sample, source.laboratory)
        if isinstance(sample, Doubt):
            doubts = (sample,)
        if doubts or not isinstance(sample, RecordedSample):
            return self.judge(row_id, doubts), doubts
        recorded = self.samples.steps(sample.key, checked.step)
        beside = step_beside(recorded, checked, sheet=source.sheet, unchanged=source.unchanged)
        doubts = tuple(doubt for doubt in beside.doubts if doubt.key not in waived)
        verdict = self.judge(row_id, doubts)
        if verdict == "accepted" and beside.adds:
            step = RecordedStep(row_id, source.sheet, checked.step, checked.operation, checked.parameters)
            self._step(step, sample, beside.replaces)
        return verdict, doubts

    def settle(self, question: str) -> None:
        """Answer a question about a name that has a sample now: it is right as written."""
        self._add(ANSWERS, question_id=question, answer="as written", instead="")

    def judge(self, row_id: str, doubts: Sequence[Doubt]) -> Verdict:
        """Note the verdict on a row, and its questions."""
        refused = next((doubt for doubt in doubts if doubt.code in codes.FINAL), None)
        verdict: Verdict = "refused" if refused else "held" if doubts else "accepted"
        first = refused or (doubts[0] if doubts else Doubt("", ""))
        self._add(VERDICTS, row_id=row_id, verdict=verdict, code=first.code, detail=first.remark.stored())
        if verdict == "held":
            for doubt in doubts:
                self._add(
                    QUESTIONS, row_id=row_id, id=new_id("question"), code=doubt.code, column=doubt.column,
                    as_written=doubt.as_written, detail=doubt.remark.stored(),
                )  # fmt: skip
        return verdict

    def write(self) -> None:
        """Write what was added, table by table, so that a record stands before those that refer to it."""
        for table, rows in self._added.items():
            if rows:
                self.connection.execute(insert(table), rows)
                rows.clear()

    def _add(self, table: Table, **values: Any) -> None:
        self._added[table].append({"action_id": self.action, **values})

    def _sample(self, stated: SampleStated, row_id: str, source: SheetSource) -> str:
        """The sample that a row is about; it is added if it is new, or if the row says more or something else of it."""
        key = source.sample(stated)
        found = self.samples.newest(key)
        cells = cells_of_sample(found, stated)
        if found is not None and all(is_same_cell(getattr(found, name), cell) for name, cell in cells.items()):
            sample = found
        else:
            sample = RecordedSample(new_id("sample"), *key, **cells, row_id=row_id)
            self.samples.add_sample(sample)
            self._add(
                SAMPLES, **sample._asdict(), formula=stated.formula, supersedes=found.id if found is not None else None
            )
        if stated.data_file:
            self._raw_file(sample, stated.data_file, source.folder)
        return sample.id

    def _raw_file(self, sample: RecordedSample, name: str, folder: Path | None) -> None:
        """Note the hash of a file of raw data, if it lies in the folder of the sheet."""
        if (path := file_beside(folder, name)) is None:
            return
        sha256 = sha256_of(path)
        if not self.samples.has_file(sample.key, sha256):
            self.samples.add_file(sample.key, sha256, name)
            size = path.stat().st_size
            self._add(
                RAW_FILES, id=new_id("file"), sample_id=sample.id, name=name, sha256=sha256, bytes=size, description=""
            )

    def _result(self, row_id: str, checked: CheckedRow, source: SheetSource) -> None:
        """Add what an accepted row says."""
        assert checked.sample is not None
        sample = self._sample(checked.sample, row_id, source)
        if (stated := checked.measured) is None:
            return
        beside = self._beside(checked.sample, stated, source)
        if not beside.adds:
            return
        uncertainty = stated.uncertainty if math.isfinite(stated.uncertainty) else None
        value = RecordedValue(
            new_id("measurement"), row_id, source.sheet, stated.property, stated.value, stated.relation, uncertainty,
            stated.repeats, stated.method, dict(stated.conditions), checked.written.cells,
        )  # fmt: skip
        self.samples.add_value(source.sample(checked.sample), value, supersedes=beside.earlier)
        self._add(
            MEASUREMENTS, id=value.id, row_id=row_id, sample_id=sample, property=value.property, value=value.value,
            relation=value.relation, uncertainty=uncertainty, repeats=value.repeats,
            unit=property_named(value.property).unit, method=value.method, conditions_json=as_json(value.conditions),
            as_written=stated.as_written, supersedes=beside.earlier,
        )  # fmt: skip

    def _beside(self, sample: SampleStated, stated: MeasuredValue, source: SheetSource) -> ValueBeside:
        key = source.sample(sample)
        found = value_beside(self.samples, key, stated, sheet=source.sheet, unchanged=source.unchanged)
        if found.earlier is not None:
            self._told.add(found.earlier)
        return found

    def _doubts_beside_records(
        self, checked: CheckedRow, source: SheetSource, waived: Collection[DoubtKey]
    ) -> list[Doubt]:
        """What a row and the records say differently about one sample."""
        if (sample := checked.sample) is None:
            return []
        key = source.sample(sample)
        doubts = doubts_about_sample(self.samples, key, sample)
        if checked.measured is not None and (doubt := self._beside(sample, checked.measured, source).doubt) is not None:
            doubts.append(doubt)
        if checked.measured is not None:
            doubts += doubt_about_candidate(
                self.samples, key, checked.measured, sheet=source.sheet, unchanged=source.unchanged
            )
        doubts += doubt_about_emptied(
            emptied_values(self.samples, key, checked, sheet=source.sheet, told=self._told)
        )  # fmt: skip
        return [doubt for doubt in doubts if doubt.key not in waived]

    def _retract(self, checked: CheckedRow, source: SheetSource, values: Collection[str]) -> None:
        """Retract those of some values of a sample that still count."""
        assert checked.sample is not None
        key = source.sample(checked.sample)
        standing = {one.id for one in self.samples.values(key) if not one.retracted}
        for value in standing.intersection(values):
            self.samples.retract(key, value)
            self._add(RETRACTIONS, measurement_id=value)

    def _step(self, step: RecordedStep, sample: RecordedSample, replaces: str | None) -> None:
        """Add the parameters of an accepted step, in the place of those of the row that it replaces."""
        for one in step.parameters or (None,):
            value = one.value if one is not None and math.isfinite(one.value) else None
            self._add(
                PROCESS_PARAMETERS, id=new_id("parameter"), row_id=step.row_id, sample_id=sample.id, step=step.step,
                operation=step.operation, name=one.name if one else "", value=value, unit=one.unit if one else "",
                as_written=one.as_written if one else "",
            )  # fmt: skip
        if replaces is not None:
            self._add(REPLACED_STEPS, replaced_row_id=replaces, row_id=step.row_id)
        self.samples.add_step(sample.key, step, replaces=replaces)

    def has_sample(self, name: str, laboratory: str) -> bool:
        """Whether exactly one accepted sample of the laboratory has that name."""
        return isinstance(self._sample_named(name, laboratory), RecordedSample)

    def _sample_named(self, name: str, laboratory: str) -> RecordedSample | Doubt:
        """The one sample of that name of the laboratory, or of any where the sheet names none; or a question."""
        named = self.samples.named(name)
        own = [one for one in named if one.laboratory == laboratory]
        found = own if own or laboratory else named
        if len(found) == 1:
            return found[0]
        return Doubt(codes.SAMPLE, "sample_id", name, Remark("several_samples" if found else "no_sample"))
