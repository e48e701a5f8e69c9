"""A stage of the flow: what is done with the candidates, and how the parts are brought together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import BELOW_CUT
from matloop.data.errors import RunError
from matloop.data.properties.columns import Column
from matloop.data.runs.manifest import Manifest
from matloop.screening.ranking.criteria import Criterion
from matloop.workflows.running.engine import Engine, Job, joined
from matloop.workflows.stages.fates import BELOW, REJECTED, fate_table, part_of
from matloop.workflows.stages.scoring import below_cut


def _nothing(engine: Engine, given: Any) -> None:
    """What most stages need beforehand."""


@dataclass(frozen=True)
class Stage:
    """One stage of the flow.

    Attributes:
        name: Names its files.
        label: What it does, for people.
        lap: What is done after it, for people.
        jobs: Makes the jobs from what the stage is given: candidates in files, or the survivors of the stage before.
        criterion: Puts the candidates in order.
        keep: Most candidates that go on; None for all that can be ranked.
        after: Name of the stage whose survivors it is given; empty for the first one, which is given all candidates.
        merges_equal: Whether equal crystals are merged after it.
        prepare: Done before the first job, with what the stage is given.
    """

    name: str
    label: str
    lap: str
    jobs: Callable[[Manifest, Any], Iterable[Job]]
    criterion: Criterion
    keep: int | None
    after: str = ""
    merges_equal: bool = False
    prepare: Callable[[Engine, Any], None] = field(default=_nothing)

    @property
    def ranked_at(self) -> str:
        """Part of the funnel where the candidates that do not go on end."""
        return part_of(self.name, "ranking")

    def run(self, engine: Engine, given: Any) -> CandidateBatch:
        """Send what is given through the stage; returns the candidates that go on, best first.

        Args:
            engine: Of the run.
            given: Candidates in files, or the survivors of the stage before.

        Raises:
            RunError: If the sources gave nothing.
        """
        if isinstance(given, CandidateBatch) and not len(given):
            return given
        self.prepare(engine, given)
        done = sorted(engine.finish(self.label, len(given), self.jobs(engine.manifest, given)))
        if not done:
            raise RunError("the sources gave no candidates", "at least one row", "look at the campaign's sources")
        return CandidateBatch.from_arrow(_best_of_parts(engine, self, done))


def _best_of_parts(engine: Engine, stage: Stage, done: list[tuple[str, int]]) -> pa.Table:
    """The best rows of all partitions, best first; the others end here and their fates are written.

    Args:
        engine: Of the run.
        stage: Says in what order and how many.
        done: Stage and number of each partition.
    """
    tables: Iterable[pa.Table] = (
        read_table(engine.run.best_part(name, index), inside=engine.run.folder) for name, index in done
    )
    if not stage.criterion.holds_in_parts:
        tables = [joined(list(tables))]
    best: pa.Table | None = None
    ended: list[tuple[pa.Table, NDArray[np.float64]]] = []
    for part in tables:
        table = part if best is None else joined([best, part])
        order = stage.criterion.order(table)
        keep = len(order) if stage.keep is None else stage.keep
        best, below = table.take(pa.array(order[:keep])), order[keep:]
        rows = table.select([Column.CANDIDATE_ID, Column.FORMULA]).take(pa.array(below))
        ended.append((rows, stage.criterion.scores(table)[below]))
    assert best is not None
    fates = (
        fate_table(rows, REJECTED, stage.ranked_at, below_cut(stage.criterion, scores, stage.keep or 0))
        for rows, scores in ended
    )
    cut = any(len(rows) for rows, _ in ended) or any(
        ending.stage == stage.ranked_at and ending.code == BELOW_CUT for ending in engine.counts
    )
    least = float(stage.criterion.scores(best)[-1]) if cut and best.num_rows else None
    engine.keep_fates(stage.name, BELOW, fates, least=least)
    return best
