"""From a checked row to records: verdicts, questions, samples with their process, raw files and measurements."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Table, insert, select

from matloop.data.properties.catalogue import property_named
from matloop.data.records import result_codes as codes
from matloop.data.records.cells import Doubt
from matloop.data.records.identifiers import new_id
from matloop.data.records.ledger import as_json
from matloop.data.records.questions import Part
from matloop.data.records.recorded_samples import (
    ValueBeside,
    cells_of_sample,
    doubts_about_sample,
    newest_sample,
    stands,
    value_beside,
)
from matloop.data.records.row_checks import CheckedRow, MeasuredValue, SampleStated
from matloop.data.records.step_checks import CheckedStep
from matloop.data.records.tables import (
    MEASUREMENTS,
    PROCESS_PARAMETERS,
    QUESTIONS,
    RAW_FILES,
    SAMPLES,
    VERDICTS,
)  # fmt: skip
from matloop.data.remarks import Remark

Verdict = Literal["accepted", "held", "refused"]
_MOST_BYTES_OF_RAW = 2_000_000_000


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


class Accepting:
    """Turns checked rows into records, or into questions.

    Args:
        connection: In a transaction that writes.
        action: The action of which this is a part.
        laboratory: Who measured.
        folder: Where the sheet lies, and files of raw data beside it; None if it is not known.
        sheet: Id of the sheet.
        unchanged: Ids of rows of earlier sheets that stand in this one too; None if that is not known.
    """

    def __init__(
        self,
        connection: Connection,
        action: str,
        laboratory: str,
        *,
        folder: Path | None = None,
        sheet: str = "",
        unchanged: Collection[str] | None = None,
    ) -> None:
        self.connection, self.action, self._laboratory, self._folder = connection, action, laboratory, folder
        self._sheet, self._unchanged = sheet, unchanged
        self._judged: dict[Table, list[dict[str, Any]]] = {VERDICTS: [], QUESTIONS: []}

    def take_result(
        self, row_id: str, checked: CheckedRow, *, waived: Collection[tuple[str, str]] = frozenset()
    ) -> Verdict:
        """Judge a row of the table of results that is not blank, and add what it says if it is accepted."""
        if not checked.doubts:
            checked.doubts += self._doubts_beside_records(checked, waived)
        verdict = self.judge(row_id, checked.doubts)
        if verdict == "accepted":
            self._result(row_id, checked)
        return verdict

    def take_step(self, row_id: str, checked: CheckedStep) -> tuple[Verdict, tuple[Doubt, ...]]:
        """Judge a row of the table of process steps that is not blank, and add what it says if it is accepted."""
        doubts, sample = tuple(checked.doubts), ""
        if not doubts:
            sample, doubt = self._sample_named(checked.sample)
            doubts = (doubt,) if doubt else ()
        verdict = self.judge(row_id, doubts)
        if verdict == "accepted":
            self._step(row_id, checked, sample)
        return verdict, doubts

    def add(self, table: Table, **values: Any) -> None:
        """Add a row that names the action."""
        self.connection.execute(insert(table).values(action_id=self.action, **values))

    def judge(self, row_id: str, doubts: Sequence[Doubt]) -> Verdict:
        """Note the verdict on a row, and its questions; :meth:`write_verdicts` writes them."""
        refused = next((doubt for doubt in doubts if doubt.code in codes.FINAL), None)
        verdict: Verdict = "refused" if refused else "held" if doubts else "accepted"
        first = refused or (doubts[0] if doubts else Doubt("", ""))
        named = {"action_id": self.action, "row_id": row_id}
        self._judged[VERDICTS].append(
            {**named, "verdict": verdict, "code": first.code, "detail": first.remark.stored()}
        )  # fmt: skip
        if verdict == "held":
            self._judged[QUESTIONS] += [
                {
                    **named, "id": new_id("question"), "code": doubt.code, "column": doubt.column,
                    "as_written": doubt.as_written, "detail": doubt.remark.stored(),
                }
                for doubt in doubts
            ]  # fmt: skip
        return verdict

    def write_verdicts(self) -> None:
        """Write the verdicts and questions that were noted, all at once."""
        for table, rows in self._judged.items():
            if rows:
                self.connection.execute(insert(table), rows)
                rows.clear()

    def _sample(self, stated: SampleStated, row_id: str) -> str:
        """The sample that a row is about; it is added if it is new, or if the row says more or something else of it."""
        found = newest_sample(self.connection, self._laboratory, stated.candidate_id, stated.name)
        cells = cells_of_sample(found, stated)
        if found is not None and all(getattr(found, key) == cell for key, cell in cells.items()):
            sample = str(found.id)
        else:
            sample = new_id("sample")
            self.add(
                SAMPLES, id=sample, row_id=row_id, candidate_id=stated.candidate_id, formula=stated.formula,
                laboratory=self._laboratory, name=stated.name,
                supersedes=found.id if found is not None else None, **cells,
            )  # fmt: skip
        if stated.data_file:
            self._raw_file(sample, stated.data_file)
        return sample

    def _raw_file(self, sample: str, name: str) -> None:
        """Note the hash of a file of raw data, if it lies in the folder of the sheet."""
        path = (self._folder or Path()) / name
        is_name = Path(name).name == name and name not in (".", "..")
        if self._folder is None or not is_name or path.is_symlink() or not path.is_file():
            return
        if path.stat().st_size > _MOST_BYTES_OF_RAW:
            return
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        same = select(RAW_FILES.c.id).where(RAW_FILES.c.sha256 == sha256, RAW_FILES.c.sample_id == sample)
        if self.connection.execute(same).first() is None:
            size = path.stat().st_size
            self.add(
                RAW_FILES, id=new_id("file"), sample_id=sample, name=name, sha256=sha256, bytes=size, description=""
            )

    def _result(self, row_id: str, checked: CheckedRow) -> None:
        """Add what an accepted row says."""
        assert checked.sample is not None
        sample = self._sample(checked.sample, row_id)
        if (stated := checked.measured) is None:
            return
        beside = self._beside(checked.sample, stated)
        if not beside.adds:
            return
        conditions = as_json(dict(stated.conditions))
        uncertainty = stated.uncertainty if math.isfinite(stated.uncertainty) else None
        self.add(
            MEASUREMENTS, id=new_id("measurement"), row_id=row_id, sample_id=sample, property=stated.property,
            value=stated.value, relation=stated.relation, uncertainty=uncertainty, repeats=stated.repeats,
            unit=property_named(stated.property).unit, method=stated.method, conditions_json=conditions,
            as_written=stated.as_written, supersedes=beside.earlier,
        )  # fmt: skip

    def _beside(self, sample: SampleStated, stated: MeasuredValue) -> ValueBeside:
        return value_beside(
            self.connection, self._laboratory, sample, stated, sheet=self._sheet, unchanged=self._unchanged
        )  # fmt: skip

    def _doubts_beside_records(self, checked: CheckedRow, waived: Collection[tuple[str, str]]) -> list[Doubt]:
        """What a row and the records say differently about one sample."""
        if (sample := checked.sample) is None:
            return []
        doubts = doubts_about_sample(self.connection, self._laboratory, sample)
        if checked.measured is not None and (doubt := self._beside(sample, checked.measured).doubt) is not None:
            doubts.append(doubt)
        return [doubt for doubt in doubts if (doubt.code, doubt.column) not in waived]

    def _step(self, row_id: str, checked: CheckedStep, sample: str) -> None:
        """Add the parameters of an accepted step."""
        for one in checked.parameters or (None,):
            value = one.value if one is not None and math.isfinite(one.value) else None
            self.add(
                PROCESS_PARAMETERS, id=new_id("parameter"), row_id=row_id, sample_id=sample, step=checked.step,
                operation=checked.operation, name=one.name if one else "", value=value, unit=one.unit if one else "",
                as_written=one.as_written if one else "",
            )  # fmt: skip

    def has_sample(self, name: str) -> bool:
        """Whether exactly one accepted sample of the laboratory has that name."""
        return self._sample_named(name)[1] is None

    def _sample_named(self, name: str) -> tuple[str, Doubt | None]:
        """The one sample of that name of the laboratory, or of any where the sheet names none; or a question."""
        named = self.connection.execute(
            select(SAMPLES.c.id, SAMPLES.c.laboratory).where(SAMPLES.c.name == name, stands(SAMPLES))
        ).all()
        own = [row.id for row in named if row.laboratory == self._laboratory]
        found = own if own or self._laboratory else [row.id for row in named]
        if len(found) == 1:
            return str(found[0]), None
        return "", Doubt(codes.SAMPLE, "sample_id", name, Remark("several_samples" if found else "no_sample"))
