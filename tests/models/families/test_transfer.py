"""The transfer: a line, a learned difference and a model of measured values alone, mixed by inner folds."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.extra_trees import ExtraTrees
from matloop.models.families.transfer import MEMBERS, Line, Transfer, _bagged_weights
from matloop.models.families.validation import validate_ensemble

FEW = {"trees": 30}
RANDOM = np.random.default_rng(5)
FEATURES = RANDOM.normal(size=(900, 8))
COMPUTED = np.sin(2 * FEATURES[:, 0]) + FEATURES[:, 1] * FEATURES[:, 2] + 0.5 * FEATURES[:, 3]
NOISE = 0.05 * RANDOM.normal(size=900)
RELATED = 1.3 * COMPUTED + 0.4 + NOISE
TRAIN, TEST = slice(0, 60), slice(500, 900)


def with_column(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([FEATURES, column])


def error(ensemble: Transfer, values: NDArray[np.float64], target: NDArray[np.float64], rows: slice = TRAIN) -> float:
    fitted = ensemble.fit(values[rows], target[rows])
    return float(np.abs(fitted.predict(values[TEST])[0] - target[TEST]).mean())


def error_alone(target: NDArray[np.float64], rows: slice = TRAIN) -> float:
    mean, _ = ExtraTrees(**FEW).fit(FEATURES[rows], target[rows]).predict(FEATURES[TEST])
    return float(np.abs(mean - target[TEST]).mean())


@pytest.mark.parametrize("of", ["extra_trees", "gaussian_process"])
def test_transfer_keeps_the_contract_of_families(of: str) -> None:
    validate_ensemble(lambda: Transfer(of=of, settings=FEW if of == "extra_trees" else {"rounds": 5}))


def test_thirty_rows_of_a_straight_relation_reach_the_noise() -> None:
    rows = slice(0, 30)
    noise = float(np.abs(NOISE).mean())
    found = error(Transfer(settings=FEW), with_column(COMPUTED), RELATED, rows)
    assert found < 1.3 * noise
    assert found < 0.1 * error_alone(RELATED, rows)


def test_line_of_a_straight_relation_has_the_weight_and_the_slope() -> None:
    fitted = Transfer(settings=FEW).fit(with_column(COMPUTED)[TRAIN], RELATED[TRAIN])
    assert fitted.weights["line"] > 0.8
    assert sum(fitted.weights.values()) == pytest.approx(1)
    assert fitted.line.slope == pytest.approx(1.3, abs=0.05)
    assert fitted.line.offset == pytest.approx(0.4, abs=0.05)
    assert fitted.importances()[-1] > 0.9


def test_difference_that_features_explain_is_learned() -> None:
    target = RELATED + np.where(FEATURES[:, 5] > 0, 1.0, -1.0)
    fitted = Transfer(settings=FEW).fit(with_column(COMPUTED)[:300], target[:300])
    line_alone = np.abs(fitted.line.predict(COMPUTED[TEST]) - target[TEST]).mean()
    assert fitted.weights["difference"] > 0.8
    found = np.abs(fitted.predict(with_column(COMPUTED)[TEST])[0] - target[TEST]).mean()
    assert found < 0.7 * min(line_alone, error_alone(target, slice(0, 300)))


@pytest.mark.parametrize("count", [30, 100, 300])
def test_computed_values_that_say_nothing_do_no_harm(count: int) -> None:
    rows = slice(0, count)
    nothing = [with_column(np.random.default_rng(seed).normal(size=900)) for seed in range(3)]
    errors = [error(Transfer(settings=FEW), values, RELATED, rows) for values in nothing]
    assert np.mean(errors) < 1.03 * error_alone(RELATED, rows)


def test_computed_values_that_never_change_do_no_harm() -> None:
    constant = with_column(np.full(900, 2.0))
    assert error(Transfer(settings=FEW), constant, RELATED) < 1.03 * error_alone(RELATED)


def test_folds_of_the_weights_keep_groups_together() -> None:
    values, target = (
        np.repeat(with_column(COMPUTED)[:20], 5, axis=0),
        np.repeat(RELATED[:20] + RANDOM.normal(size=20), 5),
    )
    groups = np.repeat(np.arange(20), 5)
    together = Transfer(settings=FEW).fit(values, target, groups=groups).weights
    apart = Transfer(settings=FEW).fit(values, target).weights
    assert apart["line"] < 0.2, "with a row of every formula on either side a forest knows the answers"
    assert together["line"] > 0.5


def test_rows_of_small_weight_hardly_count() -> None:
    target, weights = RELATED.copy(), np.ones(900)
    target[:20], weights[:20] = 50.0, 1e-6
    fitted = Transfer(settings=FEW).fit(with_column(COMPUTED)[TRAIN], target[TRAIN], weights=weights[TRAIN])
    assert fitted.line.slope == pytest.approx(1.3, abs=0.1)
    assert np.abs(fitted.predict(with_column(COMPUTED)[TEST])[0] - target[TEST]).mean() < 0.2


def test_too_few_formulas_are_refused() -> None:
    with pytest.raises(ModelError, match="4 formulas to weigh members on"):
        Transfer().fit(with_column(COMPUTED)[:20], RELATED[:20], groups=np.arange(20) // 5)


def test_files_without_a_weight_for_each_member_are_refused(tmp_path: Path) -> None:
    Transfer(settings=FEW).fit(with_column(COMPUTED)[TRAIN], RELATED[TRAIN]).save(tmp_path)
    content = json.loads((tmp_path / "transfer.json").read_text())
    (tmp_path / "transfer.json").write_text(json.dumps({**content, "weights": [1.0]}))
    with pytest.raises(ModelError, match="a weight for each member"):
        Transfer.load(tmp_path)


def test_weights_are_shared_where_few_rows_cannot_tell() -> None:
    errors = np.random.default_rng(1).normal(size=(12, len(MEMBERS)))
    weights = _bagged_weights(errors, np.arange(12), counts=np.ones(12), seed=0)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() > 0.02
    errors = np.random.default_rng(1).normal(size=(500, 3)) * [1.0, 5.0, 5.0]
    certain = _bagged_weights(errors, np.arange(500), counts=np.ones(500), seed=0)
    assert certain[0] > 0.85


def test_slope_of_one_row_stays_near_one() -> None:
    assert Line.fit(np.array([2.0]), np.array([5.0])) == (1.0, 3.0)
