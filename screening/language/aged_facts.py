"""Warnings of facts that are out of date: tables of facts about elements that are past their expiry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from matloop.data.element_facts.fact_tables import fact_table
from matloop.screening.language.text import Words


def expiry_words(names: Sequence[str], on: dt.date) -> list[Words]:
    """A warning for each table of facts that is past its expiry.

    Args:
        names: Tables of facts.
        on: The day asked about.

    >>> [words.en for words in expiry_words(["eu_rohs", "cn_export_controls"], dt.date(2026, 12, 1))]
    ['out of date: export controls of China hold as of 2025-11-09, and had to be looked at again from 2026-11-10']
    """
    return [
        Words(
            f"out of date: {table.label.en} hold as of {table.as_of}, and had to be looked at again from "
            f"{table.expires}",
            f"已过期：{table.label.zh}为 {table.as_of} 的数据，自 {table.expires} 起须重新核对",
        )
        for table in map(fact_table, dict.fromkeys(names))
        if table.expired(on)
    ]
