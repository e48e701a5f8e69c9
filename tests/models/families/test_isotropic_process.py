"""The Gaussian process of replayed loops: the equations of the textbook, and what it can learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from matloop.models.families.isotropic_process import LENGTHS, NOISES, IsotropicProcess, scaled_features

RANDOM = np.random.default_rng(0)
ROWS = scaled_features(RANDOM.normal(size=(60, 4))).astype(float)
TARGETS = np.sin(2 * ROWS[:, 0]) + ROWS[:, 1] + RANDOM.normal(0, 0.1, 60)
FITTED = IsotropicProcess.fit(ROWS[:40], TARGETS[:40])


def peer(rows: NDArray[np.float64], targets: NDArray[np.float64], length: float, noise: float, amplitude: float) -> (
    GaussianProcessRegressor
):  # fmt: skip
    kernel = ConstantKernel(amplitude) * RBF(length) + WhiteKernel(amplitude * noise)
    return GaussianProcessRegressor(kernel, optimizer=None, alpha=0).fit(rows, targets)


def noise_of(process: IsotropicProcess) -> float:
    (found,) = [noise for noise in NOISES if np.isclose(process.spectrum.sum(), 40 * (1 + noise), rtol=1e-6)]
    return found


def test_means_and_spreads_are_those_of_scikit_learn() -> None:
    noise = noise_of(FITTED)
    other = peer(ROWS[:40], TARGETS[:40] - FITTED.center, FITTED.length, noise, FITTED.amplitude)
    mean, spread = FITTED.predict(ROWS[40:])
    expected, with_noise = other.predict(ROWS[40:], return_std=True)
    assert mean == pytest.approx(expected + FITTED.center, abs=1e-6)
    assert spread**2 == pytest.approx(with_noise**2 - FITTED.amplitude * noise, abs=1e-6)


def test_no_setting_of_the_grid_has_more_evidence() -> None:
    def evidence(length: float, noise: float, amplitude: float) -> float:
        found = peer(ROWS[:40], TARGETS[:40] - FITTED.center, length, noise, amplitude).log_marginal_likelihood_value_
        return float(found)

    best = evidence(FITTED.length, noise_of(FITTED), FITTED.amplitude)
    for length in LENGTHS:
        for noise in NOISES:
            for factor in (0.5, 1.0, 2.0):
                assert evidence(length, noise, factor * FITTED.amplitude) <= best + 1e-6
