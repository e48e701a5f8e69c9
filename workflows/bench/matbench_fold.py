"""One fold of a Matbench task: choose a family within its training rows, train, and predict the rows held out.

A fold sees its own training rows only. Scale of the target and family are chosen by grouped out-of-fold predictions
within them, and so is the probability from which on a classification says yes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError, ModelError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.definition import Transform
from matloop.data.registry import lookup
from matloop.models.families.contract import Ensemble
from matloop.models.families.making import make_ensemble, settings_by_name
from matloop.models.registry import MODELS
from matloop.models.surrogates.classification import Classifier, calibration_error, cross_fitted
from matloop.models.surrogates.family_candidates import Candidate
from matloop.models.surrogates.prediction import backward, forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import out_of_fold
from matloop.workflows.bench.matbench_tasks import MatbenchTask

LEVEL = 0.9
HALF = 0.5
ROWS_WITHIN_TIME = 1500
"""Most rows to compare families on where there is a budget; the chosen one is trained on all."""
_FITTING = 1.6  # time of fitting a surrogate to the rows that families are compared on, by that of the comparison
_COMPARING = 0.5  # share of the time of a fold; the rest is for the fit of the chosen family
OUT_OF_BUDGET = "out of budget"
Result = TypeVar("Result")


@dataclass(frozen=True)
class FoldTask:
    """Everything a worker needs to train and test one fold.

    Attributes:
        task: The task.
        features: Features of all rows; a row that gave no candidate has a code.
        target: Target of all rows as the file has it, shape (n,).
        groups: Formula group of each row, shape (n,).
        candidates: Model families to choose from.
        seed: Seed of the models.
        seconds: Time for choosing and training in one fold; None without a limit.
    """

    task: MatbenchTask
    features: FeatureMatrix
    target: NDArray[np.float64]
    groups: NDArray[np.int64]
    candidates: tuple[Candidate, ...]
    seed: int
    seconds: float | None = None


class FoldResult(NamedTuple):
    """Results of a fold.

    Attributes:
        rows: Rows that were held out.
        columns: ``prediction`` (probability of yes in a classification), ``lo`` and ``hi`` in a regression in the unit
            of the task, and ``answer`` (1 for yes) in a classification, each of shape (len(rows),).
        scores: Of the held-out rows.
        trivial: Scores of the trivial rival: the mean of the training targets, or always yes.
        chosen: The choice, and the out-of-fold errors on which it rests.
        rows_without_features: Held-out rows that got the middle of the training targets.
        seconds: Wall time.
    """

    rows: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    scores: dict[str, float]
    trivial: dict[str, float]
    chosen: dict[str, Any]
    rows_without_features: int
    seconds: float

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Restore from the plain JSON values of its fields."""
        columns = {name: np.array(values, float) for name, values in content["columns"].items()}
        return cls(**{**content, "rows": np.array(content["rows"], np.int64), "columns": columns})


def run_fold(task: FoldTask, train: NDArray[np.int64], held_out: NDArray[np.int64]) -> FoldResult:
    """Train on one part of the rows and predict the other."""
    start = time.perf_counter()
    good = np.flatnonzero(task.features.codes[held_out] == "")
    answer = _classified if task.task.is_classification else _regressed
    columns, chosen = answer(task, train, held_out, good)
    target = task.target[held_out]
    scores = class_scores(target, columns) if task.task.is_classification else value_scores(target, columns)
    return FoldResult(
        held_out, columns, scores, trivial_scores(task.task, task.target[train], target), chosen,
        len(held_out) - len(good), time.perf_counter() - start,
    )  # fmt: skip


class Judged(NamedTuple, Generic[Result]):
    """A candidate that was compared with others.

    Attributes:
        candidate: The candidate.
        result: What was found.
        seconds: Time that it took.
    """

    candidate: Candidate
    result: Result
    seconds: float


