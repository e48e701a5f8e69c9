"""Find single candidates in the files of a run, reading as little as possible."""

from __future__ import annotations

import functools
import math
import operator
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.checked_batch import check_columns
from matloop.data.errors import DamagedFileError, RunError
from matloop.data.properties.columns import Column
from matloop.screening.runs.run_view import RunView
from matloop.workflows.stages.fates import FIRST_STAGE

WAITING = "waiting"
"""In place of an outcome: the candidate is written down, its partition is not finished."""
LEAST_PREFIX = 6
_ID = r"[cxr][0-9a-f]{0,20}"
Wanted = Mapping[str, Any]
TOLD = (
    Column.CANDIDATE_ID,
    Column.FORMULA,
    Column.ORIGIN,
    Column.OUTCOME,
    Column.STAGE,
    Column.CODE,
    Column.VALUE,
    Column.LIMIT,
    Column.SOURCE,
    Column.DETAIL,
)


_OF_FATE = (Column.OUTCOME, Column.STAGE, Column.CODE, Column.VALUE, Column.LIMIT, Column.SOURCE)


class MergedFate(NamedTuple):
    """The fate of a candidate that ended when partitions were merged.

    Attributes:
        stage: The stage whose partitions they are.
        columns: The columns of the fate row.
    """

    stage: str
    columns: dict[str, str]


class Row(NamedTuple):
    """One input row of a run, as the first stage left it.

    Attributes:
        candidate_id: Its id.
        formula: Its formula, or the text that is none.
        origin: Its origin in the source.
        outcome: ``scored``, ``rejected``, ``quarantined`` or ``waiting``.
        stage: Part of the first stage where it got that outcome.
        code: Code of the reason.
        value: The value that decided.
        limit: The limit of that value.
        source: The source of the limit.
        detail: Further text.
        partition: Number of its partition.
    """

    candidate_id: str
    formula: str
    origin: str
    outcome: str
    stage: str
    code: str
    value: str
    limit: str
    source: str
    detail: str
    partition: int


