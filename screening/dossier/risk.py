"""Risk and cost of a composition: scores and lists that rest on dated facts about its elements."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.composition_scores import CRITICAL_LISTS, SCORES
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.element_lists import element_list
from matloop.data.element_facts.fact_tables import FactTable, Region, fact_table
from matloop.data.element_facts.own_facts import OwnFact
from matloop.data.elements import SYMBOLS
from matloop.data.properties.columns import Column
from matloop.screening.language.text import Words

_SCORES: tuple[tuple[str, Region, str], ...] = (
    (Column.SUPPLY_RISK, "world", "production_concentration"),
    (Column.PRICE_PER_KILOGRAM, "world", "element_prices"),
    (Column.PRICE_PER_MOLE, "world", "element_prices"),
    ("critical_mass_share", "eu", CRITICAL_LISTS["eu"]),
    ("critical_mass_share", "us", CRITICAL_LISTS["us"]),
    (Column.RECYCLABILITY, "world", "recycling_rates"),
)
"""Score, region and the table it rests on."""
_LISTS = (
    "eu_rohs", "eu_reach_candidates", "eu_toxic_groups", "eu_critical_raw_materials", "eu_strategic_raw_materials",
    "us_critical_minerals", "cn_export_controls",
)  # fmt: skip
_REGIONS = {
    "eu": Words("EU", "欧盟"),
    "us": Words("United States", "美国"),
    "world": Words("", ""),
    "cn": Words("China", "中国"),
}


class RiskScore(NamedTuple):
    """A score of a composition.

    Attributes:
        name: Of the score.
        label: What it is.
        value: The score; nan where it is not known.
        unit: Its unit.
        table: Table of facts that it rests on.
        unknown: Symbol of the element whose fact is not known; empty where all are.
        own: Whether facts of one's own replaced packaged ones.
    """

    name: str
    label: Words
    value: float
    unit: str
    table: FactTable
    unknown: str
    own: bool


class Listing(NamedTuple):
    """An element of a composition that a list names.

    Attributes:
        symbol: The element.
        table: The list.
        every_form: Whether every material that holds the element is meant; else some forms only.
        entry: What the list names.
        act: Act or announcement.
        in_force: Since when.
        suspended_until: Last day of a suspension; empty without one.
    """

    symbol: str
    table: FactTable
    every_form: bool
    entry: str
    act: str
    in_force: str
    suspended_until: str


class Risk(NamedTuple):
    """Risk and cost of a composition.

    Attributes:
        scores: Its scores.
        listings: Lists that name its elements.
        expired: Tables that had to be looked at again by now.
        looked_at: Lists that were looked at.
    """

    scores: list[RiskScore]
    listings: list[Listing]
    expired: list[FactTable]
    looked_at: list[FactTable]

    def record(self) -> dict[str, Any]:
        """Risk and cost as plain JSON values; every score names its table."""
        return {
            "scores": [
                {"score": score.name, "region": score.table.region, "unit": score.unit,
                 "value": score.value if math.isfinite(score.value) else None, "unknown_element": score.unknown or None,
                 "with_own_facts": score.own, "source": f"table/{score.table.name}"}
                for score in self.scores
            ],
            "lists": [
                {"element": found.symbol, "list": found.table.name, "every_form": found.every_form,
                 "entry": found.entry, "act": found.act, "in_force": found.in_force,
                 "suspended_until": found.suspended_until or None, "source": f"table/{found.table.name}"}
                for found in self.listings
            ],
            "lists_looked_at": [table.name for table in self.looked_at],
            "expired_tables": [table.name for table in self.expired],
        }  # fmt: skip


def risk_of(batch: CandidateBatch, row: int, *, own: Sequence[OwnFact] = (), today: dt.date) -> Risk:
    """Risk and cost of one candidate by what is known of its elements.

    Args:
        batch: Candidates.
        row: One of them.
        own: Facts of one's own, which replace packaged ones.
        today: Day on which tables are expired or not.
    """
    one = batch.take(np.array([row])).compositions
    symbols = [SYMBOLS[number] for number in sorted(set(one.elements.tolist()))]
    scores = []
    for name, region, table in _SCORES:
        score = SCORES[name]
        found = score.compute(one, ElementFacts(region=region, own=tuple(own)))
        unknown = int(found.unknown[0])
        label = _of_region(Words(*score.label), region)
        replaced = any(fact.fact == table and fact.element in symbols for fact in own)
        scores.append(
            RiskScore(
                str(name), label, float(found.values[0]), score.unit, fact_table(table),
                SYMBOLS[unknown] if unknown else "", replaced,
            )
        )  # fmt: skip
    tables = [fact_table(name) for name in _LISTS]
    used = {*tables, *(score.table for score in scores)}
    listings = [listing for table in tables for symbol in symbols for listing in _listings(table, symbol)]
    return Risk(scores, listings, sorted(table for table in used if table.expired(today)), tables)


def _of_region(label: Words, region: Region) -> Words:
    where = _REGIONS[region]
    return Words(f"{label.en} ({where.en})", f"{label.zh}（{where.zh}）") if where.en else label


def _listings(table: FactTable, symbol: str) -> list[Listing]:
    return [
        Listing(
            symbol, table, entry.every_form, entry.name, entry.act, entry.in_force.isoformat(),
            entry.suspended_until.isoformat() if entry.suspended_until else "",
        )
        for entry in element_list(table.name).entries_of(symbol)
    ]  # fmt: skip
