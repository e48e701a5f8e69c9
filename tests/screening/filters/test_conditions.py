import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.errors import CampaignError, InputFileError, MatloopError, UnknownNameError
from matloop.screening.filters.combined import AllOf, Answer, AnyOf, Negation, Predicate, answer_of
from matloop.screening.filters.condition import Condition
from matloop.screening.filters.contract import Filter
from matloop.screening.filters.element_count import ElementCount
from matloop.screening.filters.element_facts import LISTS, OnList, ScoreLimit
from matloop.screening.filters.elements import ExcludeElements, RequireElements
from matloop.screening.filters.expression import read_condition
from matloop.screening.filters.validation import known_without_labels, validate_filter
from matloop.screening.language.reasons import reason_words
from tests.strategies import batch_of

EU = ElementFacts(region="eu")
TRUTHS = ("yes", "no", "unknown")


class Fixed(Predicate):
    """Says the same of every candidate."""

    name = "fixed"

    def __init__(self, truth: str) -> None:
        self.truth = truth

    def answer(self, batch: CandidateBatch) -> Answer:
        everyone = np.ones(len(batch), bool)
        against = np.full(len(batch), None if self.truth == "yes" else Reason("R-NO"), dtype=object)
        in_favour = np.full(len(batch), Reason("R-YES") if self.truth == "yes" else None, dtype=object)
        return Answer(everyone & (self.truth == "yes"), everyone & (self.truth == "unknown"), against, in_favour)


def truth_of(filter_: Filter) -> str:
    answer = answer_of(filter_, batch_of("MgO", "NaCl"))
    assert [reason is None for reason in answer.against] == answer.met.tolist()
    (met,), (unknown,) = set(answer.met.tolist()), set(answer.unknown.tolist())
    return "yes" if met else "unknown" if unknown else "no"


def kept(text: str, *formulas: str, **options: Any) -> list[bool]:
    return Condition(text, **options).judge(batch_of(*formulas)).keep.tolist()


def told(text: str, formula: str, **options: Any) -> str:
    (reason,) = Condition(text, **options).judge(batch_of(formula)).reasons.tolist()
    return "" if reason is None else reason_words(reason.code, str(reason.value), str(reason.limit)).en


class TestLogic:
    @pytest.mark.parametrize(("one", "other"), list(itertools.product(TRUTHS, repeat=2)))
    def test_combinations_follow_kleene(self, one: str, other: str) -> None:
        # Kleene's strong logic of three values: and is the least, or the greatest, of no < unknown < yes.
        order = ["no", "unknown", "yes"]
        places = order.index(one), order.index(other)
        assert truth_of(Fixed(one) & Fixed(other)) == order[min(places)]
        assert truth_of(Fixed(one) | Fixed(other)) == order[max(places)]
        assert truth_of(~Fixed(one)) == order[2 - places[0]]

    @pytest.mark.parametrize(("one", "other"), list(itertools.product(TRUTHS, repeat=2)))
    def test_de_morgan(self, one: str, other: str) -> None:
        assert truth_of(~(Fixed(one) & Fixed(other))) == truth_of(~Fixed(one) | ~Fixed(other))
        assert truth_of(~(Fixed(one) | Fixed(other))) == truth_of(~Fixed(one) & ~Fixed(other))

    def test_the_reason_is_of_the_part_that_is_not_met_before_one_that_is_unknown(self) -> None:
        condition = read_condition("price_per_kilogram <= 1 & no_elements(I)")
        (reason,) = condition.judge(batch_of("CuI")).reasons.tolist()
        assert reason.value == "I"
        assert reason.code == "R-FILTER-EXCLUDED-ELEMENT"


