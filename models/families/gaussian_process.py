"""An exact Gaussian process for small training sets (Rasmussen and Williams, Gaussian Processes, MIT Press (2006))."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import ModelError
from matloop.models.families.array_ensemble import ArrayEnsemble
from matloop.models.families.inputs import Scaling, filled_up, in_blocks, slope_shares
from matloop.models.families.row_weights import relative_weights

_FEWEST_ROWS = 5
_VARIANCE_KEPT = 0.99
_SLOPE_ROWS = 300
_SIGNAL, _NOISE, _LENGTH = (
    (0.05, 20.0),
    (1e-4, 1.0),
    (0.05, 100.0),
)  # bounds; variances are in units of that of the target


class _Solved(NamedTuple):
    """Solution for training rows and kernel: K^-1 y, shape (n,), and K^-1, shape (n, n)."""

    weights: NDArray[np.float64]
    precision: NDArray[np.float64]


class GaussianProcess(ArrayEnsemble):
    """A Gaussian process with a Matérn-5/2 kernel over the principal components of the scaled features.

    Features are clipped to the bulk of their training values and standardised. The components that hold 99 % of their
    variance are used, at most ``components``, each with its own length scale. Length scales, signal and noise maximise
    the marginal likelihood, with a log-normal prior of width e on each length scale. They are found in at most
    ``rounds`` steps from ``tuning_rows`` of the rows.

    The cost grows with the cube of the rows. If there are more than ``rows``, that many are drawn and the others are
    not used. The spread is the deviation of a new measurement, including noise. The importance of a feature is its
    share in the mean absolute slope of the prediction along standardised features. The file does not store the inverse
    matrix, which is computed when the file is read.

    Where rows have weights, the noise of a row is that of a row of mean weight over its weight.

    Args:
        rows: Largest number of training rows used.
        components: Largest number of principal components.
        tuning_rows: Number of rows from which length scales are found.
        rounds: Largest number of steps of the optimiser.
        seed: Seed of the draw of rows; it has no effect if all rows are used.
    """

    family: ClassVar[str] = "gaussian_process"
    file: ClassVar[str] = "gaussian_process.npz"
    cost: ClassVar[float] = 1

    def __init__(
        self, *, rows: int = 2000, components: int = 80, tuning_rows: int = 500, rounds: int = 40, seed: int = 0
    ) -> None:
        super().__init__(rows=rows, components=components, tuning_rows=tuning_rows, rounds=rounds, seed=seed)
        self._solved: _Solved | None = None

    def fit(
        self,
        values: NDArray[np.float64],
        target: NDArray[np.float64],
        *,
        groups: NDArray[np.integer] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> Self:
        """Condition on finite features (n, k) and targets (n,). Groups are ignored.

        Raises:
            ModelError: If there are fewer than five rows.
        """
        if len(target) < _FEWEST_ROWS:
            raise ModelError(f"{len(target)} training rows", f"at least {_FEWEST_ROWS}")
        p = self.parameters
        drawn = np.random.default_rng(p["seed"]).permutation(len(target))[: p["rows"]]
        tuning, drawn = np.sort(drawn[: p["tuning_rows"]]), np.sort(drawn)
        scaling = Scaling.fit(values[drawn])
        scaled = scaling.apply(values)
        axes = _principal_axes(scaled[drawn], p["components"])
        level = np.array([target[drawn].mean(), target[drawn].std() or 1.0])
        standard = (target - level[0]) / level[1]
        relative = relative_weights(weights, len(target))
        noise = np.ones(len(target)) if relative is None else 1 / relative
        lengths, variances = _most_likely(scaled[tuning] @ axes, standard[tuning], noise[tuning], p["rounds"])
        axes = axes / lengths
        self._arrays = {
            **scaling.arrays(), "axes": axes, "points": scaled[drawn] @ axes, "target": standard[drawn],
            "variances": variances, "level": level,
        }  # fmt: skip
        if relative is not None:
            self._arrays["noise"] = noise[drawn]
        self._solved = None
        rows = scaled[drawn][:: -(-len(drawn) // _SLOPE_ROWS)]
        self._arrays["importances"] = slope_shares(self._slopes(rows))
        return self

    def predict(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict mean and standard deviation of the predictive distribution, each (n,)."""
        a, solved = self._fitted(), self._solution()
        scaling, (centre, deviation) = Scaling.from_arrays(a), a["level"]
        signal, noise = a["variances"]
        axes, precision = filled_up(a["axes"]), filled_up(solved.precision)
        count, components = a["points"].shape

        def evaluate(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            along = (scaling.apply(rows) @ axes)[:, :components]
            covariance = signal * _matern(_distances(along, a["points"]))
            explained = ((covariance @ precision)[:, :count] * covariance).sum(axis=1)
            variance = np.maximum(signal - explained, 0.0) + noise
            return np.column_stack([centre + deviation * (covariance @ solved.weights), deviation * np.sqrt(variance)])

        return in_blocks(evaluate, values)

    def _check(self) -> None:
        self._solution()

    def _solution(self) -> _Solved:
        from scipy.linalg import cho_factor, cho_solve

        if self._solved is None:
            a = self._fitted()
            signal, noise = a["variances"]
            covariance = signal * _matern(_distances(a["points"], a["points"]))
            covariance[np.diag_indices_from(covariance)] += noise * a.get("noise", 1.0)
            factor = cho_factor(covariance, lower=True)
            self._solved = _Solved(cho_solve(factor, a["target"]), cho_solve(factor, np.eye(len(covariance))))
        return self._solved

    def _slopes(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute slopes of the mean along the scaled features at some rows (r, k), shape (r, k)."""
        a = self._fitted()
        points = scaled @ a["axes"]
        pull = a["variances"][0] * _matern_slope(_distances(points, a["points"])) * self._solution().weights
        return (pull @ a["points"] - points * pull.sum(axis=1)[:, None]) @ a["axes"].T


def _principal_axes(scaled: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Find the axes (k, c) of largest variance, scaled so that rows have a total variance of 1 along them."""
    variances, axes = np.linalg.eigh(np.cov(scaled, rowvar=False, ddof=0).reshape(scaled.shape[1], -1))
    variances, axes = variances[::-1], axes[:, ::-1]
    kept = 1 + int(np.searchsorted(np.cumsum(variances), _VARIANCE_KEPT * variances.sum()))
    return axes[:, : min(kept, most)] / np.sqrt(max(variances.sum(), 1e-300))


def _most_likely(
    points: NDArray[np.float64], target: NDArray[np.float64], noise: NDArray[np.float64], rounds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find length scales (c,) and variances of signal and noise (2,) of the largest marginal likelihood.

    ``noise`` holds the variance of the noise of each row in units of that of a row of mean weight, shape (n,).
    """
    from scipy.optimize import minimize

    start = np.log([*np.ones(points.shape[1]), 1.0, 0.1])
    bounds = np.log([*[_LENGTH] * points.shape[1], _SIGNAL, _NOISE])
    found = minimize(
        _misfit, start, (points, target, noise), method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": rounds}
    )
    best = np.exp(found.x)
    return best[:-2], best[-2:]


def _misfit(
    logarithms: NDArray[np.float64],
    points: NDArray[np.float64],
    target: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Negative log marginal likelihood and prior (Rasmussen and Williams, eqs. 5.8 and 5.9), and its gradient.

    The variance of the noise of a row is that of all times the share of the row.
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    lengths, (signal, noise) = np.exp(logarithms[:-2]), np.exp(logarithms[-2:])
    along = points / lengths
    distances = _distances(along, along)
    kernel = signal * _matern(distances)
    try:
        factor = cho_factor(kernel + noise * np.diag(shares), lower=True)
    except LinAlgError:
        return np.inf, np.zeros_like(logarithms)
    weights, precision = cho_solve(factor, target), cho_solve(factor, np.eye(len(target)))
    misfit = 0.5 * target @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * (logarithms[:-2] ** 2).sum()
    inner = precision - np.outer(weights, weights)
    pull = inner * signal * _matern_slope(distances)
    by_length = (along**2 * pull.sum(axis=1)[:, None]).sum(axis=0) - (along * (pull @ along)).sum(axis=0)
    gradient = [*(by_length + logarithms[:-2]), 0.5 * (inner * kernel).sum(), 0.5 * noise * np.trace(inner * shares)]
    return float(misfit), np.array(gradient)


def _distances(rows: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return cdist(rows, points)


def _matern(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matérn kernel of order 5/2 (eq. 4.17)."""
    scaled = np.sqrt(5) * distances
    return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)


def _matern_slope(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slope of the kernel divided by minus the distance."""
    scaled = np.sqrt(5) * distances
    return 5 / 3 * (1 + scaled) * np.exp(-scaled)
