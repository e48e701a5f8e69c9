"""Out-of-fold predictions of the training rows of a surrogate, and the table in which they are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.properties.columns import Column
from matloop.data.properties.conditions import CONDITIONS
from matloop.data.properties.definition import Transform
from matloop.models.surrogates.prediction import Prediction, backward, forward


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of the training rows, for plots and for calibration on a selection.

    Attributes:
        target: Truth on the model scale, shape (m,).
        mean: Mean of an ensemble that saw no row of the formula, model scale, shape (m,).
        spread: Its spread adjusted for difficulty, model scale, shape (m,).
        distance: To rows of other formulas, by which residuals are binned, shape (m,); see
            :func:`matloop.models.surrogates.hidden_chemistry.calibration_distance`.
        ids: ``candidate_id`` of each row, empty where none was given, shape (m,).
        conditions: Value of each condition by name, in the unit in which it is stored, each (m,).
        stands: Which rows stand for their material at the asked conditions, shape (m,); None where all do.
    """

    target: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    distance: NDArray[np.float64]
    ids: NDArray[np.str_]
    conditions: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    stands: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        used: NDArray[np.int64],
        target: NDArray[np.float64],
        mean: NDArray[np.float64],
        spread: NDArray[np.float64],
        distance: NDArray[np.float64],
        *,
        ids: Sequence[str] | None,
        conditions: Mapping[str, NDArray[np.float64]],
    ) -> Self:
        """Those of the rows used, with what is known of all rows.

        Args:
            used: The rows that a surrogate learned from, shape (m,).
            target: Of these rows, shape (m,).
            mean: Likewise.
            spread: Likewise.
            distance: Likewise.
            ids: Of all rows.
            conditions: Of all rows by name.
        """
        names = np.full(len(used), "") if ids is None else np.array(ids, str)[used]
        return cls(target, mean, spread, distance, names, {name: kept[used] for name, kept in conditions.items()})

    @property
    def standing(self) -> NDArray[np.int64]:
        """Rows that stand for their material at the asked conditions, in their order."""
        return np.arange(len(self.target)) if self.stands is None else np.flatnonzero(self.stands)


def out_of_fold_table(oof: OutOfFold, prediction: Prediction) -> pa.Table:
    """Return ids, target, mean, median and 90 % interval in the property's unit, spread on the model scale, distance.

    Args:
        oof: The predictions.
        prediction: Their distributions.
    """
    low, high = prediction.interval(0.9)
    target, mean = (backward(values, prediction.transform) for values in (oof.target, oof.mean))
    columns = {"target": target, "mean": mean, "median": prediction.median, "lo": low, "hi": high}
    return pa.table(
        {Column.CANDIDATE_ID: pa.array(oof.ids.tolist(), pa.string()), **columns, "spread": oof.spread}
        | {"distance": oof.distance}
        | {CONDITIONS[name].column: kept for name, kept in oof.conditions.items()}
    )


def read_out_of_fold(table: pa.Table, transform: Transform) -> OutOfFold:
    """Read what :func:`out_of_fold_table` returned."""
    target, mean = (forward(table[name].to_numpy(), transform) for name in ("target", "mean"))
    ids = np.array(table[Column.CANDIDATE_ID].to_pylist(), str)
    there = [one for one in CONDITIONS.values() if one.column in table.column_names]
    conditions = {one.name: table[one.column].to_numpy() for one in there}
    spread, distance = (table[name].to_numpy().astype(float) for name in ("spread", "distance"))
    return OutOfFold(target, mean, spread, distance, ids, conditions)
