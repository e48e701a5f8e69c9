"""Which elements of compositions a list names, above what it tolerates."""

from matloop.data.candidates.formula import parse_formulas
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.element_facts.listed_elements import listed_elements
from matloop.data.elements import ATOMIC_NUMBERS


def test_a_trace_below_the_limit_is_not_listed() -> None:
    compositions, _ = parse_formulas(["Cd0.00001Zn0.99999S", "CdS", "CrO3"])
    found = listed_elements(compositions, "eu_rohs", ElementFacts())
    assert found.every_form[:, ATOMIC_NUMBERS["Cd"]].tolist() == [False, True, False]
    assert found.some_forms[:, ATOMIC_NUMBERS["Cr"]].tolist() == [False, False, True]
