"""Scores of ranked candidates that rest on facts about their elements: supply risk, prices, critical shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.composition_scores import SCORES, tables_of_score
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.fact_tables import Region
from matloop.data.element_facts.own_facts import OwnFact, own_fact_of
from matloop.data.properties.columns import Column
from matloop.screening.campaign.campaign import Campaign

SCORED_COLUMNS: Mapping[Column, tuple[str, Region]] = {
    Column.SUPPLY_RISK: (Column.SUPPLY_RISK, "world"),
    Column.PRICE_PER_KILOGRAM: (Column.PRICE_PER_KILOGRAM, "world"),
    Column.PRICE_PER_MOLE: (Column.PRICE_PER_MOLE, "world"),
    Column.CRITICAL_SHARE_EU: ("critical_mass_share", "eu"),
    Column.CRITICAL_SHARE_US: ("critical_mass_share", "us"),
    Column.RECYCLABILITY: (Column.RECYCLABILITY, "world"),
}
"""Score and region of each column."""
CARD_TABLES = tuple(dict.fromkeys(table for scored in SCORED_COLUMNS.values() for table in tables_of_score(*scored)))
"""Tables of facts that these columns rest on."""


def own_facts_of(campaign: Campaign) -> tuple[OwnFact, ...]:
    """Own facts that the conditions of a resolved campaign bring; those that name a company are left out.

    Of two conditions that tell the same, the first one counts.

    Raises:
        CampaignError: If a condition brings what is no fact.
    """
    found: dict[tuple[str, str, str], OwnFact] = {}
    for entry in campaign.filters:
        rows = entry.options.get("facts")
        for row in rows if isinstance(rows, list) else []:
            fact = own_fact_of(row)
            if not fact.company:
                found.setdefault((fact.fact, fact.element, fact.region), fact)
    return tuple(found.values())


def with_element_scores(ranked: CandidateBatch, own: tuple[OwnFact, ...] = ()) -> CandidateBatch:
    """Add the scores of the compositions of candidates.

    Args:
        ranked: Candidates.
        own: Facts of one's own, which replace packaged ones.

    Returns:
        The candidates with the columns :data:`~matloop.data.properties.columns.ELEMENT_SCORE_COLUMNS`, null where a
        fact of an element is not known.
    """
    columns: dict[str, Any] = {}
    for column, (score, region) in SCORED_COLUMNS.items():
        values = SCORES[score].compute(ranked.compositions, ElementFacts(region=region, own=own)).values
        columns[column] = pa.array(values, pa.float64(), from_pandas=True)
    return ranked.with_columns(columns)
