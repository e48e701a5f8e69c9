"""The measured scale of a target: packaged measured values teach it, and the computed prediction stands beside."""

import numpy as np
import pytest

from matloop.data.training.training_set import TrainingSet
from matloop.data.training.training_sets import TrainingSets
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.own_data import OwnData, training_of
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.training import fit_surrogate
from tests.workflows.conftest import campaign

TARGETS = [
    {"property": "refractive_index", "goal": "at_least", "value": 2.2, "unit": "1", "scale": "experiment"},
    {"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV", "scale": "experiment"},
]


@pytest.fixture(scope="module")
def measured() -> Campaign:
    return Campaign.model_validate(
        {
            **campaign().model_dump(mode="json"),
            "targets": TARGETS,
            "surrogates": {"features": ["stoichiometry", "valence_orbital"], "keep": 10},
        }
    )


@pytest.fixture(scope="module")
def training(measured: Campaign) -> TrainingSets:
    return training_of(measured, OwnData((), (), ("materials",)))


def test_packaged_measured_values_teach_and_computed_ones_help(training: TrainingSets) -> None:
    assert training["refractive_index"].name == "measured_indices"
    assert training["band_gap"].name == "measured_gaps"
    assert {one.provenance for one in training.by_property.values()} == {"exp"}
    assert {one.name for one in training.helping.values()} == {"materials"}


@pytest.fixture(scope="module")
def surrogate(measured: Campaign, training: TrainingSets) -> Surrogate:
    (target, _) = measured.targets
    return fit_surrogate(
        measured, "surrogates", target, training=training["refractive_index"],
        helping=training.helping["refractive_index"],
    )  # fmt: skip


def test_both_scales_are_predicted_and_the_card_names_both_licences(
    measured: Campaign, training: TrainingSets, surrogate: Surrogate
) -> None:
    rows: TrainingSet = training["refractive_index"]
    features = build_feature_set(measured.surrogates.features).featurize(rows.rows)
    found = surrogate.predict(features)
    assert found.computed is not None
    assert np.median(found.computed / rows.values) > 1.02, "computed indices lie above measured ones"
    assert abs(np.median(found.median / rows.values) - 1) < 0.02
    assert found.take(np.array([1])).computed == found.computed[1]
    assert {"CC BY 4.0", "CC0 1.0"} <= set(surrogate.card["licence"].replace(";", ",").replace(", ", ",").split(","))


def test_half_of_the_measured_values_are_promised_as_often_as_met(surrogate: Surrogate) -> None:
    found, truth = surrogate.out_of_fold_prediction(), surrogate.training.target
    lower, upper = found.interval(0.9)
    assert 0.85 <= np.mean((np.log10(lower) <= truth) & (truth <= np.log10(upper))) <= 0.97
    promised, met = found.probability_between(2.2, np.inf).sum(), (truth >= np.log10(2.2)).sum()
    assert promised / met == pytest.approx(1, abs=0.2)
