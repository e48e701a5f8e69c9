"""Expected shares of misses as they are shown: numbers that say the same of every candidate are left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def telling_shares(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of misses without those that tell no candidate from another.

    Args:
        shares: Of several candidates, nan where nothing can be said, shape (n,).

    Returns:
        The shares; nan for all candidates if they have the same share. One candidate alone keeps its own.

    >>> telling_shares(np.array([0.3, 0.4])), telling_shares(np.array([0.3, 0.3]))
    (array([0.3, 0.4]), array([nan, nan]))
    """
    if len(shares) > 1 and len(np.unique(shares)) == 1:
        return np.full(len(shares), np.nan)
    return shares
