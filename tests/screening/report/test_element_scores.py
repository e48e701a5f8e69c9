"""What a card says of supply and price: value, elements with year, table with day; unknown is said."""

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.element_facts.own_facts import OwnFact
from matloop.data.properties.columns import Column
from matloop.screening.filters.element_scores import SCORED_COLUMNS, with_element_scores
from matloop.screening.report.element_scores import element_score_rows

ZINC = CandidateBatch.from_formulas(["ZnO", "ZnS"]).batch


def test_every_score_has_its_elements_and_a_dated_source() -> None:
    oxide, sulfide = element_score_rows(with_element_scores(ZINC))
    assert len(oxide) == len(sulfide) == len(SCORED_COLUMNS)
    risk = oxide[list(SCORED_COLUMNS).index(Column.SUPPLY_RISK)]
    assert "Zn" in risk.elements.en
    assert "2025" in risk.elements.en
    assert "2025-12-31" in risk.source.en
    assert "按国家计的生产集中度" in risk.source.zh
    price = sulfide[list(SCORED_COLUMNS).index(Column.PRICE_PER_KILOGRAM)]
    assert price.value.en == "unknown, no fact about S"
    assert price.value.zh == "未知，缺少 S 的数据"
    listed = oxide[list(SCORED_COLUMNS).index(Column.CRITICAL_SHARE_US)]
    assert listed.elements.en == "Zn"


def test_own_facts_are_named_with_their_source() -> None:
    own = (OwnFact("element_prices", "S", 0.1, "<b>our office</b>, 2026-10-01", "", ""),)
    price = element_score_rows(with_element_scores(ZINC, own), own)[1][
        list(SCORED_COLUMNS).index(Column.PRICE_PER_KILOGRAM)
    ]
    assert "our office" in price.elements.en
    assert "USD/kg" in price.value.en
    assert "<b>" not in str(price.elements.__html__())


def test_numbers_that_the_facts_here_do_not_give_have_no_source() -> None:
    other = with_element_scores(ZINC).with_columns({Column.SUPPLY_RISK: [0.99, 0.98]})
    row = element_score_rows(other)[0][list(SCORED_COLUMNS).index(Column.SUPPLY_RISK)]
    assert row.value.en == "0.990"
    assert "differ" in row.source.en
    assert not row.elements.en


def test_a_run_without_scores_has_no_rows() -> None:
    assert element_score_rows(ZINC) == [[], []]
