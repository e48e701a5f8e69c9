"""What a card states of a surrogate, its training data and a transfer, apart from its errors."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.properties.catalogue import property_named
from matloop.data.properties.definition import Transform
from matloop.models.families.contract import Ensemble
from matloop.models.surrogates.computed_model import ComputedModel
from matloop.models.surrogates.held_out import Rows
from matloop.models.surrogates.training import data_hash
from matloop.models.surrogates.transfer_gain import what_measured_rows_bought

_PINNED = ("numpy", "scikit-learn", "lightgbm")


def model_statement(
    property_name: str, transform: Transform, family: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a card says of what is predicted and with which family."""
    return {
        "property": property_name,
        "unit": property_named(property_name).unit,
        "transform": transform,
        "family": family,
        "parameters": dict(settings),
    }


def data_statement(
    about: Mapping[str, str] | None, computed: ComputedModel | None, rows: Rows, *, known: int
) -> dict[str, Any]:
    """Return what a card says of the training data, the versions, and the licences that hold for the model.

    Args:
        about: What the training set says of itself.
        computed: Model of computed values that is transferred from.
        rows: The rows used.
        known: Number of rows with a value.
    """
    licences = ["not stated" if about is None else about["licence"]]
    if computed is not None:
        licences.append(computed.card["training_set"]["licence"])
    return {
        "split": "5 folds grouped by reduced formula",
        "data_sha256": data_hash(rows.values, rows.target),
        "versions": {name: importlib.metadata.version(name) for name in ("matloop", *_PINNED)},
        "rows_trained": len(rows.target),
        "rows_left_out": known - len(rows.target),
        "formulas": len(np.unique(rows.groups)),
        "training_set": None if about is None else dict(about),
        "licence": f"Apache-2.0; training data: {'; '.join(dict.fromkeys(licences))}",
    }


def transfer_statement(
    computed: ComputedModel | None,
    of_family: Callable[[], Ensemble],
    ensemble: Ensemble,
    rows: Rows,
    *,
    mean: NDArray[np.float64],
) -> dict[str, Any]:
    """Return the statement of a card about a transfer and what its measured rows bought; nothing without a transfer."""
    if computed is None:
        return {}
    return {"transfer": {**computed.card, **what_measured_rows_bought(of_family, ensemble, rows, mean=mean)}}


def best_of_training(target: NDArray[np.float64]) -> tuple[float, float]:
    """5th and 95th percentile of training targets (m,), which the targets of a campaign may count from."""
    low, high = np.quantile(target, [0.05, 0.95])
    return float(low), float(high)
