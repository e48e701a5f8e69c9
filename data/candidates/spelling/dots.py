"""Dots in formulas: they set compounds apart, or are the points of numbers."""

from __future__ import annotations

import itertools
import re

from matloop.data.candidates.neutrality import is_neutral
from matloop.data.candidates.slips import ANIONS, NONMETALS
from matloop.data.candidates.spelling.refusals import SOLVENT, SYNTAX, RefusedError, symbols_in, two_readings

_POINT = re.compile(r"(\d*)\.(\d*)")
_OTHER_MARKS = re.compile(rf"(?<=[\w)]) ?[-:;,+'xX] ?(\d{{0,4}}\.?\d{{0,4}}{SOLVENT})$")
_MOST_PIECES = 8


def pieces_of(text: str, *, exact: bool) -> list[str]:
    """The compounds of a text, which middle dots or points set apart; each may begin with a number.

    Raises:
        RefusedError: If a point may be that of a number or set compounds apart.
    """
    if match := _OTHER_MARKS.search(text):
        raise two_readings(f"{text[: match.start()]}·{match[1]}")
    if text.count("·") >= _MOST_PIECES or "·" in (text[:1], text[-1:]) or "··" in text:
        raise RefusedError(SYNTAX, "a dot with nothing beside it, or more than eight compounds")
    text = re.sub(r"(?<=\d),(?=\d)", ".", _without_thousands(text))
    pieces = []
    for piece in text.split("·"):
        if not exact:
            _refuse_dropped_dot(piece)
            _refuse_oxides_run_together(piece)
        pieces += _split_at_points(piece)
    for before, after in itertools.pairwise(pieces):
        symbols = symbols_in(before)
        if before[-1:].isdigit() and after[:1].isdigit() and symbols and not symbols & NONMETALS:
            raise two_readings(f"{before}.{after}", f"({before})·{after}")
    return pieces


_LARGEST_GROUP = 20  # number of groups in brackets from which on it is held to be two numbers
_OXIDES_RUN_TOGETHER = re.compile(r"(?:[OFS]|Cl|Br)(\d+)(?=[A-Z])")
_RUN_TOGETHER = re.compile(rf"((?:.*[A-Za-z)])?)(\d+(?:\.\d+)?)({SOLVENT})")


def _refuse_dropped_dot(piece: str) -> None:
    """Refuse a hydrate whose dot is left out, such as MgCl26H2O for MgCl2·6H2O."""
    match = _RUN_TOGETHER.fullmatch(piece)
    if match is None or not match[1]:
        return
    before, digits, solvent = match.groups()
    whole = digits.partition(".")[0]
    if is_neutral(before + digits) and (before[-1] != ")" or int(whole) < _LARGEST_GROUP):
        return
    splits = [
        (digits[:at], digits[at:])
        for at in range(len(whole) - 1, 0, -1)
        if digits[at] != "0" or digits[at + 1 : at + 2] == "."
    ]
    likely = [f"{before}{amount}·{number}{solvent}" for amount, number in splits if is_neutral(before + amount)]
    if not likely and "." not in digits and is_neutral(before):
        likely = [f"{before}·{digits}{solvent}"]
    if likely or (len(digits) > 1 and "." not in digits):
        others = [f"{before}{amount}·{number}{solvent}" for amount, number in splits]
        raise two_readings(*(likely or others), f"({before}{digits})({solvent.strip('()')})")


def _refuse_oxides_run_together(piece: str) -> None:
    """Refuse several compounds without dots, such as K2OAl2O36SiO2, where they are neutral and the whole is not."""
    for match in _OXIDES_RUN_TOGETHER.finditer(piece):
        if is_neutral(piece):
            return
        digits, rest = match[1], piece[match.end() :]
        for at in range(len(digits) - 1, -1, -1):
            before = piece[: match.start(1) + at]
            if digits[at:] not in ("0", "1") and digits[at] != "0" and is_neutral(before) and is_neutral(rest):
                raise two_readings(f"{before}·{digits[at:]}{rest}", f"({before}{digits[at:]})({rest})")


def _without_thousands(text: str) -> str:
    if match := re.search(r"[1-9]\d*,\d{3}(?!\d)", text):
        raise two_readings(text.replace(",", "."), text.replace(match[0], match[0].replace(",", "")))
    return text


def _split_at_points(piece: str) -> list[str]:
    """Split a text at the points that belong to no number."""
    if match := re.search(r"[\d)]\.(\d+\.\d+\(?[A-Z].*)", piece):
        raise two_readings(f"{piece[: match.start() + 1]}·{match[1]}")
    start, parts = 0, []
    for match in _POINT.finditer(piece):
        before, after = piece[: match.start()] + match[1], piece[match.end() :]
        if not before or not after or not (after[0].isupper() or after[0] == "("):
            continue  # the number at the end of a group, or no number at all
        if not match[2]:
            parts.append(piece[start : match.end() - 1])
            start = match.end()
        elif _may_separate(before, match, after):
            point = "." if match[1] else "0."
            raise two_readings(f"{before}·{match[2]}{after}", f"({before}{point}{match[2]})({after})")
    return [*parts, piece[start:]]


def _may_separate(before: str, match: re.Match[str], after: str) -> bool:
    """Whether a point may set two compounds apart: each has a metal or hydrogen, and something that binds it."""
    whole, fraction = match.groups()
    if whole == "0" or fraction.startswith("0") or not symbols_in(before) & ANIONS:
        return False
    if re.fullmatch(SOLVENT, after):
        return True
    if whole == "1" or fraction == "1" or len(symbols_in(before)) < 2:
        return False
    if re.fullmatch(r"\([^()]*\)[\d.]+", after):
        return False
    symbols = symbols_in(after)
    if len(symbols) == 1:  # a molecule such as I2 beside an iodide
        return before.rstrip("0123456789").endswith(min(symbols))
    return bool(symbols & (ANIONS | {"H"})) and bool(symbols - ANIONS)
