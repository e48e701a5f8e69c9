import numpy as np
import pytest
from hypothesis import given
from pymatgen.analysis.hhi import HHIModel
from pymatgen.core import Composition

from matloop.data.element_facts.composition_scores import (
    SCORES,
    critical_mass_share,
    price_per_kilogram,
    price_per_mole,
    recyclability,
    supply_risk,
)  # fmt: skip
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.element_quantities import element_quantity
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.errors import CampaignError
from tests.strategies import batch_of, formula_of, whole_compositions

WORLD = ElementFacts()
EU = ElementFacts(region="eu")


def score(name: str, formula: str, facts: ElementFacts = EU) -> float:
    (value,) = SCORES[name].compute(batch_of(formula).compositions, facts).values
    return float(value)


def test_elements_have_the_value_of_their_table() -> None:
    prices = element_quantity("element_prices").values
    assert score("price_per_kilogram", "Cu") == pytest.approx(prices[ATOMIC_NUMBERS["Cu"]])
    # 440 cents for a pound of 0.45359237 kg: Mineral Commodity Summaries 2026, London Metal Exchange.
    assert score("price_per_kilogram", "Cu") == pytest.approx(4.40 / 0.45359237, rel=1e-3)


def test_a_compound_at_the_price_of_the_substance_that_is_sold() -> None:
    # Alumina was 590 dollars a tonne, so that a kilogram of Al2O3, whose oxygen is free, is 0.59 dollars.
    assert score("price_per_kilogram", "Al2O3") == pytest.approx(0.59, rel=1e-3)
    assert score("price_per_kilogram", "TiO2") == pytest.approx(3.2, rel=1e-3)


def test_price_per_mole_is_molar_mass_times_price_per_kilogram() -> None:
    compositions = batch_of("Al2O3", "CdSnO3").compositions
    by_mass = price_per_kilogram(compositions, WORLD).values
    molar = [float(Composition(formula).weight) / 1000 for formula in ("Al2O3", "CdSnO3")]
    assert price_per_mole(compositions, WORLD).values == pytest.approx(by_mass * molar, rel=1e-4)


@pytest.mark.parametrize("formula", ["NaCl", "CaF2", "BN", "KBr"])
def test_supply_risk_is_the_mean_by_mass_that_pymatgen_computes(formula: str) -> None:
    # Elements that the Mineral Commodity Summaries do not tell have the values of Gaultois et al.
    assert score("supply_risk", formula) == pytest.approx(HHIModel().get_hhi_production(formula) / 1e4, abs=2e-4)


def test_concentration_of_a_single_producer_and_of_a_dispersed_metal() -> None:
    assert score("supply_risk", "Ga") > 0.95  # China makes 99 % of the primary metal
    assert score("supply_risk", "Cu") < 0.15 < 0.25 < score("supply_risk", "W")


def test_bounds_of_the_concentration_hold_in_every_row() -> None:
    for row in element_quantity("production_concentration").table.rows():
        assert 0 < float(row["value"]) <= 1
        if row["low"]:
            assert float(row["low"]) <= float(row["high"]) == float(row["value"])


def test_critical_share_depends_on_the_region() -> None:
    # Zinc is critical in the United States, not in the EU; barium (baryte) in both.
    assert score("critical_mass_share", "ZnO", EU) == 0
    assert score("critical_mass_share", "ZnO", ElementFacts(region="us")) == pytest.approx(65.38 / 81.38, rel=1e-3)
    with pytest.raises(CampaignError, match="region world"):
        score("critical_mass_share", "ZnO", ElementFacts(region="world"))


def test_recyclability_leaves_out_what_is_no_metal() -> None:
    assert score("recyclability", "PbO") == score("recyclability", "Pb") == 0.5
    assert np.isnan(score("recyclability", "CO2"))
    both = Composition("CuIn")
    assert score("recyclability", "CuInS2") == pytest.approx(0.5 * both.get_wt_fraction("Cu"))


@pytest.mark.parametrize(("name", "formula", "element"), [
    ("price_per_kilogram", "CuI", "I"), ("supply_risk", "UO2", "U"), ("recyclability", "NaPbO2", "Na"),
])  # fmt: skip
def test_unknown_stays_unknown_and_says_why(name: str, formula: str, element: str) -> None:
    found = SCORES[name].compute(batch_of("Cu", formula, "Cu").compositions, EU)
    assert np.isnan(found.values).tolist() == [False, True, False]
    assert [SYMBOLS[number] for number in found.unknown if number] == [element]


@given(whole_compositions())
def test_scores_do_not_depend_on_the_formula_unit(composition: dict[str, int]) -> None:
    twice = {symbol: 2 * amount for symbol, amount in composition.items()}
    once, doubled = batch_of(formula_of(composition)), batch_of(formula_of(twice))
    for compute in (price_per_kilogram, supply_risk, critical_mass_share, recyclability):
        one, other = (compute(batch.compositions, EU).values for batch in (once, doubled))
        assert one == pytest.approx(other, nan_ok=True)
        assert np.isnan(one).all() or (one >= 0).all()
