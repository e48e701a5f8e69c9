"""``matloop bench matbench``: a task of Matbench by its own protocol.

Five folds over the rows in the order of their mbid (``KFold``, ``StratifiedKFold`` for the classification tasks, both
shuffled with seed 18012019), which are the published ones. A fold sees its own training rows only: family and scale of
the target are chosen by the error of grouped out-of-fold predictions within them. Matbench scores every row, so rows
with elements new to a model are predicted as well, and rows without features get the middle of the training targets;
they are counted.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import InputFileError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.properties.definition import Transform
from matloop.data.registry import lookup
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.models.families.contract import Ensemble
from matloop.models.registry import MODELS
from matloop.models.surrogates.classification import Classifier, calibration_error
from matloop.models.surrogates.prediction import backward, forward
from matloop.models.surrogates.surrogate import Surrogate
from matloop.models.surrogates.training import out_of_fold
from matloop.workflows.bench.matbench_file import MatbenchData, read_matbench
from matloop.workflows.bench.matbench_tasks import MatbenchTask, task_named

FOLDS, FOLD_SEED = 5, 18012019
FAMILIES = ("extra_trees", "boosted_trees")
LEVEL = 0.9
_OF_COMPOSITIONS: tuple[Any, ...] = (
    {"magpie": {"missing": "impute"}}, "stoichiometry", "valence_orbital", "charge_balance", "element_fraction",
)  # fmt: skip
_OF_CRYSTALS = (*_OF_COMPOSITIONS, "density", "symmetry", "property_density", "crystal_local")
_ROWS_AT_ONCE = 1000
_FEWEST_ROWS = 100  # fewer leave too few residuals to calibrate within a fold


@dataclass(frozen=True)
class FoldTask:
    """Everything a worker needs to train and test one fold.

    Attributes:
        task: The task.
        features: Features of all rows; a row that gave no candidate has a code.
        target: Target of all rows as the file has it, shape (n,).
        groups: Formula group of each row, shape (n,).
        families: Model families to choose from.
        seed: Seed of the models.
    """

    task: MatbenchTask
    features: FeatureMatrix
    target: NDArray[np.float64]
    groups: NDArray[np.int64]
    families: tuple[str, ...]
    seed: int


class FoldResult(NamedTuple):
    """Results of a fold.

    Attributes:
        rows: Rows that were held out.
        columns: ``prediction`` (probability of yes in a classification), and ``lo`` and ``hi`` in a regression, in the
            unit of the task, each of shape (len(rows),).
        scores: Of the held-out rows.
        chosen: The choice, and the out-of-fold errors on which it rests.
        rows_without_features: Held-out rows that got the middle of the training targets.
        seconds: Wall time.
    """

    rows: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]
    scores: dict[str, float]
    chosen: dict[str, Any]
    rows_without_features: int
    seconds: float


class MatbenchRun(NamedTuple):
    """A finished benchmark.

    Attributes:
        task: The task.
        data: What the file held.
        folds: In order.
        feature_seconds: Wall time of the features.
        fingerprint: Of the feature set.
        seconds: Wall time of everything.
    """

    task: MatbenchTask
    data: MatbenchData
    folds: list[FoldResult]
    feature_seconds: float
    fingerprint: str
    seconds: float


def run_matbench(
    name: str, path: Path, *, families: Sequence[str] = FAMILIES, seed: int = 0, workers: int = 1
) -> MatbenchRun:
    """Run all folds of a task.

    Args:
        name: The task, with or without ``matbench_``.
        path: File of its rows, see :func:`~matloop.workflows.bench.matbench_file.read_matbench`.
        families: Registered model families to choose from within each fold.
        seed: Seed of the models; the folds have their own.
        workers: Folds worked on at once, each in a process of its own.

    Raises:
        UnknownNameError: For an unknown task or family.
        InputFileError: If the file cannot be read or has fewer than 100 rows.
    """
    start = time.perf_counter()
    task = task_named(name)
    for family in families:
        lookup("model", MODELS, family)
    data = read_matbench(path, task)
    if len(data.target) < _FEWEST_ROWS or len(data.batch) < _FEWEST_ROWS:
        raise InputFileError(f"{len(data.batch)} usable rows of {len(data.target)}", f"at least {_FEWEST_ROWS}")
    features, groups = _features(data, feature_set(_OF_CRYSTALS if task.kind == "structure" else _OF_COMPOSITIONS))
    feature_seconds = time.perf_counter() - start
    fold_task = FoldTask(task, features, data.target, groups, tuple(families), seed)
    splits = list(published_folds(data.target, classification=task.is_classification))
    folds = _run_folds(fold_task, splits, workers)
    return MatbenchRun(task, data, folds, feature_seconds, features.fingerprint, time.perf_counter() - start)


def published_folds(
    target: NDArray[np.float64], *, classification: bool
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Training and held-out rows of the five folds of Matbench.

    >>> train, held_out = published_folds(np.arange(312.0), classification=False)[0]
    >>> len(train), held_out[:4].tolist()
    (249, [2, 4, 19, 25])
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    split = (StratifiedKFold if classification else KFold)(FOLDS, shuffle=True, random_state=FOLD_SEED)
    return list(split.split(target, target.astype(int) if classification else None))


def _features(data: MatbenchData, features: FeatureSet) -> tuple[FeatureMatrix, NDArray[np.int64]]:
    """Features and formula group of every row; a row without candidate is nan, keeps its code and is its own group."""
    count = len(data.target)
    values = np.full((count, len(features.feature_names)), np.nan)
    elements = np.zeros((count, 119), bool)
    codes = np.full(count, "", "<U32")
    for row, code in data.refused.items():
        codes[row] = code
    at = 0
    for part in data.batch.slices(_ROWS_AT_ONCE):
        rows = data.rows[at : at + len(part)]
        found = features.featurize(part)
        values[rows], elements[rows], codes[rows] = found.values, found.elements, found.codes
        at += len(part)
    matrix = FeatureMatrix(values, features.feature_names, features.fingerprint, elements, codes)
    groups = count + np.arange(count)
    groups[data.rows] = data.batch.groups()
    return matrix, groups


def _run_folds(
    task: FoldTask, splits: list[tuple[NDArray[np.int64], NDArray[np.int64]]], workers: int
) -> list[FoldResult]:
    if workers == 1:
        return [run_fold(task, train, held_out) for train, held_out in splits]
    from matloop.workflows.clusters.workers import local_workers, run_bounded

    with local_workers(min(workers, FOLDS)) as client:
        shared = client.scatter(task, broadcast=True)
        calls = [(shared, train, held_out) for train, held_out in splits]
        return list(run_bounded(client, run_fold, calls, in_flight=FOLDS))


def run_fold(task: FoldTask, train: NDArray[np.int64], held_out: NDArray[np.int64]) -> FoldResult:
    """Train on one part of the rows and predict the other."""
    start = time.perf_counter()
    good = np.flatnonzero(task.features.codes[held_out] == "")
    answer = _classified if task.task.is_classification else _regressed
    columns, chosen = answer(task, train, held_out, good)
    scores = _scores(task.task, task.target[held_out], columns)
    return FoldResult(held_out, columns, scores, chosen, len(held_out) - len(good), time.perf_counter() - start)


def _maker(task: FoldTask, family: str) -> Callable[[], Ensemble]:
    return functools.partial(lookup("model", MODELS, family), seed=task.seed)


def _regressed(
    task: FoldTask, train: NDArray[np.int64], held_out: NDArray[np.int64], good: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    target = np.power(10.0, task.target) if task.task.logarithmic else task.target
    used = train[task.features.codes[train] == ""]
    family, transform, errors = _choose(task, used, target)
    surrogate = Surrogate.fit(
        task.task.property_name, task.features.take(used), target[used], task.groups[used],
        family=family, transform=transform, parameters={"seed": task.seed},
    )  # fmt: skip
    features = task.features.take(held_out[good])
    prediction = surrogate.predict(replace(features, elements=features.elements & surrogate.elements))
    low, high = prediction.interval(LEVEL)
    tail = (1 - LEVEL) / 2
    middle = dict(zip(("prediction", "lo", "hi"), np.quantile(task.target[train], [0.5, tail, 1 - tail]), strict=True))
    columns = {name: np.full(len(held_out), value) for name, value in middle.items()}
    for name, values in (("prediction", prediction.mean), ("lo", low), ("hi", high)):
        columns[name][good] = _unit(task.task, values)
    tried = {f"{one}, {scale}": error for (one, scale), error in errors.items()}
    return columns, {"family": family, "transform": transform, "out_of_fold_mae": tried}


def _choose(
    task: FoldTask, used: NDArray[np.int64], target: NDArray[np.float64]
) -> tuple[str, Transform, dict[tuple[str, Transform], float]]:
    """Scale of the target by the first family, then the family on that scale; and the errors they were chosen by."""
    transforms = _transforms(task.task, target[used])
    if len(task.families) == len(transforms) == 1:
        return task.families[0], transforms[0], {}
    first, *others = task.families
    errors = {(first, scale): _out_of_fold_error(task, used, target, first, scale) for scale in transforms}
    _, best = min(errors, key=lambda option: errors[option])
    errors.update({(family, best): _out_of_fold_error(task, used, target, family, best) for family in others})
    return *min(errors, key=lambda option: errors[option]), errors


def _out_of_fold_error(
    task: FoldTask, used: NDArray[np.int64], target: NDArray[np.float64], family: str, transform: Transform
) -> float:
    """Mean absolute error within the training rows, in the unit of the task."""
    mean, _ = out_of_fold(
        _maker(task, family), task.features.values[used], forward(target[used], transform), task.groups[used]
    )
    return float(np.abs(_unit(task.task, backward(mean, transform)) - task.target[used]).mean())


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
    values, target = task.features.values[used], task.target[used]
    means = {
        family: out_of_fold(_maker(task, family), values, target, task.groups[used])[0] for family in task.families
    }
    areas = {family: float(roc_auc_score(target, mean)) for family, mean in means.items()}
    family = max(areas, key=lambda option: areas[option])
    ensemble = _maker(task, family)().fit(values, target, groups=task.groups[used])
    classifier = Classifier.fit_to(means[family], ensemble, target)
    probability = np.full(len(held_out), task.target[train].mean())
    probability[good] = classifier.probability(task.features.values[held_out[good]])
    return {"prediction": probability}, {"family": family, "out_of_fold_roc_auc": areas}


def _scores(
    task: MatbenchTask, target: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]
) -> dict[str, float]:
    predicted = columns["prediction"]
    if task.is_classification:
        from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

        answer = predicted >= 0.5
        return {
            "roc_auc": float(roc_auc_score(target, predicted)),
            "roc_auc_of_answers": float(balanced_accuracy_score(target, answer)),  # the same for two classes
            "f1": float(f1_score(target, answer)),
            "brier": float(((predicted - target) ** 2).mean()),
            "calibration_error": calibration_error(predicted, target),
        }
    error = predicted - target
    inside = (target >= columns["lo"]) & (target <= columns["hi"])
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "max_error": float(np.abs(error).max()),
        "coverage_90": float(inside.mean()),
        "width_90": float((columns["hi"] - columns["lo"]).mean()),
    }
