"""Characters of formulas: subscripts, markup, dots and brackets of many kinds become plain ones."""

from __future__ import annotations

import re
import unicodedata

from matloop.data.candidates.spelling.refusals import AMBIGUOUS, SYNTAX, RefusedError, two_readings

_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
_ALIKE = str.maketrans(
    dict.fromkeys("•∙⋅・‧●◦·*∗⁎×✕･＊", "·")
    | dict.fromkeys("‐‑‒–—−", "-")
    | dict.fromkeys("⁄∕", "/")
    | {"[": "(", "]": ")", "{": "(", "}": ")", "，": ",", "µ": "μ", "ß": "β", "′": "'", "″": "''", "’": "'"}
)
_HARMLESS = ("<wide>", "<narrow>", "<noBreak>", "<font>")
_FRACTIONS = {"½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "⅓": "(1/3)", "⅔": "(2/3)"}
SUBSCRIPT_DIGITS = {ord("₀") + digit: str(digit) for digit in range(10)}


def without_markup(text: str) -> str:
    """Text whose subscripts in HTML or LaTeX have become subscript digits."""
    if re.search(r"<sup>|\^|\$\^", text):
        raise two_readings(re.sub(r"<sup>.*?</sup>|\^\{.*?\}|\^.|\$", "", text))
    if "<" not in text and "_" not in text and "\\" not in text and "$" not in text:
        return text
    text = re.sub(r"\\(?:ce|mathrm|rm|text)\{(.*)\}", r"\1", text).replace(r"\cdot", "·").replace("$", "")
    for pattern in (r"<sub>([\d./]+)</sub>", r"_\{([\d./]+)\}", r"_(\d)(?!\d)"):
        text = re.sub(pattern, lambda match: match[1].translate(_TO_SUBSCRIPT), text, flags=re.IGNORECASE)
    return text


_TO_SUBSCRIPT = {ord(str(digit)): chr(ord("₀") + digit) for digit in range(10)}


def ascii_of(text: str) -> str:
    """Text in ASCII, where the dot that separates compounds has become a middle dot, and greek letters stay."""
    if text.isascii():
        return text.translate(_ALIKE)
    raised = [c for c in text if unicodedata.decomposition(c).startswith(("<super>", "<circle>"))]
    if raised:
        raise two_readings("".join(c for c in text if c not in raised))
    if match := re.search(r"[₀-₉](?=[0-9])", text):
        raise two_readings(f"{text[: match.end()]}·{text[match.end() :]}")
    if re.search(r"[0-9][₀-₉]", text):
        raise RefusedError(AMBIGUOUS, "an amount half on the line and half below it; write it on the line")
    # The point of a number stands among subscripts; one before a digit of full size separates two compounds.
    text = re.sub(r"([₀-₉]+)\.(?=[0-9]+\(?[A-Z])", lambda m: m[0] if m[1] == "₀" else m[1] + "·", text)
    return "".join(map(_ascii_character, text)).translate(_ALIKE)


def _ascii_character(character: str) -> str:
    if character.isascii() or character in "·•∙⋅":
        return character
    if character in _INVISIBLE:
        return ""
    if character in _FRACTIONS:
        return _FRACTIONS[character]
    if ord(character) in SUBSCRIPT_DIGITS:
        return SUBSCRIPT_DIGITS[ord(character)]
    tag = unicodedata.decomposition(character).partition(" ")[0]
    plain = unicodedata.normalize("NFKC", character)
    if not tag:
        return character
    is_space, is_roman = character.isspace(), 0x2160 <= ord(character) <= 0x216B
    if tag in _HARMLESS or not tag.startswith("<") or (tag == "<compat>" and (is_space or is_roman)):
        return plain
    if plain == "μ" or character in "･・":
        return plain
    raise RefusedError(SYNTAX, f"the character {character} belongs to no formula")
