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
from matloop.data.records.result_sheet import RESULTS
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
_OUTCOMES = next(column.choices for column in RESULTS if column.key == "outcome")


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
    """

    def __init__(self, connection: Connection, action: str, laboratory: str, folder: Path | None) -> None:
        self.connection, self.action, self._laboratory, self._folder = connection, action, laboratory, folder

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
        """Write the verdict on a row, and its questions."""
        refused = next((doubt for doubt in doubts if doubt.code in codes.FINAL), None)
        verdict: Verdict = "refused" if refused else "held" if doubts else "accepted"
        first = refused or (doubts[0] if doubts else Doubt("", ""))
        self.add(VERDICTS, row_id=row_id, verdict=verdict, code=first.code, detail=first.remark.stored())
        if verdict == "held":
            for doubt in doubts:
                self.add(
                    QUESTIONS, id=new_id("question"), row_id=row_id, code=doubt.code, column=doubt.column,
                    as_written=doubt.as_written, detail=doubt.remark.stored(),
                )  # fmt: skip
        return verdict

    def _sample(self, stated: SampleStated, row_id: str) -> str:
        """The sample that a row is about; it is added if it is new, or if its outcome replaces an earlier one."""
        found = newest_sample(self.connection, stated.candidate_id, stated.name)
        if found is not None and found.outcome == stated.outcome:
            sample = str(found.id)
        else:
            sample = new_id("sample")
            mass = stated.batch_mass if math.isfinite(stated.batch_mass) else None
            self.add(
                SAMPLES, id=sample, row_id=row_id, candidate_id=stated.candidate_id, formula=stated.formula,
                laboratory=self._laboratory, name=stated.name, outcome=stated.outcome, reason=stated.reason,
                batch_mass=mass, made_on=stated.made_on, made_by=stated.made_by, phases_found=stated.phases_found,
                note=stated.note, supersedes=found.id if found is not None else None,
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
        earlier = self._earlier(checked.sample, stated)
        conditions = as_json(dict(stated.conditions))
        uncertainty = stated.uncertainty if math.isfinite(stated.uncertainty) else None
        self.add(
            MEASUREMENTS, id=new_id("measurement"), row_id=row_id, sample_id=sample, property=stated.property,
            value=stated.value, relation=stated.relation, uncertainty=uncertainty, repeats=stated.repeats,
            unit=property_named(stated.property).unit, method=stated.method, conditions_json=conditions,
            as_written=stated.as_written, supersedes=earlier.id if earlier is not None else None,
        )  # fmt: skip

    def _earlier(self, sample: SampleStated, stated: MeasuredValue) -> Any:
        """The newest value of the property of a sample by the same method under the same conditions, or None."""
        superseded = select(MEASUREMENTS.c.supersedes).where(MEASUREMENTS.c.supersedes.is_not(None))
        conditions = as_json(dict(stated.conditions))
        found = self.connection.execute(
            select(MEASUREMENTS.c.id, MEASUREMENTS.c.value, MEASUREMENTS.c.relation)
            .join(SAMPLES, SAMPLES.c.id == MEASUREMENTS.c.sample_id)
            .where(
                SAMPLES.c.candidate_id == sample.candidate_id, SAMPLES.c.name == sample.name,
                MEASUREMENTS.c.property == stated.property, MEASUREMENTS.c.method == stated.method,
                MEASUREMENTS.c.conditions_json == conditions, MEASUREMENTS.c.id.not_in(superseded),
            )
        )  # fmt: skip
        return found.first()

    def _doubts_beside_records(self, checked: CheckedRow, waived: Collection[tuple[str, str]]) -> list[Doubt]:
        """What a row and the records say differently about one sample."""
        doubts: list[Doubt] = []
        if (sample := checked.sample) is None:
            return doubts
        found = newest_sample(self.connection, sample.candidate_id, sample.name)
        if found is not None and sample.outcome and found.outcome != sample.outcome:
            doubts.append(
                Doubt(codes.CONFLICT, "outcome", sample.outcome, Remark("records_say", (_OUTCOMES[found.outcome],)))
            )
        if checked.measured is not None and (value := self._earlier(sample, checked.measured)) is not None:
            same = value.value == checked.measured.value and value.relation == checked.measured.relation
            code = codes.REPEAT if same else codes.CONFLICT
            said = Remark("records_say", (f"{value.value:.6g} {property_named(checked.measured.property).unit}",))
            doubts.append(Doubt(code, "value", checked.measured.as_written, said))
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
        """Whether exactly one accepted sample has that name."""
        return self._sample_named(name)[1] is None

    def _sample_named(self, name: str) -> tuple[str, Doubt | None]:
        """The one sample of that name, or a question."""
        superseded = select(SAMPLES.c.supersedes).where(SAMPLES.c.supersedes.is_not(None))
        found = self.connection.execute(
            select(SAMPLES.c.id).where(SAMPLES.c.name == name, SAMPLES.c.id.not_in(superseded))
        ).scalars().all()  # fmt: skip
        if len(found) == 1:
            return str(found[0]), None
        return "", Doubt(codes.SAMPLE, "sample_id", name, Remark("several_samples" if found else "no_sample"))


def newest_sample(connection: Connection, candidate_id: str, name: str) -> Any:
    """The record of a sample that no other supersedes, or None."""
    superseded = select(SAMPLES.c.supersedes).where(SAMPLES.c.supersedes.is_not(None))
    return connection.execute(
        select(SAMPLES.c.id, SAMPLES.c.outcome).where(
            SAMPLES.c.candidate_id == candidate_id, SAMPLES.c.name == name, SAMPLES.c.id.not_in(superseded)
        )
    ).first()