class _Clock:
    """Tells whether another family fits into the time for comparing them.

    How long a family takes is estimated from the slowest one so far by what families cost; see
    :class:`~matloop.models.families.contract.Ensemble`.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = np.inf if seconds is None else time.perf_counter() + _COMPARING * seconds
        self._per_cost = 0.0

    def is_too_late(self, cost: float) -> bool:
        return time.perf_counter() + self._per_cost * cost > self._end

    def note(self, cost: float, seconds: float) -> None:
        self._per_cost = max(self._per_cost, seconds / cost)


def compare(
    candidates: Sequence[Candidate], judge: Callable[[Candidate], Result], *, seconds: float | None
) -> tuple[list[Judged[Result]], dict[str, str]]:
    """Judge candidates, cheapest first, and say why others were not; one always is.

    Those that stand for means of the others are left out.

    Args:
        candidates: Candidates to compare.
        judge: Fits a candidate and judges it.
        seconds: Time of the fold; None without a limit.

    Raises:
        ModelError: If none of them can be fitted.
        MatloopError: If the only one cannot be fitted.
    """
    clock = _Clock(seconds)
    judged: list[Judged[Result]] = []
    candidates = [candidate for candidate in candidates if not candidate.is_mean_of_others]
    passed_over: dict[str, str] = {}
    for candidate in sorted(candidates, key=_cost):
        if judged and clock.is_too_late(_cost(candidate)):
            passed_over[str(candidate)] = OUT_OF_BUDGET
            continue
        start = time.perf_counter()
        try:
            result = judge(candidate)
        except MatloopError as error:
            if len(candidates) == 1:
                raise
            passed_over[str(candidate)] = str(error)
        else:
            judged.append(Judged(candidate, result, time.perf_counter() - start))
            clock.note(_cost(candidate), judged[-1].seconds)
    if not judged:
        refused = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
        raise ModelError(f"no family can be fitted: {refused}", "at least one that can")
    return judged, passed_over


def means(
    task: FoldTask, judged: Sequence[Judged[NDArray[np.float64]]], *, errors: Sequence[float], seconds: float
) -> list[tuple[Candidate, NDArray[np.float64]]]:
    """Make the means of the best candidates from what is predicted out of fold, if they are asked for.

    Args:
        task: Names what is asked for.
        judged: Candidates, each with its predictions of n rows, shape (n,).
        errors: Of the candidates.
        seconds: Time for judging the families of a mean at most; their fits take about as long.
    """
    found = []
    for mean in task.candidates:
        if mean.is_mean_of_others and len(judged) > 1:
            for members, predicted in means_of_best(np.array([each.result for each in judged]), errors=errors):
                if sum(judged[member].seconds for member in members) <= seconds:
                    found.append((mean.mean_of([judged[member].candidate for member in members]), predicted))
    return found


def means_of_best(
    predictions: NDArray[np.float64], *, errors: Sequence[float] | NDArray[np.float64]
) -> list[tuple[list[int], NDArray[np.float64]]]:
    """Return the means of the best two, three and so on of c predictions, each with the rows it is made of.

    Args:
        predictions: Of n rows by c candidates, shape (c, n).
        errors: Error of each candidate, shape (c,).

    >>> [(members, mean.tolist()) for members, mean in means_of_best(np.array([[1.0], [2.0], [6.0]]), errors=[3, 1, 2])]
    [([1, 2], [4.0]), ([1, 2, 0], [3.0])]
    """
    order = np.argsort(errors, kind="stable").tolist()
    return [(order[:size], predictions[order[:size]].mean(axis=0)) for size in range(2, len(order) + 1)]


def _time_for_members(task: FoldTask, rows: NDArray[np.int64], used: NDArray[np.int64], start: float) -> float:
    """Time that judging the members of a mean may have taken, so that their fits to all rows end in time."""
    if task.seconds is None:
        return np.inf
    return (start + task.seconds - time.perf_counter()) / _FITTING * len(rows) / len(used)


def _cost(candidate: Candidate) -> float:
    return float(lookup("model", MODELS, candidate.family).cost)


def _maker(task: FoldTask, candidate: Candidate) -> Callable[[], Ensemble]:
    settings = {"seed": task.seed, **candidate.parameters}
    return functools.partial(
        make_ensemble, candidate.family, settings_by_name(candidate.family, settings, task.features.names)
    )  # fmt: skip


def _rows_to_compare(task: FoldTask, used: NDArray[np.int64]) -> NDArray[np.int64]:
    """All training rows, or whole formulas of them up to the number that fits into a budget."""
    if task.seconds is None or len(used) <= ROWS_WITHIN_TIME:
        return used
    _, group = np.unique(task.groups[used], return_inverse=True)
    place = np.random.default_rng(task.seed).permutation(group.max() + 1)[group]
    return used[np.cumsum(np.bincount(place))[place] <= ROWS_WITHIN_TIME]


def _regressed(
    task: FoldTask, train: NDArray[np.int64], held_out: NDArray[np.int64], good: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    target = np.power(10.0, task.target) if task.task.logarithmic else task.target
    used = train[task.features.codes[train] == ""]
    candidate, transform, about = _choose(task, used, target)
    surrogate = Surrogate.fit(
        task.task.property_name, task.features.take(used), target[used], task.groups[used],
        family=candidate.family, transform=transform, parameters={"seed": task.seed, **candidate.parameters},
    )  # fmt: skip
    features = task.features.take(held_out[good])
    prediction = surrogate.predict(replace(features, elements=features.elements & surrogate.elements))
    low, high = prediction.interval(LEVEL)
    tail = (1 - LEVEL) / 2
    middle = dict(zip(("prediction", "lo", "hi"), np.quantile(task.target[train], [0.5, tail, 1 - tail]), strict=True))
    columns = {name: np.full(len(held_out), value) for name, value in middle.items()}
    for name, values in (("prediction", prediction.median), ("lo", low), ("hi", high)):
        columns[name][good] = _unit(task.task, values)
    return columns, {"family": str(candidate), "transform": transform, **about}


def _choose(
    task: FoldTask, used: NDArray[np.int64], target: NDArray[np.float64]
) -> tuple[Candidate, Transform, dict[str, Any]]:
    """Scale of the target by the cheapest family, then the family on that scale; and the errors they were chosen by."""
    start, transforms = time.perf_counter(), _transforms(task.task, target[used])
    if len(task.candidates) == len(transforms) == 1:
        return task.candidates[0], transforms[0], {"out_of_fold_mae": {}}
    rows = _rows_to_compare(task, used)
    scales: dict[str, Transform] = {}
    errors: dict[str, float] = {}

    def error(candidate: Candidate, scale: Transform, mean: NDArray[np.float64]) -> float:
        found = float(np.abs(_unit(task.task, backward(mean, scale)) - task.target[rows]).mean())
        errors[f"{candidate}, {scale}"] = found
        return found

    def judge(candidate: Candidate) -> NDArray[np.float64]:
        options = (scales["best"],) if scales else transforms
        means_on = {scale: _out_of_fold_mean(task, rows, target, candidate, scale) for scale in options}
        found = {scale: error(candidate, scale, mean) for scale, mean in means_on.items()}
        scales.setdefault("best", min(found, key=lambda scale: found[scale]))
        return means_on[scales["best"]]

    judged, passed_over = compare(task.candidates, judge, seconds=task.seconds)
    scale = scales["best"]
    of_families = [error(each.candidate, scale, each.result) for each in judged]
    left = _time_for_members(task, rows, used, start)
    options = [*((each.candidate, each.result) for each in judged),
               *means(task, judged, errors=of_families, seconds=left)]  # fmt: skip
    best, _ = min(options, key=lambda option: error(option[0], scale, option[1]))
    return best, scale, {"out_of_fold_mae": errors, **_about(passed_over, rows, used)}


def _about(passed_over: dict[str, str], rows: NDArray[np.int64], used: NDArray[np.int64]) -> dict[str, Any]:
    """What limits a choice: families that were passed over, and rows that were left out of the comparison."""
    about: dict[str, Any] = {"not_tried": passed_over} if passed_over else {}
    return about if len(rows) == len(used) else {**about, "rows_compared": len(rows)}


def _out_of_fold_mean(
    task: FoldTask, rows: NDArray[np.int64], target: NDArray[np.float64], candidate: Candidate, transform: Transform
) -> NDArray[np.float64]:
    """Out-of-fold predictions within the training rows, on the scale of the model, shape (len(rows),)."""
    return out_of_fold(
        _maker(task, candidate), task.features.values[rows], forward(target[rows], transform), task.groups[rows]
    )[0]


def _transforms(task: MatbenchTask, target: NDArray[np.float64]) -> tuple[Transform, ...]:
    if task.logarithmic:
        return ("log10",)
    return ("identity", "log10") if (target > 0).all() else ("identity",)


def _unit(task: MatbenchTask, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the property as the task's target states them."""
    return np.log10(np.maximum(values, 1e-300)) if task.logarithmic else values


