"""The probability of meeting several targets at once, calibrated so that about as many candidates meet them.

Each single probability may be right while their product is wrong. If the refractive index is underestimated, the band
gap tends to be overestimated, so fewer crystals meet both targets than the product says. Errors of bulk and shear
modulus have the same sign, so more crystals meet both. If the truth of several targets is known for the same crystals,
the odds of meeting all are therefore multiplied by a factor. With it the out-of-fold predictions of these crystals
promise as many successes as there are: a recalibration in the large (Cox, Biometrika 45, 562 (1958)).

The result may be less than the single probabilities seem to allow (0.6 and 0.9 would give at least 0.5). A single
probability is right among all candidates with the same prediction, but not among those for which something rare is
predicted for the other targets too. The result is never more than the smallest single probability, and never more than
calibration rows support (:mod:`matloop.models.surrogates.supported_probability`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from matloop.models.surrogates.prediction import backward
from matloop.models.surrogates.recalibration import odds_factor, with_odds
from matloop.models.surrogates.supported_probability import highest_supported
from matloop.models.surrogates.surrogate import Surrogate

SHARED = 0.8
"""Targets are treated together if at least this share of the labelled crystals of either has both labels."""
_WIDTH = 2.0  # of the prior of the logarithm, for factors from 1/50 to 50
_SUREST = 1e-9

Ranges = Mapping[str, tuple[float, float]]


class Predictive(Protocol):
    """The part of a prediction of one property that is needed here."""

    def probability_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Probability of lying in a range, shape (n,), nan without a prediction."""
        ...


class InsulatorChances(NamedTuple):
    """How probable it is that compositions have a value at all, each judged as a new one.

    Attributes:
        of_labels: Of each row that a surrogate learned from, shape (m,).
        of_others: Of the compositions that taught which of them have one, shape (k,).
    """

    of_labels: NDArray[np.float64]
    of_others: NDArray[np.float64]


