"""The probability that each candidate of a pool that may be proposed is made and meets all targets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.records.database import RecordsDatabase
from matloop.data.records.proposals import TakenCandidates, taken_candidates
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.proposing.laboratory import NO_LIMITS, Laboratory
from matloop.workflows.proposing.models_in_use import ModelsInUse
from matloop.workflows.proposing.outcomes import OutcomeFactor
from matloop.workflows.proposing.scored_pool import Finalists, PoolCounts, compositions_of, scored_parts


def proposable_parts(
    view: RunView, database: RecordsDatabase | None, in_use: ModelsInUse, laboratory: Laboratory, counts: PoolCounts
) -> Iterator[Finalists]:
    """The candidates of a run that may be proposed, part by part, as the models in use judge them.

    Args:
        view: A finished run.
        database: The records: what is measured or pending is left out. None for no records.
        in_use: Models that learned from records.
        laboratory: Limits of the laboratory.
        counts: Told of every row.
    """
    taken = taken_candidates(database) if database is not None else TakenCandidates(frozenset(), frozenset())
    apart = {"made": taken.made, "pending": taken.pending}
    return scored_parts(view, taken=apart, laboratory=laboratory, counts=counts, in_use=in_use)


@in_catalogue_of_run
def pool_chances(view: RunView, database: RecordsDatabase, models: Path) -> NDArray[np.float64]:
    """The probability to state of each candidate that ``matloop propose`` may choose, nan outside a domain, shape (n,).

    Args:
        view: A finished run.
        database: The records.
        models: Folder of the models that learned from them.

    Raises:
        RunError: If the run kept no scored candidates.
    """
    in_use, factor = ModelsInUse.of(view, database, models), OutcomeFactor.of(view, database)
    found = [np.empty(0)]
    for part in proposable_parts(view, database, in_use, NO_LIMITS, PoolCounts()):
        if len(part.part):
            compositions = compositions_of(view, int(part.part[0])).take(part.row)
            of_making = factor.of_candidates(part.prospects.ids.tolist(), compositions)
            found.append(np.minimum(part.stated * of_making, 1.0))
    return np.concatenate(found)
