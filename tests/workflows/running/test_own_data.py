import pytest

from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.inspecting.validation import check_campaign
from matloop.workflows.running.own_data import read_own_data, training_of, with_provenances

SOURCES = ["embedded"]


def campaign(*data: str, **target: object) -> Campaign:
    written = {"property": "band_gap", "goal": "at_least", "value": 2.0, "unit": "eV", **target}
    stages = {"surrogates": {"features": ["magpie"], "keep": 20}, "shortlist": {"size": 5}}
    rest = {"data": list(data), "sources": SOURCES, "targets": [written]}
    return Campaign.model_validate({"name": "gaps", "title": "Wide gaps", **rest, **stages})


@pytest.mark.parametrize(
    ("data", "target", "table"),
    [
        (("measured_gaps",), {}, "measured_gaps"),
        (("measured_gaps",), {"provenance": "exp"}, "measured_gaps"),
        (("embedded", "measured_gaps"), {}, "materials"),
        (("embedded", "measured_gaps"), {"provenance": "exp"}, "measured_gaps"),
        (("measured_gaps", "embedded"), {"provenance": "dft:pbe"}, "materials"),
    ],
)
def test_a_target_learns_from_the_packaged_table_of_its_provenance(
    data: tuple[str, ...], target: dict[str, str], table: str
) -> None:
    asked = campaign(*data, **target)
    chosen = training_of(asked, read_own_data(asked))
    assert chosen["band_gap"].name == table
    (told,) = with_provenances(asked, chosen).targets
    assert told.accepts(chosen["band_gap"].provenance)
    check_campaign(asked)
