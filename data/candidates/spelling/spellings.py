"""Formulas as people write them, put into plain letters, digits and brackets.

People write hydrates with many kinds of dots, amounts as subscripts, oxidation numbers and names of phases. Where a
text has one reading, it is spelled out here. Where it has two, it is refused and both are named: a guess would screen
another compound than the one that was meant.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from matloop.data.candidates.slips import likely_meant
from matloop.data.candidates.spelling.blanks import without_blanks
from matloop.data.candidates.spelling.characters import ascii_of, without_markup
from matloop.data.candidates.spelling.dots import pieces_of
from matloop.data.candidates.spelling.fractions import without_fractions
from matloop.data.candidates.spelling.oxidation_numbers import without_oxidation_numbers
from matloop.data.candidates.spelling.phase_labels import without_labels, without_polytype
from matloop.data.candidates.spelling.refusals import AMBIGUOUS, SYNTAX, RefusedError, symbols_in, two_readings
from matloop.data.elements import SYMBOLS

MAX_LENGTH = 256


class Spelling(NamedTuple):
    """A formula in plain letters, digits, points and round brackets, or the code under which it is refused.

    Attributes:
        plain: The formula; empty where it is refused.
        code: Row code; empty where it can be read.
        detail: The readings and how to write it, where more can be said than the code does.
    """

    plain: str
    code: str = ""
    detail: str = ""


def spelled_plainly(text: str, *, exact: bool = False) -> Spelling:
    """Spell a formula plainly.

    Args:
        text: Formula as written.
        exact: Whether a program wrote it, so that it holds no slips.

    >>> spelled_plainly("Mg(ClO₄)₂•6NH₃").plain, spelled_plainly("α-Fe(III)2O3").plain
    ('(Mg(ClO4)2)(NH3)6', 'Fe2O3')
    """
    text = text.strip()
    if len(text) > MAX_LENGTH:
        return Spelling("", SYNTAX, f"longer than {MAX_LENGTH} characters")
    if text and not any(character.isupper() for character in unicodedata.normalize("NFKC", text)):
        letters = any(character.isalpha() for character in text)
        return Spelling("", SYNTAX, "symbols of elements begin with a capital letter, such as NaCl" * letters)
    if "\n" in text or "\t" in text:
        return Spelling("", SYNTAX, "more than one line or cell")
    try:
        spelled = without_labels(ascii_of(without_markup(without_polytype(text))))
        spelled = without_fractions(without_blanks(spelled))
        pieces = pieces_of(without_oxidation_numbers(spelled), exact=exact)
        return Spelling(_joined([_checked(piece, exact=exact) for piece in pieces]))
    except RefusedError as refusal:
        return Spelling("", refusal.code, refusal.detail)


def explained(text: str) -> str:
    """What can be said about a refused formula besides its code; empty where nothing can."""
    spelling = spelled_plainly(text)
    if spelling.detail or spelling.code == AMBIGUOUS:
        return spelling.detail
    if re.search(_DEUTERIUM, text) and not re.fullmatch(r"[A-Z]{3,}", text):
        plain = re.sub(_DEUTERIUM, "H", text)
        if symbols_in(plain) <= set(SYMBOLS):
            return f"D and T are no symbols of elements here; write H for deuterium and tritium, so {plain}"
    return next((words for pattern, words in _HINTS if re.search(pattern, text)), "")


_DEUTERIUM = r"[DT](?![a-z])"
_HINTS = (
    (r"(?<![A-Z])[xyzδn](?![a-z])|[BCFHIKNOPSUVWY][xy](?![a-z])", "an amount is a letter; write its value"),
    (r"\d?[+\-−⁺⁻]\]?$", "a charge; write the neutral compound"),
    (
        r"[(\[{][A-Z][^()]*, ?[A-Z]",
        "a comma stands between elements that share a site; write the amount of each, such as (La0.7Sr0.3)MnO3",
    ),
    (r"[-–−+/:]", "a mixture, a range or a dopant; write one formula with the amount of each element"),
)


_PART = re.compile(r"(\d*+(?:\.\d*+)?+)(?:\((\d)/(\d)\)|/(\d))?+(.+)")  # possessive: no backtracking on hostile text


def _checked(piece: str, *, exact: bool) -> str:
    """A compound without its number, once it holds no slip and no lone element in brackets."""
    match = _PART.fullmatch(piece)
    bare = match[5] if match else piece
    plain = piece.replace(" ", "")
    if exact:
        return plain
    if match := re.search(r"\(([A-Z][a-z]?)\)(?![\d.])", bare):
        without = bare[: match.start()] + bare[match.end() :]
        raise two_readings(without, bare.replace(match[0], match[1]) if match[1] in SYMBOLS else "")
    if (match := re.search(r"\(([BC]\d{1,2})\)$", bare)) and len(symbols_in(bare[: match.start()])) > 1:
        raise two_readings(bare[: match.start()], bare[: match.start()] + match[1])
    if meant := likely_meant(bare):
        raise two_readings(meant)
    return plain


def _joined(pieces: list[str]) -> str:
    """One formula of several compounds, each with its number."""
    if len(pieces) == 1:
        return pieces[0]
    out = []
    for piece in pieces:
        match = _PART.fullmatch(piece)
        if match is None:
            raise RefusedError(SYNTAX, "a dot with nothing beside it")
        number, upper, lower, under, bare = match.groups()
        value = number
        if lower or under:
            numerator, denominator = (int(upper), int(lower)) if lower else (int(number or 0), int(under))
            whole = int(number or 0) if lower else 0
            value = repr(whole + numerator / denominator) if denominator else "?"
        out.append(f"({bare}){value}")
    return "".join(out)
