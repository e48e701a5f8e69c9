"""Read the cells of a column of labels as people fill them: numbers with errors, limits, units and blanks.

A cell gives a number, or a code that says why it teaches nothing. What has two readings is never taken for one of them.
"""

from __future__ import annotations

import functools
import math
import re
import sys
import unicodedata
from typing import NamedTuple

from matloop.data.elements import SYMBOLS
from matloop.data.errors import UnitError, UnknownNameError
from matloop.data.properties.units import canonical_unit, convert, measure_alike
from matloop.data.remarks import Remark

EMPTY, NO_NUMBER, LIMIT, WRONG_UNIT = "E-LABEL-EMPTY", "E-LABEL-NUMBER", "E-LABEL-LIMIT", "E-LABEL-UNIT"
_LONGEST = 80  # characters of a cell that holds one number
_MISSING = frozenset(
    ("", "-", "--", "---", "—", "/", "n/a", "na", "nan", "null", "none", "n.a.", "nd", "n.d.", "?", "无", "未测")
)
_DIGITS = r"\d{1,3}(?: \d{3}){1,4}(?:\.\d{0,40})?|\d{1,17}(?:[.,]\d{0,40})?|[.,]\d{1,40}"  # 0.0033333333333333335
_POWER = r"[eE][+-]?\d{1,3}|\s?[x*·]\s?10\^?[+-]?\d{1,3}"
_NUMBER = rf"[+-]?(?:{_DIGITS})(?:{_POWER})?"
_CELL = re.compile(
    rf"(?P<limit>[<>]=?|~)?\s*(?P<number>{_NUMBER})"
    rf"(?:\((?P<last>\d{{1,3}})\)|\s*(?:±|\+/-|\+-)\s*(?P<error>{_NUMBER}))?\s*(?P<unit>[^\d.,+_-].*)?"
)
_LAST_BEFORE_POWER = re.compile(rf"([<>]=?|~)?\s*([+-]?(?:{_DIGITS}))(\(\d{{1,3}}\))({_POWER})")  # 1.23(4)e-3
_BRACKETED = re.compile(
    rf"([<>]=?|~)?\s*\(\s*([+-]?(?:{_DIGITS}))\s*(?:±|\+/-|\+-)\s*({_DIGITS})\s*\)({_POWER})?"  # (1.2±0.1)x10-3
)
_LOWERED = re.compile(r"[x×*·⋅]\s?10\d")
"""A power of ten whose digits are not raised, as 103 for 10³."""
_SIGN = re.compile(r"^(?:±|\+/-|\+-)\s*")
_BEFORE_POWER = re.compile(r"[eE]|[x*·]10\^?")
_BRACKETS = re.compile(r"[(\[（【]([^()\[\]（）【】]{1,40}(?:\([^()]{1,20}\))?)[)\]）】]")
_BEFORE_UNIT = re.compile(r"\s/|,|/(?=.*(?:\S\s\S|·|[-⁻−]\s?[\d¹²³⁴-⁹]))")  # sigma / S/cm, sigma/mS cm-1
_FACTOR = re.compile(r"(?<![\d.])10\s?(?:\^|[-+]\s?\d|[⁺⁻¹²³⁴-⁹])|(?<![\w.])1e[-+]?\d|[x×*]\s?10+\b", re.IGNORECASE)
_RAISED = re.compile(r"(?<![x×*·⋅]10)(?<![x×*·⋅] 10)(?<=[\d.])[⁰¹²³⁴-⁹①-⑳]")
"""A raised digit behind a number that is no power of ten: a footnote, or 10³ alone."""
_ALIKE = str.maketrans({"−": "-", "–": "-", "×": "x", "⋅": "·", "≤": "<", "≥": ">", "≲": "<", "≳": ">", "≈": "~"})


class LabelCell(NamedTuple):
    """What a cell says.

    Attributes:
        value: The number in the unit asked for; nan where there is none.
        uncertainty: Its stated error in the same unit; nan where none is stated.
        code: Why it teaches nothing; empty where it does.
        remark: What else is to be said of it.
    """

    value: float
    uncertainty: float
    code: str = ""
    remark: Remark = Remark()

    @property
    def detail(self) -> str:
        """Further text about the code, in English."""
        return self.remark.label.en


