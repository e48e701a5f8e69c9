"""Candidates that compete with each other: each is placed on a hull of the reference phases and the other candidates.

A candidate that was relaxed is a computed phase like any other, so it may be what another candidate decomposes into. It
competes with the composition and energy that the potential gave it, except that a candidate is never compared with
itself.

How deep a candidate may lie below the hull of the reference phases before it decides about others has a limit,
:data:`.coverage.DEEPEST`. A candidate that lies deeper shows that a reference phase is missing or that the potential is
wrong about it. Either would put every other candidate of its elements far above the hull. It therefore counts as a
phase that lies just that deep: it still competes, and it cannot end a whole system alone. Between candidates of one
composition this limit does not hold, because the reference phases cancel in the difference of their energies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import write_formulas
from matloop.models.stability.coverage import DEEPEST
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies, Product

POLYMORPHS = 2
"""Polymorphs of one composition that go on after they were relaxed."""
_ROUNDING = 1e-9  # eV/atom


class Competition(NamedTuple):
    """Where n candidates lie among reference phases and each other, and which of them decide that.

    Attributes:
        alone: Where they lie on the hull of the reference phases without each other.
        distances: Where they lie with each other; no energy above the hull is lower than that of ``alone``, and
            another candidate among the products is called ``candidate`` with the first eight characters of its id.
        sibling: Row of the lower candidate of the same composition that decides, -1 where none does, shape (n,).
        share: Part of the atoms of the deciding mixture that candidates of other compositions hold, shape (n,).
    """

    alone: HullDistances
    distances: HullDistances
    sibling: NDArray[np.int64]
    share: NDArray[np.float64]

    @classmethod
    def of_nobody(cls, alone: HullDistances) -> Competition:
        """Candidates that do not compete with each other."""
        n = len(alone.codes)
        return cls(alone, alone, np.full(n, -1), np.zeros(n))


def compete(hull: Hull, candidates: PhaseEnergies) -> Competition:
    """Place n candidates on the hull of the reference phases and of each other.

    The answer does not depend on the order of the candidates.

    Args:
        hull: Of the reference phases.
        candidates: Their formation energies on the scale of the reference phases.
    """
    alone = hull.distances(candidates)
    above, products = alone.energy_above_hull.copy(), list(alone.products)
    sibling, share = np.full(len(above), -1), np.zeros(len(above))
    _, lowest = places_among_polymorphs(candidates)
    deep = [row for row in np.unique(lowest).tolist() if above[row] < 0]
    competing = np.array(sorted(deep, key=lambda row: candidates.ids[row]), np.int64)
    competitors = _as_competitors(candidates, alone, competing)
    for row in np.flatnonzero(np.isfinite(above)).tolist():
        elements = _elements_of(candidates.compositions, row)
        others = np.flatnonzero(_within(competitors.compositions, elements) & (competing != lowest[row]))
        if len(others):
            references = hull.references.take(np.flatnonzero(_within(hull.references.compositions, elements)))
            joint = Hull(references.joined(competitors.take(others))).distances(candidates.take(np.array([row])))
            if joint.energy_above_hull[0] > above[row] + _ROUNDING:
                above[row], products[row] = joint.energy_above_hull[0], joint.products[0]
                share[row] = sum(product.fraction for product in products[row] if product.phase_id in competitors.ids)
        behind = candidates.energies[row] - candidates.energies[lowest[row]]
        if lowest[row] != row and behind > above[row]:
            above[row], products[row] = behind, (_product_of(candidates, int(lowest[row])),)
            sibling[row], share[row] = lowest[row], 0.0
    return Competition(alone, replace(alone, energy_above_hull=above, products=products), sibling, share)


def places_among_polymorphs(phases: PhaseEnergies) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order the phases of each composition by energy.

    Args:
        phases: n phases; of equal energies the one with the first id comes first. Phases without energy come last.

    Returns:
        The place of each phase among those of its composition, from 0, and the row of the lowest phase of its
        composition, both of shape (n,).

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> compositions, _ = parse_formulas(["TiO2", "Ti2O4", "ZnO", "TiO2"])
    >>> phases = PhaseEnergies("x", compositions, np.array([-3.0, -3.1, -2.0, -2.9]), ["a", "b", "c", "d"])
    >>> places, first = places_among_polymorphs(phases)
    >>> places.tolist(), first.tolist()
    ([1, 0, 0, 2], [1, 1, 2, 1])
    """
    count = len(phases.ids)
    _, groups = np.unique(composition_keys(phases.compositions), return_inverse=True)
    order = np.lexsort((np.array(phases.ids, dtype=str), phases.energies, groups.ravel()))
    starts = np.flatnonzero(np.diff(groups.ravel()[order], prepend=-1))
    sizes = np.diff(np.append(starts, count))
    places, first = np.empty(count, np.int64), np.empty(count, np.int64)
    places[order] = np.arange(count) - np.repeat(starts, sizes)
    first[order] = np.repeat(order[starts], sizes)
    return places, first


def _as_competitors(candidates: PhaseEnergies, alone: HullDistances, rows: NDArray[np.int64]) -> PhaseEnergies:
    """Give candidates the energy with which they compete, and the name by which others tell them."""
    chosen = candidates.take(rows)
    too_deep = np.maximum(DEEPEST - alone.energy_above_hull[rows], 0.0)
    return replace(chosen, energies=chosen.energies + too_deep, ids=[_name(identity) for identity in chosen.ids])


def _name(identity: str) -> str:
    return f"candidate {identity[:8]}"


def _product_of(candidates: PhaseEnergies, row: int) -> Product:
    (formula,) = write_formulas(candidates.compositions.take(np.array([row])))
    return Product(_name(candidates.ids[row]), formula, 1.0)


def _elements_of(compositions: Compositions, row: int) -> NDArray[np.uint8]:
    first, stop = compositions.offsets[row : row + 2]
    return compositions.elements[first:stop]


def _within(compositions: Compositions, elements: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each composition has no other element than those given, shape (n,)."""
    foreign = ~np.isin(compositions.elements, elements)
    return np.asarray(np.bincount(compositions.rows, foreign, len(compositions)) == 0)
