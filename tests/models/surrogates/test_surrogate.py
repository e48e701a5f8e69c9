import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.errors import FingerprintError, ModelError, UnknownNameError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models.surrogates.surrogate import Surrogate


def altered(features: FeatureMatrix, **changes: Any) -> FeatureMatrix:
    names = ("values", "names", "fingerprint", "elements", "codes", "details")
    return FeatureMatrix(**{**{name: getattr(features, name) for name in names}, **changes})


def fresh_of(bulk_moduli: Any) -> Any:
    """The third of the formulas that the surrogate was not trained on."""
    return bulk_moduli.take(np.flatnonzero(bulk_moduli.groups % 3 == 0))


@pytest.mark.parametrize("family", ["extra_trees", "boosted_trees"])
def test_intervals_hold_on_fresh_groups(family: str, synthetic: Any) -> None:
    train, fresh = synthetic.take(np.arange(1200)), synthetic.take(np.arange(1200, 3500))
    parameters = {"trees": 60} if family == "extra_trees" else {"boosters": 8, "rounds": 60}
    model = Surrogate.fit("band_gap", *train, family=family, parameters=parameters)
    prediction = model.predict(fresh.features)
    low, high = prediction.interval(0.9)
    inside = (fresh.target >= low) & (fresh.target <= high)
    assert inside.mean() == pytest.approx(0.9, abs=0.025)
    assert model.card["scores"]["coverage_90"] == pytest.approx(0.9, abs=0.03)
    (share,) = (one["share_of_training"] for one in model.card["domain_limit"] if one["chosen"])
    assert prediction.in_domain.mean() == pytest.approx(share, abs=0.06)
    error = np.abs(prediction.median - fresh.target)
    assert error.mean() == pytest.approx(model.card["scores"]["mae"], rel=0.1)
    assert error.mean() < 0.6 * model.card["scores"]["mae_of_mean"]


def test_bulk_moduli_of_unseen_formulas(surrogate: Surrogate, bulk_moduli: Any) -> None:
    fresh = fresh_of(bulk_moduli)
    codes = surrogate.predict(fresh.features).codes
    assert set(codes[codes != ""]) <= {"E-MODEL-ELEMENT", "E-FEATURE-NODATA"}
    assert (codes == "").mean() > 0.97
    fresh = fresh.take(np.flatnonzero(codes == ""))
    prediction = surrogate.predict(fresh.features)
    low, high = prediction.interval(0.9)
    assert ((fresh.target >= low) & (fresh.target <= high)).mean() == pytest.approx(0.9, abs=0.04)
    error = np.abs(np.log10(prediction.median / fresh.target))
    assert error.mean() == pytest.approx(surrogate.card["scores"]["mae"], rel=0.2)
    assert error.mean() < 0.12
    assert error[prediction.in_domain].mean() < error[~prediction.in_domain].mean()
    assert np.corrcoef(np.log(prediction.median), np.log(fresh.target))[0, 1] > 0.9


def test_prediction_does_not_depend_on_batch_or_order(surrogate: Surrogate, bulk_moduli: Any) -> None:
    features = fresh_of(bulk_moduli).features
    whole = surrogate.predict(features)
    order = np.random.default_rng(0).permutation(len(features))
    shuffled = surrogate.predict(features.take(order))
    singles = [surrogate.predict(features.take(np.array([row]))) for row in range(100)]
    for name in ("centre", "scale", "in_domain", "codes"):
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(whole, name)[order])
        np.testing.assert_array_equal([getattr(single, name)[0] for single in singles], getattr(whole, name)[:100])


def test_rows_that_cannot_be_predicted_get_a_code_and_no_number(surrogate: Surrogate, bulk_moduli: Any) -> None:
    fresh = fresh_of(bulk_moduli).features
    features = fresh.take(np.flatnonzero(surrogate.predict(fresh).codes == "")[:5])
    values, codes, elements = features.values.copy(), features.codes.copy(), features.elements.copy()
    values[1, 7] = np.nan
    values[2, 0] = np.inf
    codes[3] = "E-FEATURE-FAILED"  # although the values are there
    elements[4, 86] = True  # radon
    prediction = surrogate.predict(altered(features, values=values, codes=codes, elements=elements))
    assert prediction.codes.tolist() == [
        "", "E-FEATURE-NONFINITE", "E-FEATURE-NONFINITE", "E-FEATURE-FAILED", "E-MODEL-ELEMENT"
    ]  # fmt: skip
    for numbers in (
        prediction.median,
        prediction.sigma,
        *prediction.interval(),
        prediction.probability_between(0, 1e9),
    ):
        assert np.isnan(numbers).tolist() == [False, True, True, True, True]
    assert not prediction.in_domain[1:].any()
    assert prediction.median[0] == surrogate.predict(features).median[0]


def test_nothing_to_predict(surrogate: Surrogate, bulk_moduli: Any) -> None:
    prediction = surrogate.predict(bulk_moduli.features.take(np.array([], int)))
    assert len(prediction.median) == len(prediction.codes) == len(prediction.probability_between(0, 100)) == 0


def test_features_of_another_set_are_refused(surrogate: Surrogate, bulk_moduli: Any) -> None:
    with pytest.raises(
        FingerprintError, match=r"E-MODEL-FINGERPRINT: features with fingerprint 0123.*bulk_modulus_vrh"
    ):
        surrogate.predict(altered(bulk_moduli.features, fingerprint="0123"))


