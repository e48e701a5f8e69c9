"""How many rows that taught a surrogate share elements with a candidate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.training.training_sets import TrainingSets

SHARED = 2
"""Elements that a related row has in common with a candidate, or all of a candidate that has fewer."""


class Related(NamedTuple):
    """Rows that taught one property.

    Attributes:
        alike: Rows that share two or more elements with the candidate.
        rows: All rows.
    """

    alike: int
    rows: int


def related_training(training: TrainingSets, name: str, batch: CandidateBatch, row: int) -> Related:
    """Count the rows that taught a property and share two or more elements with a candidate.

    In a transfer the rows with computed values count too.

    Args:
        training: What a run learned from.
        name: The property.
        batch: Candidates.
        row: The candidate among them.
    """
    own = batch.compositions.take(np.array([row])).element_mask()[0]
    sets = [training[name], *(one for helped, one in training.helping.items() if helped == name)]
    shared = [(one.rows.compositions.element_mask() & own).sum(axis=1) for one in sets]
    needed = min(SHARED, int(own.sum()))
    return Related(sum(int((counts >= needed).sum()) for counts in shared), sum(map(len, shared)))
