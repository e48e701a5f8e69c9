"""Predicates on facts about elements: limits on scores of compositions, and lists that name elements."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.element_facts.composition_scores import CRITICAL_LISTS, SCORES, tables_of_score
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.fact_tables import TABLES, fact_table
from matloop.data.element_facts.listed_elements import listed_elements
from matloop.data.elements import SYMBOLS
from matloop.data.errors import CampaignError, unknown_name
from matloop.data.label import Label
from matloop.data.training.known_materials import KnownMaterials
from matloop.screening.filters.combined import Answer, Predicate, reasons_where

BEYOND_LIMIT = "R-FILTER-SCORE-LIMIT"
"""A score lies beyond its limit; the value is the score, the limit tells its unit and the table it rests on."""
WITHIN_LIMIT = "R-FILTER-SCORE-WITHIN"
"""A score meets a limit that it must not meet."""
UNKNOWN_FACT = "R-FILTER-UNKNOWN-FACT"
"""A fact about an element is not known; the value is its symbol, the limit what it was asked for."""
LISTED = "R-FILTER-LISTED"
"""Holds an element on a list; the value is its symbol, the limit the list with its date."""
NOT_LISTED = "R-FILTER-NOT-LISTED"
"""Holds no element on a list; the limit is the list with its date."""

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt
}  # fmt: skip
LISTS = tuple(name for name, table in TABLES.items() if table.lists_elements)
"""Names of the packaged lists."""

_UNKNOWN_WORDS = Label("{limit} cannot be told: no fact about {value}", "无法判断 {limit}：缺少 {value} 的数据")


class ScoreLimit(Predicate):
    """Candidates whose score of the composition lies on one side of a limit.

    Args:
        score: Name of the score, such as ``supply_risk``.
        comparison: ``<=``, ``>=``, ``<`` or ``>``.
        limit: In the unit of the score.
        facts: Facts about elements; the packaged ones of the world by default.

    Raises:
        UnknownNameError: For a name that no score has.
        CampaignError: For another comparison, a limit that no score reaches, or a score that the region of the facts
            does not have.

    >>> str(ScoreLimit("supply_risk", "<=", 0.3))
    'supply_risk <= 0.3'
    """

    name = "score_limit"
    reason_words: ClassVar[Mapping[str, Label]] = {
        BEYOND_LIMIT: Label("not {limit}", "不满足 {limit}"),
        WITHIN_LIMIT: Label("meets {limit}", "满足 {limit}"),
        UNKNOWN_FACT: _UNKNOWN_WORDS,
    }

    def __init__(self, score: str, comparison: str, limit: float, *, facts: ElementFacts | None = None) -> None:
        if score not in SCORES:
            raise unknown_name("score of a composition", score, list(SCORES))
        if comparison not in COMPARISONS:
            raise CampaignError(f"the comparison '{comparison}'", ", ".join(COMPARISONS), f"write {score} <= {limit:g}")
        shares = SCORES[score].unit == "1"
        if not math.isfinite(limit) or (shares and not 0 <= limit <= 1):
            raise CampaignError(
                f"{score} {comparison} {limit:g}", "a limit from 0 to 1" if shares else "a finite limit",
                f"write {score} {comparison} {limit / 100:g}" if shares and 1 < limit <= 100 else "",
            )  # fmt: skip
        self.facts = facts or ElementFacts()
        if score == "critical_mass_share" and self.facts.region not in CRITICAL_LISTS:
            raise CampaignError(
                f"{score} for the region {self.facts.region}", f"regions with such a list: {', '.join(CRITICAL_LISTS)}",
                "name the region, for example region: eu",
            )  # fmt: skip
        self.score, self.comparison, self.limit = score, comparison, float(limit)

    def __str__(self) -> str:
        return f"{self.score} {self.comparison} {repr(self.limit).removesuffix('.0')}"

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates meet the limit; unknown where a fact of an element is."""
        values, missing = SCORES[self.score].compute(batch.compositions, self.facts)
        unknown = np.isnan(values)
        met = np.where(unknown, False, COMPARISONS[self.comparison](values, self.limit)).astype(bool)
        text = self._with_source

        def against(row: int) -> Reason:
            if unknown[row]:
                return Reason(UNKNOWN_FACT, SYMBOLS[missing[row]] if missing[row] else "", text)
            return Reason(BEYOND_LIMIT, float(values[row]), text)

        within = reasons_where(met, lambda row: Reason(WITHIN_LIMIT, float(values[row]), text))
        return Answer(met, unknown, reasons_where(~met, against), within)

    @property
    def fact_tables(self) -> tuple[str, ...]:
        """The tables that the score rests on."""
        return tables_of_score(self.score, self.facts.region)

    @property
    def _with_source(self) -> str:
        """The limit with its unit and the tables that the score rests on, with their days."""
        unit = SCORES[self.score].unit
        told = "" if unit == "1" else f" {unit}"
        return f"{self}{told} ({', '.join(f'{name} {fact_table(name).as_of}' for name in self.fact_tables)})"

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("limit on a score of the composition", "成分评分限值")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say the score and the limit."""
        (value,) = SCORES[self.score].compute(finalist.compositions, self.facts).values.tolist()
        words, unit = SCORES[self.score].label, SCORES[self.score].unit
        told = f"{value:.3g}" if unit == "1" else f"{value:.3g} {unit}"
        return Label(
            f"{words.en} {told}; {self.comparison} {self.limit:g} passes",
            f"{words.zh} {told}；要求 {self.comparison} {self.limit:g}",
        )


class OnList(Predicate):
    """Candidates that hold an element on a packaged list, above the mass fraction that the list tolerates.

    It is not known where the list names some forms of the element only, such as chromium of oxidation state six: a
    composition does not tell the form.

    Args:
        table: Name of the list, such as ``eu_rohs``.
        facts: Facts about elements; the packaged ones of the world by default.

    Raises:
        UnknownNameError: For a name that no list has.

    >>> str(~OnList("eu_rohs"))
    '~eu_rohs'
    """

    name = "on_list"
    reason_words: ClassVar[Mapping[str, Label]] = {
        LISTED: Label("{value} is on the list {limit}", "{value} 在清单 {limit} 中"),
        NOT_LISTED: Label("no element on the list {limit}", "不含清单 {limit} 中的元素"),
        UNKNOWN_FACT: _UNKNOWN_WORDS,
    }

    def __init__(self, table: str, *, facts: ElementFacts | None = None) -> None:
        if table not in LISTS:
            raise unknown_name("list of elements", table, LISTS)
        self.table, self.facts = table, facts or ElementFacts()

    @property
    def fact_tables(self) -> tuple[str, ...]:
        """The list."""
        return (self.table,)

    def __str__(self) -> str:
        return self.table

    def answer(self, batch: CandidateBatch) -> Answer:
        """Which candidates hold a listed element; unknown where only some forms of it are listed."""
        listed, unclear = listed_elements(batch.compositions, self.table, self.facts)
        met = np.asarray(listed.any(axis=1))
        unknown = np.asarray(unclear.any(axis=1)) & ~met
        text, first, first_unclear = (
            f"{self} ({fact_table(self.table).as_of})",
            listed.argmax(axis=1),
            unclear.argmax(axis=1),
        )

        def against(row: int) -> Reason:
            return (
                Reason(UNKNOWN_FACT, SYMBOLS[first_unclear[row]], text)
                if unknown[row]
                else Reason(NOT_LISTED, "", text)
            )

        named = reasons_where(met, lambda row: Reason(LISTED, SYMBOLS[first[row]], text))
        return Answer(met, unknown, reasons_where(~met, against), named)

    @classmethod
    def title(cls) -> Label:
        """What it looks at."""
        return Label("elements on a list", "清单所列元素")

    def margin(self, finalist: CandidateBatch, *, known: KnownMaterials) -> Label:
        """Say that it holds such an element."""
        words = fact_table(self.table).label
        return Label(f"holds an element on the list: {words.en}", f"含清单所列元素：{words.zh}")
