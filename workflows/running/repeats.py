"""Choose one row for each candidate that a source gives several times, so that the order of its rows decides nothing.

Rows of one candidate may differ in their amounts (``SiO2``, ``Si2O4``), in the numbers beside them and in their origin.
The candidate takes all of these from one row: the one with the fewest atoms, then with the first formula, numbers and
origin in the order of their values. A source is read to its end before the first of its candidates is handed on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.candidates.reasons import REPEATED
from matloop.data.candidates.seen_ids import SeenIds
from matloop.data.properties.columns import Column
from matloop.data.runs.directory import part_name
from matloop.data.runs.intake_files import read_intake, write_intake
from matloop.data.whole_files import draft_folder

Place = tuple[int, int]
"""Number of the batch, and of the row in it."""
Merit = tuple[float, str, str, str, Place]
"""What rows of one candidate are put in order by; the smallest is chosen."""


def without_repeats(intakes: Iterable[Intake], seen: SeenIds, *, folder: Path) -> Iterator[Intake]:
    """Yield the batches of a source with each candidate once; its further rows are refused as repeats.

    Args:
        intakes: Batches of one source.
        seen: Ids of earlier sources; those of this one are added.
        folder: Where batches are kept until the source is at its end.
    """
    with draft_folder(folder, "intake") as kept:
        repeats, count = _Repeats(), 0
        for count, intake in enumerate(intakes, 1):
            repeats.find(intake.batch, new=seen.add(intake.batch.ids))
            write_intake(kept / part_name(count), intake)
        if repeats.ids:
            for number in range(1, count + 1):
                repeats.compare(number, read_intake(kept / part_name(number)).batch)
        for number in range(1, count + 1):
            intake = read_intake(kept / part_name(number))
            yield repeats.removed(number, intake) if repeats.any else intake


@dataclass
class _Repeats:
    """Rows of a source whose candidate was met before.

    Attributes:
        ids: Candidates with several rows in the source.
        earlier: Candidates of earlier sources, which stay as those gave them.
    """

    ids: set[str] = field(default_factory=set)
    earlier: set[str] = field(default_factory=set)
    _own: SeenIds = field(default_factory=SeenIds)
    _first: dict[str, tuple[Place, str]] = field(default_factory=dict)
    _best: dict[str, tuple[Merit, pa.Table]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.ids or self.earlier)

    def find(self, batch: CandidateBatch, *, new: NDArray[np.bool_]) -> None:
        """Look for repeats in the next batch; ``new`` tells which ids no batch of any source had before."""
        fresh = self._own.add(batch.ids)
        for row in np.flatnonzero(~new):
            (self.earlier if fresh[row] else self.ids).add(batch.ids[row])
        self.ids -= self.earlier

    def compare(self, number: int, batch: CandidateBatch) -> None:
        """Choose the row of each candidate with several rows, as far as the batches up to this one tell."""
        rows = [row for row, name in enumerate(batch.ids) if name in self.ids]
        if not rows:
            return
        found = batch.take(rows)
        table, merits = found.to_arrow(), _merits(found, [(number, row) for row in rows])
        for at, name in enumerate(found.ids):
            self._first.setdefault(name, (merits[at][-1], merits[at][3]))
            if name not in self._best or merits[at] < self._best[name][0]:
                self._best[name] = merits[at], table.slice(at, 1)

    def removed(self, number: int, intake: Intake) -> Intake:
        """The batch with the chosen rows of its candidates; each other row of them is refused as a repeat."""
        batch, origins = intake.batch, intake.batch.table[Column.ORIGIN].to_pylist()
        repeated: list[Refused] = []
        better: dict[int, pa.Table] = {}
        stays = np.ones(len(batch), np.bool_)
        for row, name in enumerate(batch.ids):
            if name not in self.ids and name not in self.earlier:
                continue
            place = (number, row)
            if name in self.ids and self._first[name][0] == place:
                if self._best[name][0][-1] != place:
                    better[row] = self._best[name][1]
                continue
            chosen = name in self.ids and self._best[name][0][-1] == place
            # The row whose place the chosen one took is told of where the chosen one was.
            origin = self._first[name][1] if chosen else str(origins[row])
            repeated.append(Refused(row, name, batch.formulas[row], REPEATED, origin))
            stays[row] = False
        return Intake(_replaced(batch, better).take(np.flatnonzero(stays)), [*intake.refused, *repeated])


def _merits(batch: CandidateBatch, places: list[Place]) -> list[Merit]:
    atoms = np.zeros(len(batch))
    np.add.at(atoms, batch.compositions.rows, batch.compositions.amounts)
    if batch.crystals is not None:
        atoms = np.where(batch.has_crystal, batch.crystals.site_counts, atoms)
    beside = batch.table.drop_columns([Column.CANDIDATE_ID, Column.FORMULA, Column.ORIGIN])
    numbers = [repr(list(row.values())) for row in beside.to_pylist()] if beside.num_columns else [""] * len(batch)
    origins = map(str, batch.table[Column.ORIGIN].to_pylist())
    return list(zip(atoms.tolist(), batch.formulas, numbers, origins, places, strict=True))


def _replaced(batch: CandidateBatch, better: dict[int, pa.Table]) -> CandidateBatch:
    """The batch with other rows in place of some."""
    if not better:
        return batch
    table = batch.to_arrow()
    order = np.arange(len(batch))
    order[list(better)] = len(batch) + np.arange(len(better))
    whole = pa.concat_tables([table, *better.values()], promote_options="permissive")
    return CandidateBatch.from_arrow(whole.select(table.column_names).take(pa.array(order)))
