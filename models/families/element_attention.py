"""Networks with attention over the elements of a composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import SYMBOLS, element_table
from matloop.data.errors import ModelError
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

_ELEMENTS = len(SYMBOLS) - 1
_LARGEST_SCORE = 10.0
_NOTHING = 1e-6  # fractions that were stored in single precision may be about this instead of zero
_TRACE = 1e-3  # smallest fraction of which a logarithm is taken


class _Tokens(NamedTuple):
    """Compositions as lists of elements, padded with zeros.

    Attributes:
        numbers: Atomic numbers, shape (n, e).
        fractions: Atomic fractions, shape (n, e).
        context: Further features, scaled, shape (n, c).
    """

    numbers: NDArray[np.int64]
    fractions: NDArray[np.float64]
    context: NDArray[np.float64]


class ElementAttention(ArrayEnsemble):
    """An ensemble of small networks in which the elements of a composition attend to each other.

    Each element is represented by its row of the elemental property table, a learned vector and its fraction. Attention
    between elements is weighted by their fractions, and so is the mean over elements from which outputs are computed.
    The idea comes from Roost (Goodall and Lee, Nature Communications 11, 6280 (2020)) and CrabNet (Wang et al., npj
    Comput. Mater. 7, 77 (2021)). Members, training and spread are those of
    :class:`~matloop.models.families.deep_ensemble.DeepEnsemble`.

    Needs the features of ``element_fraction``: 118 columns in a row with the atomic fractions of hydrogen to oganesson.
    A surrogate finds them by their names, wherever they stand. An element with a fraction below a millionth counts as
    absent. All other columns are added after the attention.

    Args:
        members: Number of networks.
        width: Length of an element's vector, a multiple of 8.
        layers: Layers of attention.
        blocks: Residual blocks after the mean over elements.
        epochs: Largest number of passes over the rows.
        patience: Number of passes without improvement on held-out rows after which training stops.
        batch: Number of rows in a step.
        rate: Largest learning rate.
        decay: Weight decay.
        first: Column with the fraction of hydrogen, where the columns have no names.
        seed: Seed of initial weights, order and held-out rows.
    """

    family: ClassVar[str] = "element_attention"
    file: ClassVar[str] = "networks.npz"
    cost: ClassVar[float] = 4

    def __init__(
        self,
        *,
        members: int = 3,
        width: int = 48,
        layers: int = 2,
        blocks: int = 2,
        epochs: int = 100,
        patience: int = 20,
        batch: int = 128,
        rate: float = 2e-3,
        decay: float = 0.02,
        first: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(
            members=members, width=width, layers=layers, blocks=blocks, epochs=epochs,
            patience=patience, batch=batch, rate=rate, decay=decay, first=first, seed=seed,
        )  # fmt: skip

    @classmethod
    def needed_columns(cls, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        """Symbols of the elements, which are the names of the columns with their atomic fractions."""
        return SYMBOLS[1:]

    @classmethod
    def settings_by_name(cls, parameters: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Set ``first`` to the column of hydrogen.

        Raises:
            ModelError: If the columns of the elements do not stand in a row in their order.
        """
        first = names.index(SYMBOLS[1])
        if tuple(names[first : first + _ELEMENTS]) != SYMBOLS[1:]:
            raise ModelError(
                "columns of atomic fractions in another order", "H to Og in a row, as element_fraction gives them"
            )
        return {**parameters, "first": first}

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
            ModelError: If the fractions are not in the expected columns, torch is not installed, there are fewer than
                two groups, or the width is not a multiple of 8.
        """
        p = self.parameters
        fractions, context = self._parts(values)
        scaling = Scaling.fit(context)
        tokens = _tokens(fractions, scaling.apply(context))
        inputs: list[NDArray[Any]] = [tokens.numbers, *(part.astype(np.float32) for part in tokens[1:])]
        level = np.array([target.mean(), target.std() or 1.0])
        trained = train(
            self._forward, self._initial(context.shape[1]), inputs=inputs, target=(target - level[0]) / level[1],
            groups=np.arange(len(target)) if groups is None else groups, seed=p["seed"],
            row_weights=relative_weights(weights, len(target)),
            schedule=Schedule(p["epochs"], p["patience"], p["batch"], p["rate"], p["decay"]),
        )  # fmt: skip
        shares = self._shares(trained, inputs, fractions)
        self._arrays = {**trained, **scaling.arrays(), "level": level, "importances": shares}
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict the mean, and the standard deviation of noise and disagreement together, each (n,)."""
        a = self._fitted()
        fractions, context = self._parts(values)
        scaled, (centre, deviation) = Scaling.from_arrays(a).apply(context), a["level"]
        weights = {name: array.astype(float) for name, array in a.items()}

        def evaluate(*tokens: NDArray[Any]) -> NDArray[np.float64]:
            return moments(self._forward(weights, NUMPY, *(rows[None] for rows in tokens))) * deviation + [centre, 0.0]

        mean, spread = np.empty(len(values)), np.empty(len(values))
        counts = (fractions > 0).sum(axis=1)
        for count in np.unique(counts):  # without padding, so that other rows do not change the order of sums
            rows = np.flatnonzero(counts == count)
            mean[rows], spread[rows] = in_blocks(evaluate, *_tokens(fractions[rows], scaled[rows]))
        return mean, spread

    def _parts(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Split features into fractions (n, 118) and all other columns (n, c)."""
        first = self.parameters["first"]
        fractions = values[:, first : first + _ELEMENTS]
        sound = fractions.shape[1] == _ELEMENTS and (fractions > -_NOTHING).all()
        if not (sound and np.allclose(fractions.sum(axis=1), 1, rtol=0, atol=1e-4)):
            raise ModelError(
                f"columns {first} to {first + _ELEMENTS - 1} of {values.shape[1]} are no atomic fractions",
                "for element_attention, the 118 columns of the feature set element_fraction",
                "give the names of the columns, or set first to the column of hydrogen",
            )
        context = np.delete(values, np.s_[first : first + _ELEMENTS], axis=1)
        return np.where(fractions < _NOTHING, 0.0, fractions), context

    def _initial(self, context: int) -> dict[str, NDArray[np.float32]]:
        p = self.parameters
        members, width = p["members"], p["width"]
        random = np.random.default_rng(p["seed"])
        weights = {
            "element": 0.1 * dense(random, members, (_ELEMENTS + 1, width), gain=_ELEMENTS),
            "properties": dense(random, members, (_properties().shape[1], width), gain=1.0),
            "amount": dense(random, members, (1, width), gain=0.3),
            "log_amount": dense(random, members, (1, width), gain=0.1),
            "pooled": dense(random, members, (width, width)),
            "context": dense(random, members, (context, width)) if context else np.zeros((members, 0, width), "f4"),
            "enter_bias": np.zeros((members, 1, width), np.float32),
        }
        for layer in range(p["layers"]):
            for name, gain in (("query", 1.0), ("key", 1.0), ("value", 1.0), ("mix", 0.1), ("in", 2.0), ("out", 0.1)):
                weights[f"layer_{layer}_{name}"] = dense(random, members, (width, width), gain=gain)
            weights[f"layer_{layer}_in_bias"] = np.zeros((members, 1, width), np.float32)
        return {**weights, **residual_weights(random, members, width, p["blocks"])}

    def _forward(self, weights: Weights, functions: Any, numbers: Any, fractions: Any, context: Any) -> Any:
        """Compute outputs (members, n, 2) for tokens (members or 1, n, e) and context (members or 1, n, c)."""
        members, width = weights["element"].shape[0], self.parameters["width"]
        vectors = weights["element"] + functions.array(_properties()) @ weights["properties"]
        hidden = vectors[functions.array(np.arange(members)[:, None, None]), numbers]  # (members, n, e, width)
        amounts = fractions[..., None]
        hidden = hidden + amounts * weights["amount"][:, None]
        hidden = hidden + functions.log(amounts + _TRACE) * weights["log_amount"][:, None]
        shape, flat = hidden.shape, (members, -1, width)
        for layer in range(self.parameters["layers"]):
            own = {name: weights[f"layer_{layer}_{name}"] for name in ("query", "key", "value", "mix", "in", "out")}
            query, key, value = ((hidden.reshape(flat) @ own[n]).reshape(shape) for n in ("query", "key", "value"))
            scores = functions.clip(query @ key.swapaxes(-1, -2) / width**0.5, -_LARGEST_SCORE, _LARGEST_SCORE)
            attention = functions.exp(scores) * fractions[..., None, :]
            attention = attention / attention.sum(-1)[..., None]
            hidden = hidden + ((attention @ value).reshape(flat) @ own["mix"]).reshape(shape)
            inner = rectified(hidden.reshape(flat) @ own["in"] + weights[f"layer_{layer}_in_bias"])
            hidden = hidden + (inner @ own["out"]).reshape(shape)
        pooled = (hidden * amounts).sum(-2)
        entered = pooled @ weights["pooled"] + context @ weights["context"] + weights["enter_bias"]
        return residual_layers(rectified(entered), weights, self.parameters["blocks"])

    def _shares(
        self, weights: dict[str, NDArray[np.float32]], inputs: list[NDArray[Any]], fractions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Compute importances of all columns. The slope of a fraction counts only in rows with that element."""
        by_element = np.zeros((len(fractions), _ELEMENTS + 1))
        np.put_along_axis(by_element, inputs[0], slopes(self._forward, weights, inputs, along=1), axis=1)
        by_element = by_element[:, 1:] * fractions.std(axis=0)
        along_context = slopes(self._forward, weights, inputs, along=2)
        first = self.parameters["first"]
        return slope_shares(np.hstack([along_context[:, :first], by_element, along_context[:, first:]]))


def _tokens(fractions: NDArray[np.float64], context: NDArray[np.float64]) -> _Tokens:
    """List the elements of each row by falling atomic number, with as many places as the longest row needs."""
    most = int((fractions > 0).sum(axis=1).max(initial=1))
    columns = np.arange(1, _ELEMENTS + 1)
    numbers = np.sort(np.where(fractions > 0, columns, 0), axis=1)[:, ::-1][:, :most]
    padded = np.hstack([np.zeros((len(fractions), 1)), fractions])
    return _Tokens(np.ascontiguousarray(numbers), np.take_along_axis(padded, numbers, axis=1), context)


@cache
def _properties() -> NDArray[np.float64]:
    """Return the elemental property table with mean 0 and deviation 1 in each column, 0 if unknown, shape (119, t)."""
    values = element_table().values
    with np.errstate(invalid="ignore"):
        scaled = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    return np.nan_to_num(scaled, posinf=0.0, neginf=0.0)
