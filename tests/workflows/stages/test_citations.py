"""Potentials say themselves what to cite, and the report does."""

import pytest

from matloop.data.label import Label
from matloop.data.packaged.citations import Citation
from matloop.models.potentials.chgnet import CHGNetPotential
from matloop.models.registry import POTENTIALS
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.stages import citations
from matloop.workflows.stages.citations import potential_citations
from tests.workflows.conftest import campaign

OWN = Citation(Label("Potential of a lab", "某实验室的势函数"), "A. Author, J. Tests 1, 1 (2026), doi:10.1000/1")


class OwnPotential:
    cites = (OWN,)


class SilentPotential:
    pass


def with_features(*features: object) -> Campaign:
    plain = campaign()
    stage = {**plain.surrogates.model_dump(), "features": list(features)}
    return Campaign.model_validate({**plain.model_dump(), "surrogates": stage, "structure": None, "potential": None})


def with_potential(name: str) -> Campaign:
    return Campaign.model_validate({**with_features("magpie").model_dump(), "potential": {"name": name}})


def test_chgnet_is_cited_where_it_relaxes_or_describes_crystals() -> None:
    assert potential_citations(with_features("magpie")) == []
    for using in (
        with_potential("chgnet"),
        with_features("magpie", {"crystal_embedding": {"potential": "chgnet"}}),
        with_features({"crystal_embedding": "chgnet"}),
    ):
        (found,) = potential_citations(using)
        assert "B. Deng" in found.publication
        assert "doi:10.1038/s42256-023-00716-3" in found.publication
        assert found.licence == CHGNetPotential.licence


@pytest.mark.parametrize(("kind", "expected"), [(OwnPotential, [OWN]), (SilentPotential, [])])
def test_a_potential_of_others_cites_for_itself(
    kind: type, expected: list[Citation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(citations, "POTENTIALS", {**POTENTIALS, "own": f"{__name__}:{kind.__name__}"})
    assert potential_citations(with_potential("own")) == expected


def test_a_potential_that_is_no_longer_there_does_not_stop_the_report() -> None:
    assert potential_citations(with_potential("uninstalled")) == []
