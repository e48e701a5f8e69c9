"""The noise of labels: how far a repeated measurement or calculation of the same compound would lie from a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelNoise:
    """What is known of the noise of n labels, on the scale of the property: in decades where it is learned as log10.

    Attributes:
        errors: Standard error of each label, nan where nothing is known of it, shape (n,).
        deviation: Standard deviation of a single value, pooled over all compounds with several; nan where there are too
            few of them.
        repeats: Values beyond the first of each compound, from which the deviation is known.
    """

    errors: NDArray[np.float64]
    deviation: float
    repeats: int


def joined_noise(parts: Sequence[LabelNoise | None], sizes: Sequence[int]) -> LabelNoise | None:
    """Return the noise of several sets of labels as one; None where nothing is known of any.

    Args:
        parts: Noise of each set.
        sizes: Number of labels of each set.

    >>> one = LabelNoise(np.array([0.1]), 0.2, 6)
    >>> joined_noise([one, None], [1, 2]).errors
    array([0.1, nan, nan])
    """
    known = [part for part in parts if part is not None]
    if not known:
        return None
    errors = [np.full(size, np.nan) if part is None else part.errors for part, size in zip(parts, sizes, strict=True)]
    pooled = [part for part in known if np.isfinite(part.deviation)]
    repeats = sum(part.repeats for part in pooled)
    squares = sum(part.repeats * part.deviation**2 for part in pooled)
    return LabelNoise(np.concatenate(errors), float(np.sqrt(squares / repeats)) if repeats else float("nan"), repeats)
