"""What every ensemble family is, and what families that know more may say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to the predictions of n candidates: Shapley values, on the scale of the model.

    Attributes:
        base: Prediction before anything is known of a candidate.
        values: Shape (n, k); base plus a row's sum is that row's prediction.
        method: How they were computed.
    """

    base: float
    values: NDArray[np.float64]
    method: str


@runtime_checkable
class Ensemble(Protocol):
    """A regressor that also says how much its members disagree.

    A family derives from this class and thereby inherits what it need not say of itself: :attr:`cost`, :meth:`small`
    and :meth:`contributions`.

    Attributes:
        family: Name in the registry.
        parameters: What it was set up with; plain JSON values.
        cost: Time of a fit against that of extra trees, roughly. Where a budget is set, cheap families are tried first.
            A fixed number is the same on every machine, a measured one is not.
        members: The setting that says how many members the ensemble has.
    """

    family: ClassVar[str]
    parameters: dict[str, Any]
    cost: ClassVar[float] = 30
    members: ClassVar[str] = "members"

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
    ) -> Self:
        """Learn from features (n, k) and targets (n,); all finite.

        Args:
            values: Features.
            target: What to learn.
            groups: Formula group of each row, shape (n,), for families that split the rows themselves and may not
                separate a group; each row is a group of its own where left out.
        """
        ...

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation over the members, each (n,)."""
        ...

    def importances(self) -> NDArray[np.float64]:
        """Share of each feature in the fit, shape (k,), sums to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted ensemble into a folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        ...

    @classmethod
    def small(cls, parameters: Mapping[str, Any]) -> dict[str, Any] | None:  # families use them
        """Settings of a relative that is cheap enough for dozens of fits; None if extra trees should stand in for it.

        Args:
            parameters: Settings of the ensemble itself.
        """
        return None

    def contributions(
        self,
        values: NDArray[np.float64],  # families use them
        background: NDArray[np.float64],
    ) -> Contributions | None:
        """What each feature adds to each prediction, None for a family that has no exact answer.

        Args:
            values: Features of n candidates, shape (n, k).
            background: Features of training rows to compare them with, shape (b, k).
        """
        return None