@functools.lru_cache(maxsize=100_000)
def read_label(text: str, unit: str, to: str) -> LabelCell:
    """Read one cell.

    Args:
        text: Content of the cell.
        unit: Unit of the column.
        to: Unit of the result.

    Raises:
        UnitError: If the unit of the column measures another quantity than ``to``.
        UnknownNameError: If one of the two units is unknown.

    >>> read_label("1.2±0.1", "mS/cm", "S/cm")
    LabelCell(value=0.0012, uncertainty=0.0001, code='', remark=Remark(key='', values=()))
    >>> read_label("<0.1", "eV", "eV").code, read_label("12 GPa", "MPa", "GPa").value
    ('E-LABEL-LIMIT', 12.0)
    >>> read_label("1e-400", "eV", "eV").detail, read_label("200±-3", "GPa", "GPa").detail
    ("'1e-400' is too small", "'200±-3' has an error below zero")
    >>> read_label("(1.2±0.1)×10⁻³", "S/cm", "S/cm").uncertainty, read_label("1.23(4)e-3", "eV", "eV").uncertainty
    (0.0001, 4e-05)
    """
    zero = convert(0.0, unit, to)
    plain = _plain(text)
    if is_missing(text):
        return _nothing(EMPTY)
    is_one_number = len(plain) <= _LONGEST and not has_raised_digit(text) and not _LOWERED.search(text)
    match = _CELL.fullmatch(_with_powers_inside(plain)) if is_one_number else None
    if match is None:
        return _nothing(NO_NUMBER, "no_number", text[:40])
    if _has_two_readings(match["number"], match["error"] or "", match["unit"] or "", unit):
        return _nothing(NO_NUMBER, "two_readings", text[:40])
    if written := match["unit"]:
        try:
            zero = convert(0.0, written, to)
        except (UnitError, UnknownNameError):
            return _nothing(WRONG_UNIT, "unit_behind", text[:40], written[:20], unit)
        unit = written
    value, error = _number(match["number"]), _number(match["error"] or "0")
    if value is None or error is None:
        return _nothing(NO_NUMBER, "comma", text[:40])
    if not math.isfinite(value):
        return _nothing(NO_NUMBER, "too_large", text[:40])
    if _is_lost(match["number"], value):
        return _nothing(NO_NUMBER, "too_small", text[:40])
    if (match["error"] or "").startswith("-"):
        return _nothing(NO_NUMBER, "negative_error", text[:40])
    if match["limit"] in ("<", ">", "<=", ">="):
        return _nothing(LIMIT, "limit", text[:40])
    if match["last"]:
        error = int(match["last"]) * _last_digit(match["number"])
    uncertainty = abs(convert(error, unit, to) - zero) if error else math.nan
    return LabelCell(convert(value, unit, to), uncertainty)


def has_raised_digit(text: str) -> bool:
    """Whether a raised digit stands behind a number that is no power of ten: a footnote, or 10³ alone.

    >>> has_raised_digit("3.1²"), has_raised_digit("3.1×10²"), has_raised_digit("2.1 W m⁻¹")
    (True, False, False)
    """
    return _RAISED.search(text) is not None


def read_error(text: str, unit: str, to: str) -> LabelCell:
    """Read a cell that holds the standard error of a value in another cell; it is a difference, without an offset.

    Args:
        text: Content of the cell, such as ``0.1``, ``±0.1`` or ``0.1 mS/cm``.
        unit: Unit of the column.
        to: Unit of the result.

    Raises:
        UnitError: If the unit of the column measures another quantity than ``to``.
        UnknownNameError: If one of the two units is unknown.

    >>> read_error("±2", "°C", "K").uncertainty, read_error("", "K", "K").code
    (2.0, 'E-LABEL-EMPTY')
    """
    plain = _SIGN.sub("", _plain(text))
    if is_missing(plain):
        return _nothing(EMPTY)
    read = read_label(f"0 ± {plain}", unit, to)
    return _nothing(NO_NUMBER) if plain.startswith("-") or math.isnan(read.uncertainty) else read


def is_missing(text: str) -> bool:
    """Whether a cell is empty, or says in a word or a sign that nothing stands there.

    >>> is_missing(" n/a "), is_missing("—"), is_missing("paper 1")
    (True, True, False)
    """
    return _plain(text).lower() in _MISSING


def is_upper_limit(text: str) -> bool:
    """Whether a cell holds a limit below which the value lies.

    >>> is_upper_limit(" ≤ 5"), is_upper_limit("> 0.1")
    (True, False)
    """
    return _plain(text).startswith("<")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text[: _LONGEST + 1]).strip().translate(_ALIKE).removeprefix("'")


def _with_powers_inside(plain: str) -> str:
    """Write a power of ten behind an error, or behind brackets around number and error, to each of them.

    >>> _with_powers_inside("1.23(4)e-3"), _with_powers_inside("(1.2±0.1)x10-3 S/m")
    ('1.23e-3(4)', '1.2x10-3±0.1x10-3 S/m')
    """
    if found := _LAST_BEFORE_POWER.match(plain):
        return f"{found[1] or ''}{found[2]}{found[4]}{found[3]}{plain[found.end() :]}"
    if found := _BRACKETED.match(plain):
        power = found[4] or ""
        return f"{found[1] or ''}{found[2]}{power}±{found[3]}{power}{plain[found.end() :]}"
    return plain


