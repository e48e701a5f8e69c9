"""What a card says of the errors beyond the scores: learning curve, random split, and where the errors are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.definition import Transform
from matloop.models.grouped_folds import FOLDS
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.error_regions import error_regions
from matloop.models.surrogates.held_out import HoldsTruth, Rows, grouped_errors, held_out_scores, small_ensemble
from matloop.models.surrogates.learning_curve import CurvePoint, learning_curve, small_points
from matloop.models.surrogates.random_split import random_split
from matloop.models.surrogates.training import FEWER_FOLDS


def describe_errors(
    rows: Rows,
    *,
    median: NDArray[np.float64],
    of_half: NDArray[np.float64],
    shrinkage: float,
    domain: Domain,
    family: str,
    parameters: Mapping[str, Any],
    transform: Transform,
    holds: HoldsTruth | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe the errors of a model for its card.

    Args:
        rows: Its training rows.
        median: Out-of-fold predictions with four fifths of the rows: medians of calibrated distributions, shape (m,).
        of_half: The same with half of the rows, as far from the mean of their ensembles.
        shrinkage: Error with all rows over that with four fifths.
        domain: Its domain.
        family: Its family.
        parameters: Its settings.
        transform: Scale on which it works.
        holds: Judges the intervals with elements left out.

    Returns:
        Scores with clusters and elements left out, and the entries ``learning_curve``, ``random_split`` and
        ``error_regions``.
    """
    small = small_ensemble(family, parameters)
    of_groups = grouped_errors(rows, small)
    scores = held_out_scores(rows, domain, family=family, parameters=parameters, of_groups=of_groups, holds=holds)
    shares = ((1 - 1 / FEWER_FOLDS, of_half), (1 - 1 / FOLDS, median))
    points = [CurvePoint(share * len(median), np.abs(predicted - rows.target)) for share, predicted in shares]
    entries = {
        "learning_curve": learning_curve(
            points,
            small_points(rows, small, of_groups) if small.stands_in_for is None else [],
            rows.groups,
            of_all=shrinkage * float(points[-1].error.mean()),
            size=small.size,
        ),
        "random_split": random_split(rows, small, of_groups),
        "error_regions": error_regions(
            rows.target, median, elements=rows.elements, groups=rows.groups, transform=transform
        ),
    }
    return scores, entries
