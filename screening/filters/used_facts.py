"""The tables of facts about elements that a campaign uses: in its conditions, and on the cards of its finalists."""

from __future__ import annotations

import contextlib

from matloop.data.errors import MatloopError
from matloop.data.registry import lookup
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.filters.contract import Filter
from matloop.screening.filters.element_scores import CARD_TABLES
from matloop.screening.registry import FILTERS


def used_fact_tables(campaign: Campaign) -> tuple[str, ...]:
    """Names of the tables that the conditions of a campaign and the scores of its finalists rest on, each once.

    Args:
        campaign: The campaign; a filter that cannot be made here, because its package is gone, names none.
    """
    names: list[str] = []
    for entry in campaign.filters:
        with contextlib.suppress(MatloopError):
            made = entry.make(lookup("filter", FILTERS, entry.name))
            names += made.fact_tables if isinstance(made, Filter) else ()
    return tuple(dict.fromkeys([*names, *CARD_TABLES]))