def unit_in_header(header: str) -> str:
    """Return the unit in a column name, as people write it; empty where there is none that is known.

    >>> unit_in_header("sigma (mS/cm) at 25 °C"), unit_in_header("Tc / K"), unit_in_header("paper (1)")
    ('mS/cm', 'K', '')
    """
    tail = header[-90:].strip()
    brackets = list(_BRACKETS.finditer(tail))
    at_end = [match[1] for match in brackets[-1:] if match.end() == len(tail)]
    behind = [tail[match.end() :] for match in _BEFORE_UNIT.finditer(tail)]
    inside = [match[1] for match in reversed(brackets) if len(match[1].strip()) > 1]  # (K) may be any symbol
    whole = [tail] if "/" in tail else []
    return next(filter(None, map(_known_unit, (*at_end, *whole, *behind, *inside))), "")


def unit_at_end(header: str) -> tuple[str, bool]:
    """Return the unit in the last words of a column name, without a sign before it, and whether it is sure.

    A word that is also the symbol of an element, a single letter, ``min``, and what stands behind a number may mean
    something else.

    >>> unit_at_end("sigma in mS/cm"), unit_at_end("Tc K"), unit_at_end("modulus at 10 kbar"), unit_at_end("gap_meV")
    (('mS/cm', True), ('K', False), ('kbar', False), ('meV', True))
    """
    words = re.split(r"[\s_]+", header[-90:].strip())
    for first in range(max(1, len(words) - 3), len(words)):
        written = " ".join(words[first:])
        unit = _known_unit(written)
        if unit and unit != "1":
            is_symbol = len(written) == 1 or written in SYMBOLS or written == "min"
            return unit, not is_symbol and not any(character.isdecimal() for character in words[first - 1])
    return "", False


def unit_of_column(header: str, alike: str) -> str:
    """Return the unit in a column name; in its last words, it must be sure and measure the same as another unit.

    >>> unit_of_column("sigma mS/cm", "S/cm"), unit_of_column("Tc K", "K"), unit_of_column("gap at 10 kbar", "eV")
    ('mS/cm', '', '')
    """
    at_end, is_sure = unit_at_end(header)
    return unit_in_header(header) or (at_end if is_sure and measure_alike(at_end, alike) else "")


def has_factor(header: str) -> bool:
    """Whether a column name holds a power of ten that is no part of its unit.

    >>> has_factor("sigma (10^-3 S/cm)"), has_factor("sigma ×10³ (S/cm)"), has_factor("alpha (10^-6/K)")
    (True, True, False)
    """
    return bool(_FACTOR.search(_BRACKETS.sub(lambda match: "" if _known_unit(match[1]) else match[0], header[-90:])))


def _known_unit(written: str) -> str:
    written = written.strip()
    if not written or written.isdecimal():
        return ""
    try:
        return canonical_unit(written)
    except UnknownNameError:
        return ""


def _has_two_readings(number: str, error: str, written: str, unit: str) -> bool:
    """Whether 1.2±0.1×10⁻³ may mean a power for both, ±5 % a share of the value, or 5 1 two numbers."""
    power = (
        "10" in error and not _BEFORE_POWER.search(number.replace(" ", "")) and bool(re.search(r"[x*·]\s?10", error))
    )
    return power or written.strip() == "1" or bool(error and written.strip() == "%" and unit != "%")


def _nothing(code: str, key: str = "", *values: str) -> LabelCell:
    return LabelCell(math.nan, math.nan, code, Remark(key, values))


def _parts(number: str) -> tuple[str, str]:
    """Return mantissa and power of ten of a number."""
    mantissa, *power = _BEFORE_POWER.split(number.replace(" ", ""))
    return mantissa, power[0] if power else "0"


def _number(text: str) -> float | None:
    """Read a number with a point or a decimal comma; None where a comma may separate thousands."""
    mantissa, power = _parts(text)
    if re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", mantissa):
        return None
    return float(f"{mantissa.replace(',', '.')}e{power}")


def _is_lost(written: str, value: float) -> bool:
    """Whether a number is not zero, but smaller than numbers of full precision, down to becoming 0."""
    return abs(value) < sys.float_info.min and re.search("[1-9]", _parts(written)[0]) is not None


def _last_digit(number: str) -> float:
    """Return what one unit of the last digit of a number is worth."""
    mantissa, power = _parts(number)
    *_, decimals = mantissa.replace(",", ".").partition(".")
    return float(f"1e{int(power) - len(decimals)}")