class Group(NamedTuple):
    """Targets whose truth is known for the same crystals.

    Attributes:
        names: The properties.
        odds: Factor for the odds of meeting all of them; 1 for a single target.
        rows: Number of crystals for which the truth of all is known.
        promised: Sum of the products of their out-of-fold probabilities.
        met: Number of crystals that meet all targets.
        highest_each: The largest probability of each target that calibration rows support; 1 if left out.
        highest: The same of meeting all of them.
    """

    names: tuple[str, ...]
    odds: float = 1.0
    rows: int = 0
    promised: float = 0.0
    met: int = 0
    highest_each: tuple[float, ...] = ()
    highest: float = 1.0

    def supported(self, each: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Cap the probability of meeting each target of the group, by property, each (n,)."""
        most = self.highest_each or (1.0,) * len(self.names)
        return {name: np.minimum(each[name], highest) for name, highest in zip(self.names, most, strict=True)}

    def together(self, each: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Compute the probability of meeting all targets without any cap, shape (n,)."""
        chances = [each[name] for name in self.names]
        return np.minimum(with_odds(np.prod(chances, axis=0), self.odds), np.min(chances, axis=0))


class Probabilities(NamedTuple):
    """How probable n candidates meet targets.

    Attributes:
        of_all: Probability of meeting all targets, shape (n,), nan where one is not known.
        of_each: Probability of meeting each, by property, each (n,).
        uncapped: What ``of_all`` would be without caps, shape (n,). It orders candidates whose probability is the same
            because of a cap, and is no probability that anything supports.
        uncapped_each: Probability of meeting each without caps, by property, each (n,).
        capped: Which targets have a capped probability, alone or together, shape (n,): names joined by ``+``, groups
            by a comma; empty where no cap is at work.
    """

    of_all: NDArray[np.float64]
    of_each: dict[str, NDArray[np.float64]]
    uncapped: NDArray[np.float64]
    uncapped_each: dict[str, NDArray[np.float64]]
    capped: NDArray[np.str_]


@dataclass(frozen=True)
class JointProbability:
    """Computes the probability of meeting all targets from the probabilities of meeting each.

    Attributes:
        groups: The targets. Targets of different groups are assumed to be independent for a given candidate.
    """

    groups: tuple[Group, ...] = ()

    @classmethod
    def fit(
        cls,
        surrogates: Mapping[str, Surrogate],
        ranges: Ranges,
        *,
        insulators: Mapping[str, InsulatorChances] = MappingProxyType({}),
    ) -> Self:
        """Learn from the out-of-fold predictions of all crystals from which all surrogates of a group have learned.

        A log-normal prior keeps the factor finite if few crystals or none meet all targets.

        Args:
            surrogates: Surrogates by property. One that was trained without ids is independent of all others.
            ranges: Lower and upper end of the wanted range by property, in the unit of the property.
            insulators: Of properties that a candidate may not have, such as the gap of a metal. Where a range is met
                without a value, those of other compositions tell too how large a probability is supported.
        """
        outcomes = {
            name: _outcomes(surrogate, ranges[name], insulators.get(name)) for name, surrogate in surrogates.items()
        }
        return cls(tuple(_fitted(names, [outcomes[name] for name in names]) for names in _groups(outcomes)))

    def of_all(self, each: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Compute the probability of meeting all targets, shape (n,), nan where one is not known.

        Args:
            each: Probability of meeting each target, by property, each (n,); targets without a group are independent.
        """
        return self._product([self.of_group(group, each) for group in self.groups], each)

    def _product(
        self, factors: Sequence[NDArray[np.float64]], each: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Multiply what the groups give with the probabilities of targets without a group, shape (n,)."""
        grouped = {name for group in self.groups for name in group.names}
        others = [chance for name, chance in each.items() if name not in grouped]
        return np.asarray(functools.reduce(np.multiply, [*factors, *others]))

    @staticmethod
    def of_group(group: Group, each: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Compute the probability of meeting all targets of a group, shape (n,).

        It is at most that of any single target, and at most what calibration rows support.
        """
        return np.minimum(group.together(group.supported(each)), group.highest)

    def probabilities(self, predictions: Mapping[str, Predictive], ranges: Ranges) -> Probabilities:
        """Compute the probability of meeting every target, and of meeting each.

        Args:
            predictions: By property.
            ranges: Lower and upper end wanted, by property, in the property's unit.
        """
        raw = {name: predictions[name].probability_between(*ends) for name, ends in ranges.items()}
        each = dict(raw)
        for group in self.groups:
            each |= group.supported(raw)
        uncapped = self._product([group.together(raw) for group in self.groups], raw)
        return Probabilities(self.of_all(each), each, uncapped, raw, self._capped(raw, each))

    def _capped(
        self, raw: Mapping[str, NDArray[np.float64]], each: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.str_]:
        """Name the targets whose probability a cap lowers, shape (n,)."""
        marks: list[tuple[str, NDArray[np.bool_]]] = []
        for group in self.groups:
            marks += [(name, raw[name] > each[name]) for name in group.names]
            if len(group.names) > 1:
                marks.append(("+".join(group.names), group.together(each) > group.highest))
        names = [np.where(lowered, f"{name},", "").astype(object) for name, lowered in marks]
        if not names:
            return np.full(len(next(iter(raw.values()))), "")
        return np.array([text.rstrip(",") for text in functools.reduce(np.add, names)], str)

    def needed(self, each: Mapping[str, float], name: str, *, wanted: float) -> float | None:
        """Compute the least probability of one target at which that of meeting all is ``wanted``, others unchanged.

        Returns:
            The probability, or None where even certainty would not be enough.
        """
        wanted = wanted * (1 - _SUREST)  # a cap may hold the probability at exactly what is wanted

        def lacking(chance: float) -> float:
            changed = {**each, name: chance}
            return float(self.of_all({key: np.array([value]) for key, value in changed.items()})[0]) - wanted

        if not lacking(1.0) >= 0:
            return None
        return float(brentq(lacking, 0.0, 1.0, xtol=1e-12)) if wanted > 0 else 0.0


class _Outcomes(NamedTuple):
    """Labelled crystals of one target: ids in ascending order, predicted chance to meet it, and whether they do.

    ``highest`` is the largest chance that calibration rows support, of which there are ``rows``; those with ids and
    those without count.
    """

    ids: NDArray[np.str_]
    chance: NDArray[np.float64]
    met: NDArray[np.bool_]
    highest: float
    rows: int


def _outcomes(surrogate: Surrogate, wanted: tuple[float, float], insulators: InsulatorChances | None) -> _Outcomes:
    oof = surrogate.training
    standing = oof.standing if len(oof.standing) else np.arange(len(oof.target))
    new = replace(
        surrogate.out_of_fold_prediction(), insulator=None if insulators is None else insulators.of_labels
    )  # fmt: skip
    chance, of_others = new.probability_between(*wanted), np.empty(0)
    if insulators is not None and wanted[0] <= new.bounds[0] <= wanted[1]:
        of_others = 1 - insulators.of_others  # their values are not predicted, so their chance is at least that
    highest = highest_supported(np.concatenate([chance[standing], of_others]))
    ids, first = np.unique(oof.ids[oof.standing], return_index=True)
    rows = oof.standing[first]
    if "" in ids:
        ids, rows = ids[:0], rows[:0]
    truth = backward(oof.target[rows], surrogate.transform)
    met = (truth >= wanted[0]) & (truth <= wanted[1])
    return _Outcomes(ids, np.minimum(chance[rows], highest), met, highest, len(ids) + len(of_others))


def _groups(outcomes: Mapping[str, _Outcomes]) -> list[tuple[str, ...]]:
    groups: list[tuple[str, ...]] = []
    for name, target in outcomes.items():
        for at, group in enumerate(groups):
            first = outcomes[group[0]]
            common = np.intersect1d(target.ids, first.ids, assume_unique=True)
            if len(common) and len(common) >= SHARED * max(len(target.ids), len(first.ids)):
                groups[at] = (*group, name)
                break
        else:
            groups.append((name,))
    return groups


def _fitted(names: tuple[str, ...], outcomes: Sequence[_Outcomes]) -> Group:
    highest_each = tuple(target.highest for target in outcomes)
    common = functools.reduce(
        functools.partial(np.intersect1d, assume_unique=True), [target.ids for target in outcomes]
    )
    if len(names) == 1 or not len(common):
        return Group(names, rows=outcomes[0].rows, highest_each=highest_each, highest=min(highest_each))
    rows = [np.searchsorted(target.ids, common) for target in outcomes]
    chances = [target.chance[row] for target, row in zip(outcomes, rows, strict=True)]
    product = np.prod(chances, axis=0)
    met = int(np.logical_and.reduce([target.met[row] for target, row in zip(outcomes, rows, strict=True)]).sum())

    odds = odds_factor(product, met, width=_WIDTH)
    group = Group(names, odds, len(common), float(product.sum()), met, highest_each)
    together = group.together(dict(zip(names, chances, strict=True)))
    return group._replace(highest=highest_supported(together))
