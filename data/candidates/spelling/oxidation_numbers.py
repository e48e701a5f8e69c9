"""Oxidation numbers in formulas, such as Cu(I), which may also be iodine or vanadium in brackets."""

from __future__ import annotations

import re

from matloop.data.candidates.slips import ANIONS, NONMETALS
from matloop.data.candidates.spelling.refusals import symbols_in, two_readings

_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8}
_STOCK = re.compile(r"([A-Z][a-z]?)(\d*) ?\((I{1,3}|IV|VI{0,3})\)(\d*(?:\.\d+)?)")
_MAY_BE = {
    "I": frozenset("Li Na K Rb Cs Cu Ag Au Hg Tl In Ga".split()),
    "V": frozenset("V Nb Ta P As Sb Bi Mo W U Re Pa Np".split()),
}
_NEVER = frozenset("H O F He Ne Ar".split())
_CHARGES = dict.fromkeys(("O", "S", "Se", "Te"), -2) | dict.fromkeys(("F", "Cl", "Br", "I"), -1) | {"N": -3, "Al": 3}
_CHARGES |= dict.fromkeys("H Li Na K Rb Cs".split(), 1) | dict.fromkeys("Mg Ca Sr Ba Zn".split(), 2)
_HALOGENS = frozenset("F Cl Br I".split())


def without_oxidation_numbers(text: str) -> str:
    """Text without oxidation numbers such as Cu(I)."""
    _refuse_several_at_once(text)
    found = list(_STOCK.finditer(text))
    for match in found:
        symbol, before, roman, after = match.groups()
        plain = text[: match.start()] + symbol + before + after + text[match.end() :]
        alone = match.end() == len(text) and (match.start() == 0 or roman in _MAY_BE or symbol in NONMETALS)
        if roman == "I" and symbol not in _MAY_BE[roman] and not symbols_in(text[match.end() :]) & ANIONS - _HALOGENS:
            continue  # iodine in brackets
        refused = roman in _MAY_BE and symbol not in _MAY_BE[roman]
        if refused or alone or symbol in _NEVER or (before and after) or not _is_neutral(text, found):
            raise two_readings(plain, text.replace(f"({roman})", roman))
    return _STOCK.sub(_bare, text)


_SEVERAL_AT_ONCE = re.compile(r"([A-Z][a-z]?)([\d.]*)((?:\([IV]+\)[,/+;]?\d*){2,}|\([IV]+(?:[,/+;-][IV]+)+\))")
_NO_NUMBER = re.compile(r"\((?:IIII+|IIV+|VV+|I*VI{4,})\)")


def _refuse_several_at_once(text: str) -> None:
    """Refuse an element with several oxidation numbers, such as Fe(II)(III)2O4 or Fe3(II,III)O4."""
    if match := _SEVERAL_AT_ONCE.search(text):
        symbol, before, numbers = match.groups()
        start, after = text[: match.start()], text[match.end() :]
        readings = [f"{start}{symbol}{before}{after}"]
        if re.search(r"\)[^()]*\d", numbers):
            spelled = start + re.sub(r"[,/+;]?(\([IV]+\))", rf"{symbol}\1", numbers) + after
            neutral = _is_neutral(spelled, list(_STOCK.finditer(spelled)))
            readings = [spelled if neutral else re.sub(r"\([IV]+\)", "", spelled)]
        if iodine := re.search(r"\(I\)(\d*)$", numbers):
            readings.append(f"{start}{symbol}{before}I{iodine[1]}{after}")
        raise two_readings(*readings)
    if match := _NO_NUMBER.search(text):
        raise two_readings(text.replace(match[0], ""))


def _bare(match: re.Match[str]) -> str:
    symbol, before, roman, after = match.groups()
    return match[0] if roman in _MAY_BE and symbol not in _MAY_BE[roman] else symbol + before + after


def _is_neutral(text: str, found: list[re.Match[str]]) -> bool:
    """Whether the oxidation numbers neutralise the other elements.

    Where these have no usual charge, a number such as II is believed; I and V could be elements and are not.
    """
    charge, believed = 0.0, all(match[3] not in _MAY_BE for match in found)
    for match in found:
        charge += _ROMAN[match[3]] * float(match[2] or match[4] or 1)
    rest = _STOCK.sub("", text)
    for symbol, amount in re.findall(r"([A-Z][a-z]?)(\d*)", rest):
        if symbol not in _CHARGES:
            return believed
        charge += _CHARGES[symbol] * int(amount or 1)
    return charge == 0 or (believed and (bool(re.search(r"[()·]", rest)) or len(symbols_in(rest)) > 1))
