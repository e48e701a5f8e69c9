"""What a run rests on is said by the things it names, and not by a list of names in the report."""

import pytest

from matloop.data.label import Label
from matloop.data.packaged.citations import Citation
from matloop.data.training.training_sets import TrainingSets
from matloop.screening.filters.elements import ExcludeElements
from matloop.screening.report.sources import cautions_of, sources_of
from tests.workflows.conftest import campaign


def test_things_that_cite_are_cited_once_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = campaign(sources=["embedded"], filters=[])
    training = TrainingSets.of([target.property for target in plain.targets])
    before = [source.citation for source in sources_of(plain, training)]
    assert not [text for text in before if "Hautier" in text or "Ricci" in text]
    both = campaign(sources=["ionic_substitution", {"ionic_substitution": {"limit": 5}}], filters=["new_compounds"])
    after = [source.citation for source in sources_of(both, training)]
    assert sum("Hautier" in text for text in after) == 1
    assert sum("Ricci" in text for text in after) == 1
    cites = (Citation(Label("Hazards", "危害"), "A. Author, Hazards (2026)", "CC0"),)
    monkeypatch.setattr(ExcludeElements, "cites", cites)
    using = campaign(sources=["embedded"], filters=[{"exclude_elements": ["Cd"]}])
    (own,) = [source for source in sources_of(using, training) if source.citation not in before]
    assert (own.use, own.licence) == (("Hazards", "危害"), "CC0")


def test_what_else_a_run_rests_on_is_cited_once() -> None:
    plain = campaign(sources=["embedded"], filters=[])
    training = TrainingSets.of([target.property for target in plain.targets])
    own = Citation(Label("Potential", "势函数"), "A. Author, Potential (2026)", "CC0")
    found = sources_of(plain, training, further=[own, own])
    assert [source.use.zh for source in found if source.citation == own.publication] == ["势函数"]


def test_a_source_warns_of_its_crystals() -> None:
    assert cautions_of(campaign(sources=["embedded"])) == []
    (caution,) = cautions_of(campaign(sources=["ionic_substitution", "embedded"]))
    assert caution.en.startswith("Crystals have the parent's geometry")
    assert caution.zh.startswith("晶体")
