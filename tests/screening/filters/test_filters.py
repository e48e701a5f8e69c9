from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason, text_of
from matloop.data.elements import RADIOACTIVE, SYMBOLS
from matloop.data.errors import CampaignError, UnitError, UnknownNameError
from matloop.data.registry import lookup
from matloop.data.training.known_materials import OwnList
from matloop.screening.filters.element_count import ElementCount
from matloop.screening.filters.elements import ExcludeElements, RequireElements
from matloop.screening.filters.known_compounds import (
    KNOWN_COMPOUND,
    LISTED_COMPOUND,
    NEW_COMPOUND,
    KnownCompounds,
    NewCompounds,
)
from matloop.screening.filters.radioactivity import ExcludeRadioactive
from matloop.screening.filters.stated_value import StatedValue
from matloop.screening.filters.validation import known_without_labels, validate_filter
from matloop.screening.language.reasons import reason_words
from matloop.screening.registry import FILTERS
from tests.strategies import batch_of, formula_of, whole_compositions

KNOWN = known_without_labels(batch_of("MgO", "NaCl"))
OPTIONS: dict[str, tuple[Any, ...] | dict[str, Any]] = {
    "exclude_elements": (["Cd", "O"],),
    "exclude_radioactive": (),
    "require_elements": (["O", "F"],),
    "known_compounds": (),
    "new_compounds": (),
    "element_count": (),
    "condition": ("supply_risk <= 0.3 & no_elements(Cd)",),
    "stated_value": {"property": "energy_above_hull", "at_most": 50, "unit": "meV/atom"},
}
"""One line per registered filter: what it is set up with for the contract tests."""


def verdicts(filter_: Any, *formulas: str) -> dict[str, str]:
    """Why each formula goes, in English; empty where it stays."""
    batch = batch_of(*formulas)
    keep, reasons = filter_.judge(batch)
    assert [reason is None for reason in reasons.tolist()] == keep.tolist()
    texts = ["" if reason is None else words_of(reason) for reason in reasons.tolist()]
    return dict(zip(formulas, texts, strict=True))


def words_of(reason: Reason) -> str:
    assert reason.code in lookup("filter", FILTERS, reason.source).reason_words
    return reason_words(reason.code, text_of(reason.value), text_of(reason.limit)).en


def test_every_registered_filter_is_under_contract() -> None:
    assert set(OPTIONS) == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
class TestContract:
    def made(self, name: str) -> Any:
        factory, options = lookup("filter", FILTERS, name), OPTIONS[name]
        return factory(**options) if isinstance(options, dict) else factory(*options)

    def batch(self, *compositions: dict[str, int]) -> CandidateBatch:
        batch = batch_of(*map(formula_of, compositions))
        return batch.with_columns(known=np.arange(len(batch)) % 2 == 0)

    def test_it_holds_its_contract(self, name: str) -> None:
        formulas = ("NaCl", "CdS", "TcO2", "Cu", "BaTiO3", "LiFePO4", "MgF2")
        batch = batch_of(*formulas).with_columns(known=np.arange(len(formulas)) % 2 == 0)
        validate_filter(lambda: self.made(name), batch=batch)
        made = self.made(name)
        assert made.name == name
        assert made.reason_words
        words = [made.title(), made.margin(batch_of("MgO"), known=KNOWN)]
        assert all(any("\u4e00" <= letter <= "\u9fff" for letter in zh) for _, zh in words)

    @given(compositions=st.lists(whole_compositions(), min_size=1, max_size=8), data=st.data())
    def test_each_candidate_is_judged_by_itself(
        self, name: str, compositions: list[dict[str, int]], data: st.DataObject
    ) -> None:
        batch = self.batch(*compositions)
        keep, reasons = self.made(name).judge(batch)
        assert keep.dtype == bool
        assert keep.shape == reasons.shape == (len(batch),)
        assert [reason is None for reason in reasons.tolist()] == keep.tolist()
        rows = data.draw(st.lists(st.integers(0, len(batch) - 1), max_size=10))
        again = self.made(name).judge(batch.take(rows))
        assert again.keep.tolist() == keep[rows].tolist()
        assert again.reasons.tolist() == reasons[rows].tolist()


def test_exclude_elements() -> None:
    assert verdicts(ExcludeElements(["Cd", "Hg"]), "CdS", "HgTe", "ZnS", "CdHg", "C", "HfO2") == {
        "CdS": "contains Cd", "HgTe": "contains Hg", "ZnS": "", "CdHg": "contains Cd", "C": "", "HfO2": "",
    }  # fmt: skip


def test_the_reason_names_an_element_of_the_candidate() -> None:
    assert set(verdicts(ExcludeElements(["Hg", "Cd"]), "CdHg", "Cd2Hg").values()) == {"contains Hg"}


def test_nothing_excluded_keeps_everything() -> None:
    assert set(verdicts(ExcludeElements([]), "NaCl", "CdS").values()) == {""}


def test_nobelium_and_nitrogen_can_be_named() -> None:
    assert verdicts(ExcludeElements(["No", "N", "Y"]), "No2O3", "AlN", "Y2O3", "NaCl") == {
        "No2O3": "contains No", "AlN": "contains N", "Y2O3": "contains Y", "NaCl": "",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [ExcludeElements, RequireElements])
def test_one_symbol_need_not_be_a_list(kind: Any) -> None:
    assert kind("Cd").numbers.tolist() == [48]
    assert kind("O").numbers.tolist() == [8]
    with pytest.raises(UnknownNameError, match="unknown element 'BN'"):
        kind("BN")


@pytest.mark.parametrize("kind", [ExcludeElements, RequireElements])
@pytest.mark.parametrize("symbol", ["Xx", "D", "cd", "", "n", 48, False, None])
def test_what_is_no_element_is_refused(kind: Any, symbol: Any) -> None:
    with pytest.raises(UnknownNameError, match="E-NAME-UNKNOWN: unknown element"):
        kind(["Cd", symbol])


