"""What the elements of compositions cost, how concentrated their supply is, and which lists name them, by region."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from matloop.data.candidates.compositions import Compositions
from matloop.data.element_facts.composition_scores import CRITICAL_LISTS, SCORES
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.fact_tables import TABLES
from matloop.data.element_facts.listed_elements import listed_elements
from matloop.data.elements import RADIOACTIVE, SYMBOLS
from matloop.data.properties.columns import Column

TOXIC = "eu_toxic_groups"
"""The list that tells toxicity in every region."""
HAZARD_LISTS = (TOXIC, "eu_rohs", "eu_reach_candidates")
"""Lists that name elements for the harm that they do, not for their supply."""
CRITICAL_SHARE = "critical_mass_share"


class Score(NamedTuple):
    """A score of one composition.

    Attributes:
        value: In the unit of the score; nan where it is not known.
        unknown: Symbol of the first element of which a fact is missing; empty where all are known.
    """

    value: float
    unknown: str


class Mark(NamedTuple):
    """A list that names an element of a composition.

    Attributes:
        table: Name of the list.
        symbol: The element.
        every_form: Whether the list names every form of it; where it names some forms, a composition does not tell.
    """

    table: str
    symbol: str
    every_form: bool


class ElementProfile(NamedTuple):
    """What the elements of one composition are like.

    Attributes:
        scores: By name.
        marks: Lists of the region that name its elements, and the list of toxic elements.
        radioactive: Symbols of its elements without a stable isotope.
    """

    scores: dict[str, Score]
    marks: tuple[Mark, ...]
    radioactive: tuple[str, ...]

    def harms_by(self, symbol: str) -> bool:
        """Whether an element is radioactive or stands on a list of harmful elements, in some form or in every form."""
        return symbol in self.radioactive or any(
            mark.symbol == symbol and mark.table in HAZARD_LISTS for mark in self.marks
        )


def scores_of_region(region: str) -> tuple[str, ...]:
    """Names of the scores that a region has; the share of critical elements needs a list of the region.

    >>> scores_of_region("world")
    ('price_per_kilogram', 'price_per_mole', 'supply_risk', 'recyclability')
    """
    return tuple(str(name) for name in SCORES if name != CRITICAL_SHARE or region in CRITICAL_LISTS)


def lists_of_region(region: str) -> tuple[str, ...]:
    """Names of the lists that count in a region: its own, all of them in the world, and that of toxic elements."""
    return tuple(
        name
        for name, table in TABLES.items()
        if table.lists_elements and (region == "world" or table.region == region or name == TOXIC)
    )


def tables_of_region(region: str) -> tuple[str, ...]:
    """Names of all tables that a profile rests on."""
    rest = [table for score in scores_of_region(region) if score != CRITICAL_SHARE for table in SCORES[score].tables]
    return tuple(dict.fromkeys([*rest, *lists_of_region(region)]))


def element_profiles(compositions: Compositions, facts: ElementFacts) -> list[ElementProfile]:
    """Tell what the elements of compositions are like.

    Args:
        compositions: n compositions.
        facts: Facts about elements, for a region.

    >>> from matloop.data.candidates.formula import parse_formulas
    >>> cadmium, zinc = element_profiles(parse_formulas(["CdS", "ZnS"])[0], ElementFacts(region="eu"))
    >>> cadmium.harms_by("Cd"), zinc.harms_by("Zn")
    (True, False)
    """
    scores: list[dict[str, Score]] = [{} for _ in range(len(compositions))]
    for name in scores_of_region(facts.region):
        found = SCORES[name].compute(compositions, facts)
        for row, (value, missing) in enumerate(zip(found.values.tolist(), found.unknown.tolist(), strict=True)):
            scores[row][name] = Score(value, SYMBOLS[missing] if missing else "")
    marks = _marks(compositions, facts)
    symbols = [
        [SYMBOLS[element] for element in compositions.take(np.array([row])).elements.tolist()]
        for row in range(len(compositions))
    ]
    return [
        ElementProfile(scores[row], tuple(marks[row]), tuple(name for name in symbols[row] if name in RADIOACTIVE))
        for row in range(len(compositions))
    ]


def _marks(compositions: Compositions, facts: ElementFacts) -> list[list[Mark]]:
    """The marks of each composition."""
    marks: list[list[Mark]] = [[] for _ in range(len(compositions))]
    for table in lists_of_region(facts.region):
        found = listed_elements(compositions, table, facts)
        for every, mask in ((True, found.every_form), (False, found.some_forms)):
            for row, element in zip(*(places.tolist() for places in np.nonzero(mask)), strict=True):
                marks[row].append(Mark(table, SYMBOLS[element], every))
    return marks


def supply_risk_or_worst(profile: ElementProfile) -> float:
    """Supply risk of a composition, infinite where it is not known: unknown is never good."""
    value = profile.scores[Column.SUPPLY_RISK].value
    return value if math.isfinite(value) else math.inf
