"""Take result sheets in: each row gets a verdict, and what is accepted becomes records.

All of a sheet is taken in by one transaction. A row whose content is known already adds nothing, so that a sheet may be
sent again, also after it was continued. A held row becomes records when all its questions are settled
(:mod:`matloop.data.records.answering`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, insert, select

from matloop.data.errors import InputFileError
from matloop.data.plain_text import counted
from matloop.data.properties.catalogue import using
from matloop.data.records import result_codes as codes
from matloop.data.records.accepting import Accepting, RowVerdict, SheetSource, Verdict
from matloop.data.records.answered_rows import accepted_rows
from matloop.data.records.cells import Doubt
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.identifiers import new_id
from matloop.data.records.judging_again import judge_rows_of
from matloop.data.records.known_samples import KnownSamples, SampleKey, rows_with
from matloop.data.records.laboratories import spelled_as_known
from matloop.data.records.ledger import (
    IMPORT,
    KnownCandidate,
    add_action,
    add_candidates,
    as_json,
    candidates_in,
    laboratory_in,
    promises_elsewhere,
)  # fmt: skip
from matloop.data.records.overtaken_rows import records_in_place_of
from matloop.data.records.own_properties import add_properties, catalogue_in, new_properties
from matloop.data.records.proposals import taken_candidates_in, withdrawn_candidates
from matloop.data.records.questions import Part
from matloop.data.records.raw_files import missing_files, rows_with_late_files
from matloop.data.records.row_checks import CheckedRow, NearestIds, check_row
from matloop.data.records.sheet_files import SheetFile, WrittenRow, read_sheet_file
from matloop.data.records.step_checks import CheckedStep, check_step
from matloop.data.records.tables import ACTIONS, SHEET_ROWS, SHEETS
from matloop.data.records.value_checks import doubts_about_values
from matloop.data.records.waiting_steps import take_waiting_steps
from matloop.data.remarks import Remark

C = TypeVar("C", CheckedRow, CheckedStep)
_MOST_UNKNOWN = 3  # candidates of a sheet that knows no other


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
        still_counting: Rows that it left empty although the records have a value of them, which counts as before.
        waited: Process steps of earlier sheets that were accepted now that their sample is.
        missing_files: Files of raw data that the rows name and that do not lie beside the sheet.
        judged_again: Held rows of earlier sheets whose candidate is known now.
        untaught: Properties of new rows that nothing is predicted of, so that no target of a run learns from them.
        withdrawn: Candidates of new rows whose proposal had been withdrawn; their results count like any other.
    """

    sheet: SheetFile
    rows: list[RowVerdict] = field(default_factory=list)
    known: int = 0
    blank: int = 0
    still_counting: int = 0
    waited: int = 0
    missing_files: tuple[str, ...] = ()
    judged_again: int = 0
    untaught: tuple[str, ...] = ()
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
    """Take in a result sheet; it may state own properties of the catalogue in use, and those that the records know.

    Args:
        database: The records.
        path: The sheet; raw data files that it names are looked for in its folder.
        candidates: Candidates that were screened, by id, beside those that the records know.
        laboratory: Who measured; a name that sheets came under before, but for capitals and spaces, is that name.
        by: Who imports; the user of the system if empty.

    Raises:
        InputFileError: If the file is no result sheet.
        PropertyError: If a property of the catalogue in use has another unit in the records.
        RecordsConnectionError: If the database is out of reach; nothing was written.
    """
    sheet = read_sheet_file(path)

    def work(connection: Connection) -> ImportReport:
        with using(catalogue_in(connection)):
            whose = spelled_as_known(connection, laboratory)
            return _Import(connection, sheet, path.parent, candidates or {}, whose, by).run()

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
        self._known = candidates_in(connection)
        predicted = {
            name: one._replace(
                predictions={**screened[name].predictions, **one.predictions},
                intervals={**screened[name].intervals, **one.intervals},
            )
            for name, one in self._known.items() if name in screened
        }  # fmt: skip
        self._candidates = {**screened, **self._known, **predicted}
        self._report = ImportReport(sheet)
        self._standing: list[CheckedRow | CheckedStep] = []  # what the records hold already
        self._blank: list[CheckedRow | CheckedStep] = []
        self._filled: list[CheckedRow | CheckedStep] = []
        self._unchanged: set[str] = set()  # rows of earlier sheets that stand in this one too
        self._samples = KnownSamples(connection)

    def run(self) -> ImportReport:
        """Take the rows in; nothing is written where there is nothing new, also for rows that wait since earlier."""
        self._refuse_a_sheet_of_others()
        results = self._new_rows("results", self._sheet.results, check_row_of(self._candidates))
        steps = self._new_rows("steps", self._sheet.steps, check_step)
        self._report.still_counting = self._count_blank_rows_with_values()
        named = {new.row.cells.get("candidate_id", "") for new in results}
        waited_for = self._candidates_that_rows_wait_for()
        source = SheetSource(self._laboratory, "", self._folder, self._unchanged)
        self._report.missing_files = tuple(missing_files(_results(self._filled), self._folder))
        late_files = rows_with_late_files(self._samples, _results(self._standing), self._laboratory, self._folder)
        if not (results or steps or waited_for or late_files or new_properties(self._connection)):
            return self._report
        screened = {name: one for name, one in self._screened.items() if name in named} | waited_for
        details: dict[str, Any] = {"sheet": self._sheet.name, "laboratory": self._laboratory}
        if promises := promises_elsewhere(screened, self._known):
            details["promises"] = promises
        action = add_action(self._connection, IMPORT, by=self._by, details=details)
        sheet = self._add_sheet(action)
        self._report.withdrawn = tuple(sorted(named & withdrawn_candidates(self._connection)))
        add_properties(self._connection, action)
        add_candidates(self._connection, action, screened)
        predicted = {key for one in self._candidates.values() for key in one.predictions}
        stated = {new.checked.measured.property for new in results if new.checked.measured}
        self._report.untaught = tuple(sorted(stated - predicted)) if predicted else ()
        for at, doubts in doubts_about_values([new.checked for new in results], self._candidates).items():
            results[at].checked.doubts += doubts
        accepting = Accepting(self._connection, action, self._samples)
        self._take(accepting, source._replace(sheet=sheet), results, steps)
        for row in late_files:
            accepting.take_file(row, source)
        accepting.write()
        self._report.judged_again = len(judge_rows_of(accepting, waited_for))
        accepting.write()
        waited = take_waiting_steps(accepting)
        self._report.waited = sum(row.verdict == "accepted" for row in waited)
        accepting.write()
        return self._report

    def _candidates_that_rows_wait_for(self) -> dict[str, KnownCandidate]:
        """Candidates of the sheet that the records do not know, and a run that is named does, by id.

        A promise of one that has a result in the records already is left out: the run may have learned from it.
        """
        new = {row.written.cells.get("candidate_id", "") for row in _results(self._filled)} & self._screened.keys()
        new -= self._known.keys()
        made = taken_candidates_in(self._connection).made if new else frozenset()
        found = {name: self._screened[name] for name in new}
        return {
            name: one._replace(promise=math.nan, elsewhere=()) if name in made else one for name, one in found.items()
        }

    def _take(
        self,
        accepting: Accepting,
        source: SheetSource,
        results: Sequence[_NewRow[CheckedRow]],
        steps: Sequence[_NewRow[CheckedStep]],
    ) -> None:
        """Judge the new rows, and add what is accepted."""
        standing = _results(self._standing)
        rows = [*(one.written for one in standing), *(one.row for one in results), *(one.row for one in steps)]
        accepting.samples.read({row.cells.get("sample_id", "") for row in rows})
        row_ids = self._add_rows(source.sheet, "results", results)
        for checked in standing:
            accepting.note_standing(checked, source)
        judged = dict[str, Verdict]()
        new = list(zip(row_ids, (one.checked for one in results), strict=True))
        for row_id, checked in sorted(new, key=lambda one: accepting.may_be_emptied(one[1], source)):
            judged[row_id] = accepting.take_result(row_id, checked, source)
        for row_id, (row, _, checked) in zip(row_ids, results, strict=True):
            self._report.rows.append(RowVerdict("results", row.number, judged[row_id], tuple(checked.doubts)))
        row_ids = self._add_rows(source.sheet, "steps", steps)
        for row_id, (row, _, step) in zip(row_ids, steps, strict=True):
            verdict, doubts = accepting.take_step(row_id, step, source)
            self._report.rows.append(RowVerdict("steps", row.number, verdict, doubts))

    def _refuse_a_sheet_of_others(self) -> None:
        """Refuse a sheet none of whose candidates is known: it belongs to another run, or the run was not named."""
        named = {row.cells.get("candidate_id", "") for row in self._sheet.results if not row.fault} - {""}
        few = len(named) < _MOST_UNKNOWN and self._candidates  # which may be mistyped, and are asked about
        if not named or few or not named.isdisjoint(self._candidates):
            return
        raise InputFileError(
            f"{self._sheet.name} has {counted(len(named), 'candidate')}, and none was proposed or screened, such as "
            f"'{min(named)[:40]}'",
            f"candidates of the records or of a run ({len(self._candidates):,} known)",
            "name the run with --run; nothing was written",
        )

    def _new_rows(
        self, part: Part, rows: Sequence[WrittenRow], check: Callable[[WrittenRow], C]
    ) -> list[_NewRow[C]]:  # fmt: skip
        """Check the rows that are not blank and whose content the records do not hold of this laboratory."""
        seen: Counter[str] = Counter()
        keyed: list[_NewRow[C]] = []
        for row in rows:
            checked = check(row)
            if checked.is_blank:
                self._report.blank += 1
                self._blank.append(checked)
                continue
            self._filled.append(checked)
            content = json.dumps([part, sorted(row.cells.items()), row.fault])
            if seen[content]:
                checked.doubts.append(Doubt(codes.REPEAT, ""))
            keyed.append(_NewRow(row, _key(f"{seen[content]} {content}"), checked))
            seen[content] += 1
        known = self._known_rows([new.key for new in keyed])
        # The same words of another laboratory are about a sample of its own.
        elsewhere = {key for key, (_, laboratory) in known.items() if self._laboratory not in ("", laboratory)}
        keyed = [new._replace(key=self._own_key(new.key)) if new.key in elsewhere else new for new in keyed]
        known |= self._known_rows([self._own_key(key) for key in elsewhere])
        other = self._laboratory_of_this_file() if elsewhere and part == "results" else ""
        for new in keyed if other else ():
            if new.key not in known:
                sample = new.row.cells.get("sample_id", "")
                new.checked.doubts.append(
                    Doubt(codes.LABORATORY, "sample_id", sample, Remark("sample_of_file", (other,)))
                )
        self._unchanged |= {known[new.key][0] for new in keyed if new.key in known}
        keyed = self._taken_up_again(keyed, known, check)
        known |= self._known_rows([new.key for new in keyed if new.key not in known])
        found = [new for new in keyed if new.key not in known]
        self._report.known += len(keyed) - len(found)
        self._standing += [new.checked for new in keyed if new.key in known]
        return found

    def _taken_up_again(
        self, keyed: Sequence[_NewRow[C]], known: Mapping[str, tuple[str, str]], check: Callable[[WrittenRow], C]
    ) -> list[_NewRow[C]]:
        """The rows, with a key of its own for each accepted one in whose place the records say something else by now.

        So it is asked about once, as long as the same records stand in its place.
        """
        accepted = accepted_rows(self._connection, {known[new.key][0] for new in keyed if new.key in known})
        self._samples.read({row.written.cells.get("sample_id", "") for row in accepted.values()})
        source = SheetSource(self._laboratory, unchanged=frozenset(self._unchanged))
        again = []
        for new in keyed:
            row_id, laboratory = known.get(new.key, ("", ""))
            if row_id not in accepted or laboratory != self._laboratory:
                again.append(new)
            elif others := records_in_place_of(self._samples, check(accepted[row_id].written), source):
                self._unchanged.discard(row_id)
                again.append(new._replace(key=_key(f"{new.key} beside {sorted(others)}")))
            else:
                again.append(new)
        return again

    def _count_blank_rows_with_values(self) -> int:
        """Number of rows left empty whose sample has a value of their property that no other row of the sheet states.

        They are not asked about: whoever fills in a copy of the sheet leaves the rows of colleagues empty, and sends
        rows again that had no value at first.
        """
        stated = {(_sample_named(one), one.measured.property) for one in _results(self._filled) if one.measured}
        left = [one for one in _results([*self._blank, *self._standing]) if one.measured is None and one.without_value]
        empty = {(_sample_named(one), one.without_value) for one in left} - stated
        self._samples.read({name for (_, name), _ in empty})
        values = (self._samples.values(SampleKey(self._laboratory, *named), known) for named, known in empty)
        return sum(any(not one.retracted for one in listed) for listed in values)

    def _laboratory_of_this_file(self) -> str:
        """Another laboratory under whose name the very same file came before; empty where there is none."""
        query = select(ACTIONS.c.details_json, ACTIONS.c.number).join(SHEETS, SHEETS.c.action_id == ACTIONS.c.id)
        sent = self._connection.execute(query.where(SHEETS.c.sha256 == self._sheet.sha256))
        named = {laboratory_in(details, of=f"action {number}") for details, number in sent}
        return "" if self._laboratory in named else min(named - {""}, default="")

    def _own_key(self, key: str) -> str:
        return _key(f"{self._laboratory} {key}")

    def _known_rows(self, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Id and laboratory of the rows that the records hold, by key of their content."""
        query = (
            select(SHEET_ROWS.c.content_key, SHEET_ROWS.c.id, ACTIONS.c.details_json, ACTIONS.c.number)
            .join(SHEETS, SHEETS.c.id == SHEET_ROWS.c.sheet_id)
            .join(ACTIONS, ACTIONS.c.id == SHEETS.c.action_id)
        )
        return {
            key: (row_id, laboratory_in(details, of=f"action {number}"))
            for key, row_id, details, number in rows_with(self._connection, query, SHEET_ROWS.c.content_key, keys)
        }

    def _add_sheet(self, action: str) -> str:
        sheet, rows = new_id("sheet"), len(self._sheet.results) + len(self._sheet.steps)
        self._connection.execute(
            insert(SHEETS).values(
                id=sheet, action_id=action, name=self._sheet.name, sha256=self._sheet.sha256,
                encoding=self._sheet.encoding, rows=rows,
            )
        )  # fmt: skip
        return sheet

    def _add_rows(self, sheet: str, part: Part, new: Sequence[_NewRow[C]]) -> list[str]:
        """Add rows as they were written, and return their ids."""
        ids = [new_id("row") for _ in new]
        rows = [
            {
                "id": row_id, "sheet_id": sheet, "number": one.row.number, "part": part,
                "content_key": one.key, "cells_json": as_json(one.row.cells), "fault": one.row.fault,
            }
            for row_id, one in zip(ids, new, strict=True)
        ]  # fmt: skip
        if rows:
            self._connection.execute(insert(SHEET_ROWS), rows)
        return ids


def _results(rows: Sequence[CheckedRow | CheckedStep]) -> list[CheckedRow]:
    return [row for row in rows if isinstance(row, CheckedRow)]


def _sample_named(row: CheckedRow) -> tuple[str, str]:
    """Candidate and name of the sample that a row is about, as it is written."""
    return row.written.cells.get("candidate_id", ""), row.written.cells.get("sample_id", "")


def _key(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def check_row_of(candidates: Mapping[str, KnownCandidate]) -> Callable[[WrittenRow], CheckedRow]:
    """The check of rows of the table of results, with the formulas of known candidates."""
    formulas = {name: one.formula for name, one in candidates.items()}
    nearest = NearestIds(formulas)
    return lambda row: check_row(row, formulas, nearest=nearest)
