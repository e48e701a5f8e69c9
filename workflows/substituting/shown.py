"""Replacements on the terminal: a table, and what is to be known beside it, in English or Chinese."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from matloop.data.element_facts.composition_scores import SCORES
from matloop.data.plain_text import plain
from matloop.data.properties.catalogue import property_named
from matloop.data.properties.columns import Column
from matloop.screening.language.text import Words, number, with_unit
from matloop.screening.substitution.element_profile import CRITICAL_SHARE
from matloop.screening.substitution.words import (
    COLUMNS,
    OUTSIDE,
    code_words,
    marks_words,
    phase_words,
    refused_words,
    score_words,
    table_words,
)  # fmt: skip
from matloop.workflows.substituting.property_outlook import Outlook, PropertyValue
from matloop.workflows.substituting.search import Replacement, Replacements
from matloop.workflows.terminal_tables import Heading, print_table

Language = Callable[[Words], str]


class _Column(NamedTuple):
    """A column of the table: its heading, and its cell of each replacement."""

    heading: Heading
    cell: Callable[[Replacement], str]


def language_of(lang: str) -> Language:
    """What picks the text of a language."""
    return (lambda words: words.zh) if lang == "zh" else (lambda words: words.en)


def print_replacements(found: Replacements, console: Console, *, top: int, lang: str, on: dt.date) -> None:
    """Print the best replacements.

    Args:
        found: What a search found.
        console: Where to.
        top: How many of them.
        lang: ``en`` or ``zh``.
        on: Today, for facts that are out of date.
    """
    said = language_of(lang)
    for words in _head(found, shown=min(top, len(found.found))):
        console.print(Text(plain(said(words))), soft_wrap=True)
    columns = _columns(found, said)
    rows = [
        [str(place), *(column.cell(one) for column in columns)] for place, one in enumerate(found.found[:top], start=1)
    ]
    if rows:
        headings = [Heading("", right=True), *(column.heading for column in columns)]
        print_table(console, "", headings, rows, keys=2)
    for words in _notes(found, on):
        console.print(Text(plain(said(words)) + ("。" if lang == "zh" else ".")), soft_wrap=True)


def _head(found: Replacements, *, shown: int) -> list[Words]:
    """What was searched for, and the values of the material."""
    formula, count = found.material.formula, len(found.found)
    lines = [
        Words(
            f"{found.leaving} of {formula}: {shown} of {count} replacements",
            f"{formula} 中的 {found.leaving}：{count} 种替换中的 {shown} 种",
        )
    ]
    for one in found.properties:
        value, kept = _value_words(one.old, one.condition.name), one.condition.words
        lines.append(Words(f"kept: {kept.en}, {value.en}", f"保持：{kept.zh}，{value.zh}"))
    return lines


def _value_words(value: PropertyValue, name: str) -> Words:
    """A value with where it comes from."""
    unit = property_named(name).unit
    if value.known is not None:
        text = with_unit(number(value.known.value), unit)
        return Words(
            f"{text} by {value.known.source} ({value.known.provenance})",
            f"{text}（{value.known.source}，{value.known.provenance}）",
        )
    if value.code:
        words = code_words(value.code)
        return Words(f"no value: {words.en}", f"无数值：{words.zh}")
    text = _interval(value.predicted, value.low, value.high, unit)
    return Words(f"predicted {text}", f"预测 {text}")


def _interval(value: float, low: float, high: float, unit: str) -> str:
    width = high - low
    ends = f"[{number(low, width)}, {number(high, width)}]" if width > 0 else ""
    return with_unit(f"{number(value, width or None)} {ends}".rstrip(), unit)


def _columns(found: Replacements, said: Language) -> list[_Column]:
    columns = [
        _column("formula", said, lambda one: one.material.formula),
        _column("ion", said, lambda one: one.replacing.ion),
        _column("substitution", said, lambda one: f"{one.replacing.probability:.2g}"),
    ]
    if found.by_ions:
        columns.append(_column("radius", said, lambda one: f"{one.replacing.radius_change:+.0%}".replace("-", "−")))
    for at, outlooks in enumerate(found.properties):
        columns += _property_columns(at, outlooks.condition.name, said)
    if len(found.properties) > 1:
        columns.append(_column("kept", said, lambda one: _share(one.kept)))
    columns.append(_column("phase", said, lambda one: said(_phases(one)), breaks=True))
    for name in (Column.SUPPLY_RISK, Column.PRICE_PER_KILOGRAM, CRITICAL_SHARE, Column.RECYCLABILITY):
        score = found.material.profile.scores.get(name)
        if score is not None and (math.isfinite(score.value) or name == Column.SUPPLY_RISK):
            columns.append(_score_column(name, found, said))
    columns.append(_column("price", said, lambda one: f"{number(one.price_change)}"))
    columns.append(_column("marks", said, lambda one: said(marks_words(one.material.profile)), breaks=True))
    return columns


def _column(key: str, said: Language, cell: Callable[[Replacement], str], *, breaks: bool = False) -> _Column:
    return _Column(Heading(said(COLUMNS[key]), breaks=breaks), cell)


def _property_columns(at: int, name: str, said: Language) -> list[_Column]:
    """Known value, prediction, change and P(kept) of one property."""
    unit = property_named(name).unit

    def known(one: Replacement) -> str:
        value = one.outlooks[at].value.known
        return "–" if value is None else with_unit(number(value.value), unit)

    def predicted(one: Replacement) -> str:
        value = one.outlooks[at].value
        if value.code:
            return said(code_words(value.code))
        text = _interval(value.predicted, value.low, value.high, unit)
        return text if value.in_domain else f"{text} {said(OUTSIDE)}"

    return [
        _column("known", said, known),
        _column("predicted", said, predicted),
        _column("change", said, lambda one: _change(one.outlooks[at], unit)),
        _column("kept", said, lambda one: _share(one.outlooks[at].kept)),
    ]


def _change(outlook: Outlook, unit: str) -> str:
    if not math.isfinite(outlook.change):
        return "–"
    return _interval(outlook.change, outlook.change_low, outlook.change_high, unit)


def _share(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"


def _phases(one: Replacement) -> Words:
    phases = one.material.phases
    return phase_words(
        phases.lists, phases.distances, coverage=(phases.coverage, phases.known), makeable=phases.makeable
    )


def _score_column(name: str, found: Replacements, said: Language) -> _Column:
    label = SCORES[name].label
    old = found.material.profile.scores[name]
    return _Column(
        Heading(said(Words(label.en, label.zh))),
        lambda one: said(score_words(name, old, one.material.profile.scores[name])),
    )


def _notes(found: Replacements, on: dt.date) -> Sequence[Words]:
    notes = list(refused_words(found.refused)) if found.wish.by is not None else []
    if not found.found:
        notes.insert(0, Words("No element can take the place with the same charge", "没有元素能以相同电荷替换"))
    marks = marks_words(found.material.profile)
    notes.append(
        Words(
            f"Lists that name {found.material.formula}: {marks.en}", f"涉及 {found.material.formula} 的清单：{marks.zh}"
        )
    )
    if any(one.harmful for one in found.found):
        notes.append(
            Words(
                "Elements that are radioactive or on a list of harmful ones stand behind all others",
                "放射性或列入有害清单的元素排在最后",
            )
        )
    return [*notes, *table_words(found.tables, on)]
