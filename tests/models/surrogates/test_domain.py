import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from matloop.models.surrogates.domain import Domain


def drawn(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 8)) * np.arange(1, 9) + 100


TRAINING = drawn(600, 4)
IMPORTANCES = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.0])
GROUPS = np.arange(600) // 2


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.fit(TRAINING, IMPORTANCES, GROUPS)


def weighted(values: np.ndarray) -> np.ndarray:
    return (values - TRAINING.mean(0)) / TRAINING.std(0) * np.sqrt(IMPORTANCES)


def test_distance_is_the_mean_to_the_five_nearest_training_rows(domain: Domain) -> None:
    rows = drawn(100, 5)
    nearest = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(weighted(TRAINING))
    expected = nearest.kneighbors(weighted(rows))[0].mean(axis=1)
    np.testing.assert_allclose(domain.distances(rows), expected, rtol=1e-5)


@pytest.mark.parametrize("groups", [GROUPS, np.minimum(np.arange(600), 9)], ids=["pairs", "nine and the rest"])
def test_limit_is_the_95th_percentile_to_rows_of_other_groups(groups: np.ndarray) -> None:
    points = weighted(TRAINING)
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    apart[groups[:, None] == groups] = np.inf
    means = np.sort(apart, axis=1)[:, :5].mean(axis=1)
    limit = Domain.fit(TRAINING, IMPORTANCES, groups).limit
    assert limit == pytest.approx(np.quantile(means, 0.95), rel=1e-5)


def test_copies_of_one_formula_do_not_shrink_the_domain(domain: Domain) -> None:
    tenfold = Domain.fit(np.repeat(TRAINING, 10, axis=0), IMPORTANCES, np.repeat(GROUPS, 10))
    assert tenfold.limit > 0.5 * domain.limit
    careless = Domain.fit(np.repeat(TRAINING, 10, axis=0), IMPORTANCES, np.arange(6000))
    assert careless.limit < 1e-3


def test_like_rows_are_inside_and_far_rows_outside(domain: Domain) -> None:
    fresh = drawn(2000, 6)
    assert (domain.distances(fresh) <= domain.limit).mean() == pytest.approx(0.95, abs=0.03)
    far = fresh.copy()
    far[:, 0] += 10
    assert (domain.distances(far) > domain.limit).all()


def test_features_the_model_does_not_use_do_not_count(domain: Domain) -> None:
    rows = TRAINING[:20].copy()
    rows[:, 7] += 1e6
    np.testing.assert_array_equal(domain.distances(rows), domain.distances(TRAINING[:20]))


def test_constant_feature_is_no_obstacle() -> None:
    values = np.column_stack([TRAINING, np.full(600, 3.0)])
    domain = Domain.fit(values, np.append(IMPORTANCES, 0.0), GROUPS)
    assert np.isfinite(domain.limit)
    assert np.isfinite(domain.distances(values)).all()


@pytest.mark.parametrize("size", [1, 7, 599])
def test_distance_does_not_depend_on_the_batch(domain: Domain, size: int) -> None:
    rows = np.concatenate([TRAINING[:300], TRAINING[:300] + 0.3])
    parts = [domain.distances(rows[start : start + size]) for start in range(0, len(rows), size)]
    np.testing.assert_array_equal(np.concatenate(parts), domain.distances(rows))


def test_features_beyond_their_range_lead_outside_by_importance(domain: Domain) -> None:
    rows = np.tile(TRAINING.mean(0), (4, 1))
    rows[1, 7] += 1e6  # of no importance
    rows[2, 6] = TRAINING[:, 6].max() * 1.01  # 5 %
    rows[3, [5, 6]] = TRAINING[:, [5, 6]].min(axis=0) - 1.0
    np.testing.assert_allclose(domain.extrapolated(rows), [0.0, 0.0, 0.05, 0.1])
    assert domain.contains(rows, np.zeros(4)).tolist() == [True, True, False, False]
    assert not domain.contains(rows, np.full(4, 1.01 * domain.limit)).any()
    assert not domain.extrapolated(TRAINING).any()


def test_own_distances_are_those_the_limit_is_drawn_from(domain: Domain) -> None:
    assert np.quantile(domain.own, 0.95) == domain.limit
    assert (domain.own > domain.distances(TRAINING)).all()  # the row itself and its formula do not count
