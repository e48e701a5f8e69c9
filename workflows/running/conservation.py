"""Every row that came in has exactly one fate: the ids of the intake are compared with those of all fate rows.

Ids are compared as 64-bit keys, 8 bytes for each row on either side, while files are read a piece at a time. A row that
never became a candidate (refused, or a repeat) shares its id with others; its key also holds where in the input it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.bounded_files import table_pieces
from matloop.data.errors import FateError, RunError
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.intake_files import refused_path
from matloop.data.runs.manifest import Manifest
from matloop.workflows.stages.fates import FIRST_STAGE, SCORED, Ending, FateCounts, counted

_ROWS_READ = 1 << 16
_MOST_NAMED = 5


@dataclass(frozen=True)
class Account:
    """What became of the rows of a run.

    Attributes:
        intake: Rows that came in.
        fates: Fate rows.
        counts: Fates by where, how and why.
        lost: Ids of rows without fate, some of them.
        lost_rows: How many rows have none.
        surplus: Ids of rows with more than one fate, or of none that came in, some of them.
        surplus_rows: How many fates are too many.
    """

    intake: int
    fates: int
    counts: FateCounts
    lost: list[str]
    lost_rows: int
    surplus: list[str]
    surplus_rows: int

    @property
    def balanced(self) -> bool:
        """Whether each row has exactly one fate."""
        return not self.lost_rows and not self.surplus_rows


def check_conservation(account: Account, announced: int) -> None:
    """Every row that was announced came in, and each that came in has exactly one fate.

    Raises:
        RunError: If the sources gave another number of rows than they said.
        FateError: If a row has no fate, or more than one; the run's results must not be trusted then.
    """
    if account.intake != announced:
        raise RunError(
            f"the sources announced {announced} rows and {account.intake} came in", "equal numbers",
            "look at the sources; the run goes on with what came in once they give what they announce",
        )  # fmt: skip
    if account.balanced:
        return
    told = []
    for rows, ids, what in (
        (account.lost_rows, account.lost, "have no fate"),
        (account.surplus_rows, account.surplus, "have a fate too many"),
    ):
        more = ", ..." if rows > len(ids) else ""
        told += [f"{rows:,} of {account.intake:,} rows {what} ({', '.join(ids)}{more})"] if rows else []
    raise FateError("; ".join(told), "exactly one fate for each row that came in", "report this as a bug")


def account_of(run: RunDirectory, manifest: Manifest, stages: Iterable[str]) -> Account:
    """Compare the rows that came in with the fates that were written.

    Args:
        run: The run directory.
        manifest: What is finished.
        stages: Names of the stages that candidates went through.
    """
    intake = np.concatenate([_NO_KEYS, *(keys for keys, _ in _intake(run, manifest))])
    counts, found = FateCounts(), [_NO_KEYS]
    for keys, table in _fates(run, manifest, list(stages)):
        counts.update(counted(table))
        found.append(keys)
    fates = np.concatenate(found)
    lost, surplus = _unmatched(intake, fates)
    return Account(
        len(intake), len(fates), counts,
        _named(lost, _intake(run, manifest)), len(lost),
        _named(surplus, _fates(run, manifest, list(stages))), len(surplus),
    )  # fmt: skip


_NO_KEYS = np.empty(0, np.uint64)
_Keyed = Iterator[tuple[NDArray[np.uint64], pa.Table]]


def _intake(run: RunDirectory, manifest: Manifest) -> _Keyed:
    """Keys of the rows that came in, piece by piece."""
    lines = {line["index"]: line for line in manifest.of_kind("candidates")}
    for index, line in lines.items():
        path = run.candidate_part(index)
        for table in _pieces(run, path, [Column.CANDIDATE_ID]):
            yield _keys(table[Column.CANDIDATE_ID]), table
        if len(line["files"]) > 1:
            for table in _pieces(run, refused_path(path), [Column.CANDIDATE_ID, Column.ROW]):
                yield _keys(table[Column.CANDIDATE_ID], index, table[Column.ROW]), table


def _fates(run: RunDirectory, manifest: Manifest, stages: list[str]) -> _Keyed:
    """Keys of the fate rows and what they are counted by, piece by piece."""
    columns = [Column.CANDIDATE_ID, Column.INPUT_ROW, *Ending._fields]
    for stage in stages:
        for index in manifest.partitions(stage):
            for table in _pieces(run, run.partition(stage, index), columns):
                ended = table.filter(pc.not_equal(table[Column.OUTCOME], SCORED))
                of_none = stage == FIRST_STAGE
                rows = ended[Column.INPUT_ROW] if of_none else None
                yield _keys(ended[Column.CANDIDATE_ID], index, rows), ended
    merges = {(line["stage"], line["merge"]) for line in manifest.of_kind("fates")}
    for stage, merge in sorted(merges):
        for table in _pieces(run, run.merge(stage, merge), columns):
            yield _keys(table[Column.CANDIDATE_ID]), table


def _pieces(run: RunDirectory, path: Path, columns: list[str]) -> Iterator[pa.Table]:
    return table_pieces(path, inside=run.folder, columns=columns, rows=_ROWS_READ)


def _keys(ids: pa.ChunkedArray, index: int = 0, rows: pa.ChunkedArray | None = None) -> NDArray[np.uint64]:
    """A key of each row, shape (n,).

    Args:
        ids: Candidate ids.
        index: Number of the partition, for rows that never became candidates.
        rows: Where in the input of that partition each such row was; null for candidates.
    """
    from pandas.util import hash_array

    keys = hash_array(ids.to_numpy(), categorize=False)
    if rows is not None:
        places = rows.to_pandas().to_numpy(np.float64)
        own = np.flatnonzero(~np.isnan(places))
        where = np.array([f"{index} {int(place)}" for place in places[own]], dtype=object)
        keys[own] ^= hash_array(where, categorize=False)
    return np.asarray(keys, np.uint64)


def _unmatched(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Keys that each of two lists has and the other lacks, as often as it lacks them; both lists are sorted by it."""
    first.sort()
    second.sort()
    if np.array_equal(first, second):
        return _NO_KEYS, _NO_KEYS
    keys, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    excess = np.bincount(places[: len(first)], minlength=len(keys)) - np.bincount(
        places[len(first) :], minlength=len(keys)
    )
    return np.repeat(keys, np.maximum(excess, 0)), np.repeat(keys, np.maximum(-excess, 0))


def _named(keys: NDArray[np.uint64], pieces: _Keyed) -> list[str]:
    """Ids of some of the rows with these keys."""
    names: list[str] = []
    for found, table in pieces if len(keys) else ():
        rows = np.flatnonzero(np.isin(found, keys))
        names += table[Column.CANDIDATE_ID].take(pa.array(rows)).to_pylist()
        if len(names) >= _MOST_NAMED:
            break
    return names[:_MOST_NAMED]