def test_card_tells_what_the_model_is(surrogate: Surrogate, bulk_moduli: Any) -> None:
    card = json.loads(json.dumps(dict(surrogate.card)))
    used = bulk_moduli.groups % 3 > 0
    assert card["property"] == "bulk_modulus_vrh"
    assert card["unit"] == "GPa"
    assert card["transform"] == "log10"
    assert card["rows_trained"] + card["rows_left_out"] == used.sum()
    assert card["formulas"] == len(np.unique(bulk_moduli.groups[used]))
    assert card["feature_names"] == list(bulk_moduli.features.names)
    assert card["versions"]["numpy"] == importlib.metadata.version("numpy")
    assert 0 < card["scores"]["mae"] < card["scores"]["mae_of_mean"]


def test_rows_without_target_or_features_are_left_out_and_counted(synthetic: Any) -> None:
    part = synthetic.take(np.arange(200))
    target, codes, values = part.target.copy(), part.features.codes.copy(), part.features.values.copy()
    target[:10] = np.nan
    target[10:15] = -1.0  # has no logarithm
    codes[20:23], values[20:23] = "E-FEATURE-NONFINITE", np.nan
    features = altered(part.features, codes=codes, values=values)
    model = Surrogate.fit("bulk_modulus_vrh", features, target, part.groups, transform="log10", parameters={"trees": 5})
    assert model.card["rows_trained"] == 200 - 10 - 5 - 3
    assert model.card["rows_left_out"] == 5 + 3


def test_same_data_give_the_same_model(synthetic: Any) -> None:
    part = synthetic.take(np.arange(150))
    one, two = (Surrogate.fit("band_gap", *part, parameters={"trees": 10}) for _ in range(2))
    np.testing.assert_array_equal(one.predict(part.features).centre, two.predict(part.features).centre)
    np.testing.assert_array_equal(one.calibration.residuals, two.calibration.residuals)
    assert one.card == two.card


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"property_name": "bandgap"}, UnknownNameError),
        ({"family": "forest"}, UnknownNameError),
        ({"rows": 16}, ModelError),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict[str, Any], error: type[Exception], synthetic: Any) -> None:
    part = synthetic.take(np.arange(changes.pop("rows", 150)))
    arguments = {"property_name": "band_gap", **changes}
    with pytest.raises(error):
        Surrogate.fit(arguments.pop("property_name"), *part, parameters={"trees": 5}, **arguments)


def test_saved_and_loaded_model_predicts_the_same(surrogate: Surrogate, bulk_moduli: Any, tmp_path: Path) -> None:
    surrogate.save(tmp_path / "model")
    loaded = Surrogate.load(tmp_path / "model")
    one, two = (model.predict(bulk_moduli.features) for model in (surrogate, loaded))
    for name in ("centre", "scale", "in_domain", "codes", "bounds", "transform"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.sigma, two.sigma)
    assert dict(loaded.card) == dict(surrogate.card)
    np.testing.assert_array_equal(loaded.training.ids, surrogate.training.ids)
    np.testing.assert_array_equal(loaded.predict(bulk_moduli.features).bins, one.bins)
    assert set(one.bins[one.codes == ""]) == {0, 1, 2, 3}
    for name in ("target", "mean", "spread"):
        np.testing.assert_allclose(getattr(loaded.training, name), getattr(surrogate.training, name), rtol=1e-12)


def test_trained_rows_are_predicted_as_new(synthetic: Any, tmp_path: Path) -> None:
    part, ids = synthetic.take(np.arange(300)), [f"c{row:03d}" for row in range(300)]
    order = np.random.default_rng(1).permutation(150)  # ids need not be sorted
    train = part.take(order)
    model = Surrogate.fit("band_gap", *train, parameters={"trees": 20}, ids=[ids[row] for row in order])
    model.save(tmp_path / "model")
    found = Surrogate.load(tmp_path / "model").predict_as_new(part.features, ids)
    plain = model.predict(part.features)
    held_out = model.out_of_fold_prediction()
    for name in ("centre", "scale", "bins"):
        np.testing.assert_allclose(getattr(found, name)[order], getattr(held_out, name), rtol=1e-12)
        np.testing.assert_array_equal(getattr(found, name)[150:], getattr(plain, name)[150:])
    error = np.abs(found.median - part.target)
    assert error[:150].mean() == pytest.approx(error[150:].mean(), rel=0.25)
    assert np.abs(plain.median - part.target)[:150].mean() < 0.2 * error[:150].mean()  # what it remembers
    np.testing.assert_allclose(
        held_out.relative_error(train.target), (model.training.target - held_out.centre) / held_out._half_width
    )


def test_trained_row_without_features_stays_without_a_number(synthetic: Any) -> None:
    part, ids = synthetic.take(np.arange(60)), [str(row) for row in range(60)]
    model = Surrogate.fit("band_gap", *part, parameters={"trees": 5}, ids=ids)
    codes = np.where(np.arange(60) == 3, "E-FEATURE-FAILED", part.features.codes)
    found = model.predict_as_new(altered(part.features, codes=codes), ids)
    assert np.flatnonzero(np.isnan(found.median)).tolist() == [3]


def test_model_without_ids_cannot_tell_what_is_new(surrogate: Surrogate, bulk_moduli: Any) -> None:
    with pytest.raises(ModelError, match=r"no ids.*pass ids to Surrogate.fit"):
        surrogate.predict_as_new(bulk_moduli.features, ["a"] * len(bulk_moduli.target))


def test_model_is_not_written_over_another(surrogate: Surrogate, tmp_path: Path) -> None:
    surrogate.save(tmp_path / "model")
    with pytest.raises(FileExistsError):
        surrogate.save(tmp_path / "model")
