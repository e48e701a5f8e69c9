"""Finding single candidates in the files of a run, without reading more of them than has to be looked at."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import RunError
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.workflows.stages.outcomes import FIRST_STAGE, SCORED

WAITING = "waiting"
"""In place of an outcome: the candidate is written down, its partition is not finished."""
LEAST_PREFIX = 6
_ID = r"[cxr][0-9a-f]{0,20}"
Wanted = Mapping[str, Any]
_TOLD = (Column.CANDIDATE_ID, Column.FORMULA, Column.ORIGIN, Column.OUTCOME, Column.STAGE, Column.REASON, Column.DETAIL)


class Row(NamedTuple):
    """One input row of a run, as the first stage left it.

    Attributes:
        candidate_id: Its id.
        formula: Its formula, or the text that is none.
        origin: Where the source had it from.
        outcome: ``scored``, ``rejected``, ``quarantined`` or ``waiting``.
        stage: Part of the first stage where it got that outcome.
        reason: Why.
        detail: More about it.
        partition: Number of its partition.
    """

    candidate_id: str
    formula: str
    origin: str
    outcome: str
    stage: str
    reason: str
    detail: str
    partition: int


class Standing(NamedTuple):
    """Where a scored candidate stands among all of its stage.

    Attributes:
        kept: Whether it is among those that go on.
        cut: The lowest probability that goes on; None where there was room for all.
    """

    kept: bool
    cut: float | None


@dataclass
class RunRows:
    """The rows of a run.

    Attributes:
        run: The run directory.
        problems: Files that could not be read, as coded messages.
    """

    run: RunDirectory
    problems: list[str] = field(default_factory=list)

    def matching(self, text: str) -> list[Row]:
        """Rows by id or the beginning of one, by formula, or by the user's own id.

        Raises:
            RunError: If the beginning of an id is too short to look for.
        """
        wanted = _wanted(text)
        found = [row for path in self.parts(FIRST_STAGE) for row in self._rows(path, wanted, _outcome_row)]
        scored = {path.name for path in self.parts(FIRST_STAGE)}
        for path in _files(self.run.candidates, "part-*.parquet"):
            if path.name not in scored:
                found += self._rows(path, wanted, _waiting_row)
                beside = path.with_name(f"refused-{path.name}")
                found += self._rows(beside, wanted, _waiting_row) if beside.is_file() else []
        return found

    def parts(self, stage: str) -> list[Path]:
        """The finished partitions of a stage."""
        return _files(self.run.partition(stage, 0).parent, "part-*.parquet")

    def of_candidate(self, paths: Iterable[Path], candidate_id: str) -> pa.Table | None:
        """All columns of a candidate, from the first file that has it; None if none has."""
        wanted: Wanted = {Column.CANDIDATE_ID: ds.field(Column.CANDIDATE_ID) == candidate_id}
        for path in paths:
            table = self._read(path, wanted)
            if table is not None and table.num_rows:
                return table.slice(0, 1)
        return None

    def standing(self, stage: str, candidate_id: str, *, keep: int) -> Standing:
        """Whether a scored candidate is among the ``keep`` most probable of its stage."""
        tables = [self._read(path, None, [Column.CANDIDATE_ID, Column.PROBABILITY]) for path in self._best(stage)]
        table = pa.concat_tables([table for table in tables if table is not None])
        probability = table[Column.PROBABILITY].to_numpy()
        at = pc.index(table[Column.CANDIDATE_ID], candidate_id).as_py()
        # Each partition hands on no more than all of them together may: as many as that can still leave others out.
        all_go_on = len(probability) < keep or (len(probability) == keep and self._scored(stage) == keep)
        cut = None if all_go_on else float(np.partition(probability, -keep)[-keep])
        if at < 0:  # not even among the best of its own partition
            return Standing(False, cut)
        equal = np.flatnonzero(probability == probability[at])
        names = table[Column.CANDIDATE_ID].take(pa.array(equal)).to_pylist()
        before = int((probability > probability[at]).sum()) + sum(name < candidate_id for name in names)
        return Standing(before < keep, cut)

    def best_of_formula(self, stage: str, formula: str, *, least: float | None) -> CandidateBatch | None:
        """The rows of one formula that went on from a stage, the most probable first; None if there is none."""
        wanted = ds.field(Column.FORMULA) == formula
        if least is not None:
            wanted &= ds.field(Column.PROBABILITY) >= least
        tables = [self._read(path, {Column.FORMULA: wanted}) for path in self._best(stage)]
        found = [table for table in tables if table is not None and table.num_rows]
        if not found:
            return None
        table = pa.concat_tables(found, promote_options="permissive")
        return CandidateBatch.from_arrow(
            table.sort_by([(Column.PROBABILITY, "descending"), (Column.CANDIDATE_ID, "ascending")])
        )

    def _scored(self, stage: str) -> int:
        wanted: Wanted = {Column.OUTCOME: ds.field(Column.OUTCOME) == SCORED}
        tables = [self._read(path, wanted, [Column.OUTCOME]) for path in self.parts(stage)]
        return sum(table.num_rows for table in tables if table is not None)

    def _best(self, stage: str) -> list[Path]:
        return _files(self.run.best_part(stage, 0).parent, "part-*.parquet")

    def _rows(self, path: Path, wanted: Wanted, made: Callable[[dict[str, Any], int], Row]) -> Iterator[Row]:
        table = self._read(path, wanted, [*_TOLD, Column.CODE])
        for values in [] if table is None else table.to_pylist():
            yield made(values, int(path.stem.rpartition("-")[2]))

    def _read(self, path: Path, wanted: Wanted | None, columns: Sequence[str] | None = None) -> pa.Table | None:
        """Rows of one file; None if it cannot be read, which is then among the problems.

        Args:
            path: A Parquet file.
            wanted: Conditions by the column they are on, of which a row must meet one; those on columns that the file
                lacks are left out. All rows without.
            columns: Which to read, of those that are there; all without.
        """
        try:
            file = ds.dataset(path, format="parquet")
            names = [name for name in file.schema.names if columns is None or name in columns]
            met = [condition for name, condition in (wanted or {}).items() if name in file.schema.names]
            return file.to_table(names, filter=functools.reduce(operator.or_, met) if met else None)
        except (pa.ArrowException, OSError) as error:
            told, name = str(error).splitlines()[0], path.relative_to(self.run.folder)
            self.problems.append(str(RunError(f"{name} cannot be read: {told}", "the file as the run wrote it")))
            return None


def _wanted(text: str) -> Wanted:
    if re.fullmatch(_ID, text):
        if len(text) < LEAST_PREFIX:
            raise RunError(f"'{text}' is short for an id", f"its first {LEAST_PREFIX} characters, or more", "add some")
        return {Column.CANDIDATE_ID: pc.starts_with(ds.field(Column.CANDIDATE_ID), text)}
    if not text.strip():
        raise RunError("no candidate is named by an empty text", "an id, its first 6 characters, or a formula")
    formulas = {text, *CandidateBatch.from_formulas([text]).batch.formulas}
    return {
        Column.FORMULA: ds.field(Column.FORMULA).isin(sorted(formulas)),
        Column.ORIGIN: ds.field(Column.ORIGIN) == text,
    }


def _outcome_row(values: dict[str, Any], partition: int) -> Row:
    return Row(**{name: values[name] or "" for name in _TOLD}, partition=partition)


def _waiting_row(values: dict[str, Any], partition: int) -> Row:
    """A row of a partition that is not finished; what became of a refused one is settled all the same."""
    told = {
        name: values.get(name) or "" for name in (Column.CANDIDATE_ID, Column.FORMULA, Column.ORIGIN, Column.DETAIL)
    }
    return Row(**told, outcome=WAITING, stage="", reason=values.get(Column.CODE) or "", partition=partition)


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))
