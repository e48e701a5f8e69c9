"""``matloop bench calibration``: do the intervals contain the truth as often as they promise, and where?

Formulas are split at random; a surrogate trained on one part predicts the other. Coverage is counted overall, among the
20 best predictions and the best 5 % (with plain and with selection-conditional intervals), and by distance to the
training data. A good spread is wide where errors are large; the rank correlation of interval width and error, and bins
of equal spread, measure this. The probability integral transform shows the position of the truth in the predictive
distribution; it is uniform for calibrated distributions (Gneiting, Balabdaoui and Raftery, J. R. Stat. Soc. B 69, 243
(2007)).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError
from matloop.models.surrogates.prediction import Prediction, forward
from matloop.models.surrogates.selection import Best, selection_conditional
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import COVERAGE_LEVELS
from matloop.workflows.bench.labelled import ModelChoice, ReplayData
from matloop.workflows.bench.seeds import grouped_split, over_seeds

LEVEL = 0.9
SHORTLIST, BEST_SHARE = 20, 0.05
DISTANCES = (0.5, 0.8, 0.95)  # shares of the training rows that the bins of distance end at
DISTANCE_BINS = ("nearer half", "up to 80 %", "up to 95 %", "farther")
SPREAD_BINS = 10


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of a test of intervals.

    Attributes:
        direction: ``max`` or ``min``: whether the best predictions are the highest or the lowest.
        splits: Number of random splits, seeds 0, 1, ...
        held_out: Share of the rows that is predicted.
        model: Model that is trained.
    """

    direction: str = "max"
    splits: int = 10
    held_out: float = 0.35
    model: ModelChoice = field(default_factory=ModelChoice)

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            MatloopError: If a setting is out of its range.
        """
        if self.direction not in ("max", "min"):
            raise MatloopError(f"--direction {self.direction}", "max or min")
        if self.splits < 1:
            raise MatloopError(f"--splits {self.splits}", "at least 1")
        if not 0 < self.held_out < 1:
            raise MatloopError(f"--held-out {self.held_out}", "a share between 0 and 1")


class Held(NamedTuple):
    """Held-out rows of one split that were predicted, all of shape (n,).

    Attributes:
        error: Absolute error in the unit of the property.
        sigma: Half the width of the 68.3 % interval.
        width: Width of the 90 % interval.
        inside: Whether it holds the truth.
        position: Probability that the predictive distribution gives to values up to the truth.
        distance_bin: Index into ``DISTANCE_BINS``.
        in_domain: Whether it is inside the applicability domain.
    """

    error: NDArray[np.float64]
    sigma: NDArray[np.float64]
    width: NDArray[np.float64]
    inside: NDArray[np.bool_]
    position: NDArray[np.float64]
    distance_bin: NDArray[np.int64]
    in_domain: NDArray[np.bool_]


class SplitResult(NamedTuple):
    """Results of one split.

    Attributes:
        seed: The seed.
        trained: Rows trained on.
        not_predicted: Held-out rows without a prediction, such as those with a new element.
        held: The others.
        figures: Coverage, widths, errors and correlations by name.
        by_distance: Rows, coverage, width and error in each of ``DISTANCE_BINS``, and inside and outside the domain.
        curve: Share of the truths in the central intervals of ``COVERAGE_LEVELS``.
        seconds: Wall time.
    """

    seed: int
    trained: int
    not_predicted: int
    held: Held
    figures: dict[str, float]
    by_distance: dict[str, dict[str, float]]
    curve: NDArray[np.float64]
    seconds: float


class CalibrationRun(NamedTuple):
    """A finished benchmark: data, settings, the result of each split, and the wall time of everything."""

    data: ReplayData
    settings: CalibrationSettings
    splits: list[SplitResult]
    seconds: float


class SpreadBin(NamedTuple):
    """Rows of similar spread: their number, mean sigma, root mean square error and coverage."""

    rows: int
    sigma: float
    rmse: float
    coverage: float


def run_calibration(data: ReplayData, settings: CalibrationSettings, *, workers: int = 1) -> CalibrationRun:
    """Test all splits.

    Raises:
        InputFileError: If logarithms are asked for and a label is not positive.
        ModelError: If a split leaves too few rows to train on, or none that can be predicted.
    """
    start = time.perf_counter()
    settings.model.check(data)
    splits = over_seeds(examine_split, data, settings, seeds=settings.splits, workers=workers)
    return CalibrationRun(data, settings, splits, data.seconds + time.perf_counter() - start)


def examine_split(data: ReplayData, settings: CalibrationSettings, seed: int) -> SplitResult:
    """Train on one part of the formulas and predict the other."""
    start = time.perf_counter()
    train, others = grouped_split(data.groups, 1 - settings.held_out, seed=seed)
    surrogate = settings.model.fit(data, train, seed=seed)
    predictable = surrogate.predict(data.features.take(others)).codes == ""
    rows = others[predictable]
    if len(rows) == 0:
        raise MatloopError(
            f"none of {len(others)} held-out rows can be predicted", "rows of elements that occur in the others too"
        )
    prediction, truth = surrogate.predict(data.features.take(rows)), data.target[rows]
    held = _held(surrogate, prediction, data.features.values[rows], truth)
    figures = {
        "coverage": float(held.inside.mean()),
        "width": float(held.width.mean()),
        "mean absolute error": float(held.error.mean()),
        "rank correlation of width and error": _rank_correlation(held.width, held.error),
    }
    sign = 1 if settings.direction == "max" else -1
    for name, count in best_counts(len(rows)).items():
        figures.update(_of_the_best(surrogate, prediction, data.target[train], truth, (name, count, sign)))
    central = 2 * np.abs(held.position - 0.5)  # smallest central interval that holds the truth
    curve = np.array([(central <= level).mean() for level in COVERAGE_LEVELS])
    seconds = time.perf_counter() - start
    return SplitResult(
        seed, len(train), int((~predictable).sum()), held, figures, _by_distance(held), curve, seconds
    )  # fmt: skip


def best_counts(rows: int) -> dict[str, int]:
    """Return how many of the held-out rows count as the best, by name.

    >>> best_counts(387)
    {'top 20': 20, 'top 5 %': 19}
    """
    return {f"top {SHORTLIST}": min(SHORTLIST, rows), f"top {BEST_SHARE:.0%}".replace("%", " %"): max(
        round(BEST_SHARE * rows), 1
    )}  # fmt: skip


def spread_bins(sigma: NDArray[np.float64], error: NDArray[np.float64], inside: NDArray[np.bool_]) -> list[SpreadBin]:
    """Divide rows into ten bins of equal number, from small to large sigma; arguments of shape (n,)."""
    parts = np.array_split(np.argsort(sigma, kind="stable"), min(SPREAD_BINS, len(sigma)))
    return [
        SpreadBin(len(p), float(sigma[p].mean()), float(np.sqrt((error[p] ** 2).mean())), float(inside[p].mean()))
        for p in parts
    ]


def _held(
    surrogate: Surrogate, prediction: Prediction, values: NDArray[np.float64], truth: NDArray[np.float64]
) -> Held:
    low, high = prediction.interval(LEVEL)
    standardised = (forward(truth, prediction.transform) - prediction.centre) / prediction.scale
    edges = np.quantile(surrogate.domain.own, DISTANCES)
    return Held(
        np.abs(prediction.median - truth), prediction.sigma, high - low, (low <= truth) & (truth <= high),
        prediction.calibration.cumulative(standardised, prediction.bins),
        np.searchsorted(edges, surrogate.domain.distances(values)), prediction.in_domain,
    )  # fmt: skip


def _of_the_best(
    surrogate: Surrogate,
    prediction: Prediction,
    known: NDArray[np.float64],
    truth: NDArray[np.float64],
    best: tuple[str, int, int],
) -> dict[str, float]:
    """Compute coverage and width among the best predictions, plain and selection-conditional."""
    name, count, sign = best
    # The scale of the model has no bounds that would make predictions equal.
    new, rule = surrogate.out_of_fold_prediction(), Best(count)
    scores = sign * prediction.centre
    errors = selection_conditional(new.relative_error(known), sign * new.centre, scores, rule, level=LEVEL)
    chosen = rule.selected(scores)
    found = {}
    for kind, (low, high) in {
        "plain": prediction.interval(LEVEL),
        "selection-conditional": prediction.interval_of_errors(errors.lower, errors.upper),
    }.items():
        found[f"coverage, {name}, {kind}"] = float(((low <= truth) & (truth <= high))[chosen].mean())
        found[f"width, {name}, {kind}"] = float((high - low)[chosen].mean())
    return found


def _by_distance(held: Held) -> dict[str, dict[str, float]]:
    masks = {name: held.distance_bin == number for number, name in enumerate(DISTANCE_BINS)}
    masks |= {"inside the domain": held.in_domain, "outside the domain": ~held.in_domain}
    return {name: _figures_of(held, mask) for name, mask in masks.items()}


def _figures_of(held: Held, mask: NDArray[np.bool_]) -> dict[str, float]:
    columns = {"coverage": held.inside, "width": held.width, "mean absolute error": held.error}
    means = {name: float(values[mask].mean()) if mask.any() else np.nan for name, values in columns.items()}
    return {"rows": int(mask.sum()), **means}


def _rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    from scipy.stats import spearmanr

    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    return float(spearmanr(one, other).statistic)
