"""Featurizers a campaign names together with a potential."""

import pytest

from matloop.data.errors import UnknownNameError
from matloop.data.registry import lookup
from matloop.featurizers.registry import FEATURIZERS
from matloop.screening.campaign.entry import Entry
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS


def test_campaign_entry_makes_the_embedding_of_the_named_potential() -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    entry = Entry(name="crystal_embedding", options={"potential": "chgnet"})
    made = entry.make(lookup("featurizer", CAMPAIGN_FEATURIZERS, entry.name))
    assert made.name == "crystal_embedding"
    assert made.parameters["potential"] == "chgnet"
    assert len(made.feature_names) == 64


def test_unknown_potential_gets_the_nearest_name() -> None:
    entry = Entry(name="crystal_embedding", options={"potential": "chgnett"})
    with pytest.raises(UnknownNameError, match="did you mean 'chgnet'"):
        entry.make(lookup("featurizer", CAMPAIGN_FEATURIZERS, entry.name))


def test_every_other_featurizer_can_be_named_too() -> None:
    assert set(CAMPAIGN_FEATURIZERS) - set(FEATURIZERS) == {"crystal_embedding", "composition_value"}
