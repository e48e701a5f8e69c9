"""Blanks in formulas: each stands between symbols, sets a hydrate apart, or has two readings."""

from __future__ import annotations

import re

from matloop.data.candidates.slips import ANIONS
from matloop.data.candidates.spelling.phase_labels import without_labels_after_a_blank
from matloop.data.candidates.spelling.refusals import SOLVENT, SYNTAX, RefusedError, closed, symbols_in, two_readings


def without_blanks(text: str) -> str:
    """Text without blanks, where each either stands between symbols or sets a hydrate apart."""
    text = re.sub(r"\s+", " ", text.strip())
    text = re.sub(r" ?· ?", "·", text)
    text = re.sub(r"(?<=·)([\d.]+) (?=[A-Z(])", r"\1", text)
    if " " not in text:
        return text
    if re.search(r" [a-z]", text):
        raise RefusedError(SYNTAX, "words beside the formula; write the formula alone")
    text = without_labels_after_a_blank(text)
    text = re.sub(r"(?<=[a-zA-Z]) (?=\.\d+(?: [A-Z]|$))", "", text)
    if match := re.search(r" [.,](?=\d)", text):
        apart, onward = text[: match.start()], text[match.end() :]
        raise two_readings(closed(f"{apart}·{onward}"), closed(f"{apart}·0.{onward}"))
    text = re.sub(r" \. ?|\. ", "·", text)
    text = re.sub(rf"(?<=\d) (?=(?:\d+(?:\.\d+)?|\d/\d ?|\(\d/\d\) ?){SOLVENT}(?:$|·))", "·", text)
    if match := re.search(r"\d (?=[\d.])", text):
        apart, onward = text[: match.end() - 1], text[match.end() :]
        if re.match(r"[\d.]*\(?[A-Z]", onward):
            raise two_readings(closed(f"{apart}·{onward}"), closed(apart + onward))
        raise two_readings(closed(apart))
    if match := re.search(r"[A-Za-z)] (?=[\d.]+(?:\(?[A-Z]| (?:H ?2 ?O|N ?H ?3)$))", text):
        apart, onward = text[: match.end() - 1], text[match.end() :]
        raise two_readings(closed(f"{apart}·{onward}"), closed(apart + onward))
    _refuse_names_after_a_blank(text)
    # A blank between two capitals stays, since it shows that they are two elements.
    return re.sub(r"(?<![A-Z]) | (?![A-Z])", "", text)


def _refuse_names_after_a_blank(text: str) -> None:
    """Refuse a compound with a single symbol behind it, such as TiO2 B, which names a phase or a product."""
    compound, *others = text.split("·")[-1].split(" ")
    symbols = symbols_in(compound)
    if _is_compound(compound) and any(_is_compound(o) and not re.fullmatch(rf"{SOLVENT}", o) for o in others):
        raise two_readings("·".join([compound, *others]))
    if len(symbols) > 1 and symbols & ANIONS:
        for other in others:
            if re.fullmatch(r"[A-Z][a-z]?[\d.]*", other):
                raise two_readings(compound, closed(text))


def _is_compound(token: str) -> bool:
    """Whether a text without brackets in front has an element that binds others, and another one."""
    symbols = symbols_in(token)
    return token[:1].isupper() and bool(symbols & ANIONS) and bool(symbols - ANIONS)
