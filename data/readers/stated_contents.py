"""Compare what a JSON record states about its crystal with the crystal: sites, elements, formulas, lengths, angles."""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.formula import parse_formulas
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.readers.parsed import ParsedCell, symbol_of
from matloop.data.readers.structure_split import Unreadable

_COUNTS = ("nsites", "nat")
_COMPOSITIONS = (
    "composition", "composition_reduced", "unit_cell_formula", "reduced_cell_formula", "formula", "formula_pretty",
    "pretty_formula", "full_formula", "reduced_formula", "chemical_formula", "chemical_formula_reduced",
    "chemical_formula_descriptive", "chemical_formula_hill",
)  # fmt: skip
_ANONYMOUS = ("formula_anonymous", "anonymous_formula", "chemical_formula_anonymous")
_ANONYMOUS_PART = re.compile(r"[A-Z][a-z]?([1-9]\d{0,5})?")
_LONGEST_FORMULA = 200
_TOLERANCE = 1e-3  # relative; files round lengths and angles to four digits or more
_KNOWN = frozenset((*_COUNTS, *_COMPOSITIONS, *_ANONYMOUS, "nelements", "elements"))


def check_contents(record: Mapping[str, Any], cell: ParsedCell, sites: int) -> None:
    """Compare the numbers, elements and formulas that a record states with its crystal.

    Formulas that cannot be read, and values of other types, are passed over. The amounts in a formula text are compared
    for ordered crystals alone, since programs round those of others.

    Args:
        record: The object that holds the crystal, or one around it.
        cell: The crystal.
        sites: Number of sites in the file.

    Raises:
        Unreadable: If one of them contradicts the crystal.
    """
    if _KNOWN.isdisjoint(record):
        return
    for key in _COUNTS:
        _require(_is_other_count(record.get(key), sites), key, record, cell, f"the structure has {sites} sites")
    amounts = cell.amounts()
    found = f"the atoms are {cell.formula()}"
    _require(_is_other_count(record.get("nelements"), len(amounts)), "nelements", record, cell, found)
    elements = record.get("elements")
    if isinstance(elements, list) and elements and all(isinstance(word, str) for word in elements):
        _require({symbol_of(word) for word in elements} != amounts.keys(), "elements", record, cell, found)
    for key in _COMPOSITIONS:
        if key in record:
            stated, is_text = _composition(record[key]), isinstance(record[key], str)
            _require(_differs(stated, amounts, elements_only=is_text and not cell.is_ordered), key, record, cell, found)
    for key in _ANONYMOUS:
        if cell.is_ordered and isinstance(record.get(key), str):
            _require(_is_other_pattern(record[key], amounts), key, record, cell, found)


def _require(is_wrong: bool, key: str, record: Mapping[str, Any], cell: ParsedCell, found: str) -> None:
    if is_wrong:
        raise Unreadable("E-STRUCT-FORMULA", f"{key} states {str(record[key])[:60]}, but {found}", cell.formula())


def _is_other_count(stated: Any, count: int) -> bool:
    return isinstance(stated, int | float) and not isinstance(stated, bool) and stated != count


def _composition(stated: Any) -> dict[str, float] | None:
    """Amounts by symbol of a composition, or of a formula that can be read; None for everything else.

    Raises:
        Unreadable: If a composition names something that is no element.
    """
    if isinstance(stated, dict):
        amounts: Counter[str] = Counter()
        for word, amount in stated.items():
            if not word.startswith("@"):
                if isinstance(amount, bool) or not isinstance(amount, int | float) or not abs(amount) < 1e300:
                    return None
                amounts[symbol_of(word)] += float(amount)  # type: ignore[assignment]
        return {symbol: amount for symbol, amount in amounts.items() if amount}
    if isinstance(stated, str) and 0 < len(stated) <= _LONGEST_FORMULA:
        compositions, codes = parse_formulas(["".join(stated.split())], exact=True)
        if not codes[0]:
            pairs = zip(compositions.elements.tolist(), compositions.amounts.tolist(), strict=True)
            return {SYMBOLS[number]: amount for number, amount in pairs}
    return None


def _differs(stated: dict[str, float] | None, amounts: dict[str, float], *, elements_only: bool) -> bool:
    """Whether a composition is not that of the atoms, whatever the number of formula units."""
    if stated is None:
        return False
    if stated.keys() != amounts.keys():
        return True
    total, atoms = sum(stated.values()), sum(amounts.values())
    return not elements_only and any(
        abs(stated[symbol] * atoms - amounts[symbol] * total) > _TOLERANCE * abs(stated[symbol]) * atoms
        for symbol in stated
    )


def _is_other_pattern(stated: str, amounts: dict[str, float]) -> bool:
    """Whether an anonymous formula such as ``A2B`` has other amounts than the atoms."""
    if not re.fullmatch(rf"(?:{_ANONYMOUS_PART.pattern}){{1,40}}", stated):
        return False
    pattern = sorted(int(count or 1) for count in _ANONYMOUS_PART.findall(stated))
    counts = sorted(round(amount) for amount in amounts.values())
    return [count // math.gcd(*pattern) for count in pattern] != [count // math.gcd(*counts) for count in counts]


def check_parameters(lattice: NDArray[np.float64], stated: Mapping[str, Any]) -> None:
    """Compare lengths in Å, angles in degrees and the volume in Å3 with the cell vectors.

    Args:
        lattice: Row vectors in Å, shape (3, 3).
        stated: Values by the names a, b, c, alpha, beta, gamma and volume; what is no number is passed over.

    Raises:
        Unreadable: If one of them is another one.
    """
    given = {name: stated[name] for name in _PARAMETERS if isinstance(stated.get(name), int | float)}
    if not given or lattice.shape != (3, 3):
        return
    rows = lattice.tolist()
    lengths = [math.hypot(*row) for row in rows]
    if min(lengths) == 0 or not all(map(math.isfinite, lengths)):
        return
    products = [sum(map(operator.mul, rows[i], rows[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    cosines = [product * own / math.prod(lengths) for product, own in zip(products, lengths, strict=True)]
    angles = [math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) for cosine in cosines]
    volume = abs(float(np.linalg.det(lattice)))
    for name, value in zip(_PARAMETERS, (*lengths, *angles, volume), strict=True):
        if name in given and not abs(given[name] - value) <= _TOLERANCE * value:
            raise Unreadable("E-STRUCT-CELL", f"{name}={given[name]:.6g} is stated; the cell vectors give {value:.6g}")


_PARAMETERS = ("a", "b", "c", "alpha", "beta", "gamma", "volume")


def check_label(label: Any, species: Mapping[str, float], elements: frozenset[str], site: int) -> None:
    """Compare the label of a site, such as ``Na1``, with its species.

    A label counts only if it is the symbol of an element and a number. A single letter may name a site (``B1``), so
    it must be an element of the structure too.

    Args:
        label: The label as the file states it.
        species: Occupancies of the site by symbol.
        elements: Symbols of all elements of the structure.
        site: Number of the site, from 1.

    Raises:
        Unreadable: If the label names an element that is not at the site.
    """
    match = _LABEL.fullmatch(label) if isinstance(label, str) else None
    if match is None or match[1] in species or match[1] not in ATOMIC_NUMBERS or not species:
        return
    if len(match[1]) == 2 or match[1] in elements:
        raise Unreadable(
            "E-STRUCT-SYMBOLS", f"site {site} is {' and '.join(species)} by its species, and {label[:10]} by its label"
        )


_LABEL = re.compile(r"([A-Z][a-z]?)\d{1,4}")