def _classified(
    task: FoldTask, train: NDArray[np.int64], held_out: NDArray[np.int64], good: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    from sklearn.metrics import roc_auc_score

    used = train[task.features.codes[train] == ""]
    rows = _rows_to_compare(task, used)

    def means_of(candidate: Candidate, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return out_of_fold(
            _maker(task, candidate), task.features.values[rows], task.target[rows], task.groups[rows]
        )[0]  # fmt: skip

    start = time.perf_counter()
    judged, passed_over = compare(task.candidates, lambda each: means_of(each, rows), seconds=task.seconds)
    area = functools.partial(roc_auc_score, task.target[rows])
    left = _time_for_members(task, rows, used, start)
    found = [(each.candidate, each.result) for each in judged]
    found += means(task, judged, errors=[1 - area(mean) for _, mean in found], seconds=left)
    candidate, mean = max(found, key=lambda pair: area(pair[1]))
    mean = mean if len(rows) == len(used) else means_of(candidate, used)
    values, target = task.features.values[used], task.target[used]
    ensemble = _maker(task, candidate)().fit(values, target, groups=task.groups[used])
    classifier = Classifier.fit_to(mean, ensemble, target)
    cut = best_cut(cross_fitted(mean, target, task.groups[used]), target)
    probability = np.full(len(held_out), task.target[train].mean())
    probability[good] = classifier.probability(task.features.values[held_out[good]])
    areas = {str(each): float(area(mean)) for each, mean in found}
    return (
        {"prediction": probability, "answer": (probability >= cut).astype(float)},
        {"family": str(candidate), "cut": cut, "out_of_fold_roc_auc": areas, **_about(passed_over, rows, used)},
    )  # fmt: skip


def best_cut(probability: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Find the probability from which on yes is said, so that the share of right answers is best.

    The shares right among the rows of yes and among those of no count alike (balanced accuracy), which is the area
    under the ROC curve of the answers. The cut lies halfway between two probabilities; of equal ones the one nearest to
    the share of yes is taken.

    Args:
        probability: Of rows that were predicted as new, shape (n,).
        target: Their truths, 0 or 1, shape (n,).

    >>> round(best_cut(np.array([0.1, 0.6, 0.7, 0.9]), np.array([0.0, 0.0, 1.0, 1.0])), 2)
    0.65
    """
    values = np.unique(probability)
    cuts = (values[1:] + values[:-1]) / 2
    if not len(cuts):
        return HALF
    yes, no = (np.sort(probability[target == side]) for side in (1, 0))
    right = 1 - np.searchsorted(yes, cuts) / len(yes) + np.searchsorted(no, cuts) / len(no)
    best = cuts[right >= right.max() - 1e-12]
    return float(best[np.abs(best - target.mean()).argmin()])


def class_scores(target: NDArray[np.float64], columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Score probabilities and answers of held-out rows."""
    from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

    probability, answer = columns["prediction"], columns["answer"]
    return {
        "roc_auc": float(roc_auc_score(target, probability)),
        "roc_auc_of_answers": float(balanced_accuracy_score(target, answer)),  # the same for two classes
        "roc_auc_cut_at_half": float(balanced_accuracy_score(target, probability >= HALF)),
        "f1": float(f1_score(target, answer)),
        "brier": float(((probability - target) ** 2).mean()),
        "calibration_error": calibration_error(probability, target),
    }


def value_scores(target: NDArray[np.float64], columns: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Score predicted values and intervals of held-out rows."""
    error = columns["prediction"] - target
    inside = (target >= columns["lo"]) & (target <= columns["hi"])
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "max_error": float(np.abs(error).max()),
        "coverage_90": float(inside.mean()),
        "width_90": float((columns["hi"] - columns["lo"]).mean()),
    }


def trivial_scores(task: MatbenchTask, training: NDArray[np.float64], target: NDArray[np.float64]) -> dict[str, float]:
    """Score the mean of the training targets for every held-out row; in a classification, always yes.

    >>> from matloop.workflows.bench.matbench_tasks import task_named
    >>> trivial_scores(task_named("steels"), np.array([1.0, 3.0]), np.array([4.0]))["mae"]
    2.0
    """
    every = np.ones(len(target))
    if task.is_classification:
        return class_scores(target, {"prediction": every * training.mean(), "answer": every})
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(training, [tail, 1 - tail])
    return value_scores(target, {"prediction": every * training.mean(), "lo": every * low, "hi": every * high})
