from dataclasses import replace

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from matloop.data.errors import ModelError, UnknownNameError
from matloop.models.acquisition.batch import STRATEGIES, Prospects, choose_batch, most_promising, strategy_named
from matloop.models.acquisition.joint_posterior import (
    explained_variance,
    given_result,
    loadings_of_features,
    loadings_of_members,
)
from matloop.models.acquisition.outlook import TargetOutlook


def gaussian_process(points: np.ndarray, known: np.ndarray, values: np.ndarray, noise: float) -> tuple[np.ndarray, ...]:
    """Mean and covariance by another library."""
    model = GaussianProcessRegressor(RBF(1.0), alpha=noise, optimizer=None).fit(known, values)
    return model.predict(points, return_cov=True)


def test_conditioning_agrees_with_a_gaussian_process_that_saw_the_result() -> None:
    random = np.random.default_rng(0)
    known, points = random.uniform(-3, 3, (5, 2)), random.uniform(-3, 3, (12, 2))
    values, noise = random.normal(size=5), 0.05
    mean, covariance = gaussian_process(points, known, values, noise)
    levels, axes = np.linalg.eigh(covariance)
    loadings = axes * np.sqrt(np.maximum(levels, 0.0))
    sigma = np.sqrt(np.diag(covariance) + noise)  # of a measurement, with its own noise
    target = TargetOutlook(mean, sigma, lower=0.0, loadings=loadings)
    for row, result in ((3, 1.5), (7, -0.4)):
        target = given_result(target, row, result)
        known, values = np.vstack([known, points[row]]), np.append(values, result)
    expected, after = gaussian_process(points, known, values, noise)
    others = np.delete(np.arange(12), [3, 7])
    np.testing.assert_allclose(target.mean[others], expected[others], atol=1e-6)
    np.testing.assert_allclose(target.sigma[others], np.sqrt(np.diag(after) + noise)[others], atol=1e-6)
    shared = target.loadings @ target.loadings.T
    np.testing.assert_allclose(shared[np.ix_(others, others)], after[np.ix_(others, others)], atol=1e-6)


def test_explained_variance_is_what_conditioning_explains() -> None:
    random = np.random.default_rng(1)
    members = random.normal(size=(20, 8))
    sigma = members.std(axis=1) * random.uniform(0.7, 1.4, 20)
    target = TargetOutlook(np.zeros(20), sigma, lower=0.0, spread=2.0, loadings=loadings_of_members(members, sigma))
    explained = [
        np.mean(sigma**2 - given_result(target, row, 0.0).sigma ** 2) / target.spread**2 for row in range(20)
    ]  # fmt: skip
    np.testing.assert_allclose(explained_variance(target), explained, rtol=1e-9)


def test_loadings_of_features_make_twins_of_equal_rows() -> None:
    values = np.random.default_rng(0).normal(size=(40, 6))
    values[1] = values[0]
    sigma = np.linspace(0.5, 1.5, 40)
    loadings = loadings_of_features(values, sigma)
    covariance = loadings @ loadings.T
    np.testing.assert_allclose(np.diag(covariance), sigma**2, rtol=1e-9)
    assert covariance[0, 1] == pytest.approx(sigma[0] * sigma[1])
    assert abs(covariance[0, 2:]).max() < sigma[0] * sigma.max() * 0.9
    with pytest.raises(ModelError, match="at most"):
        loadings_of_features(np.zeros((5001, 1)), np.ones(5001))


def families_of_twins(families: int = 6, twins: int = 4) -> Prospects:
    """Candidates in families that share their errors; the best family has the highest means."""
    count = families * twins
    family = np.repeat(np.arange(families), twins)
    loadings = 0.98 * np.eye(families)[family]
    mean = 2.0 - 0.05 * np.arange(count)
    target = TargetOutlook(mean, np.ones(count), lower=2.5, loadings=loadings)
    return Prospects(np.array([f"c{at:03d}" for at in range(count)]), (target,))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if not STRATEGIES[name].draws])
def test_batch_takes_one_of_each_family_of_twins(name: str) -> None:
    chosen = choose_batch(families_of_twins(), STRATEGIES[name], 4)
    assert len({choice.row // 4 for choice in chosen}) == 4
    assert chosen[0].row == 0
    assert chosen[0].rank_alone == 1


def test_failure_is_imagined_as_often_as_models_expect_it() -> None:
    random = np.random.default_rng(0)
    mean, sigma = np.array([1.0, 0.4]), np.array([0.5, 0.8])
    targets = (TargetOutlook(mean[:1], sigma[:1], lower=0.8), TargetOutlook(mean[1:], sigma[1:], -0.5, 0.9))
    drawn = mean + sigma * random.standard_normal((400_000, 2))
    met = (drawn[:, 0] >= 0.8) & (drawn[:, 1] >= -0.5) & (drawn[:, 1] <= 0.9)
    imagined = Prospects(np.array(["a"]), targets).imagined(0, "failure")
    found = [float(target.mean[0]) for target in imagined.targets]
    assert found == pytest.approx(drawn[~met].mean(axis=0).tolist(), abs=5e-3)


def test_batch_does_not_depend_on_the_order_of_candidates() -> None:
    prospects = families_of_twins()
    shuffled = prospects.take(np.random.default_rng(3).permutation(len(prospects)))
    for strategy in STRATEGIES.values():
        if strategy.draws:
            continue
        first, second = (choose_batch(one, strategy, 6, explored=0.34) for one in (prospects, shuffled))
        named = [[of.ids[choice.row] for choice in batch] for of, batch in ((prospects, first), (shuffled, second))]
        assert named[0] == named[1]
        assert [choice.purpose for choice in first] == ["exploit"] * 4 + ["explore"] * 2


def test_thompson_draws_by_the_seed() -> None:
    prospects = families_of_twins()
    batches = [[choice.row for choice in choose_batch(prospects, STRATEGIES["thompson"], 5, seed=s)] for s in (0, 0, 1)]
    assert batches[0] == batches[1] != batches[2]
    assert len(set(batches[0])) == 5


def test_calibrated_probability_orders_and_rows_without_prediction_are_left_out() -> None:
    prospects = families_of_twins()
    mean = prospects.targets[0].mean.copy()
    mean[0] = np.nan
    prospects = replace(
        prospects, targets=(replace(prospects.targets[0], mean=mean),), probability=np.linspace(0.1, 0.9, 24)
    )
    chosen = choose_batch(prospects, STRATEGIES["probability"], 50)
    assert chosen[0].row == 23
    assert sorted(choice.row for choice in chosen) == list(range(1, 24))


def test_faults_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="thompson"):
        strategy_named("tompson")
    with pytest.raises(ModelError, match="share"):
        choose_batch(families_of_twins(), STRATEGIES["probability"], 4, explored=1.5)


def test_best_of_a_pool_are_among_the_best_of_its_parts() -> None:
    random = np.random.default_rng(0)
    values, ids = np.round(random.random(200), 2), np.array([f"{at:04d}" for at in random.permutation(200)])
    whole = ids[most_promising(values, ids, 20)]
    parts = np.concatenate(
        [part[most_promising(values[part], ids[part], 20)] for part in np.array_split(np.arange(200), 7)]
    )
    assert ids[parts][most_promising(values[parts], ids[parts], 20)].tolist() == whole.tolist()