class TestUnknown:
    def test_neither_a_limit_nor_its_opposite_lets_an_unknown_score_pass(self) -> None:
        assert kept("price_per_kilogram <= 1000", "CuI", "Cu") == [False, True]
        assert kept("~(price_per_kilogram <= 1000)", "CuI", "Cu") == [False, False]
        assert told("price_per_kilogram <= 1000", "CuI").startswith("price_per_kilogram <= 1000 USD/kg (element_prices")
        assert told("price_per_kilogram <= 1000", "CuI").endswith("cannot be told: no fact about I")

    def test_another_alternative_may_still_let_it_pass(self) -> None:
        assert kept("price_per_kilogram <= 1000 | any_element(I)", "CuI") == [True]

    def test_forms_that_a_composition_does_not_tell_are_unknown(self) -> None:
        # RoHS restricts chromium of oxidation state six only, lead in any.
        assert kept("eu_rohs", "Cr2O3", "PbO", "ZnO") == [False, True, False]
        assert kept("~eu_rohs", "Cr2O3", "PbO", "ZnO") == [False, False, True]
        assert "no fact about Cr" in told("~eu_rohs", "Cr2O3")
        assert told("~eu_rohs", "PbO") == "Pb is on the list eu_rohs (2015-06-04)"

    def test_traces_below_what_the_list_tolerates_are_not_meant(self) -> None:
        # 0.01 % of mass for cadmium: 1 atom in 10,000 of zinc sulphide is 0.023 %, in 100,000 is 0.0023 %.
        assert kept("~eu_rohs", "Zn9999Cd1S10000", "Zn99999Cd1S100000") == [False, True]

    def test_a_value_that_is_not_stated_is_unknown(self) -> None:
        assert kept("~stated_value(band_gap, at_least=2)", "ZnO") == [False]


class TestText:
    def test_the_example(self) -> None:
        text = "(no_elements(Cd, Pb) & supply_risk <= 0.3) | recycled"
        assert kept(text, "CuO", "CdTe", "GaN", "PbO", "Ga2O3") == [True, False, False, True, False]

    @pytest.mark.parametrize(
        "text",
        [
            "no_elements(Cd, Pb)", "~new_compounds", "new_compounds(oqmd) & ~known_compounds",
            "element_count(least=2, most=4)",
            "stated_value(band_gap, at_least=1.5, kind=exp)", "stated_value(band_gap, at_least=2, unit=\"eV\")",
            "exclude_radioactive", "(supply_risk < 0.2 | recycled) & price_per_mole >= 1e-3",
            "~(eu_rohs | us_critical_minerals) | (critical_mass_share <= 0 & any_element(O, N))",
            "~~supply_risk > 0.5",
        ],
    )  # fmt: skip
    def test_what_is_printed_reads_back_as_the_same(self, text: str) -> None:
        condition = read_condition(text, facts=EU)
        again = read_condition(str(condition), facts=EU)
        assert str(again) == str(condition)
        assert type(again) is type(condition)

    def test_other_ways_to_write_the_same(self) -> None:
        assert str(read_condition("supply_risk ≤ 0.3 & recyclability ≥ 0.5")) == str(
            read_condition("supply_risk <= 0.3 & recycled")
        )
        assert str(read_condition("known_compounds(lists=oqmd)")) == str(read_condition("known_compounds(oqmd)"))

    def test_python_and_text_are_the_same(self) -> None:
        made = (ExcludeElements(["Cd"]) & ~OnList("eu_rohs")) | ScoreLimit("recyclability", ">=", 0.5)
        assert str(read_condition(str(made))) == str(made) == "(exclude_elements(Cd) & ~eu_rohs) | recyclability >= 0.5"
        assert isinstance(ElementCount() & RequireElements("O") & ElementCount(), AllOf)
        assert len((ElementCount() & RequireElements("O") & ElementCount()).parts) == 3  # type: ignore[attr-defined]
        assert isinstance(~ElementCount(), Negation)
        assert isinstance(ElementCount() | ElementCount(), AnyOf)
        assert not isinstance(~~ElementCount(), Negation)

    def test_and_binds_stronger_than_or(self) -> None:
        assert str(read_condition("new_compounds | eu_rohs & recycled")) == str(
            read_condition("new_compounds | (eu_rohs & recycled)")
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "cannot be read at its end"),
            ("supply_risk", "cannot be read at its end"),
            ("supply_risk = 0.3", "cannot be read at '= 0.3'"),
            ("supply_risk <= low", "cannot be read at 'low'"),
            ("(recycled", "cannot be read at its end"),
            ("recycled)", r"cannot be read at '\)'"),
            ("recycled & & recycled", "cannot be read at '& recycled'"),
            ("__import__('os')", "cannot be read at"),
            ("supply_risk <= 1; new_compounds", "cannot be read at '; new_compounds'"),
            ("no_elements(Cd Pb)", "cannot be read at 'Pb"),
            ("supply_rsk <= 0.3", "did you mean 'supply_risk'"),
            ("condition(recycled)", "unknown part of a condition 'condition'"),
            ("no_elements(Xx)", "unknown element 'Xx'"),
            ("element_count(least=2, height=3)", r"least=2, height=3\).*Allowed: element_count\(least=..., most=...\)"),
            ("element_count(2, 4)", r"Allowed: element_count\(least=..., most=...\)"),
            ("element_count(least=x)", r"element_count\(least=x\) in a condition"),
            ("element_count(least=2, least=3)", "cannot be read at 'least=3.*Allowed: least once"),
            ("no_elements", r"Allowed: no_elements\(elements, separated by commas\)"),
            ("exclude_radioactive(now)", "Allowed: exclude_radioactive without options"),
            ("supply_risk <= 1e999", "Allowed: a limit from 0 to 1"),
            ("supply_risk <= 30", "from 0 to 1.*write supply_risk <= 0.3"),
            ("price_per_mole <= 1e999", "a finite limit"),
            (3, "int instead of text"),
            (["eu_rohs"], "list instead of text"),
            ("critical_mass_share <= 0.1", "region world"),
            ("(" * 100 + "recycled" + ")" * 100, "nested more than 40 deep"),
            ("recycled & " * 1000 + "recycled", "at most 2,000"),
        ],
    )
    def test_what_cannot_be_read_is_told_with_its_place(self, text: Any, message: str) -> None:
        with pytest.raises((CampaignError, UnknownNameError), match=message):
            Condition(text)

    @given(st.text(alphabet="recycled_supply_risk<=>&|~(), 0.3\"'", max_size=60))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            condition = read_condition(text)
        except MatloopError:
            return
        assert str(read_condition(str(condition))) == str(condition)


