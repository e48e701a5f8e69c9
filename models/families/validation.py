"""Check that an ensemble family keeps its contract. Authors of new families can run the check."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.contract import Ensemble
from matloop.models.families.row_weights import takes_weights


def validate_ensemble(
    make: Callable[[], Ensemble], *, sample: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
) -> None:
    """Hold a family to its contract on a small regression.

    Checked: shapes and types, spread not negative, same seed gives the same numbers, each row is predicted on its own
    (batch size does not matter), features are left as they were, it learns (error below that of the mean), it survives
    being saved and loaded, contributions add up to the prediction, what it says of its cost and of a small relative can
    be used, and equal weights of rows give the same numbers as none where it takes weights.

    Args:
        make: Makes an unfitted ensemble; called several times.
        sample: Features (200, k) and targets (200,) that it can learn, for a family that does not take any features;
            synthetic where left out.

    Raises:
        ModelError: Naming the first clause that is broken.
    """
    values, target = sample or _synthetic()
    before = values.copy()
    train, test = values[:150], values[150:]
    ensemble = make().fit(train, target[:150])
    mean, spread = ensemble.predict(test)
    _require(mean.shape == spread.shape == (50,), f"predict gives shapes {mean.shape} and {spread.shape}, not (50,)")
    _require(mean.dtype == spread.dtype == np.float64, "predict gives another type than float64")
    _require(bool(np.isfinite(mean).all() and np.isfinite(spread).all()), "a finite row gets a non-finite prediction")
    _require(bool((spread >= 0).all()), "a spread is negative")
    again, _ = make().fit(train, target[:150]).predict(test)
    _require(np.array_equal(mean, again), "the same seed gives different numbers")
    one, _ = ensemble.predict(test[:1])
    _require(bool(np.isclose(one[0], mean[0], rtol=1e-12)), "a row alone is predicted differently than in a batch")
    _require(
        float(np.abs(mean - target[150:]).mean()) < float(np.abs(target[150:] - target[:150].mean()).mean()),
        "it predicts no better than the mean of the training rows",
    )
    _require(np.array_equal(before, values), "it changes the features it is handed")
    importances = ensemble.importances()
    width = values.shape[1]
    _require(importances.shape == (width,) and bool(np.isclose(importances.sum(), 1)), "importances do not sum to 1")
    with tempfile.TemporaryDirectory() as folder:
        ensemble.save(Path(folder))
        loaded, _ = type(ensemble).load(Path(folder)).predict(test)
    _require(bool(np.allclose(loaded, mean, rtol=1e-9)), "it predicts differently after being saved and loaded")
    _check_hooks(ensemble, test, train, mean)
    if takes_weights(type(ensemble)):
        equal = make().fit(train, target[:150], weights=np.full(150, 2.5))
        _require(np.array_equal(mean, equal.predict(test)[0]), "equal weights of rows give other numbers than none")


def _check_hooks(
    ensemble: Ensemble, test: NDArray[np.float64], train: NDArray[np.float64], mean: NDArray[np.float64]
) -> None:
    """What a fitted family says of itself: contributions, members, cost, and settings of a small relative."""
    parts = ensemble.contributions(test, train)
    if parts is not None:
        _require(parts.values.shape == test.shape, f"contributions have shape {parts.values.shape}, not {test.shape}")
        total = parts.base + parts.values.sum(axis=1)
        _require(bool(np.allclose(total, mean, rtol=1e-6)), "contributions do not add up to the prediction")
        _require(bool(parts.method), "contributions do not say how they were computed")
    members = ensemble.member_predictions(test)
    if members is not None:
        agrees = len(members) == len(test) and np.allclose(members.mean(axis=1), mean, rtol=1e-5, atol=1e-5)
        _require(bool(agrees), "the mean over the members is not the prediction")
    _require(ensemble.cost > 0, f"the cost is {ensemble.cost}, not above zero")
    settings = ensemble.small(ensemble.parameters)
    if settings is not None:
        try:
            type(ensemble)(**settings)
        except TypeError as error:
            _require(held=False, clause=f"settings of its small relative are not accepted: {error}")


def _synthetic() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.default_rng(7)
    values = random.normal(size=(200, 6))
    return values, values[:, 0] * 2 + np.abs(values[:, 1]) + 0.05 * random.normal(size=200)


def _require(held: bool, clause: str) -> None:
    if not held:
        raise ModelError(f"the ensemble breaks its contract: {clause}", "see matloop.models.families.contract.Ensemble")
