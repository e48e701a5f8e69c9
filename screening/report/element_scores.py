"""What the elements of a finalist cost, how safe their supply is, and whose facts say so, for its card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.composition_scores import SCORES, ScoredCompositions, tables_of_score
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.element_quantities import element_quantity
from matloop.data.element_facts.fact_tables import fact_table
from matloop.data.element_facts.own_facts import OwnFact
from matloop.data.elements import SYMBOLS
from matloop.data.properties.columns import Column
from matloop.screening.filters.element_scores import SCORED_COLUMNS
from matloop.screening.language.text import Words, number, with_unit
from matloop.screening.report.batch_columns import numbers

_DIFFERS = Words("by tables that differ from those here", "所用数据表与本机不同")


class ScoreRow(NamedTuple):
    """One score of one candidate.

    Attributes:
        label: What it is.
        value: With its unit, or which element's fact is missing.
        elements: Fact of each element with its year.
        source: The table with the day on which it held.
    """

    label: Words
    value: Words
    elements: Words
    source: Words


def element_score_rows(batch: CandidateBatch, own: Sequence[OwnFact] = ()) -> list[list[ScoreRow]]:
    """Scores of each candidate as the run computed them, none for a run that computed none.

    Args:
        batch: Finalists.
        own: Facts of one's own that the campaign brings.
    """
    rows: list[list[ScoreRow]] = [[] for _ in range(len(batch))]
    for column, (score, region) in SCORED_COLUMNS.items():
        if column not in batch.table.column_names:
            continue
        facts = ElementFacts(region=region, own=tuple(own))
        found, stored = SCORES[score].compute(batch.compositions, facts), numbers(batch, column)
        for row in range(len(batch)):
            rows[row].append(_score_row(batch, row, column, found=found, stored=float(stored[row]), facts=facts))
    return rows


def _score_row(
    batch: CandidateBatch, row: int, column: Column, *, found: ScoredCompositions, stored: float, facts: ElementFacts
) -> ScoreRow:
    """One score as the run stored it; facts here explain it only where they give the same number."""
    score, region = SCORED_COLUMNS[column]
    named, unit = SCORES[score].label, SCORES[score].unit
    label = Words(named.en, named.zh)
    if score == "critical_mass_share":
        table = fact_table(tables_of_score(score, region)[0]).label
        label = Words(f"{named.en} ({table.en})", f"{named.zh}（{table.zh}）")
    same = np.isclose(stored, found.values[row], rtol=1e-6, equal_nan=True)
    if math.isfinite(stored):
        text = with_unit(number(stored), unit)
        value = Words(text, text)
    else:
        missing = SYMBOLS[found.unknown[row]] if same and found.unknown[row] else ""
        value = Words(
            f"unknown{missing and f', no fact about {missing}'}", f"未知{missing and f'，缺少 {missing} 的数据'}"
        )
    if not same:
        return ScoreRow(label, value, Words("", ""), _DIFFERS)
    return ScoreRow(label, value, _elements(batch, row, score, facts), _source(score, region))


def _source(score: str, region: str) -> Words:
    """Tables of a score with the days on which they held."""
    tables = [fact_table(name) for name in tables_of_score(score, region)]
    return Words(
        ", ".join(f"{table.label.en}, {table.as_of}" for table in tables),
        "、".join(f"{table.label.zh}，{table.as_of}" for table in tables),
    )


def _year(source: str, packaged: str) -> str:
    """The year of a packaged fact, whose table is named beside it; the whole source of a fact of one's own."""
    return source.partition(",")[0] if source == packaged else source


def _elements(batch: CandidateBatch, row: int, score: str, facts: ElementFacts) -> Words:
    """The fact of each element with where it comes from; of a list, the elements on it."""
    composition = batch.compositions.take(np.array([row]))
    (table,) = tables_of_score(score, facts.region)
    present = composition.elements.astype(int).tolist()
    if not fact_table(table).unit:
        every, some = facts.listed(table)
        told = [SYMBOLS[element] for element in present if every[element] or some[element]]
        return Words(", ".join(told) or "none", "、".join(told) or "无")
    quantity, packaged = facts.quantity(table), element_quantity(table).sources
    told = []
    for element in (element for element in present if math.isfinite(quantity.values[element])):
        year = _year(quantity.sources[element], packaged[element])
        told.append(f"{SYMBOLS[element]} {number(float(quantity.values[element]))} ({year})")
    return Words("; ".join(told), "；".join(told))
