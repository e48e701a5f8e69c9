"""Conditions as features: columns beside those of the material, and the value that is asked for.

A surrogate learns from labels under different conditions, each on the scales of
:mod:`matloop.data.properties.conditions`, and is asked for one value of each. A condition with one value in all labels
is no feature. Between labels it interpolates; it is not asked beyond them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.data.properties.conditions import CONDITIONS, Condition, Scale, condition_named

AT_THE_EDGE = 0.02
"""Share of the range of the labels by which an asked value may lie outside; the end of the range is used then."""
NEAR = 0.25
"""Share of the range of the labels within which a label of a material stands for it at the asked conditions."""
_GROUP = Label("conditions", "测量条件")


@dataclass(frozen=True)
class LearnedCondition:
    """A condition as a surrogate learned it.

    Attributes:
        condition: The quantity.
        scales: Scales of its features.
        lower: Least value of the labels, in the unit in which it is stored.
        upper: Largest value of the labels.
    """

    condition: Condition
    scales: tuple[Scale, ...]
    lower: float
    upper: float

    @property
    def is_feature(self) -> bool:
        """Whether the labels differ in it."""
        return self.lower < self.upper

    def place(self, values: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Say where values lie between the ends of the labels, 0 to 1, on the last scale; n values or one.

        >>> LearnedCondition.of("temperature", np.array([300.0, 600.0])).place(400.0).round(6).item()
        0.5
        """
        scale = self.scales[-1]
        first, last = (self.condition.on_scale(end, scale) for end in (self.lower, self.upper))
        span = last - first if self.is_feature else 1.0
        return np.asarray((self.condition.on_scale(values, scale) - first) / span)

    @classmethod
    def of(cls, name: str, values: NDArray[np.float64]) -> Self:
        """The condition of that name with its values in m labels."""
        condition = condition_named(name)
        positive = bool((values > 0).all())
        scales: tuple[Scale, ...] = ("linear",)
        if condition.scale != "linear" and positive:
            scales = ("linear", condition.scale)
        return cls(condition, scales, float(values.min()), float(values.max()))

    @classmethod
    def from_card(cls, said: Mapping[str, Any]) -> Self:
        """Read what :meth:`card` gave.

        Raises:
            ModelError: If it is something else.
        """
        try:
            scales = tuple(said["scales"])
            if not scales or not set(scales) <= {"linear", "reciprocal", "log10"}:
                raise ValueError(f"scales {scales}")
            return cls(CONDITIONS[said["name"]], scales, float(said["lower"]), float(said["upper"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"a card with unknown conditions ({error})", "a card that matloop wrote") from error

    def card(self) -> dict[str, Any]:
        """What the card of a model says of it, as plain JSON values."""
        return {
            "name": self.condition.name, "unit": self.condition.unit, "lower": self.lower, "upper": self.upper,
            "scales": list(self.scales),
        }  # fmt: skip

    def words(self) -> tuple[FeatureWords, ...]:
        """Words of its features."""
        label, unit = self.condition.label, self.condition.unit
        each = {
            "linear": (label, unit),
            "reciprocal": (Label(f"1000 over {label.en}", f"{label.zh}倒数×1000"), f"1/{unit}"),
            "log10": (Label(f"logarithm of the {label.en}", f"{label.zh}对数"), ""),
        }
        return tuple(FeatureWords(_GROUP, words, unit=unit) for words, unit in map(each.__getitem__, self.scales))


def learned_conditions(values: Mapping[str, NDArray[np.float64]]) -> tuple[LearnedCondition, ...]:
    """Return the conditions of m labels by their values."""
    return tuple(LearnedCondition.of(name, kept) for name, kept in values.items())


def features_with(
    features: FeatureMatrix,
    learned: Sequence[LearnedCondition],
    values: Mapping[str, NDArray[np.float64] | float],
) -> FeatureMatrix:
    """Put the features of conditions behind those of n materials.

    Args:
        features: Of the materials.
        learned: Conditions; one without a range adds nothing.
        values: By name, in the unit in which the condition is stored: one for all materials, or n.

    Returns:
        Features with another fingerprint, unless no condition adds a feature.
    """
    varied = [one for one in learned if one.is_feature]
    if not varied:
        return features
    names, columns = list(features.names), [features.values]
    for one in varied:
        for scale in one.scales:
            column = one.condition.on_scale(values[one.condition.name], scale)
            columns.append(np.broadcast_to(column, (len(features),))[:, None])
            names.append(one.condition.feature_name(scale))
    return FeatureMatrix(
        np.hstack(columns), tuple(names), fingerprint_with(features.fingerprint, learned), features.elements,
        features.codes, features.details,
    )  # fmt: skip


def fingerprint_with(fingerprint: str, learned: Sequence[LearnedCondition]) -> str:
    """Return the fingerprint of features with those of conditions behind them."""
    added = [one.condition.feature_name(scale) for one in learned if one.is_feature for scale in one.scales]
    return hashlib.sha256(json.dumps([fingerprint, added]).encode()).hexdigest()[:16] if added else fingerprint


def check_asked(learned: Sequence[LearnedCondition], asked: Mapping[str, float], *, of: str) -> dict[str, float]:
    """Return the values to compute with, or refuse them.

    Args:
        learned: Conditions of the labels.
        asked: By name, in the unit in which the condition is stored.
        of: Property of the labels.

    Raises:
        ModelError: If a condition is none of the labels, one that varies is not asked for, or a value lies outside
            the labels.
    """
    known = {one.condition.name: one for one in learned}
    if unknown := [name for name in asked if name not in known]:
        stated = ", ".join(known) or "none"
        raise ModelError(
            f"{of} at a {unknown[0]}, which its labels do not state", f"their conditions: {stated}",
            f"leave {unknown[0]} out, or name its column under 'conditions' of the data",
        )  # fmt: skip
    values = {}
    for name, one in known.items():
        condition, low, high = one.condition, one.lower, one.upper
        span = f"{condition.write(low)} to {condition.write(high)}"
        if name not in asked:
            if one.is_feature:
                raise ModelError(
                    f"labels of {of} with {condition.label.en} from {span}, and no {condition.label.en} asked for",
                    "one value of each condition that varies", f"write 'at: {{{name}: {condition.write(high)}}}'",
                )  # fmt: skip
            continue
        place = one.place(asked[name])
        inside = -AT_THE_EDGE <= place <= 1 + AT_THE_EDGE
        if not (inside if one.is_feature else np.isclose(asked[name], low, rtol=AT_THE_EDGE)):
            raise ModelError(
                f"{of} at {condition.write(asked[name])}, and its labels have {condition.label.en} {span}",
                "a value between the labels, since nothing was learned beyond them",
                f"ask for one of them, or add labels near {condition.write(asked[name])}",
            )  # fmt: skip
        values[name] = min(max(asked[name], low), high)
    return values


def within_labels(
    learned: Sequence[LearnedCondition], values: Mapping[str, NDArray[np.float64]], *, of: str
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    """Return conditions of n materials to compute with, and which of the materials lie beyond the labels, shape (n,).

    Args:
        learned: Conditions of the labels.
        values: Of each material by name, in the unit in which the condition is stored, nan where unknown, each (n,).
        of: Property of the labels.

    Raises:
        ModelError: If a condition that varies is missing.
    """
    found: dict[str, NDArray[np.float64]] = {}
    beyond = np.zeros(len(next(iter(values.values()), np.empty(0))), bool)
    for one in learned:
        name = one.condition.name
        if not one.is_feature:
            continue
        if name not in values:
            check_asked([one], {}, of=of)
        place = one.place(values[name])
        bad = ~((place >= -AT_THE_EDGE) & (place <= 1 + AT_THE_EDGE))
        found[name] = np.where(bad, one.lower, np.clip(values[name], one.lower, one.upper))
        beyond |= bad
    return found, beyond


def standing_rows(
    learned: Sequence[LearnedCondition],
    values: Mapping[str, NDArray[np.float64]],
    asked: Mapping[str, float],
    ids: Sequence[str] | NDArray[np.str_],
) -> NDArray[np.bool_]:
    """Choose the label of each material that stands for it at the asked conditions, shape (m,).

    It is the nearest one, if it lies within a quarter of the range of all labels. Its prediction and its truth both
    belong to its own conditions, so that they can be compared.

    Args:
        learned: Conditions of the labels.
        values: Of each label by name, each (m,).
        asked: Asked value by name.
        ids: Material of each label, length m.
    """
    count = len(ids)
    apart = np.zeros(count)
    for one in learned:
        if one.is_feature and one.condition.name in asked:
            name = one.condition.name
            apart = np.maximum(apart, np.abs(one.place(values[name]) - one.place(asked[name])))
    order = np.lexsort((np.arange(count), apart, np.asarray(ids, str)))
    first = np.append(True, np.asarray(ids, str)[order][1:] != np.asarray(ids, str)[order][:-1])[:count]
    stands = np.zeros(count, bool)
    stands[order[first]] = True
    return stands & (apart <= NEAR)


def values_at(
    learned: Sequence[LearnedCondition],
    values: Mapping[str, NDArray[np.float64]],
    asked: Mapping[str, float],
    *,
    ids: Sequence[str] | NDArray[np.str_],
    target: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return one value for each material at the asked conditions, as its own labels tell it.

    Where one condition varies, it is interpolated between the labels of the material; else the nearest label counts.
    Materials without a label near the asked conditions are left out.

    Args:
        learned: Conditions of the labels.
        values: Of each label by name, each (m,).
        asked: Asked value by name.
        ids: Material of each label, length m.
        target: Labels on the scale of the model, shape (m,).
    """
    stands = np.flatnonzero(standing_rows(learned, values, asked, ids))
    varied = [one for one in learned if one.is_feature and one.condition.name in asked]
    if len(varied) != 1:
        return target[stands]
    (one,) = varied
    name = one.condition.name
    places, wanted, names = one.place(values[name]), float(one.place(asked[name])), np.asarray(ids, str)
    found = []
    for row in stands.tolist():
        own = np.flatnonzero(names == names[row])
        own = own[np.argsort(places[own], kind="stable")]
        found.append(np.interp(wanted, places[own], target[own]))
    return np.array(found)
