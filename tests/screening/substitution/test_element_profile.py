"""What elements are like in a region: its lists and scores, unknown facts, facts of one's own."""

import math
from pathlib import Path

import pytest

from matloop.data.candidates.formula import parse_formulas
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.fact_tables import TABLES
from matloop.data.properties.columns import Column
from matloop.screening.substitution.element_profile import (
    CRITICAL_SHARE,
    ElementProfile,
    element_profiles,
    lists_of_region,
    scores_of_region,
    supply_risk_or_worst,
)
from matloop.screening.substitution.words import marks_words, score_words


def profile(formula: str, facts: ElementFacts) -> ElementProfile:
    return element_profiles(parse_formulas([formula])[0], facts)[0]


def test_lists_are_those_of_the_region_and_toxicity_everywhere() -> None:
    for region in ("cn", "eu", "us"):
        assert {TABLES[name].region for name in lists_of_region(region)} <= {region, "eu"}
        assert "eu_toxic_groups" in lists_of_region(region)
    assert "eu_rohs" not in lists_of_region("us")
    assert len(lists_of_region("world")) > len(lists_of_region("eu"))
    tables = {
        region: {mark.table for mark in profile("GaN", ElementFacts(region=region)).marks} for region in ("cn", "us")
    }
    assert "cn_export_controls" in tables["cn"]
    assert "cn_export_controls" not in tables["us"]
    assert CRITICAL_SHARE not in scores_of_region("world")


def test_what_is_not_known_is_said_and_counts_as_worst() -> None:
    found = profile("SmFm", ElementFacts())
    assert math.isnan(found.scores[Column.SUPPLY_RISK].value)
    assert supply_risk_or_worst(found) == math.inf
    assert found.radioactive == ("Fm",)
    assert found.harms_by("Fm")
    words = score_words(Column.SUPPLY_RISK, found.scores[Column.SUPPLY_RISK], found.scores[Column.SUPPLY_RISK])
    assert words.en == "unknown (Fm) → unknown (Fm)"


def test_an_element_listed_in_some_forms_has_a_question_mark() -> None:
    assert "Cr?" in marks_words(profile("CrO3", ElementFacts(region="eu"))).en
    assert "铬" not in marks_words(profile("ZnS", ElementFacts(region="eu"))).zh


def test_facts_of_a_company_count(tmp_path: Path) -> None:
    own = tmp_path / "facts.csv"
    own.write_text("fact,element,value,date,source,region,company\neu_rohs,Zn,listed,2026-10-01,rule,,Works\n", "utf-8")
    assert profile("ZnS", ElementFacts.read(own, company="Works")).harms_by("Zn")
    assert not profile("ZnS", ElementFacts.read(own)).harms_by("Zn")


@pytest.mark.parametrize("region", ["cn", "eu", "us", "world"])
def test_every_region_has_a_profile(region: str) -> None:
    facts = ElementFacts.read(None, region=region)
    assert set(profile("CdS", facts).scores) == set(scores_of_region(region))
