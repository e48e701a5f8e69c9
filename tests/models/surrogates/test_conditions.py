"""A surrogate that learns from labels at several temperatures: its dependence on them, and what stands at which."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from matloop.data.errors import FingerprintError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.catalogue import Catalogue, using
from matloop.data.properties.definition import Property
from matloop.data.training.training_set import TrainingSet
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.composition import Magpie
from matloop.models.surrogates.choice import fit_chosen
from matloop.models.surrogates.conditions import check_asked, learned_conditions, standing_rows, values_at
from matloop.models.surrogates.family_candidates import Budget, Candidate
from matloop.models.surrogates.joint_probability import JointProbability
from matloop.models.surrogates.surrogate import Surrogate

TEMPERATURES = (300.0, 350.0, 400.0, 450.0, 500.0)
BOLTZMANN = 8.617333262e-5  # eV/K
METALS, ANIONS = ("Li", "Na", "K", "Rb", "Ag"), ("F", "Cl", "Br", "I", "O", "S", "Se", "Te")
SALTS = [(metal, anion) for metal in METALS for anion in ANIONS]  # 40
CONDUCTIVITY = Property(
    name="ionic_conductivity", symbol="σ", unit="S/cm", label_en="ionic conductivity", label_zh="离子电导率",
    lower=0, upper=1e6, transform="log10",
)  # fmt: skip


def barriers() -> np.ndarray:
    """Activation energy of each salt in eV: lower for softer anions and heavier metals."""
    return np.array([0.6 - 0.02 * ANIONS.index(anion) - 0.05 * METALS.index(metal) for metal, anion in SALTS])


@pytest.fixture(autouse=True)
def own_property() -> Iterator[None]:
    with using(Catalogue((CONDUCTIVITY,))):
        yield


@pytest.fixture(scope="module")
def training() -> TrainingSet:
    """Forty salts at five temperatures each, with errors of a tenth."""
    with using(Catalogue((CONDUCTIVITY,))):
        sigma = 1e3 * np.exp(-barriers()[:, None] / (BOLTZMANN * np.array(TEMPERATURES)))
        sigma *= 10 ** np.random.default_rng(0).normal(0, 0.05, sigma.shape)
        formulas = [f"{metal}{'' if anion in ANIONS[:4] else 2}{anion}" for metal, anion in SALTS for _ in TEMPERATURES]
        return TrainingSet.of_formulas(
            formulas, sigma.ravel().tolist(), property_name="ionic_conductivity", name="salts", provenance="exp",
            licence="CC0", conditions={"temperature": list(TEMPERATURES) * len(SALTS)},
        )  # fmt: skip


@pytest.fixture(scope="module")
def features(training: TrainingSet) -> FeatureMatrix:
    return FeatureSet((Magpie(),)).featurize(training.rows)


@pytest.fixture(scope="module")
def surrogate(training: TrainingSet, features: FeatureMatrix) -> Surrogate:
    with using(Catalogue((CONDUCTIVITY,))):
        return Surrogate.fit(
            "ionic_conductivity", features, training.values, training.groups, transform="log10",
            parameters={"trees": 50, "seed": 0}, ids=training.rows.ids, conditions=training.conditions,
        )  # fmt: skip


def slopes(values: np.ndarray) -> np.ndarray:
    """Slope of log10 of values (salts, temperatures) against 1000/T."""
    found: np.ndarray = np.polyfit(1000 / np.array(TEMPERATURES), np.log10(values).T, 1)[0]
    return found


def test_the_dependence_on_temperature_is_that_of_the_activation_energy(
    surrogate: Surrogate, features: FeatureMatrix
) -> None:
    of_salts = features.take(np.arange(0, len(features), len(TEMPERATURES)))
    predicted = np.array([surrogate.at({"temperature": kelvins}).predict(of_salts).median for kelvins in TEMPERATURES])
    true = -barriers() / (BOLTZMANN * np.log(10)) / 1000
    np.testing.assert_allclose(slopes(predicted.T), true, rtol=0.12)
    unseen = slopes(10 ** surrogate.training.mean.reshape(len(SALTS), -1))  # by trees that saw no row of the salt
    assert np.median(np.abs(unseen / true - 1)) < 0.08
    assert np.corrcoef(unseen, true)[0, 1] > 0.9
    assert (predicted[-1] > 10 * predicted[0]).all()


def test_errors_are_grouped_by_formula(surrogate: Surrogate, training: TrainingSet) -> None:
    assert len(np.unique(training.groups)) == len(SALTS) == surrogate.card["formulas"]
    assert surrogate.card["rows_trained"] == 200
    assert 0.1 < surrogate.card["scores"]["mae"] < 0.5  # rows of a salt left together: with them it would be 0.05


def test_the_card_states_the_conditions(surrogate: Surrogate, features: FeatureMatrix) -> None:
    assert surrogate.card["conditions"] == [
        {"name": "temperature", "unit": "K", "lower": 300.0, "upper": 500.0, "scales": ["linear", "reciprocal"]}
    ]
    assert surrogate.card["feature_names"][-2:] == ["temperature (K)", "1000/temperature (1/K)"]
    assert surrogate.base_fingerprint == features.fingerprint != surrogate.card["feature_fingerprint"]


def test_a_surrogate_is_not_asked_without_or_beyond_its_conditions(
    surrogate: Surrogate, features: FeatureMatrix
) -> None:
    with pytest.raises(ModelError, match=r"300 K to 500 K, and no temperature asked for.* write 'at: {temperature: "):
        surrogate.predict(features)
    with pytest.raises(ModelError, match="at 600 K, and its labels have temperature 300 K to 500 K"):
        surrogate.at({"temperature": 600.0})
    with pytest.raises(
        ModelError, match=r"at a pressure, which its labels do not state.*their conditions: temperature"
    ):
        surrogate.at({"temperature": 300.0, "pressure": 1.0})
    other = FeatureMatrix(features.values, features.names, "other", features.elements, features.codes)
    with pytest.raises(FingerprintError):
        surrogate.at({"temperature": 300.0}).predict(other)


def test_close_beyond_the_labels_is_the_end_of_their_range(surrogate: Surrogate) -> None:
    asked = surrogate.at({"temperature": 298.15}).asked
    assert asked == {"temperature": 300.0}


def test_each_row_may_have_conditions_of_its_own(
    surrogate: Surrogate, features: FeatureMatrix, training: TrainingSet
) -> None:
    rows = surrogate.predict(features, conditions=training.conditions)
    at_400 = surrogate.at({"temperature": 400.0}).predict(features)
    np.testing.assert_array_equal(rows.median[2::5], at_400.median[2::5])
    assert (rows.median[0::5] < at_400.median[0::5]).all()


def test_a_saved_surrogate_is_the_same(surrogate: Surrogate, features: FeatureMatrix, tmp_path: Path) -> None:
    surrogate.save(tmp_path / "model")
    loaded = Surrogate.load(tmp_path / "model").at({"temperature": 350.0})
    np.testing.assert_array_equal(
        loaded.predict(features).median, surrogate.at({"temperature": 350.0}).predict(features).median
    )
    assert loaded.training.standing.tolist() == list(range(1, 200, 5))


def test_known_materials_are_predicted_as_new_at_their_nearest_label(
    surrogate: Surrogate, features: FeatureMatrix, training: TrainingSet
) -> None:
    at_400 = surrogate.at({"temperature": 390.0})
    of_salts = np.arange(0, len(features), len(TEMPERATURES))
    ids = [training.rows.ids[row] for row in of_salts]
    new = at_400.predict_as_new(features.take(of_salts), ids)
    np.testing.assert_allclose(new.centre, surrogate.training.mean[of_salts + 2])
    np.testing.assert_allclose(at_400.truth_of(ids), training.values[of_salts + 2])
    assert np.isnan(at_400.truth_of(["unknown"])).all()


def test_labels_far_from_the_asked_conditions_are_no_evidence(
    surrogate: Surrogate, features: FeatureMatrix, training: TrainingSet
) -> None:
    cold = np.flatnonzero(training.conditions["temperature"] < 400)
    few = Surrogate.fit(
        "ionic_conductivity", features.take(np.append(cold, 4)), training.values[np.append(cold, 4)],
        training.groups[np.append(cold, 4)], transform="log10", parameters={"trees": 5, "seed": 0},
        ids=[training.rows.ids[row] for row in [*cold, 4]],
        conditions={"temperature": training.conditions["temperature"][np.append(cold, 4)]},
    ).at({"temperature": 500.0})  # fmt: skip
    ids = [training.rows.ids[row] for row in (0, 5)]
    new = few.predict_as_new(features.take(np.array([0, 5])), ids)
    assert new.codes.tolist() == ["", "E-MODEL-CONDITION"]
    assert np.isnan(new.probability_between(0, 1)).tolist() == [False, True]
    met = JointProbability.fit({"ionic_conductivity": few}, {"ionic_conductivity": (1.0, np.inf)})
    assert [group.names for group in met.groups] == [("ionic_conductivity",)]


def test_families_are_chosen_on_the_features_of_conditions(training: TrainingSet, features: FeatureMatrix) -> None:
    chosen = fit_chosen(
        "ionic_conductivity", [Candidate("extra_trees", parameters={"trees": 5})], {"": features},
        target=training.values, groups=training.groups, budget=Budget(), transform="log10", ids=training.rows.ids,
        conditions=training.conditions,
    )  # fmt: skip
    assert chosen.card["choice"]["tried"][0]["mae"] < 0.6  # decades; without temperature it is above 1
    assert chosen.card["feature_names"][-1] == "1000/temperature (1/K)"


def test_labels_are_interpolated_between_temperatures(training: TrainingSet) -> None:
    learned = learned_conditions(training.conditions)
    found = values_at(
        learned, training.conditions, {"temperature": 375.0}, ids=training.rows.ids, target=np.log10(training.values)
    )
    true = 3 - barriers() / (BOLTZMANN * 375) / np.log(10)
    np.testing.assert_allclose(found, true, atol=0.2)


def test_one_label_of_each_material_stands_for_it() -> None:
    learned = learned_conditions({"temperature": np.array([300.0, 500.0, 300.0, 310.0])})
    values = {"temperature": np.array([300.0, 500.0, 300.0, 310.0])}
    stands = standing_rows(learned, values, {"temperature": 304.0}, ["a", "a", "b", "b"])
    assert stands.tolist() == [True, False, True, False]
    assert not standing_rows(learned, values, {"temperature": 400.0}, ["a", "a", "b", "b"]).any()


def test_a_condition_that_does_not_vary_is_no_feature(training: TrainingSet, features: FeatureMatrix) -> None:
    rows = np.arange(0, 200, 5)
    kept = {"temperature": training.conditions["temperature"][rows]}
    fitted = Surrogate.fit(
        "ionic_conductivity", features.take(rows), training.values[rows], training.groups[rows], transform="log10",
        parameters={"trees": 5, "seed": 0}, conditions=kept,
    )  # fmt: skip
    assert fitted.card["feature_fingerprint"] == features.fingerprint
    assert fitted.predict(features.take(rows)).codes.tolist() == [""] * 40
    assert check_asked(fitted.conditions, {"temperature": 301.0}, of="it") == {"temperature": 300.0}
    with pytest.raises(ModelError, match="at 320 K"):
        fitted.at({"temperature": 320.0})
