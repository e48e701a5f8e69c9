"""Take result sheets in: each row gets a verdict, and what is accepted becomes records.

All of a sheet is taken in by one transaction. A row whose content is known already adds nothing, so that a sheet may be
sent again, also after it was continued. A held row becomes records when all its questions are settled
(:mod:`matloop.data.records.answering`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, insert, select

from matloop.data.plain_text import one_line
from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict, Verdict
from matloop.data.records.cells import Doubt
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.identifiers import new_id
from matloop.data.records.ledger import KnownCandidate, add_action, add_candidates, as_json, candidates_in
from matloop.data.records.proposals import withdrawn_candidates
from matloop.data.records.questions import Part
from matloop.data.records.row_checks import CheckedRow, check_row, jumps
from matloop.data.records.sheet_files import SheetFile, WrittenRow, read_sheet_file
from matloop.data.records.step_checks import CheckedStep, check_step
from matloop.data.records.tables import SHEET_ROWS, SHEETS
from matloop.data.records.waiting_steps import take_waiting_steps

C = TypeVar("C", CheckedRow, CheckedStep)
_KEYS_AT_ONCE = 500  # databases limit how many values one question may hold


class _NewRow(NamedTuple, Generic[C]):
    row: WrittenRow
    key: str
    checked: C


@dataclass
class ImportReport:
    """What became of a sheet.

    Attributes:
        sheet: The file as it was read.
        rows: Verdict on each row that is new.
        known: Rows that were in the records already.
        blank: Rows that the laboratory left empty.
        waited: Process steps of earlier sheets that were accepted now that their sample is.
        withdrawn: Candidates of new rows whose proposal had been withdrawn; their results count like any other.
    """

    sheet: SheetFile
    rows: list[RowVerdict] = field(default_factory=list)
    known: int = 0
    blank: int = 0
    waited: int = 0
    withdrawn: tuple[str, ...] = ()

    def count(self, verdict: Verdict) -> int:
        """Number of new rows with a verdict."""
        return sum(row.verdict == verdict for row in self.rows)


def import_sheet(
    database: RecordsDatabase,
    path: Path,
    *,
    candidates: Mapping[str, KnownCandidate] | None = None,
    laboratory: str = "",
    by: str = "",
) -> ImportReport:
    """Take in a result sheet.

    Args:
        database: The records.
        path: The sheet; raw data files that it names are looked for in its folder.
        candidates: Candidates that were screened, by id, beside those that the records know.
        laboratory: Who measured.
        by: Who imports; the user of the system if empty.

    Raises:
        InputFileError: If the file is no result sheet.
        RecordsConnectionError: If the database is out of reach; nothing was written.
    """
    sheet = read_sheet_file(path)

    def work(connection: Connection) -> ImportReport:
        return _Import(connection, sheet, path.parent, candidates or {}, one_line(laboratory)[:100], by).run()

    return database.write(work)


class _Import:
    """One import of one sheet."""

    def __init__(
        self,
        connection: Connection,
        sheet: SheetFile,
        folder: Path,
        screened: Mapping[str, KnownCandidate],
        laboratory: str,
        by: str,
    ) -> None:
        self._connection, self._sheet, self._by = connection, sheet, by
        self._laboratory, self._folder, self._screened = laboratory, folder, screened
        self._candidates = {**screened, **candidates_in(connection)}
        self._report = ImportReport(sheet)

    def run(self) -> ImportReport:
        """Take the rows in; nothing is written where none is new."""
        results = self._new_rows("results", self._sheet.results, check_row_of(self._candidates))
        steps = self._new_rows("steps", self._sheet.steps, check_step)
        if not results and not steps:
            return self._report
        details = {"sheet": self._sheet.name, "laboratory": self._laboratory}
        action = add_action(self._connection, "import", by=self._by, details=details)
        sheet = self._add_sheet(action)
        named = {new.row.cells.get("candidate_id", "") for new in results}
        self._report.withdrawn = tuple(sorted(named & withdrawn_candidates(self._connection)))
        add_candidates(self._connection, action, {name: one for name, one in self._screened.items() if name in named})
        accepting = Accepting(self._connection, action, self._laboratory, self._folder)
        expected = {
            (name, key): value for name, one in self._candidates.items() for key, value in one.predictions.items()
        }  # fmt: skip
        odd = jumps([new.checked for new in results], expected)
        for at, (row, key, checked) in enumerate(results):
            if at in odd:
                checked.doubts.append(Doubt(codes.JUMP, "value", row.cells.get("value", ""), odd[at]))
            verdict = accepting.take_result(self._add_row(sheet, "results", row, key), checked)
            self._report.rows.append(RowVerdict("results", row.number, verdict, tuple(checked.doubts)))
        for row, key, step in steps:
            verdict, doubts = accepting.take_step(self._add_row(sheet, "steps", row, key), step)
            self._report.rows.append(RowVerdict("steps", row.number, verdict, doubts))
        self._report.waited = len(take_waiting_steps(self._connection, action))
        return self._report

    def _new_rows(
        self, part: Part, rows: Sequence[WrittenRow], check: Callable[[WrittenRow], C]
    ) -> list[_NewRow[C]]:  # fmt: skip
        """Check the rows that are not blank and whose content the records do not hold."""
        seen: Counter[str] = Counter()
        keyed: list[_NewRow[C]] = []
        for row in rows:
            checked = check(row)
            if checked.is_blank:
                self._report.blank += 1
                continue
            content = json.dumps([part, sorted(row.cells.items()), row.fault])
            if seen[content]:
                checked.doubts.append(Doubt(codes.REPEAT, ""))
            keyed.append(_NewRow(row, hashlib.sha256(f"{seen[content]} {content}".encode()).hexdigest(), checked))
            seen[content] += 1
        known = self._known_keys([new.key for new in keyed])
        self._report.known += len(known)
        return [new for new in keyed if new.key not in known]

    def _known_keys(self, keys: Sequence[str]) -> set[str]:
        known: set[str] = set()
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = SHEET_ROWS.c.content_key.in_(keys[start : start + _KEYS_AT_ONCE])
            known |= set(self._connection.execute(select(SHEET_ROWS.c.content_key).where(some)).scalars())
        return known

    def _add_sheet(self, action: str) -> str:
        sheet, rows = new_id("sheet"), len(self._sheet.results) + len(self._sheet.steps)
        self._connection.execute(
            insert(SHEETS).values(
                id=sheet, action_id=action, name=self._sheet.name, sha256=self._sheet.sha256,
                encoding=self._sheet.encoding, rows=rows,
            )
        )  # fmt: skip
        return sheet

    def _add_row(self, sheet: str, part: Part, row: WrittenRow, key: str) -> str:
        row_id = new_id("row")
        self._connection.execute(
            insert(SHEET_ROWS).values(
                id=row_id, sheet_id=sheet, number=row.number, part=part, content_key=key, cells_json=as_json(row.cells),
                fault=row.fault,
            )
        )  # fmt: skip
        return row_id


def check_row_of(candidates: Mapping[str, KnownCandidate]) -> Callable[[WrittenRow], CheckedRow]:
    """The check of rows of the table of results, with the formulas of known candidates."""
    formulas = {name: one.formula for name, one in candidates.items()}
    return lambda row: check_row(row, formulas)
