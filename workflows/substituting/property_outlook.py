"""What becomes of one property when a material is replaced: values before and after, the change, P(kept).

Where a value is known that is like the labels of the model, it counts; elsewhere the whole predictive distribution
does. The change of two uncertain values is taken over all pairs of their quantiles, as if their errors were
independent. P(kept) is never more than calibration rows of the model support. A metal has no refractive index: what has
no computed band gap does not keep one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.properties.catalogue import using
from matloop.data.training.training_set import TrainingSet
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.screening.substitution.kept_property import KeptProperty
from matloop.workflows.modelling.trained_model import TrainedModel
from matloop.workflows.substituting.known_values import KnownValue, known_metals, known_values, measured_values

_QUANTILES = (np.arange(101) + 0.5) / 101
METAL = "R-REPLACE-METAL"
"""The property is one of insulators, and the composition has no computed band gap."""
_OF_INSULATORS = frozenset({"refractive_index"})


class PropertyValue(NamedTuple):
    """One property of one composition, in its unit.

    Attributes:
        known: A value like the labels of the model, None where there is none.
        measured: A measured value where the labels are computed ones, None where there is none.
        predicted: Predicted value, nan without a prediction.
        low: Lower end of the 90 % interval.
        high: Upper end.
        in_domain: Whether the model has learned of such compositions.
        code: Why there is no prediction, or none that counts; empty where there is one.
    """

    known: KnownValue | None
    measured: KnownValue | None
    predicted: float
    low: float
    high: float
    in_domain: bool
    code: str

    @property
    def best(self) -> float:
        """The known value, else the predicted one."""
        return self.predicted if self.known is None else self.known.value


class Outlook(NamedTuple):
    """What becomes of one property of one replacement.

    Attributes:
        value: Of the replacement.
        change: From the old to the new value, in the unit of the property.
        change_low: Lower end of the 90 % interval of the change; equal to ``change`` between two known values.
        change_high: Upper end.
        kept: P(kept); 0 or 1 between two known values.
    """

    value: PropertyValue
    change: float
    change_low: float
    change_high: float
    kept: float


class PropertyOutlooks(NamedTuple):
    """What becomes of one property.

    Attributes:
        condition: What is to be kept.
        old: The material.
        new: Its replacements.
        provenance: Of the values, such as ``dft:pbe``.
        table: Name of the training set.
    """

    condition: KeptProperty
    old: PropertyValue
    new: list[Outlook]
    provenance: str
    table: str


def property_outlooks(
    condition: KeptProperty,
    model: TrainedModel,
    compositions: CandidateBatch,
    *,
    training: TrainingSet | None = None,
    left_out: Sequence[str] = (),
) -> PropertyOutlooks:
    """Predict a material and its replacements, and compare them.

    Args:
        condition: What is to be kept.
        model: Predicts the property from compositions.
        compositions: The material in the first row, its replacements in the others.
        training: What the model learned from, where it is at hand; its labels are known values.
        left_out: Formulas of which no value counts as known.
    """
    with using(model.catalogue):
        alone = model.surrogate.predict(model.features.featurize(compositions))
        prediction = model.with_insulators(alone, compositions)
        low, high = prediction.interval(0.9)
        about = model.surrogate.card.get("training_set") or {}
        known = known_values(condition.name, compositions.compositions, about=about, training=training)
        measured = measured_values(condition.name, compositions.compositions)
        for row in _rows_of(left_out, compositions.compositions):
            known[row] = measured[row] = None
        metals = known_metals(compositions.compositions) if condition.name in _OF_INSULATORS else [False] * len(known)
        metals = [metal and value is None for metal, value in zip(metals, known, strict=True)]
        numbers = zip(
            prediction.median.tolist(), low.tolist(), high.tolist(), prediction.in_domain.tolist(), strict=True
        )
        provenance = about.get("provenance", "")
        values = [
            PropertyValue(
                known[row], None if provenance == "exp" else measured[row], *four, METAL if metal else str(code)
            )
            for row, (four, code, metal) in enumerate(zip(numbers, prediction.codes.tolist(), metals, strict=True))
        ]
        samples = np.stack([prediction.quantile(float(share)) for share in _QUANTILES], axis=1)
        for row, value in enumerate(known):
            if value is not None:
                samples[row] = value.value
        highest = _highest_supported(condition, model, values[0].best)
    new = [
        _outlook(condition, values[0], values[row], samples[0], samples[row], highest=highest)
        for row in range(1, len(values))
    ]
    return PropertyOutlooks(condition, values[0], new, provenance, about.get("name", ""))


def _outlook(
    condition: KeptProperty,
    old: PropertyValue,
    new: PropertyValue,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    highest: float,
) -> Outlook:
    """Compare two values over all pairs of their quantiles."""
    if METAL in (old.code, new.code):
        return Outlook(new, np.nan, np.nan, np.nan, 0.0)
    change = new.best - old.best
    differences = after[:, None] - before
    if not np.isfinite(differences).all():
        return Outlook(new, change, np.nan, np.nan, np.nan)
    low, high = np.quantile(differences, (0.05, 0.95)).tolist()
    kept = float(condition.met(before, after[:, None]).mean())
    return Outlook(new, change, low, high, kept if new.known is not None else min(kept, highest))


def _highest_supported(condition: KeptProperty, model: TrainedModel, old: float) -> float:
    """The largest probability of keeping the property that calibration rows support; 1 without an old value."""
    name, (low, high) = condition.name, _range(condition, old)
    if not low < high:
        return 1.0
    joint = JointProbability.fit(
        {name: model.surrogate}, {name: (low, high)}, insulators=model.insulators_of_labels
    )  # fmt: skip
    return min(group.highest for group in joint.groups)


def _range(condition: KeptProperty, old: float) -> tuple[float, float]:
    """Range in which the property is kept."""
    if condition.rule == "at_least":
        return condition.limit, np.inf
    if condition.rule == "at_most":
        return -np.inf, condition.limit
    allowed = condition.limit * abs(old) if condition.rule == "share" else condition.limit
    return old - allowed, old + allowed


def _rows_of(formulas: Sequence[str], compositions: Compositions) -> list[int]:
    """Rows of the compositions that some formulas name."""
    if not formulas:
        return []
    named, _ = parse_formulas(list(formulas))
    return np.flatnonzero(np.isin(composition_keys(compositions), composition_keys(named))).tolist()


def probability_of_keeping(outlooks: Sequence[PropertyOutlooks], row: int) -> float:
    """P(all properties are kept) of one replacement: their product, as if they were independent."""
    return float(np.prod([one.new[row].kept for one in outlooks]))
