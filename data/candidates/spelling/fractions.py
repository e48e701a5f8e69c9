"""Amounts in formulas that are fractions, such as 1/3."""

from __future__ import annotations

import re

from matloop.data.candidates.neutrality import is_neutral
from matloop.data.candidates.spelling.refusals import SOLVENT, RefusedError, two_readings

_FRACTION = re.compile(r"(?<=[A-Za-z)])(?:(\d+)/(\d+)|\((\d+)/(\d+)\))(?=[A-Z()·]|$)")


def without_fractions(text: str) -> str:
    """Text whose amounts such as 1/3 are decimal, and without commas between elements that each have an amount.

    Raises:
        RefusedError: If the numerator may be an amount of its own, as in TiO2/3.
    """
    text = re.sub(r"\((?:[A-Z][a-z]?[\d./]+[,;] ?)+[A-Z][a-z]?[\d./]+\)", lambda m: re.sub("[,;]", "", m[0]), text)
    out, position = "", 0
    for match in _FRACTION.finditer(text):
        numerator, denominator = match[1] or match[3], match[2] or match[4]
        if not int(denominator):
            raise RefusedError("E-FORMULA-AMOUNT", "a fraction with denominator zero")
        value = int(numerator) / int(denominator)
        out += text[position : match.start()]
        position = match.end()
        rest = text[position:]
        if match[1] and (len(numerator) > 1 or is_neutral(out + numerator)):
            if len(numerator) > 1 and re.fullmatch(SOLVENT, rest):
                apart = f"{out}{numerator[:-1]}·{numerator[-1]}/{denominator}{rest}"
                raise two_readings(apart, f"({out}{value:.4g})({rest})")
            if re.fullmatch(SOLVENT, rest):
                raise two_readings(f"{out}{numerator}·{denominator}{rest}", f"({out}{value:.4g})({rest})")
            raise two_readings("" if rest else f"{out}{numerator}", f"{out}{value:.4g}{rest}")
        out += f"{value:.16f}".rstrip("0").rstrip(".")
    return out + text[position:]
