"""A surrogate of measured values that transfers from computed ones: honest columns, scores, files and refusals."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from matloop.data.errors import DamagedFileError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.models import registry
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.surrogates.computed_model import COMPUTED_VALUE, ComputedLabels, ComputedModel
from matloop.models.surrogates.surrogate import Surrogate

FEW = {"trees": 20}
ABOUT = {
    "name": "computed",
    "property": "band_gap",
    "provenance": "dft:pbe",
    "licence": "CC0",
    "citation": "",
    "sha256": "",
}
RANDOM = np.random.default_rng(3)
FEATURES = RANDOM.normal(size=(700, 6))
TRUE = 3 + np.sin(2 * FEATURES[:, 0]) + FEATURES[:, 1]
NOISE = 0.1 * RANDOM.normal(size=700)
MEASURED = 1.3 * TRUE + 0.4 + NOISE
HELPING, KNOWN, NEW = np.arange(0, 500), np.arange(440, 500), np.arange(500, 700)


def matrix(rows: NDArray[np.int64], *, element: int = 8) -> FeatureMatrix:
    elements = np.zeros((len(rows), 119), bool)
    elements[:, element] = True
    names = tuple(f"x{number}" for number in range(FEATURES.shape[1]))
    return FeatureMatrix(FEATURES[rows], names, "print", elements, np.full(len(rows), ""))


def labels(values: NDArray[np.float64] = TRUE) -> ComputedLabels:
    return ComputedLabels(matrix(HELPING, element=26), values[HELPING], HELPING, ABOUT)


def learned(
    measured: NDArray[np.int64], values: NDArray[np.float64] = TRUE, family: str = "extra_trees"
) -> tuple[ComputedModel, FeatureMatrix]:
    return ComputedModel.fit(
        labels(values), matrix(measured), measured, family=family, parameters=FEW, transform="identity"
    )  # fmt: skip


def fitted(measured: NDArray[np.int64], **options: Any) -> Surrogate:
    computed, features = learned(measured)
    return Surrogate.fit(
        "band_gap", features, MEASURED[measured], measured, parameters=FEW, computed=computed, **options
    )


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return fitted(KNOWN, ids=[str(row) for row in KNOWN])


class Memory(ExtraTrees):
    """Tells whether a row was among those it learned from."""

    family: ClassVar[str] = "memory"
    _seen: set[bytes]

    def fit(self, values: np.ndarray, target: np.ndarray, *, groups: np.ndarray | None = None) -> Any:
        self._seen = {row.tobytes() for row in values}
        return super().fit(values, target)

    def predict(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.array([float(row.tobytes() in self._seen) for row in values]), np.ones(len(values))


def test_no_column_comes_from_a_model_that_saw_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.MODELS, "memory", f"{__name__}:Memory")  # type: ignore[arg-type]
    rows = np.concatenate([KNOWN, NEW[:5]])
    computed, features = learned(rows, family="memory")
    assert features.names[-1] == COMPUTED_VALUE
    assert not features.values[:, -1].any(), "no row was among those its model learned from"
    assert computed.inputs(FEATURES[KNOWN])[:, -1].all(), "the model itself learned from all of them"


def test_measured_rows_buy_what_the_card_says(surrogate: Surrogate) -> None:
    found = surrogate.card["transfer"]
    errors = found["mae"]
    assert found["source"] == "dft:pbe"
    assert (found["rows"], found["formulas_in_both"]) == (500, 60)
    learned = surrogate.training
    assert errors["transfer"] == pytest.approx(np.abs(learned.mean - learned.target).mean())
    assert errors["transfer"] < 0.8 * min(errors["measured_only"], errors["computed_only"])
    assert errors["transfer"] < 1.05 * errors["computed_and_line"]
    assert errors["measured_only"] < errors["mean"]
    assert surrogate.card["licence"] == "Apache-2.0; training data: not stated; CC0"


def test_new_rows_are_lifted_and_intervals_hold(surrogate: Surrogate) -> None:
    prediction = surrogate.predict(matrix(NEW))
    alone = Surrogate.fit("band_gap", matrix(KNOWN), MEASURED[KNOWN], KNOWN, parameters=FEW).predict(matrix(NEW))
    errors = [float(np.abs(one.median - MEASURED[NEW]).mean()) for one in (prediction, alone)]
    assert errors[0] < 0.75 * errors[1]
    lower, upper = prediction.interval(0.9)
    assert 0.8 < ((lower <= MEASURED[NEW]) & (upper >= MEASURED[NEW])).mean() <= 1.0


def test_elements_that_only_computed_rows_have_get_numbers(surrogate: Surrogate) -> None:
    assert set(surrogate.predict(matrix(NEW, element=26)).codes) == {""}
    assert set(surrogate.predict(matrix(NEW, element=79)).codes) == {"E-MODEL-ELEMENT"}


def test_domain_is_that_of_computed_rows_too(surrogate: Surrogate) -> None:
    inside = surrogate.predict(matrix(NEW)).in_domain
    assert inside.mean() > 0.5, "sixty measured rows do not shut out what five hundred computed rows cover"
    far = matrix(NEW[:3])
    far.values[:] = 30.0
    assert not surrogate.predict(far).in_domain.any()


def test_saved_transfer_predicts_the_same(surrogate: Surrogate, tmp_path: Path) -> None:
    surrogate.save(tmp_path / "model")
    loaded = Surrogate.load(tmp_path / "model")
    before, after = surrogate.predict(matrix(NEW)), loaded.predict(matrix(NEW))
    np.testing.assert_allclose(after.median, before.median)
    np.testing.assert_array_equal(after.in_domain, before.in_domain)
    assert loaded.card == surrogate.card


def test_a_changed_model_of_computed_values_is_refused(surrogate: Surrogate, tmp_path: Path) -> None:
    surrogate.save(tmp_path / "model")
    other, _ = learned(KNOWN, TRUE[::-1])
    other.ensemble.save(tmp_path / "model" / "computed")
    with pytest.raises(ModelError, match="computed values that predicts other numbers"):
        Surrogate.load(tmp_path / "model")
    (tmp_path / "model" / "computed" / "computed.npz").write_bytes(b"")
    with pytest.raises((ModelError, DamagedFileError)):
        Surrogate.load(tmp_path / "model")


def test_rows_without_features_get_no_number(surrogate: Surrogate) -> None:
    broken = matrix(NEW[:3])
    broken.values[1, 2] = np.nan
    assert surrogate.predict(broken).codes.tolist() == ["", "E-FEATURE-NONFINITE", ""]


def test_training_rows_are_predicted_as_new(surrogate: Surrogate) -> None:
    again = surrogate.predict_as_new(matrix(KNOWN), [str(row) for row in KNOWN])
    np.testing.assert_array_equal(again.centre, surrogate.training.mean)


def test_classifier_learns_beside_a_transfer(tmp_path: Path) -> None:
    computed, features = learned(KNOWN)
    plain = Surrogate.fit("band_gap", features, MEASURED[KNOWN], KNOWN, parameters=FEW, computed=computed)
    classified = plain.with_classifier(features, MEASURED[KNOWN], KNOWN, wanted=(float(np.median(MEASURED)), np.inf))
    classified.save(tmp_path / "model")
    wanted = (float(np.median(MEASURED)), np.inf)
    told = Surrogate.load(tmp_path / "model").predict(matrix(NEW)).probability_between(*wanted)
    met = MEASURED[NEW] >= wanted[0]
    assert told[met].mean() > told[~met].mean() + 0.4


def test_too_few_computed_rows_are_refused() -> None:
    few = ComputedLabels(matrix(HELPING[:15]), TRUE[:15], HELPING[:15], ABOUT)
    with pytest.raises(ModelError, match="15 training rows with a computed value of 15 formulas"):
        ComputedModel.fit(few, matrix(KNOWN), KNOWN, family="extra_trees", parameters=FEW, transform="identity")
