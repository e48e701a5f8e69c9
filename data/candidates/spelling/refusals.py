"""Refusals of formulas, and the words that several rules of spelling look for."""

from __future__ import annotations

import re

AMBIGUOUS, SYNTAX = "E-FORMULA-AMBIGUOUS", "E-FORMULA-SYNTAX"
SOLVENT = r"(?:\(?H2O\)?|\(?NH3\)?|\(?CH3OH\)?|\(?C2H5OH\)?)"
"""Molecules that crystals take up, as a pattern."""


class RefusedError(Exception):
    """Ends the reading of one formula."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


def two_readings(*readings: str) -> RefusedError:
    """The refusal of a formula that may mean several things."""
    shown = [reading for reading in dict.fromkeys(readings) if reading]
    if not shown:
        return RefusedError(AMBIGUOUS, "may mean several things; write every amount on the line")
    if len(shown) == 1:
        return RefusedError(AMBIGUOUS, f"may mean {shown[0]}; write the formula that is meant")
    return RefusedError(AMBIGUOUS, f"may mean {' or '.join(shown)}; write it in one of these ways")


def symbols_in(text: str) -> set[str]:
    """Return what looks like symbols of elements in a text.

    >>> sorted(symbols_in("NaCl2"))
    ['Cl', 'Na']
    """
    return set(re.findall(r"[A-Z][a-z]?", text))


def closed(text: str) -> str:
    """Return a text without its blanks."""
    return text.replace(" ", "")
