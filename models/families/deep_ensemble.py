"""An ensemble of a few residual networks, each of which predicts a mean and a variance."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from matloop.models.families.array_ensemble import ArrayEnsemble
from matloop.models.families.inputs import Scaling, in_blocks, slope_shares
from matloop.models.families.networks import (
    NUMPY,
    Schedule,
    Weights,
    dense,
    moments,
    rectified,
    residual_layers,
    residual_weights,
    slopes,
    train,
)
from matloop.models.families.row_weights import relative_weights


class DeepEnsemble(ArrayEnsemble):
    """Residual networks with a Gaussian likelihood (Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017).

    Features are clipped to the bulk of their training values and standardised. Members differ in initial weights, in
    the order of rows and in the tenth of the formulas that decides when to stop. The spread is the deviation of noise
    and disagreement together. Training needs torch and runs on one thread; a trained ensemble predicts without it.
    A feature's importance is its share in the mean absolute slope of the prediction along standardised features.

    Args:
        members: Number of networks.
        width: Units of a layer, a multiple of 8.
        blocks: Residual blocks, two layers each.
        epochs: Largest number of passes over the rows.
        patience: Number of passes without improvement on held-out rows after which training stops.
        batch: Number of rows in a step.
        rate: Largest learning rate.
        decay: Weight decay.
        seed: Seed of initial weights, order and held-out rows.
    """

    family: ClassVar[str] = "deep_ensemble"
    file: ClassVar[str] = "networks.npz"
    cost: ClassVar[float] = 3

    def __init__(
        self,
        *,
        members: int = 5,
        width: int = 96,
        blocks: int = 2,
        epochs: int = 80,
        patience: int = 15,
        batch: int = 64,
        rate: float = 2e-3,
        decay: float = 0.02,
        seed: int = 0,
    ) -> None:
        super().__init__(
            members=members, width=width, blocks=blocks, epochs=epochs, patience=patience,
            batch=batch, rate=rate, decay=decay, seed=seed,
        )  # fmt: skip

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Train on finite features (n, k) and targets (n,).

        Raises:
            ModelError: If torch is not installed, there are fewer than two groups, or the width is not a multiple of 8.
        """
        p = self.parameters
        scaling = Scaling.fit(values)
        inputs = scaling.apply(values).astype(np.float32)
        level = np.array([target.mean(), target.std() or 1.0])
        trained = train(
            self._forward, self._initial(values.shape[1]), inputs=[inputs], target=(target - level[0]) / level[1],
            groups=np.arange(len(target)) if groups is None else groups, seed=p["seed"],
            row_weights=relative_weights(weights, len(target)),
            schedule=Schedule(p["epochs"], p["patience"], p["batch"], p["rate"], p["decay"]),
        )  # fmt: skip
        shares = slope_shares(slopes(self._forward, trained, [inputs], along=0))
        self._arrays = {**trained, **scaling.arrays(), "level": level, "importances": shares}
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the mean, and the standard deviation of noise and disagreement together, each (n,)."""
        a = self._fitted()
        scaling, (centre, deviation) = Scaling.from_arrays(a), a["level"]
        weights = {name: array.astype(float) for name, array in a.items()}

        def evaluate(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            return moments(self._forward(weights, NUMPY, scaling.apply(rows)[None])) * deviation + [centre, 0.0]

        return in_blocks(evaluate, values)

    def _initial(self, features: int) -> dict[str, NDArray[np.float32]]:
        p = self.parameters
        random = np.random.default_rng(p["seed"])
        return {
            "enter": dense(random, p["members"], (features, p["width"])),
            "enter_bias": np.zeros((p["members"], 1, p["width"]), np.float32),
            **residual_weights(random, p["members"], p["width"], p["blocks"]),
        }

    def _forward(self, weights: Weights, functions: Any, inputs: Any) -> Any:
        hidden = rectified(inputs @ weights["enter"] + weights["enter_bias"])
        return residual_layers(hidden, weights, self.parameters["blocks"])
