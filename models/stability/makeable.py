"""P(makeable phase): how likely a database of the next years lists a compound of a composition, near its hull.

History answers. The packaged crystals and the transport data hold 35,000 compositions that the Materials Project listed
by 2017; two years later it listed 95,000. Ionic substitution makes compositions that the earlier lists lack, and the
later list names some of them. P is the share of such compositions, among those of equal kinship to the earlier lists
(:mod:`matloop.models.stability.kinship`), that the later list names at most a given energy above its hull. The number
of elements, and usual oxidation states that cannot balance, change it a little.

A composition that the later list does not name counts as a failure, although nobody may have looked. So P is a lower
bound on the probability of being stable, and it speaks of a composition, not of a crystal. It is used with the kinship
to all that is known now: kinship means the same in lists of very different size. Among children of substitution, the
share that is known hardly changes with the list if the kinship to the rest of the list is the same
(``benchmarks/models/makeable.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.errors import ModelError
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.generators.substitution import children_of
from matloop.data.packaged.known_compositions import EARLIER_LISTS, list_formulas
from matloop.models.stability.computed_hull import computed_hull, computed_phases
from matloop.models.stability.kinship import Kinship

LATER = "materials_project"
"""The later list."""
CHILDREN = 160_000
"""Children of ionic substitution whose compositions make history."""
FEWEST = 100
"""Compositions of history beyond a kinship above which nothing is claimed to be more probable."""
_KNOTS = np.array([0.0, 1.0, 2.0, 3.0, 4.0, np.inf])  # of the logarithm of one plus the kinship
_FLATTEST, _WIDTH = 1e-3, 10.0
_OTHERS = 4


class Traits(NamedTuple):
    """What P(makeable phase) is told from, of n compositions.

    Attributes:
        kinship: To a list of known compositions, shape (n,).
        elements: Number of elements, shape (n,).
        unbalanced: Whether no usual oxidation states are neutral together, and it is no alloy either, shape (n,).
    """

    kinship: NDArray[np.float64]
    elements: NDArray[np.int64]
    unbalanced: NDArray[np.bool_]

    @classmethod
    def of(cls, compositions: Compositions, kinship: Kinship) -> Self:
        """Compute them.

        Args:
            compositions: n compositions.
            kinship: Of the list.
        """
        balance = charge_balance(compositions)
        return cls(kinship.scores(compositions), compositions.lengths, ~balance.neutral & ~balance.metallic)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Traits:
        """Return the traits of some of the compositions."""
        return Traits(self.kinship[rows], self.elements[rows], self.unbalanced[rows])


class History(NamedTuple):
    """Compositions that ionic substitution makes, that an earlier list lacks, and what became of them.

    Attributes:
        traits: With the kinship to the earlier list.
        distances: eV/atom above the hull of the later list; infinite where that list lacks the composition, shape (n,).
    """

    traits: Traits
    distances: NDArray[np.float64]

    def listed(self, limit: float) -> NDArray[np.bool_]:
        """Which of them the later list names at most ``limit`` eV/atom above its hull, shape (n,)."""
        return np.asarray(np.isfinite(self.distances) & (self.distances <= limit))


@dataclass(frozen=True)
class MakeablePhase:
    """Tells how probable a makeable phase is from the traits of a composition.

    The logarithm of the odds rises with the logarithm of one plus the kinship, with one slope between each two knots.

    Attributes:
        limit: Largest energy above the hull in eV/atom that counts; infinite if being listed is enough.
        intercept: Logarithm of the odds without relatives.
        slopes: Of the five pieces, none negative.
        others: What it adds to be of two, of four, or of more than four elements, and that oxidation states do not
            balance.
        highest: Logarithm of one plus the kinship above which P stays the same, because history has seen too few.
        rows: Compositions that it was learned from.
        met: How many of them the later list names within the limit.
    """

    limit: float
    intercept: float
    slopes: tuple[float, ...]
    others: tuple[float, ...]
    highest: float
    rows: int
    met: int

    @classmethod
    def fit(cls, traits: Traits, met: NDArray[np.bool_], *, limit: float) -> Self:
        """Learn by maximum likelihood.

        Args:
            traits: Of n compositions.
            met: Whether each was listed within the limit, shape (n,).
            limit: eV/atom above the hull.

        Raises:
            ModelError: If there are too few compositions, or all or none of them were listed.

        >>> kinship = np.repeat([0.0, 60.0], 500)
        >>> traits = Traits(kinship, np.full(1000, 3), np.zeros(1000, bool))
        >>> met = np.arange(1000) % 100 < np.where(kinship > 0, 60, 2)
        >>> MakeablePhase.fit(traits, met, limit=0.05).probability(traits)[[0, -1]].round(2).tolist()
        [0.02, 0.6]
        """
        if len(met) < FEWEST or met.all() or not met.any():
            raise ModelError(
                f"{met.sum()} of {len(met)} compositions listed",
                f"at least {FEWEST} compositions, some of them listed and some not",
            )
        inputs = np.column_stack([_pieces(np.log1p(traits.kinship)), _others(traits)])

        def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            """Negative log likelihood with a wide prior on the slopes, and its gradient."""
            odds = values[0] + inputs @ values[1:]
            wrong = expit(odds) - met
            penalty = (values[1:] ** 2).sum() / 2 / _WIDTH**2
            gradient = np.concatenate([[wrong.sum()], wrong @ inputs + values[1:] / _WIDTH**2])
            return float(np.logaddexp(0, odds).sum() - odds[met].sum() + penalty), gradient

        pieces = len(_KNOTS) - 1
        start = np.concatenate([[np.log(met.mean() / (1 - met.mean()))], np.full(pieces, 0.5), np.zeros(_OTHERS)])
        bounds = [(None, None), *[(_FLATTEST, None)] * pieces, *[(None, None)] * _OTHERS]
        options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-6}
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x.tolist()
        highest = float(np.log1p(np.sort(traits.kinship)[-FEWEST]))
        slopes, others = tuple(found[1 : 1 + pieces]), tuple(found[1 + pieces :])
        return cls(limit, found[0], slopes, others, highest, len(met), int(met.sum()))

    def probability(self, traits: Traits) -> NDArray[np.float64]:
        """Tell P(makeable phase), shape (n,).

        Args:
            traits: Of n compositions, with the kinship to all that is known.
        """
        pieces = _pieces(np.minimum(np.log1p(traits.kinship), self.highest))
        others = _others(traits) @ np.array(self.others)
        return np.asarray(expit(self.intercept + pieces @ np.array(self.slopes) + others))


def _pieces(logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each value reaches into each piece, shape (n, pieces)."""
    return np.clip(logarithms[:, None], _KNOTS[:-1], _KNOTS[1:]) - _KNOTS[:-1]


