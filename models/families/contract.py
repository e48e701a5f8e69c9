"""The interface of every ensemble family, with methods that a family may override."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Contributions:
    """Contribution of each feature to the predictions of n candidates: Shapley values on the scale of the model.

    Attributes:
        base: Prediction without any feature of a candidate.
        values: Contributions, shape (n, k). The base plus the sum of a row is the prediction of that row.
        method: How the contributions were computed.
    """

    base: float
    values: NDArray[np.float64]
    method: str


@runtime_checkable
class Ensemble(Protocol):
    """A regression model that also predicts how much its members disagree.

    A family derives from this class and inherits defaults of :attr:`cost`, :meth:`small`, :meth:`contributions`,
    :meth:`needed_columns`, :meth:`settings_by_name` and :meth:`member_predictions`.

    Attributes:
        family: Name in the registry.
        parameters: Settings as plain JSON values.
        cost: Approximate time of a fit relative to a Gaussian process. Within a budget, cheap families are tried
            first. This is a fixed number, because a measured time would differ between machines.
        members: Name of the setting with the number of members.
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
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Learn from finite features (n, k) and targets (n,).

        Args:
            values: Features.
            target: Values to learn.
            groups: Formula group of each row, shape (n,). A family that splits the rows must not separate a group. If
                left out, each row is a group of its own.
            weights: How much each row counts, positive, shape (n,). Only their ratios matter, and equal weights give
                the same ensemble as none. A family without this argument is fitted to rows of equal weight only.
        """
        ...

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict mean and standard deviation over the members, each (n,)."""
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
        """Settings of a small ensemble that can be fitted dozens of times; None if extra trees should replace it.

        Args:
            parameters: Settings of the ensemble itself.
        """
        return None

    @classmethod
    def needed_columns(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:  # families use them
        """Names of the columns of features that an ensemble with these settings cannot do without.

        Args:
            parameters: Settings of the ensemble.
        """
        return ()

    @classmethod
    def settings_by_name(cls, parameters: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Complete settings with the places of columns that the family finds by their names.

        Args:
            parameters: Settings of the ensemble.
            names: Names of the columns that it will read, in their order; the needed ones are among them.
        """
        return dict(parameters)

    def contributions(
        self,
        values: NDArray[np.float64],  # families use them
        background: NDArray[np.float64],
    ) -> Contributions | None:
        """Compute what each feature adds to each prediction; None for a family without an exact method.

        Args:
            values: Features of n candidates, shape (n, k).
            background: Features of training rows to compare them with, shape (b, k).
        """
        return None

    def member_predictions(
        self,
        values: NDArray[np.float64],  # families use them
    ) -> NDArray[np.floating] | None:
        """Predict with each of m members alone, shape (n, m); None for a family without members that predict.

        Two candidates for which the members err alike are wrong together, so this is a joint predictive distribution.

        Args:
            values: Features of n candidates, shape (n, k).
        """
        return None
