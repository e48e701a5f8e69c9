import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.models.acquisition.hypervolume import (
    expected_hypervolume_improvement,
    hypervolume,
    pareto_front,
    thinned,
    undominated_boxes,
)
from matloop.models.acquisition.outlook import TargetOutlook


def by_inclusion_and_exclusion(points: np.ndarray) -> float:
    """Volume of a union of boxes that start at zero."""
    return float(
        sum(
            (-1) ** (size + 1) * np.prod(np.min(chosen, axis=0))
            for size in range(1, len(points) + 1)
            for chosen in itertools.combinations(points, size)
        )
    )


fronts = st.integers(1, 4).flatmap(
    lambda d: st.lists(st.lists(st.floats(-1, 3), min_size=d, max_size=d), min_size=1, max_size=6).map(np.array)
)


@given(fronts)
@settings(max_examples=80, deadline=None)
def test_volume_agrees_with_inclusion_and_exclusion(points: np.ndarray) -> None:
    above = points[(points > 0).all(axis=1)]
    assert hypervolume(points) == pytest.approx(by_inclusion_and_exclusion(above), abs=1e-9)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_expected_gain_agrees_with_brute_force(dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    front = random.uniform(0.2, 2.0, (5, dimensions))
    mean, sigma = random.uniform(0.5, 1.5, (3, dimensions)), random.uniform(0.2, 0.8, (3, dimensions))
    targets = [TargetOutlook(mean[:, at], sigma[:, at], lower=0.0) for at in range(dimensions)]
    side, draws = 5.0, 400_000
    anywhere = random.uniform(0, side, (draws, dimensions))
    is_new = ~(anywhere[:, None] <= front).all(axis=2).any(axis=1)
    found = expected_hypervolume_improvement(targets, front)
    for at in range(3):
        truth = mean[at] + sigma[at] * random.standard_normal((draws, dimensions))
        gains = side**dimensions * (is_new & (anywhere <= truth).all(axis=1))
        assert abs(found[at] - gains.mean()) < 4 * gains.std() / np.sqrt(draws)


def test_gain_of_one_target_is_expected_improvement() -> None:
    target = TargetOutlook(np.array([0.0, 1.0]), np.array([1.0, 0.5]), lower=-1.0)
    found = expected_hypervolume_improvement([target], np.array([[0.7]]))
    np.testing.assert_allclose(found, target.expected_excess(0.7))


def test_large_front_is_thinned_and_keeps_most_of_its_volume() -> None:
    angles = np.linspace(0.05, np.pi / 2 - 0.05, 12)
    front = pareto_front(np.array([[np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]
                                   for a in angles for b in angles]))  # fmt: skip
    kept = thinned(front)
    assert len(kept) < len(front)
    assert hypervolume(kept) > 0.99 * hypervolume(front)
    assert len(undominated_boxes(kept)[0]) < 20_000