def _others(traits: Traits) -> NDArray[np.float64]:
    """Whether there are two, four, or more than four elements, and whether charges do not balance, shape (n, 4)."""
    elements = traits.elements
    return np.column_stack([elements <= 2, elements == 4, elements > 4, traits.unbalanced]).astype(np.float64)


@functools.lru_cache(maxsize=8)
def learned_from_history(limit: float) -> MakeablePhase:
    """Learn P(makeable phase) from the packaged lists.

    Args:
        limit: Largest energy above the hull in eV/atom that counts.

    Raises:
        ModelError: If no listed composition lies within the limit.
    """
    history = packaged_history()
    return MakeablePhase.fit(history.traits, history.listed(limit), limit=limit)


@functools.cache
def packaged_history() -> History:
    """What the Materials Project of 2019 lists of the compositions that were new by the lists of 2017."""
    earlier = earlier_compositions()
    children = substituted_compositions(CHILDREN)
    new = children.take(np.flatnonzero(~np.isin(composition_keys(children), composition_keys(earlier))))
    return History(Traits.of(new, Kinship.of(earlier)), listed_distances(new))


@functools.cache
def present_kinship() -> Kinship:
    """Collect the places of all compounds that are known now: the earlier lists and the later one."""
    return Kinship.of(_readable([*computed_phases(LATER).ids, *_earlier_formulas()]))


def earlier_compositions() -> Compositions:
    """Read the compositions of the packaged crystals and of the transport data (Materials Project, 2017), each once."""
    return _readable(_earlier_formulas())


def substituted_compositions(children: int) -> Compositions:
    """Compositions of the most probable children of ionic substitution, each once.

    Args:
        children: Number of children.
    """
    source = IonicSubstitution(limit=children)
    made = children_of(source.plan, source.parents, source.species)
    whole = made.take(np.flatnonzero(made.element_mask().sum(axis=1) == made.lengths))  # not those of mixed valence
    return _each_once(whole.reduced()[0])


def listed_distances(compositions: Compositions, *, database: str = LATER) -> NDArray[np.float64]:
    """Energies above the hull of a database in eV/atom, infinite where it lacks a composition, shape (n,).

    Args:
        compositions: n compositions.
        database: Name in :data:`matloop.data.packaged.computed_phases.PHASE_FILES`; by default the later list.
    """
    phases = computed_phases(database)
    keys, wanted = composition_keys(phases.compositions), composition_keys(compositions)
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
    found = np.flatnonzero(keys[at] == wanted)
    distances = np.full(len(compositions), np.inf)
    distances[found] = computed_hull(database).distances(phases.take(at[found])).energy_above_hull
    return distances


def _earlier_formulas() -> list[str]:
    return [formula for name in EARLIER_LISTS for formula in list_formulas(name)]


def _readable(formulas: Sequence[str]) -> Compositions:
    compositions, codes = parse_formulas(list(formulas), exact=True)
    return _each_once(compositions.take(np.flatnonzero(codes == "")))


def _each_once(compositions: Compositions) -> Compositions:
    """Keep the first of equal compositions, in their order."""
    return compositions.take(np.sort(np.unique(composition_keys(compositions), return_index=True)[1]))
