"""What composition models bought a surrogate: its error on grouped folds with their values as features, and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.surrogates.held_out import Rows, SmallEnsemble, grouped_errors
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import usable_rows


def with_composition_models(
    surrogate: Surrogate,
    features: FeatureMatrix,
    scaled: NDArray[np.float64],
    groups: NDArray[np.integer],
    *,
    columns: Mapping[str, Mapping[str, Any]],
) -> Surrogate:
    """Return the same surrogate, whose card says which composition models give it features and what they bought.

    Both errors are those of the same small ensembles on the same folds.

    Args:
        surrogate: The surrogate.
        features: Features of m rows, on which it was fitted.
        scaled: Their values on the scale of the surrogate, nan where unknown, shape (m,).
        groups: Formula group of each row, shape (m,).
        columns: Card of each composition model by the name of its column; without any the surrogate stays as it is.
    """
    if not columns:
        return surrogate
    used = usable_rows(features, scaled)
    rows = Rows(features.values[used], scaled[used], groups[used], features.elements[used])
    kept = [number for number, name in enumerate(features.names) if name not in columns]
    seed = surrogate.card["parameters"].get("seed", 0)  # other families may name columns, of which one is missing below
    small = SmallEnsemble(ExtraTrees.family, ExtraTrees.small({"seed": seed}), None)
    without = grouped_errors(rows._replace(values=rows.values[:, kept]), small).mean() if kept else None
    gain = {
        "with_models": float(grouped_errors(rows, small).mean()),
        "without_models": None if without is None else float(without),
        "ensemble": f"{small.family}, {small.size}",
    }
    models = [
        {
            "column": name, "property": card["property"], "unit": card["unit"], "transform": card["transform"],
            "mae": card["scores"]["mae"], "mae_of_mean": card["scores"]["mae_of_mean"],
            "rows": card["rows_trained"], "training_set": dict(card["training_set"]),
        }
        for name, card in columns.items()
    ]  # fmt: skip
    licences = dict.fromkeys([surrogate.card["licence"], *(str(card["licence"]) for card in columns.values())])
    said = {"composition_models": {"models": models, "mae": gain}, "licence": "; ".join(licences)}
    return replace(surrogate, card={**surrogate.card, **said})
