"""FeatureMatrix: the output of featurizers for models; it names its columns and the feature set that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of n candidates.

    Attributes:
        values: Shape (n, k); nan somewhere in a row that was refused.
        names: Names of the k columns.
        fingerprint: Hash of the feature set that made the values.
        elements: Which elements each candidate contains, shape (n, 119), by atomic number.
        codes: Row code of each candidate, empty where all its values are finite, shape (n,).
        details: Message of the failed computation, by row.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    fingerprint: str
    elements: NDArray[np.bool_]
    codes: NDArray[np.str_]
    details: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.integer]) -> FeatureMatrix:
        """Return the rows at ``rows``, in that order, without details."""
        return FeatureMatrix(self.values[rows], self.names, self.fingerprint, self.elements[rows], self.codes[rows])
