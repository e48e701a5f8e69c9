"""The probability of meeting several targets at once, calibrated so that about as many candidates meet them.

Each single probability may be right while their product is wrong. If the refractive index is underestimated, the band
gap tends to be overestimated, so fewer crystals meet both targets than the product says. Errors of bulk and shear
modulus have the same sign, so more crystals meet both. If the truth of several targets is known for the same crystals,
the odds of meeting all are therefore multiplied by a factor. With it the out-of-fold predictions of these crystals
promise as many successes as there are: a recalibration in the large (Cox, Biometrika 45, 562 (1958)).

The result may be less than the single probabilities seem to allow (0.6 and 0.9 would give at least 0.5). A single
probability is right among all candidates with the same prediction, but not among those for which something rare is
predicted for the other targets too. The result is never more than the smallest single probability.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from matloop.models.surrogates.prediction import backward
from matloop.models.surrogates.surrogate import Surrogate

SHARED = 0.8
"""Targets are treated together if at least this share of the labelled crystals of either has both labels."""
_WIDTH = 2.0  # of the prior of the logarithm, for factors from 1/50 to 50
_SUREST = 1e-9
_FARTHEST = 60.0  # logarithm of a factor that is never reached

Ranges = Mapping[str, tuple[float, float]]


class Predictive(Protocol):
    """The part of a prediction of one property that is needed here."""

    def probability_between(self, lower: float, upper: float) -> NDArray[np.float64]:
        """Probability of lying in a range, shape (n,), nan without a prediction."""
        ...


class Group(NamedTuple):
    """Targets whose truth is known for the same crystals.

    Attributes:
        names: The properties.
        odds: Factor for the odds of meeting all of them; 1 for a single target.
        rows: Number of crystals for which the truth of all is known.
        promised: Sum of the products of their out-of-fold probabilities.
        met: Number of crystals that meet all targets.
    """

    names: tuple[str, ...]
    odds: float = 1.0
    rows: int = 0
    promised: float = 0.0
    met: int = 0


@dataclass(frozen=True)
class JointProbability:
    """Computes the probability of meeting all targets from the probabilities of meeting each.

    Attributes:
        groups: The targets. Targets of different groups are assumed to be independent for a given candidate.
    """

    groups: tuple[Group, ...] = ()

    @classmethod
    def fit(cls, surrogates: Mapping[str, Surrogate], ranges: Ranges) -> Self:
        """Learn from the out-of-fold predictions of all crystals from which all surrogates of a group have learned.

        A log-normal prior keeps the factor finite if few crystals or none meet all targets.

        Args:
            surrogates: Surrogates by property. One that was trained without ids is independent of all others.
            ranges: Lower and upper end of the wanted range by property, in the unit of the property.
        """
        outcomes = {name: _outcomes(surrogate, ranges[name]) for name, surrogate in surrogates.items()}
        return cls(tuple(_fitted(names, [outcomes[name] for name in names]) for names in _groups(outcomes)))

    def of_all(self, each: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Compute the probability of meeting all targets, shape (n,), nan where one is not known.

        Args:
            each: Probability of meeting each target, by property, each (n,); targets without a group are independent.
        """
        factors = [self.of_group(group, each) for group in self.groups]
        grouped = {name for group in self.groups for name in group.names}
        factors += [chance for name, chance in each.items() if name not in grouped]
        return np.asarray(functools.reduce(np.multiply, factors))

    @staticmethod
    def of_group(group: Group, each: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Compute the probability of meeting all targets of a group, shape (n,); at most that of any single target."""
        chances = [each[name] for name in group.names]
        return np.minimum(_with_odds(np.prod(chances, axis=0), group.odds), np.min(chances, axis=0))

    def probabilities(
        self, predictions: Mapping[str, Predictive], ranges: Ranges
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
        """Compute the probability of meeting every target, and of meeting each.

        Args:
            predictions: By property.
            ranges: Lower and upper end wanted, by property, in the property's unit.

        Returns:
            Of all, shape (n,), nan where any property was not predicted; and of each by property.
        """
        each = {name: predictions[name].probability_between(*ends) for name, ends in ranges.items()}
        return self.of_all(each), each

    def needed(self, each: Mapping[str, float], name: str, *, wanted: float) -> float | None:
        """Compute the probability of one target at which that of meeting all is ``wanted``, others unchanged.

        Returns:
            The probability, or None where even certainty would not be enough.
        """

        def lacking(chance: float) -> float:
            changed = {**each, name: chance}
            return float(self.of_all({key: np.array([value]) for key, value in changed.items()})[0]) - wanted

        if not lacking(1.0) >= 0:
            return None
        return float(brentq(lacking, 0.0, 1.0, xtol=1e-12)) if wanted > 0 else 0.0


def _with_odds(chance: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The probability whose odds are ``factor`` times those of ``chance``."""
    return chance * factor / (1 - chance + chance * factor)


class _Outcomes(NamedTuple):
    """Labelled crystals of one target: ids in ascending order, predicted chance to meet it, and whether they do."""

    ids: NDArray[np.str_]
    chance: NDArray[np.float64]
    met: NDArray[np.bool_]


def _outcomes(surrogate: Surrogate, wanted: tuple[float, float]) -> _Outcomes:
    oof = surrogate.training
    ids, first = np.unique(oof.ids[oof.standing], return_index=True)
    rows = oof.standing[first]
    if "" in ids:
        ids, rows = ids[:0], rows[:0]
    truth = backward(oof.target[rows], surrogate.transform)
    chance = surrogate.out_of_fold_prediction().take(rows).probability_between(*wanted)
    return _Outcomes(ids, chance, (truth >= wanted[0]) & (truth <= wanted[1]))


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
    common = functools.reduce(
        functools.partial(np.intersect1d, assume_unique=True), [target.ids for target in outcomes]
    )
    if len(names) == 1 or not len(common):
        return Group(names)
    rows = [np.searchsorted(target.ids, common) for target in outcomes]
    chance = np.prod([target.chance[row] for target, row in zip(outcomes, rows, strict=True)], axis=0)
    met = int(np.logical_and.reduce([target.met[row] for target, row in zip(outcomes, rows, strict=True)]).sum())

    unsure = np.clip(chance, _SUREST, 1 - _SUREST)  # no factor moves odds of none or all

    def slope(shift: float) -> float:
        """Slope of the logarithm of the posterior density."""
        return float(met - _with_odds(unsure, np.exp(shift)).sum() - shift / _WIDTH**2)

    return Group(names, float(np.exp(brentq(slope, -_FARTHEST, _FARTHEST))), len(common), float(chance.sum()), met)
