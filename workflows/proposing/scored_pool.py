"""The candidates that a finished run has scored, part by part: predictions of each target, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.checked_batch import checked_batch
from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.reasons import (
    BELOW_CUT,
    CHOSEN,
    EXPECTED_MISSES,
    NO_EVIDENCE,
    NOT_CHOSEN,
    UNKNOWN_OBJECTIVE,
)
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.errors import DamagedFileError, RunError
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column, probability_of
from matloop.data.runs.intake_files import read_intake
from matloop.models.acquisition.batch import Prospects, Strategy, most_promising
from matloop.models.acquisition.outlook import TargetOutlook
from matloop.screening.filters.element_scores import own_facts_of
from matloop.screening.runs.run_view import RunView
from matloop.workflows.proposing.laboratory import Laboratory
from matloop.workflows.proposing.models_in_use import ModelsInUse
from matloop.workflows.proposing.predicted import PredictedColumns, Scores, WantedTarget, outlook_of, wanted_targets
from matloop.workflows.stages.fates import FIRST_STAGE, SCORED
from matloop.workflows.stages.makeable import counted_column

_RANKED_BELOW = [BELOW_CUT, NOT_CHOSEN, CHOSEN, EXPECTED_MISSES, NO_EVIDENCE, UNKNOWN_OBJECTIVE]
_SHARE_UNKNOWN = 1 / 4
"""Finalists kept for what they would tell about the others, as a share of those kept for their prospects."""


class Finalists(NamedTuple):
    """The candidates of a pool that a batch is chosen from.

    Attributes:
        prospects: What is predicted for them.
        part: Number of the part of each, shape (n,).
        row: Row of each in its part, shape (n,).
        formulas: Their formulas.
        shown: Value and 90 % interval of each target, see :class:`~matloop.workflows.proposing.predicted.Scores`.
        stated: Probability of meeting all targets, likewise.
    """

    prospects: Prospects
    part: NDArray[np.int64]
    row: NDArray[np.int64]
    formulas: NDArray[np.str_]
    shown: NDArray[np.float64]
    stated: NDArray[np.float64]

    def take(self, rows: NDArray[np.integer]) -> Finalists:
        """Return some of them."""
        return Finalists(self.prospects.take(rows), *(array[rows] for array in self[1:]))


@dataclass
class PoolCounts:
    """How many candidates a pool has, and why others are left out.

    Attributes:
        scored: Rows of the run that its first stage scored.
        free: Those that may be proposed.
        left_out: The others by reason: ``made``, ``pending``, ``later_stage``, or a limit of the laboratory.
    """

    scored: int = 0
    free: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def scored_parts(
    view: RunView, *, taken: dict[str, frozenset[str]], laboratory: Laboratory, counts: PoolCounts,
    in_use: ModelsInUse,
) -> Iterator[Finalists]:  # fmt: skip
    """The candidates of each part that may be proposed, with what is predicted for them.

    Args:
        view: A finished run.
        taken: Ids of candidates that are left out, by reason.
        laboratory: Limits of the laboratory; those of elements and prices are judged here.
        counts: Told of every row.
        in_use: Models that learned from records since, which judge every candidate again.

    Raises:
        RunError: If the run kept no scored parts.
    """
    targets = wanted_targets(view)
    taken = {**taken, "later_stage": _rejected_later(view)}
    columns = _columns(view, targets, others=in_use.left_to_run)
    paths = view.parts(view.paths.partitions / FIRST_STAGE)
    if not paths:
        raise RunError(f"the run in {view.folder} kept no scored candidates", "a run that still has partitions/")
    facts = ElementFacts(own=own_facts_of(view.campaign))
    for path in paths:
        table = view.table(path, columns)
        part = int(path.stem.partition("-")[2])
        rows = _open_rows(table)
        counts.scored += len(rows)
        chosen = table.take(pa.array(rows))
        free = np.ones(len(rows), bool)
        for reason, ids in taken.items():
            out = free & _among(chosen[Column.CANDIDATE_ID], ids)
            counts.left_out[reason] += int(out.sum())
            free &= ~out
        if laboratory.elements or laboratory.most_per_kilogram or laboratory.most_per_mole:
            for reason, out in laboratory.left_out(compositions_of(view, part).take(rows), facts).items():
                counts.left_out[reason] += int((free & out).sum())
                free &= ~out
        counts.free += int(free.sum())
        kept = np.flatnonzero(free)
        chosen = chosen.take(pa.array(kept))
        read = _reader(chosen, view.ranked.table)
        scores, formulas = _scores(read, chosen, targets), np.array(chosen[Column.FORMULA].to_pylist(), str)
        found = Finalists(
            scores.prospects, np.full(len(kept), part), rows[kept], formulas, scores.shown, scores.stated
        )  # fmt: skip
        if in_use.models and len(kept):
            each = {name: read(counted_column(table.column_names, name)) for name in in_use.left_to_run}
            found = found._replace(**in_use.judged(scores, targets, batch_of(view, found), each)._asdict())
        yield found


def _columns(view: RunView, targets: Sequence[WantedTarget], *, others: Sequence[str]) -> list[str]:
    """Columns to read: what is predicted, and the probability of each target that no model in use judges."""
    known = [property_named(target.name) for target in targets]
    predicted = [one.column(kind) for one in known for kind in ("pred", "sigma", "lo", "hi")]
    return [
        Column.CANDIDATE_ID, Column.FORMULA, Column.OUTCOME, Column.CODE, Column.PROBABILITY, Column.RANKING_SCORE,
        *predicted, *map(probability_of, others), *[Column.PROBABILITY_MAKEABLE] * bool(others),
    ]  # fmt: skip


def _open_rows(table: pa.Table) -> NDArray[np.int64]:
    """Rows with a prediction inside the domain: those that went on, and those that only ranked below others."""
    is_open = pc.or_(
        pc.equal(table[Column.OUTCOME], SCORED), pc.is_in(table[Column.CODE], value_set=pa.array(_RANKED_BELOW))
    )  # fmt: skip
    return np.flatnonzero(is_open.to_numpy(zero_copy_only=False))


def _among(ids: pa.ChunkedArray, wanted: frozenset[str]) -> NDArray[np.bool_]:
    if not wanted:
        return np.zeros(len(ids), bool)
    found = pc.is_in(ids, value_set=pa.array(sorted(wanted), pa.string()))
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def _rejected_later(view: RunView) -> frozenset[str]:
    """Ids of candidates that a later stage rejected for what it found, and not because others rank before them."""
    folders = [path for path in sorted(view.paths.partitions.iterdir()) if path.is_dir() and path.name != FIRST_STAGE]
    found: set[str] = set()
    for path in [*(path for folder in folders for path in view.parts(folder)), *view.merges]:
        table = view.table(path, [Column.CANDIDATE_ID, Column.OUTCOME, Column.CODE])
        if Column.OUTCOME in table.column_names:
            ranked_below = pc.is_in(table[Column.CODE], value_set=pa.array(_RANKED_BELOW))
            ended = pc.and_(pc.not_equal(table[Column.OUTCOME], SCORED), pc.invert(ranked_below))
            found.update(table.filter(ended)[Column.CANDIDATE_ID].to_pylist())
    return frozenset(found)


def compositions_of(view: RunView, part: int) -> Compositions:
    """Compositions of the candidates of a part."""
    path = view.paths.candidate_part(part)
    table = view.table(path, [Column.CANDIDATE_ID, Column.FORMULA, *Compositions.columns])
    return checked_batch(table, name=path.name).compositions


def _reader(table: pa.Table, ranked: pa.Table) -> Callable[[str], NDArray[np.float64]]:
    """Reads a column of numbers of a table, each as the last stage has it where that ranked the candidate."""
    places = pc.index_in(table[Column.CANDIDATE_ID], value_set=ranked[Column.CANDIDATE_ID].combine_chunks())
    later = np.asarray(pc.fill_null(places, -1).to_numpy(), np.int64)

    def column(name: str) -> NDArray[np.float64]:
        values = np.array(table[name].to_numpy(), np.float64)
        if name in ranked.column_names:
            values[later >= 0] = np.asarray(ranked[name].to_numpy(), np.float64)[later[later >= 0]]
        return values

    return column


def _scores(
    column: Callable[[str], NDArray[np.float64]], table: pa.Table, targets: Sequence[WantedTarget]
) -> Scores:  # fmt: skip
    """What a run says of the candidates of a table."""
    known = [property_named(target.name) for target in targets]
    predicted = [
        PredictedColumns(*(column(one.column(kind)) for kind in ("pred", "sigma", "lo", "hi"))) for one in known
    ]
    outlooks = [outlook_of(target, columns) for target, columns in zip(targets, predicted, strict=True)]
    score = Column.RANKING_SCORE if Column.RANKING_SCORE in table.column_names else Column.PROBABILITY
    ids = np.array(table[Column.CANDIDATE_ID].to_pylist(), str)
    shown = np.stack([columns.shown for columns in predicted], axis=1)
    return Scores(Prospects(ids, tuple(outlooks), column(score)), shown, column(Column.PROBABILITY))


def best_finalists(
    parts: Iterator[Finalists], strategy: Strategy, *, best: float, front: NDArray[np.float64], count: int,
    explores: bool,
) -> Finalists | None:  # fmt: skip
    """The most promising candidates of all parts, and where a share explores, those that are least known.

    Args:
        parts: The pool.
        strategy: How good a candidate is.
        best: Smallest margin of the best known material.
        front: Margins of known materials.
        count: How many are kept for their prospects.
        explores: Whether to keep others for how little is known of them.

    Returns:
        The finalists; None if the pool is empty.
    """
    kept: list[tuple[Finalists, NDArray[np.float64]]] = []
    for part in parts:
        part = part._replace(prospects=_beside(part.prospects, best, front))
        values = np.column_stack([strategy.value(part.prospects), _widths(part.prospects) if explores else _none(part)])
        kept.append(_cut(part, values, count))
        if sum(len(one.part) for one, _ in kept) > 8 * count:
            kept = [_joined(kept, count)]
    if not kept or not any(len(one.part) for one, _ in kept):
        return None
    return _joined(kept, count)[0]


def _beside(prospects: Prospects, best: float, front: NDArray[np.float64]) -> Prospects:
    return Prospects(prospects.ids, prospects.targets, prospects.probability, best, front)


def _none(part: Finalists) -> NDArray[np.float64]:
    return np.full(len(part.part), np.nan)


def _widths(prospects: Prospects) -> NDArray[np.float64]:
    """Mean over the targets of the predictive width in units of the spread, shape (n,)."""
    return np.asarray(np.mean([target.sigma / target.spread for target in prospects.targets], axis=0))


def _cut(part: Finalists, values: NDArray[np.float64], count: int) -> tuple[Finalists, NDArray[np.float64]]:
    promising = most_promising(values[:, 0], part.prospects.ids, count)
    unknown = most_promising(values[:, 1], part.prospects.ids, max(int(count * _SHARE_UNKNOWN), 1))
    rows = np.union1d(promising, unknown).astype(np.int64)
    return part.take(rows), values[rows]


def _joined(
    kept: Sequence[tuple[Finalists, NDArray[np.float64]]], count: int
) -> tuple[Finalists, NDArray[np.float64]]:  # fmt: skip
    """Put what is kept of several parts together and cut it again."""
    finalists = [one for one, _ in kept]
    first = finalists[0].prospects
    targets = tuple(
        TargetOutlook(
            np.concatenate([one.prospects.targets[at].mean for one in finalists]),
            np.concatenate([one.prospects.targets[at].sigma for one in finalists]),
            target.lower, target.upper, target.spread,
        )
        for at, target in enumerate(first.targets)
    )  # fmt: skip
    ids = np.concatenate([one.prospects.ids for one in finalists])
    known = [one.prospects.probability for one in finalists if one.prospects.probability is not None]
    probability = np.concatenate(known) if len(known) == len(finalists) else None
    joined = Finalists(
        Prospects(ids, targets, probability, first.best, first.front),
        np.concatenate([one.part for one in finalists]), np.concatenate([one.row for one in finalists]),
        np.concatenate([one.formulas for one in finalists]), np.concatenate([one.shown for one in finalists]),
        np.concatenate([one.stated for one in finalists]),
    )  # fmt: skip
    return _cut(joined, np.concatenate([values for _, values in kept]), count)


def batch_of(view: RunView, finalists: Finalists) -> CandidateBatch:
    """The candidates themselves, in the order of the finalists.

    Args:
        view: The run.
        finalists: Some of its candidates.

    Raises:
        DamagedFileError: If the files of the run do not belong together.
    """
    batches, places = [], []
    for part in np.unique(finalists.part).tolist():
        mine = np.flatnonzero(finalists.part == part)
        whole = read_intake(view.paths.candidate_part(part)).batch
        batches.append(whole.take(np.minimum(finalists.row[mine], len(whole) - 1)).to_arrow())
        places.append(mine)
    table = pa.concat_tables(batches, promote_options="permissive")
    order = np.argsort(np.concatenate(places), kind="stable")
    batch = CandidateBatch.from_arrow(table.take(pa.array(order)))
    if batch.ids != finalists.prospects.ids.tolist():
        raise DamagedFileError(
            f"candidates/ and partitions/ of {view.folder} hold other candidates", "the files as the run wrote them",
            "restore the files",
        )  # fmt: skip
    return batch
