from typing import Any

import numpy as np
import pytest

from matloop.data.element_facts.composition_scores import SCORES
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.own_facts import OwnFact
from matloop.data.properties.columns import ELEMENT_SCORE_COLUMNS, Column
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.filters.element_scores import own_facts_of, with_element_scores
from tests.strategies import batch_of

IODINE = OwnFact("element_prices", "I", 40.0, "quote, 2026-10-01", "", "")
REST: dict[str, Any] = {
    "name": "scores", "sources": ["embedded"], "shortlist": {"size": 2},
    "targets": [{"property": "band_gap", "goal": "maximize", "unit": "eV"}],
    "surrogates": {"features": ["stoichiometry"], "keep": 10},
}  # fmt: skip


def test_columns_hold_the_scores_and_are_null_where_a_fact_is_unknown() -> None:
    batch = batch_of("ZnO", "CuI")
    table = with_element_scores(batch).table
    assert set(ELEMENT_SCORE_COLUMNS) <= set(table.column_names)
    (risk, _) = SCORES["supply_risk"].compute(batch.compositions, ElementFacts())
    assert table[Column.SUPPLY_RISK].to_pylist() == risk.tolist()
    assert table[Column.PRICE_PER_KILOGRAM].to_pylist()[1] is None
    assert [table[name].to_pylist()[0] for name in (Column.CRITICAL_SHARE_EU, Column.CRITICAL_SHARE_US)] == [
        0, pytest.approx(65.38 / 81.38, rel=1e-3),
    ]  # fmt: skip


def test_units_of_the_columns_are_those_of_the_scores() -> None:
    units = {str(column): column.unit for column in ELEMENT_SCORE_COLUMNS}
    for name, score in SCORES.items():
        assert units.get(name, score.unit) == score.unit


def test_own_facts_of_conditions_count_for_the_columns_too() -> None:
    rows = [IODINE._asdict(), IODINE._replace(company="ACME", value=1.0)._asdict()]
    filters = ["exclude_radioactive", {"condition": {"text": "recycled", "facts": rows}}]
    own = own_facts_of(Campaign.model_validate({**REST, "filters": filters}))
    assert own == (IODINE,)
    price = with_element_scores(batch_of("CuI"), own).table[Column.PRICE_PER_KILOGRAM].to_pylist()
    assert np.isfinite(price).all()


def test_no_candidates_have_the_same_columns() -> None:
    assert set(ELEMENT_SCORE_COLUMNS) <= set(with_element_scores(batch_of("ZnO").take([])).table.column_names)