class TestContract:
    @pytest.mark.parametrize(
        "text",
        ["supply_risk <= 0.3", "~(recycled & eu_rohs)", "no_elements(Cl) | recyclability >= 0.01",
         "~stated_value(band_gap, at_least=2)", "us_critical_minerals & price_per_kilogram <= 5"],
    )  # fmt: skip
    def test_conditions_keep_the_contract_of_filters(self, text: str) -> None:
        validate_filter(lambda: Condition(text))

    @pytest.mark.parametrize("name", LISTS)
    def test_every_list_can_be_asked(self, name: str) -> None:
        formulas = ("LiF", "CdTe", "NdFeO3", "PbO")
        listed = OnList(name).answer(batch_of(*formulas))
        assert (listed.met | listed.unknown).any()

    def test_margins_tell_scores_and_limits_in_both_languages(self) -> None:
        finalist = batch_of("CuO")
        margin = Condition("supply_risk <= 0.3 & price_per_kilogram <= 50").margin(
            finalist, known=known_without_labels(finalist)
        )
        assert margin.en.startswith("supply risk 0.1")
        assert "USD/kg; <= 50 passes" in margin.en
        assert "供应风险" in margin.zh

    def test_reasons_hold_value_limit_table_and_date(self) -> None:
        (reason,) = Condition("supply_risk <= 0.3").judge(batch_of("Ga2O3")).reasons.tolist()
        assert reason.value > 0.3
        assert reason.limit == "supply_risk <= 0.3 (production_concentration 2025-12-31)"
        assert reason.source == "condition"

    def test_regions_ask_their_own_list(self) -> None:
        assert kept("critical_mass_share <= 0", "ZnO", region="eu") == [True]
        assert kept("critical_mass_share <= 0", "ZnO", region="us") == [False]


class TestOwnFacts:
    ROW = "element_prices,I,40,2026-10-01,quote,USD\n"

    def file(self, tmp_path: Path) -> str:
        path = tmp_path / "own.csv"
        path.write_text("fact,element,value,date,source,currency\n" + self.ROW, encoding="utf-8")
        return str(path)

    def test_a_file_makes_known_what_was_not(self, tmp_path: Path) -> None:
        assert kept("price_per_kilogram <= 100", "CuI") == [False]
        assert kept("price_per_kilogram <= 100", "CuI", facts=self.file(tmp_path)) == [True]

    def test_rows_stand_for_the_file(self, tmp_path: Path) -> None:
        rows = [fact._asdict() for fact in ElementFacts.read(self.file(tmp_path)).own]
        assert kept("price_per_kilogram <= 100", "CuI", facts=rows) == [True]

    def test_a_file_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(MatloopError, match=r"missing\.csv"):
            Condition("recycled", facts=str(tmp_path / "missing.csv"))
        broken = tmp_path / "own.csv"
        broken.write_text("a,b\n1,2\n", encoding="utf-8")
        with pytest.raises(InputFileError, match="lacks fact"):
            Condition("recycled", facts=str(broken))
