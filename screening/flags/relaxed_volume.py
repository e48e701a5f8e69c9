"""How much the volume of a crystal changed while it was relaxed, and whether it is still the crystal that was meant."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST_VOLUME_CHANGE = 0.2
"""Relative change of the volume beyond which a relaxed crystal has to be looked at. Relaxing corrects the volume that a
substitution leaves wrong, mostly by a few percent; a larger change often is a step to another structure."""

_ROUNDING = 1e-6  # changes come in single precision too


def volume_changed_much(changes: ArrayLike) -> NDArray[np.bool_]:
    """Whether relative changes of volume are beyond 20 %; unknown ones (nan) are not.

    >>> volume_changed_much([-0.21, 0.2, float("nan"), 0.35]).tolist()
    [True, False, False, True]
    """
    return np.abs(np.asarray(changes, np.float64)) > LARGEST_VOLUME_CHANGE * (1 + _ROUNDING)
