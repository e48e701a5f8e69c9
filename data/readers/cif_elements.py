"""The elements of the atoms that a CIF block lists: from their types, or from their labels where those are clear.

The label of an atom begins with the symbol of its element (``Fe1``), but people also write sites (``Oa1``), groups
(``OH1``), capitals (``FE1``) and places without an atom (``Wat1``, ``Cg1``). A label that can be read in two ways
counts only where the stated formula allows one of them alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from matloop.data.elements import ATOMIC_NUMBERS, element_table
from matloop.data.readers.parsed import number
from matloop.data.readers.structure_split import Unreadable

_TYPE = re.compile(r"([A-Za-z]{1,2})(?:\d{0,2}|\d?(?:\.\d{1,3})?[+-]{1,4}|[+-]\d?(?:\.\d{1,3})?)")
_ISOTOPE = re.compile(r"([1-9]\d{0,2})([A-Z][a-z]?)(?:\d?[+-])?")
_SHARE = re.compile(r"(\d*\.?\d+)\s*\*?\s*([A-Z][a-z]?)[\d+\-]{0,4}")
_LETTERS = re.compile(r"[A-Za-z]*")
_WATER = re.compile(r"H2O(?:[^a-z].*)?")
_OXYGEN_OF_WATER = re.compile(r"O\d*W\d*", re.IGNORECASE)
_NO_ATOM = ("wat", "dum", "cen", "vac", "cg", "du", "va", "cnt")
_GROUPS = (
    "oh",
    "ow",
    "ho",
    "hw",
    "nh",
    "ch",
)  # a heavy atom with its hydrogen, or a hydrogen named after its neighbour
_FIRST_RADIOACTIVE = 84
_FIRST_WITHOUT_MINERALS = 104  # heavier elements never occur in a crystal of a file: the second letter names a site


def shares_of_type(kind: str, stated: Sequence[str] = ()) -> dict[str, float]:
    """Read the type of an atom: an element with or without its charge, or elements that share a site.

    Args:
        kind: The type.
        stated: Symbols of the elements in the stated formula; empty if the block states none.

    Raises:
        Unreadable: If the text is no element.

    >>> shares_of_type("Fe3+"), shares_of_type("CL"), shares_of_type("0.8Nb + 0.2Zr")
    ({'Fe': 1.0}, {'Cl': 1.0}, {'Nb': 0.8, 'Zr': 0.2})
    """
    text = kind.strip()
    match = _TYPE.fullmatch(text)
    if match is not None and match[1].capitalize() in ATOMIC_NUMBERS:
        _check_single(text, match[1], stated)
        return {match[1].capitalize(): 1.0}
    if isotope := _element_of_isotope(text):
        return {isotope: 1.0}
    parts = [_SHARE.fullmatch(part.strip()) for part in text[:200].split("+")]
    shares: dict[str, float] = {}
    for part in parts:
        if part is None or part[2] not in ATOMIC_NUMBERS or part[2] in shares:
            way_out = (
                "H for deuterium and tritium"
                if re.fullmatch(r"[DT]\d?[+-]?", text)
                else "one element, such as Fe or Fe3+"
            )
            raise Unreadable("E-STRUCT-ELEMENT", f"'{text[:40]}'; write {way_out}")
        shares[part[2]] = number(part[1])
    if sum(shares.values()) > 1.02:
        raise Unreadable(
            "E-STRUCT-ELEMENT", f"'{text[:40]}' is more than one atom; write shares, such as 0.8Nb + 0.2Zr"
        )
    return shares


def _element_of_isotope(kind: str) -> str:
    """Return the element of an isotope such as ``7Li``, or an empty text. Its mass number is near the atomic weight."""
    match = _ISOTOPE.fullmatch(kind)
    if match is None or match[2] not in ATOMIC_NUMBERS:
        return ""
    weight = float(element_table().columns(("AtomicWeight",))[ATOMIC_NUMBERS[match[2]], 0])
    return match[2] if abs(int(match[1]) - weight) <= max(2.0, 0.15 * weight) and match[1] != "1" else ""


def _check_single(kind: str, letters: str, stated: Sequence[str]) -> None:
    """Refuse a type in capitals that is a group of atoms, such as NH4 or CO3, and not an element.

    Raises:
        Unreadable: If the letters are two elements with a count or make a radioactive one, unless the stated formula
            confirms the element; or if they are an element that no crystal contains.
    """
    is_group = len(letters) == 2 and letters.isupper() and set(letters) <= set(ATOMIC_NUMBERS)
    is_group &= kind != letters or ATOMIC_NUMBERS[letters.capitalize()] >= _FIRST_RADIOACTIVE
    is_group &= re.fullmatch(r"[A-Z]{2}\d*", kind) is not None
    if letters.capitalize() in stated and not set(letters) <= set(stated):
        is_group = False
    if is_group or ATOMIC_NUMBERS[letters.capitalize()] >= _FIRST_WITHOUT_MINERALS:
        raise Unreadable("E-STRUCT-ELEMENT", f"'{kind[:40]}' may be a group of atoms; write one element, such as Fe3+")


def symbols_of_labels(labels: Sequence[str], stated: Sequence[str]) -> list[str]:
    """Read elements from labels.

    Args:
        labels: Labels of the atoms without a type.
        stated: Symbols of the elements in the stated formula; empty if the block states none.

    Raises:
        Unreadable: If a label is no atom, or may mean two elements.

    >>> symbols_of_labels(["FE1", "S1"], []), symbols_of_labels(["CO1", "O1"], ["C", "O"])
    (['Fe', 'S'], ['C', 'O'])
    """
    letters = [_LETTERS.match(label)[0] for label in labels]  # type: ignore[index]  # matches always
    return [_symbol(word, label, letters, stated) for word, label in zip(letters, labels, strict=True)]


def _symbol(word: str, label: str, letters: Sequence[str], stated: Sequence[str]) -> str:
    if word.lower().startswith(_NO_ATOM) or not word:
        raise Unreadable("E-STRUCT-ELEMENT", f"label {label[:40]} names no atom")
    two, one = word[:2].capitalize(), word[:1].upper()
    readings = [symbol for symbol in dict.fromkeys((two, one)) if symbol in ATOMIC_NUMBERS]
    if stated:
        readings = [symbol for symbol in readings if symbol in stated]
    if not readings:
        raise Unreadable("E-STRUCT-ELEMENT", f"label {label[:40]}; state the element under _atom_site_type_symbol")
    exact = word == two or (word[:2] == two and word[2:3].isupper())
    clear = len(word) == 1 or (two in readings and exact) if stated else _is_clear(word, letters, exact=exact)
    if clear or (stated and len(readings) == 1):
        if _names_more(label, readings[0], stated):
            raise Unreadable(
                "E-STRUCT-SYMBOLS",
                f"label {label[:40]} names more than one atom; state the elements under _atom_site_type_symbol, "
                "and each element of a shared site in a row of its own",
            )
        return readings[0]
    raise Unreadable(
        "E-STRUCT-SYMBOLS",
        f"label {label[:40]} may mean two things; state the elements under _atom_site_type_symbol, or the formula",
    )


def _names_more(label: str, symbol: str, stated: Sequence[str]) -> bool:
    """Whether a label names another atom, or an empty place, behind its symbol: ``FeMg1``, ``Fe/Mg``, ``O2H``.

    A capital at the end is one of a series (``O1A``, ``O1B``), and one behind the symbol often names a site (``SiT``).
    """
    rest = label[len(symbol) :]
    if re.search(r"[/,+]|vac|dum|wat", rest, re.IGNORECASE) or _WATER.fullmatch(label):
        return True
    if not stated and _OXYGEN_OF_WATER.fullmatch(label):
        return True
    for match in re.finditer(r"[A-Z][A-Za-z]?", rest):
        before, after = rest[: match.start()][-1:], rest[match.start() + 1 :]
        two, one = match[0].capitalize(), match[0][0]
        if len(two) == 2 and two in (stated or ATOMIC_NUMBERS) and (match[0] == two or not re.search("[a-z]", label)):
            return True
        if one not in ATOMIC_NUMBERS or (after[:1].islower() and one not in ("H", "O")):
            continue
        if before.isdigit():
            is_more = (one == "H" and symbol != "H") or (after[:1].isdigit() and not stated)
        else:
            is_more = not stated or not (before == "" or before.isalpha())
        if is_more:
            return True
    return False


def _is_clear(word: str, letters: Sequence[str], *, exact: bool) -> bool:
    """Whether the letters of a label can mean one element only, although no formula confirms it."""
    if len(word) == 1:
        return True
    two, one = word[:2].capitalize(), word[:1].upper()
    atomic_number = ATOMIC_NUMBERS.get(two, _FIRST_WITHOUT_MINERALS)
    if atomic_number >= _FIRST_WITHOUT_MINERALS or (len(word) > 2 and not exact):
        return False
    if exact:  # unless others are named after their site: Os1 beside Oa1
        return all(other[:2].capitalize() in ATOMIC_NUMBERS for other in letters if len(other) > 1 and other[:1] == one)
    in_capitals = (
        word.isupper() and atomic_number < _FIRST_RADIOACTIVE and word.lower() not in _GROUPS and one not in ("H", "O")
    )
    return in_capitals and one not in letters


def check_labels(labels: Sequence[str], shares: Sequence[dict[str, float]]) -> None:
    """Refuse labels that are the symbol of another element than the type beside them, where no formula tells.

    Raises:
        Unreadable: If one is, such as ``Na1`` beside Cl.
    """
    for label, share in zip(labels, shares, strict=True):
        match = re.fullmatch(r"([A-Z][a-z])\d*", label)  # one letter often names a site
        if match and match[1] in ATOMIC_NUMBERS and match[1] not in share:
            raise Unreadable(
                "E-STRUCT-SYMBOLS",
                f"the atom {label[:20]} has the type {next(iter(share))}; correct one of them, or state the formula",
            )
