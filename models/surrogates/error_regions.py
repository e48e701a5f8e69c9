"""Where the errors of a model are: by element, by class of chemistry and by range of the value.

All come from out-of-fold predictions, so that they cost nothing but counting. A bias is the mean of prediction minus
truth. By range of the truth, a model that knows little is biased towards the middle: low values come out too high and
high values too low.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.chemistry.oxidation_states import METALS
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.properties.definition import Transform
from matloop.models.surrogates.held_out import FEWEST_FORMULAS
from matloop.models.surrogates.prediction import backward

CLASSES = (
    "organic compounds", "oxyhalides", "oxides", "halides", "chalcogenides", "pnictides", "metals and intermetallics",
    "carbides, silicides, borides, hydrides",
)  # fmt: skip
_FEWEST_OF_A_CLASS = 5  # formulas
_FIFTHS_FROM = 100  # rows; fewer are divided into thirds
_HALOGENS, _CHALCOGENS, _PNICTOGENS = ("F", "Cl", "Br", "I"), ("S", "Se", "Te"), ("N", "P", "As", "Sb")


def error_regions(
    target: NDArray[np.float64],
    predicted: NDArray[np.float64],
    *,
    elements: NDArray[np.bool_],
    groups: NDArray[np.integer],
    transform: Transform,
) -> dict[str, Any]:
    """Describe for a card where the errors are, as plain JSON values; errors are on the scale of the model.

    Args:
        target: Truth on the scale of the model, shape (m,).
        predicted: Out-of-fold prediction, shape (m,).
        elements: Which elements each row contains, shape (m, 119).
        groups: Formula group of each row, shape (m,).
        transform: Scale of the model.

    Returns:
        ``elements`` and ``chemistry``, those with the most rows first, and ``ranges`` of the truth in the unit of the
        property, the lowest first. Elements with fewer than ten formulas and classes with fewer than five are left out.
    """
    error = predicted - target
    by_element = [
        {"name": SYMBOLS[number], **_summary(error, groups, elements[:, number])}
        for number in np.flatnonzero(elements.any(axis=0)).tolist()
    ]
    classes = chemistry_classes(elements)
    by_class = [{"name": name, **_summary(error, groups, classes == at)} for at, name in enumerate(CLASSES)]
    return {
        "elements": _most_rows_first(by_element, FEWEST_FORMULAS),
        "chemistry": _most_rows_first(by_class, _FEWEST_OF_A_CLASS),
        "ranges": _by_range(target, error, groups, transform),
    }


def chemistry_classes(elements: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Find the class of each row from its elements alone, as a place in :data:`CLASSES`, shape (m,).

    The first class that fits holds: compounds with carbon and hydrogen are organic; those with oxygen and a halogen are
    oxyhalides; other compounds with oxygen are oxides, and so are sulfates and phosphates; then halides with F, Cl, Br
    or I, chalcogenides with S, Se or Te, and pnictides with N, P, As or Sb. Of the rest, those of metals alone are
    metals and intermetallics.

    Args:
        elements: Which elements each row contains, shape (m, 119).

    >>> rows = np.zeros((3, 119), bool)
    >>> for row, symbols in enumerate([["Li", "Fe", "P", "O"], ["Ni", "Al"], ["Cs", "Pb", "I"]]):
    ...     rows[row, [ATOMIC_NUMBERS[symbol] for symbol in symbols]] = True
    >>> [CLASSES[place] for place in chemistry_classes(rows)]
    ['oxides', 'metals and intermetallics', 'halides']
    """
    oxygen, halogen = _has(elements, "O"), _has(elements, *_HALOGENS)
    nonmetals = [number for number in range(1, len(SYMBOLS)) if SYMBOLS[number] not in METALS]
    conditions = [
        _has(elements, "C") & _has(elements, "H"), oxygen & halogen, oxygen, halogen, _has(elements, *_CHALCOGENS),
        _has(elements, *_PNICTOGENS), ~elements[:, nonmetals].any(axis=1),
    ]  # fmt: skip
    return np.select(conditions, list(range(len(conditions))), len(conditions)).astype(np.int64)


def _has(elements: NDArray[np.bool_], *symbols: str) -> NDArray[np.bool_]:
    return np.asarray(elements[:, [ATOMIC_NUMBERS[symbol] for symbol in symbols]].any(axis=1))


def _by_range(
    target: NDArray[np.float64], error: NDArray[np.float64], groups: NDArray[np.integer], transform: Transform
) -> list[dict[str, Any]]:
    """Summarise fifths of the truth, or thirds of few rows; equal values are never divided."""
    parts = 5 if len(target) >= _FIFTHS_FROM else 3
    edges = np.unique(np.quantile(target, np.linspace(0, 1, parts + 1)))
    place = np.searchsorted(edges[1:-1], target, side="right")
    ends = backward(edges, transform)
    return [
        {"low": float(ends[at]), "high": float(ends[min(at + 1, len(ends) - 1)]), **_summary(error, groups, held)}
        for at in range(max(len(edges) - 1, 1))
        if (held := place == at).any()
    ]


def _summary(error: NDArray[np.float64], groups: NDArray[np.integer], held: NDArray[np.bool_]) -> dict[str, Any]:
    found = error[held]
    if not len(found):
        return {"rows": 0, "formulas": 0, "mae": None, "bias": None}
    return {
        "rows": len(found),
        "formulas": len(np.unique(groups[held])),
        "mae": float(np.abs(found).mean()),
        "bias": float(found.mean()),
    }


def _most_rows_first(found: list[dict[str, Any]], fewest: int) -> list[dict[str, Any]]:
    return sorted((one for one in found if one["formulas"] >= fewest), key=lambda one: -one["rows"])