@dataclass
class RunRows:
    """The rows of a run.

    Attributes:
        view: The run.
        problems: Files that could not be read, as coded messages.
    """

    view: RunView
    problems: list[str] = field(default_factory=list)
    _damaged: dict[Path, bool] = field(default_factory=dict)

    def matching(self, text: str) -> list[Row]:
        """Find rows by id or its first characters, by formula, or by the user's own id.

        Raises:
            RunError: If the beginning of an id is too short to look for.
        """
        wanted = _wanted(text)
        found = [row for path in self.parts(FIRST_STAGE) for row in self._rows(path, wanted, _outcome_row)]
        scored = {path.name for path in self.parts(FIRST_STAGE) if not self.is_damaged(path)}
        taken_in = self.view.manifest.of_kind("candidates")
        expected = {self.view.paths.candidate_part(line["index"]) for line in taken_in}
        for path in sorted({*self.view.parts(self.view.paths.candidates), *expected}):
            if path.name not in scored:
                found += self._rows(path, wanted, _waiting_row)
                beside = path.with_name(f"refused-{path.name}")
                found += self._rows(beside, wanted, _waiting_row) if beside.is_file() else []
        if not found and re.fullmatch(_ID, text) and len(text) < LEAST_PREFIX:
            raise RunError(f"'{text}' is short for an id", f"its first {LEAST_PREFIX} characters, or more", "add some")
        return found

    def parts(self, stage: str) -> list[Path]:
        """The finished partitions of a stage, lost ones among them."""
        expected = {self.view.paths.partition(stage, index) for index in self.view.manifest.partitions(stage)}
        return sorted({*self.view.parts(self.view.paths.partitions / stage), *expected})

    def of_candidate(
        self, paths: Iterable[Path], candidate_id: str, *, needed: Sequence[Column] = ()
    ) -> pa.Table | None:
        """All columns of a candidate, from the first file that has it; None if none has."""
        wanted: Wanted = {Column.CANDIDATE_ID: ds.field(Column.CANDIDATE_ID) == candidate_id}
        for path in paths:
            table = self._read(path, wanted, needed=needed)
            if table is not None and table.num_rows:
                return table.slice(0, 1)
        return None

    def merged_fate(self, candidate_id: str) -> MergedFate | None:
        """The fate of a candidate that ended where partitions were merged; None if it did not, or not yet."""
        lines = self.view.manifest.of_kind("fates")
        expected = {self.view.paths.merge(line["stage"], line["merge"]) for line in lines}
        for path in sorted({*self.view.merges, *expected}):
            table = self.of_candidate([path], candidate_id, needed=_OF_FATE)
            if table is not None:
                return MergedFate(path.parent.name, table.to_pylist()[0])
        return None

    def probability_of(self, stage: str, candidate_id: str) -> float:
        """Probability of meeting all targets with which a candidate went on from its partition; nan if it did not."""
        paths = self.view.parts(self.view.paths.best / stage)
        table = self.of_candidate(paths, candidate_id, needed=(Column.PROBABILITY,))
        return math.nan if table is None else float(table[Column.PROBABILITY][0].as_py())

    def _rows(self, path: Path, wanted: Wanted, made: Callable[[dict[str, Any], int], Row]) -> Iterator[Row]:
        needed = TOLD if made is _outcome_row else (Column.FORMULA,)
        table = self._read(path, wanted, TOLD, needed=needed)
        for values in [] if table is None else table.to_pylist():
            yield made(values, int(path.stem.rpartition("-")[2]))

    def _read(
        self, path: Path, wanted: Wanted, columns: Sequence[str] | None = None, *, needed: Sequence[Column] = ()
    ) -> pa.Table | None:
        """Rows of one file; None if it cannot be read, which is then among the problems.

        Args:
            path: A Parquet file.
            wanted: Conditions by the column they are on, of which a row must meet one; those on columns that the file
                lacks are left out.
            columns: Which to read, of those that are there; all without.
            needed: Those that must be there, beside the id.
        """
        if self.is_damaged(path):
            return None
        try:
            table = self.view.table(path, None if columns is None else [*columns, *wanted])
            check_columns(table, name=self.view.told(path), needed=(Column.CANDIDATE_ID, *needed))
        except DamagedFileError as error:
            self.problems.append(str(error))
            return None
        met = [condition for name, condition in wanted.items() if name in table.column_names]
        return table.filter(functools.reduce(operator.or_, met))

    def is_damaged(self, path: Path) -> bool:
        """Whether a file is not what the manifest says of it, which is then among the problems, once."""
        if path not in self._damaged:
            name = self.view.told(path)
            line = self.view.manifest.line_of(name)
            what = "" if line is None else self._damage_of(name, line)
            self._damaged[path] = bool(what)
            if what:
                self.problems.append(what)
        return self._damaged[path]

    def _damage_of(self, name: str, line: dict[str, Any]) -> str:
        try:
            what = self.view.manifest.damage_of({**line, "files": {name: line["files"][name]}})
        except DamagedFileError as error:
            return str(error)
        made = f"matloop resume {shlex.quote(str(self.view.folder))} makes it again"
        damaged = [DamagedFileError(f"{name} {told}", "the file as the run wrote it", made) for told in what.values()]
        return str(damaged[0]) if damaged else ""


def _wanted(text: str) -> Wanted:
    if not text.strip():
        raise RunError("no candidate is named by an empty text", "an id, its first 6 characters, or a formula")
    # the origin of a structure is its file, and what it is within the file in brackets
    name, end = re.escape(text), r"( \(|: |$)" if "." in text else "(: |$)"
    own: Wanted = {
        Column.ORIGIN: pc.match_substring_regex(ds.field(Column.ORIGIN), f"^{name}{end}"),
        # a refused row has its origin in its detail, after the number of the row where it comes from a table
        Column.DETAIL: pc.match_substring_regex(ds.field(Column.DETAIL), f"^(row [0-9]+: )?{name}{end}"),
    }
    if re.fullmatch(_ID, text):
        by_id: Wanted = {Column.CANDIDATE_ID: pc.starts_with(ds.field(Column.CANDIDATE_ID), text)}
        return {**own, **by_id} if len(text) >= LEAST_PREFIX else own
    formulas = {text, *CandidateBatch.from_formulas([text]).batch.formulas}
    return {**own, Column.FORMULA: ds.field(Column.FORMULA).isin(sorted(formulas))}


def _outcome_row(values: dict[str, Any], partition: int) -> Row:
    return Row(**{name: values[name] or "" for name in TOLD}, partition=partition)


def _waiting_row(values: dict[str, Any], partition: int) -> Row:
    """Return a row of a partition that is not finished; the fate of a refused row is known anyway."""
    told = {
        name: values.get(name) or "" for name in (Column.CANDIDATE_ID, Column.FORMULA, Column.ORIGIN, Column.DETAIL)
    }
    code = values.get(Column.CODE) or ""
    return Row(**told, outcome=WAITING, stage="", code=code, value="", limit="", source="", partition=partition)