def test_exclude_radioactive() -> None:
    filter_ = ExcludeRadioactive()
    assert {SYMBOLS[number] for number in filter_.numbers} == RADIOACTIVE
    assert verdicts(filter_, "TcO2", "UO2", "Bi2O3", "PmF3", "PoO2", "PbO", "Og") == {
        "TcO2": "contains Tc", "UO2": "contains U", "Bi2O3": "", "PmF3": "contains Pm", "PoO2": "contains Po",
        "PbO": "", "Og": "contains Og",
    }  # fmt: skip


def test_require_elements() -> None:
    assert verdicts(RequireElements(["O", "S"]), "ZnO", "ZnS", "La2SO2", "NaCl") == {
        "ZnO": "", "ZnS": "", "La2SO2": "", "NaCl": "contains none of O, S",
    }  # fmt: skip


def test_new_compounds() -> None:
    batch = batch_of("NaCl", "CsTaO3", "MgO").with_columns(known=[True, False, True])
    keep, reasons = NewCompounds().judge(batch)
    assert keep.tolist() == [False, True, False]
    known = Reason(KNOWN_COMPOUND, source="new_compounds")
    assert reasons.tolist() == [known, None, known]


def test_known_compounds() -> None:
    batch = batch_of("NaCl", "CsTaO3", "MgO").with_columns(known=[True, False, True])
    keep, reasons = KnownCompounds().judge(batch)
    assert keep.tolist() == [True, False, True]
    assert reasons.tolist() == [None, Reason(NEW_COMPOUND, source="known_compounds"), None]
    assert words_of(reasons[1]) == "not a known compound"
    assert (keep ^ NewCompounds().judge(batch).keep).all()


def test_new_compounds_may_ask_some_lists_only() -> None:
    holders = ["transport, oqmd", "", "oqmd", "materials_project, oqmd", "training_sets", "source"]
    batch = batch_of("NaCl", "CsTaO3", "MgO", "ZnO", "ZnS", "KBr").with_columns(
        known=[held != "" for held in holders], known_to=holders
    )
    assert NewCompounds().judge(batch).keep.tolist() == [False, True, False, False, False, False]
    chosen = NewCompounds(lists=["materials_project", "transport"])
    assert chosen.judge(batch).keep.tolist() == [False, True, True, False, False, False]
    also = KnownCompounds(lists=["materials_project", "transport"])
    assert (also.judge(batch).keep == ~chosen.judge(batch).keep).all()
    with pytest.raises(UnknownNameError, match="did you mean 'oqmd'"):
        NewCompounds(lists=["oqdm"])


def test_a_list_of_the_campaign_always_counts_and_is_named() -> None:
    holders = ["oqmd, own list ours.csv", "own list ours.csv", "oqmd", ""]
    batch = batch_of("NaCl", "CsTaO3", "MgO", "ZnO").with_columns(
        known=[held != "" for held in holders], known_to=holders
    )
    keep, reasons = NewCompounds().judge(batch)
    listed = Reason(LISTED_COMPOUND, "ours.csv", source="new_compounds")
    assert reasons.tolist() == [listed, listed, Reason(KNOWN_COMPOUND, source="new_compounds"), None]
    assert words_of(listed) == "in the campaign's list ours.csv"
    assert NewCompounds(lists=["transport"]).judge(batch).keep.tolist() == [False, False, True, True]
    assert keep.tolist() == [False, False, False, True]
    margin = NewCompounds().margin(batch.take([3]), known=replace(KNOWN, own_list=OwnList("ours.csv", 2)))
    assert "OQMD (2021), the campaign's list ours.csv (2); nearest" in margin.en
    assert "OQMD（2021）、本任务的列表 ours.csv（2）之中" in margin.zh


def test_element_count() -> None:
    assert verdicts(ElementCount(least=2, most=3), "Cu", "NaCl", "BaTiO3", "LiFePO4") == {
        "Cu": "not 2–3 elements", "NaCl": "", "BaTiO3": "", "LiFePO4": "not 2–3 elements",
    }  # fmt: skip
    assert set(verdicts(ElementCount(), "Cu", "LiFePO4").values()) == {""}


def test_a_stated_value_passes_within_limits() -> None:
    batch = batch_of("NaCl", "CsTaO3", "MgO").with_columns(energy_above_hull_dft=[0.04, 0.06, np.nan])
    made = StatedValue("energy_above_hull", at_most=50, unit="meV/atom")
    keep, reasons = made.judge(batch)
    assert keep.tolist() == [True, False, False]
    assert [words_of(reason) for reason in reasons[1:]] == [
        "stated value not ≤ 0.05 eV/atom", "no stated value of energy_above_hull",
    ]  # fmt: skip
    assert reasons[1].value == 0.06
    assert made.margin(batch.take([0]), known=KNOWN).en == (
        "energy above hull 0.04 eV/atom as stated; ≤ 0.05 eV/atom passes"
    )
    assert StatedValue("energy_above_hull", at_least=0.05, at_most=0.1).judge(batch).keep.tolist() == [
        False, True, False,
    ]  # fmt: skip
    assert not StatedValue("energy_above_hull", at_most=0.1, kind="exp").judge(batch).keep.any()


def test_limits_that_nothing_can_meet_are_refused() -> None:
    for limits in ({}, {"at_least": 2, "at_most": 1}):
        with pytest.raises(CampaignError, match="at least one limit"):
            StatedValue("band_gap", **limits)
    with pytest.raises(UnitError, match="not energy per atom"):
        StatedValue("energy_above_hull", at_most=1, unit="GPa")
