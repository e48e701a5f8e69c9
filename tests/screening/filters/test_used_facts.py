"""Which tables of facts a campaign uses, and the warnings of those that are out of date."""

import datetime as dt
from typing import Any

import pytest

from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.fact_tables import fact_table
from matloop.data.errors import CampaignError
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.filters.element_scores import CARD_TABLES, own_facts_of
from matloop.screening.filters.expression import read_condition
from matloop.screening.filters.used_facts import used_fact_tables
from matloop.screening.language.aged_facts import expiry_words


def campaign(*filters: Any) -> Campaign:
    return Campaign.model_validate(
        {
            "name": "tiny", "sources": ["embedded"], "filters": list(filters),
            "targets": [{"property": "band_gap", "goal": "at_least", "value": 1, "unit": "eV"}],
            "surrogates": {"features": ["magpie"], "keep": 10}, "shortlist": {"size": 1},
        }
    )  # fmt: skip


def test_conditions_name_their_tables_through_every_sign() -> None:
    text = "(~eu_rohs | cn_export_controls) & recycled & critical_mass_share <= 0.2 & no_elements(Cd)"
    found = read_condition(text, facts=ElementFacts(region="eu")).fact_tables
    assert set(found) == {"eu_rohs", "cn_export_controls", "recycling_rates", "eu_critical_raw_materials"}


def test_only_used_tables_warn() -> None:
    late = dt.date(2026, 12, 1)
    assert fact_table("cn_export_controls").expired(late)
    assert set(used_fact_tables(campaign("exclude_radioactive"))) == set(CARD_TABLES)
    assert not expiry_words(used_fact_tables(campaign()), late)
    (words,) = expiry_words(used_fact_tables(campaign({"condition": "~cn_export_controls"})), late)
    assert "2026-11-10" in words.en
    assert "中国出口管制" in words.zh
    assert not expiry_words(["cn_export_controls"], dt.date(2026, 11, 9))


@pytest.mark.parametrize(
    "record",
    [
        {"fact": "eu_rohs"},
        {"fact": "eu_rohs", "element": "Zn", "value": "1", "source": "", "region": "", "company": ""},
        {"fact": "../x", "element": "Zn", "value": 1.0, "source": "", "region": "", "company": ""},
        {"fact": "eu_rohs", "element": "Xx", "value": 1.0, "source": "", "region": "", "company": ""},
        {"fact": "eu_rohs", "element": "Zn", "value": float("nan"), "source": "", "region": "", "company": ""},
    ],
)
def test_records_of_a_stranger_are_checked(record: dict[str, Any]) -> None:
    bad = campaign({"condition": {"text": "~eu_rohs", "facts": [record]}})
    with pytest.raises(CampaignError):
        own_facts_of(bad)
    assert set(used_fact_tables(bad)) == set(CARD_TABLES)
