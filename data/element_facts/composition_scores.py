"""Scores of compositions made of facts about their elements: price, supply risk, critical share, recyclability.

A score is nan where a fact of one of the elements is not known, and says which element that is. Prices are those of the
elements in the substances by which they are sold: no lower and no upper bound of what a compound costs, which is mostly
its synthesis. They put compounds in order of what their elements cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS, element_table
from matloop.data.errors import CampaignError
from matloop.data.label import Label
from matloop.data.properties.columns import Column

AIR_AND_WATER = ("H", "N", "O")
"""Elements that count as free of charge: air and water are where a compound gets them from."""
NO_METALS = tuple("H He C N O F Ne P S Cl Ar Br Kr I Xe".split())
"""Elements whose recycling the source does not look at."""
CRITICAL_LISTS: Mapping[str, str] = {
    "eu": "eu_critical_raw_materials", "us": "us_critical_minerals", "cn": "cn_strategic_minerals",
}  # fmt: skip
"""Packaged list of critical elements by region. China names strategic minerals; the plan that did ended in 2020."""


class ScoredCompositions(NamedTuple):
    """A score of n compositions.

    Attributes:
        values: Shape (n,), nan where it is not known.
        unknown: Atomic number of the first element whose fact is not known; 0 where all are, shape (n,).
    """

    values: NDArray[np.float64]
    unknown: NDArray[np.int64]


class CompositionScore(NamedTuple):
    """A score that a name stands for.

    Attributes:
        label: What it is, in both languages.
        unit: Unit of its values.
        tables: Packaged tables that it rests on; of the region where it depends on one.
        compute: Computes it.
    """

    label: Label
    unit: str
    tables: tuple[str, ...]
    compute: Callable[[Compositions, ElementFacts], ScoredCompositions]


def price_per_kilogram(compositions: Compositions, facts: ElementFacts) -> ScoredCompositions:
    """What the elements of a kilogram of each compound cost, in USD/kg: the sum of w p over its elements.

    Here w is the mass fraction of an element and p the price of a kilogram of it. Hydrogen, nitrogen and oxygen are
    free of charge.
    """
    prices = facts.quantity("element_prices").values.copy()
    free = [ATOMIC_NUMBERS[symbol] for symbol in AIR_AND_WATER]
    prices[free] = np.where(np.isnan(prices[free]), 0.0, prices[free])
    return _mean_by_mass(compositions, prices)


def price_per_mole(compositions: Compositions, facts: ElementFacts) -> ScoredCompositions:
    """What the elements of a mole of formula units cost, in USD/mol: molar mass times price per kilogram."""
    by_mass = price_per_kilogram(compositions, facts)
    molar = np.bincount(compositions.rows, _masses(compositions), len(compositions)) / 1000  # kg/mol
    return by_mass._replace(values=by_mass.values * molar)


def supply_risk(compositions: Compositions, facts: ElementFacts) -> ScoredCompositions:
    """Concentration of the production of the elements by country: the sum of w HHI over the elements, from 0 to 1.

    The mean by mass is that of M. W. Gaultois et al., Chemistry of Materials 25, 2911 (2013). Production counts as
    concentrated above 0.25 and as dispersed below 0.15 (U.S. Horizontal Merger Guidelines of 2010). It knows nothing of
    politics, trade or stocks.
    """
    return _mean_by_mass(compositions, facts.quantity("production_concentration").values)


def critical_mass_share(compositions: Compositions, facts: ElementFacts) -> ScoredCompositions:
    """Mass fraction of the elements that the region of the facts calls critical, from 0 to 1.

    An element that is critical in some forms only counts in full: the composition does not tell the form.

    Raises:
        CampaignError: If no list is packaged for the region.
    """
    if facts.region not in CRITICAL_LISTS:
        raise CampaignError(
            f"critical_mass_share for the region {facts.region}",
            f"a region with a list of critical elements: {', '.join(CRITICAL_LISTS)}",
            "name such a region, for example region: eu",
        )
    every, some = facts.listed(CRITICAL_LISTS[facts.region])
    return _mean_by_mass(compositions, (every | some).astype(float))


def recyclability(compositions: Compositions, facts: ElementFacts) -> ScoredCompositions:
    """Share of the metals that is recycled from discarded products today: their mean by mass, from 0 to 1.

    Each metal counts with the lowest rate of its class in Graedel et al. (2011), such as 0.5 for more than 50 %.
    Non-metals are left out; a compound without metals has no value.
    """
    rates = facts.quantity("recycling_rates").values
    left_out = np.zeros(len(SYMBOLS), bool)
    left_out[[ATOMIC_NUMBERS[symbol] for symbol in NO_METALS]] = True
    return _mean_by_mass(compositions, rates, left_out=left_out)


SCORES: Mapping[str, CompositionScore] = {
    Column.PRICE_PER_KILOGRAM: CompositionScore(
        Label("price of the elements", "元素成本"), "USD/kg", ("element_prices",), price_per_kilogram
    ),
    Column.PRICE_PER_MOLE: CompositionScore(
        Label("price of the elements of a mole", "每摩尔元素成本"), "USD/mol", ("element_prices",), price_per_mole
    ),
    Column.SUPPLY_RISK: CompositionScore(
        Label("supply risk", "供应风险"), "1", ("production_concentration",), supply_risk
    ),
    "critical_mass_share": CompositionScore(
        Label("mass share of critical elements", "关键元素质量占比"), "1", tuple(CRITICAL_LISTS.values()),
        critical_mass_share,
    ),
    Column.RECYCLABILITY: CompositionScore(
        Label("recyclability", "可回收性"), "1", ("recycling_rates",), recyclability
    ),
}  # fmt: skip
"""Every score by its name in campaigns."""


def tables_of_score(name: str, region: str) -> tuple[str, ...]:
    """Packaged tables that a score rests on in a region.

    >>> tables_of_score("critical_mass_share", "us")
    ('us_critical_minerals',)
    """
    return (CRITICAL_LISTS[region],) if name == "critical_mass_share" else SCORES[name].tables


def _masses(compositions: Compositions) -> NDArray[np.float64]:
    """Mass of each entry in a mole of formula units, in g."""
    weights = element_table().columns(("atomic_mass",))[:, 0]
    return compositions.amounts * weights[compositions.elements]


def _mean_by_mass(
    compositions: Compositions, values: NDArray[np.float64], *, left_out: NDArray[np.bool_] | None = None
) -> ScoredCompositions:
    """Mean of a quantity of the elements by mass.

    Args:
        compositions: n compositions.
        values: By atomic number, shape (119,).
        left_out: Elements that do not count, shape (119,).
    """
    rows, elements, count = compositions.rows, compositions.elements.astype(np.int64), len(compositions)
    masses = _masses(compositions) * (1.0 if left_out is None else ~left_out[elements])
    of_entries = values[elements]
    missing = np.isnan(of_entries) & (masses > 0)
    total = np.bincount(rows, masses, count)
    sums = np.bincount(rows, masses * np.where(np.isnan(of_entries), 0.0, of_entries), count)
    unknown = np.zeros(count, np.int64)
    unknown[rows[missing][::-1]] = elements[missing][::-1]  # the first of a row is written last
    means = np.divide(sums, total, out=np.full(count, np.nan), where=(total > 0) & (unknown == 0))
    return ScoredCompositions(means, unknown)
