"""``matloop bench matbench``: a task of Matbench by its own protocol.

Five folds over the rows in the order of their mbid (``KFold``, ``StratifiedKFold`` for the classification tasks, both
shuffled with seed 18012019), which are the published ones. What happens within a fold is in
:mod:`matloop.workflows.bench.matbench_fold`. Matbench scores every row, so rows with elements new to a model are
predicted as well, and rows without features get the middle of the training targets; they are counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import InputFileError, MatloopError
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.registry import lookup
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.models.registry import MODELS
from matloop.models.surrogates.family_candidates import Candidate
from matloop.screening.campaign.stage_settings import FAMILIES_TO_CHOOSE_FROM
from matloop.workflows.bench.finished_parts import FinishedParts, each_part, parts_in
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.matbench_file import MatbenchData, read_matbench
from matloop.workflows.bench.matbench_fold import FoldResult, FoldTask, run_fold
from matloop.workflows.bench.matbench_tasks import MatbenchTask, task_named
from matloop.workflows.bench.seeds import plain
from matloop.workflows.running.progress import Progress

FOLDS, FOLD_SEED = 5, 18012019
_OF_COMPOSITIONS: tuple[Any, ...] = (
    "element_fraction", {"magpie": {"missing": "impute"}}, "stoichiometry", "valence_orbital", "charge_balance",
)  # fmt: skip
_OF_CRYSTALS = (*_OF_COMPOSITIONS, "density", "symmetry", "property_density", "crystal_local")
_ROWS_AT_ONCE = 1000
_FEWEST_ROWS = 100  # fewer leave too few residuals to calibrate within a fold


@dataclass(frozen=True)
class MatbenchSettings:
    """Settings of a run.

    Attributes:
        families: Registered model families to choose from within each fold; by default those a campaign chooses from.
        seed: Seed of the models; the folds have their own.
        folds: How many of the five folds are worked on, from the first one on.
        budget: Seconds for choosing and training in all folds together; without one every family is tried on all rows.
    """

    families: tuple[str, ...] = ()
    seed: int = 0
    folds: int = FOLDS
    budget: float | None = None

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            MatloopError: If a setting is out of its range.
            UnknownNameError: For an unknown family.
        """
        if not 1 <= self.folds <= FOLDS:
            raise MatloopError(f"--folds {self.folds}", f"1 to {FOLDS}, the folds that Matbench has")
        if self.budget is not None and not self.budget > 0:
            raise MatloopError(f"--budget {self.budget}", "a time above zero, such as 90s or 10m")
        for family in self.families:
            lookup("model", MODELS, family)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What is chosen from."""
        return tuple(map(Candidate, self.families or FAMILIES_TO_CHOOSE_FROM))


class MatbenchRun(NamedTuple):
    """A finished benchmark.

    Attributes:
        task: The task.
        data: What the file held.
        settings: What was asked for.
        folds: In order.
        feature_seconds: Wall time of the features.
        fingerprint: Of the feature set.
        seconds: Wall time of everything; of folds that were taken up again, that of their first time.
    """

    task: MatbenchTask
    data: MatbenchData
    settings: MatbenchSettings
    folds: list[FoldResult]
    feature_seconds: float
    fingerprint: str
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether the scores may be compared with the published ones: same rows, same inputs, all folds."""
        same = len(self.data.target) == self.task.rows and self.data.kind == self.task.kind
        return same and len(self.folds) == FOLDS


def run_matbench(
    name: str,
    path: Path,
    *,
    settings: MatbenchSettings | None = None,
    workers: int = 1,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> MatbenchRun:
    """Run the folds of a task.

    Args:
        name: The task, with or without ``matbench_``.
        path: File of its rows, see :func:`~matloop.workflows.bench.matbench_file.read_matbench`.
        settings: Families, folds and budget.
        workers: Folds worked on at once, each in a process of its own.
        folder: Where finished folds are kept until all are done; the same call goes on from there.
        progress: Told of each fold.

    Raises:
        UnknownNameError: For an unknown task.
        InputFileError: If the file cannot be read, has fewer than 100 rows, or fewer than five of a class.
        RunError: If the folder holds folds of other data or settings.
    """
    start = time.perf_counter()
    settings = settings or MatbenchSettings()
    task = task_named(name)
    data = read_matbench(path, task)
    _check(data, task)
    features, groups = _features(data, feature_set(_OF_CRYSTALS if data.kind == "structure" else _OF_COMPOSITIONS))
    feature_seconds = time.perf_counter() - start
    workers = min(workers, settings.folds)
    share = None if settings.budget is None else settings.budget * workers / settings.folds
    fold_task = FoldTask(task, features, data.target, groups, settings.candidates, settings.seed, share)
    splits = published_folds(data.target, classification=task.is_classification)[: settings.folds]
    key = plain(
        {
            "task": task.name, "sha256": data.sha256, "families": [str(one) for one in settings.candidates],
            "seed": settings.seed, "seconds for a fold": share, "features": features.fingerprint,
            "versions": describe_machine()["versions"],
        }
    )  # fmt: skip
    parts = parts_in(folder, key) if folder else FinishedParts()

    def compute(numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        for fold in _run_folds(fold_task, [splits[number] for number in numbers], workers):
            yield plain(fold._asdict())

    found = each_part(
        parts, [f"fold_{number}" for number in range(1, len(splits) + 1)], compute,
        progress=progress, step="folds", note=lambda fold: str(fold["chosen"]["family"]),
    )  # fmt: skip
    folds = [FoldResult.from_json(fold) for fold in found]
    return MatbenchRun(
        task, data, settings, folds, feature_seconds, features.fingerprint, time.perf_counter() - start
    )  # fmt: skip


def _check(data: MatbenchData, task: MatbenchTask) -> None:
    """Refuse data that no fold could be trained on or judged by.

    Raises:
        InputFileError: If there are too few rows, or too few of a class.
    """
    if len(data.target) < _FEWEST_ROWS or len(data.batch) < _FEWEST_ROWS:
        codes = list(data.refused.values())
        why = ", ".join(f"{codes.count(code)} with {code}" for code in sorted(set(codes)))
        raise InputFileError(
            f"{len(data.batch)} usable rows of {len(data.target)}" + (f" ({why})" if why else ""),
            f"at least {_FEWEST_ROWS}",
        )
    if task.is_classification:
        yes = int(data.target.sum())
        if min(yes, len(data.target) - yes) < FOLDS:
            raise InputFileError(
                f"{yes} rows of {task.column!r} are true and {len(data.target) - yes} false",
                f"at least {FOLDS} of either, one for each fold",
            )
    elif np.ptp(data.target) == 0:
        raise InputFileError(f"all rows of {task.column!r} are {data.target[0]:g}", "values that differ")


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
) -> Iterator[FoldResult]:
    """The results of folds, in order, each as soon as it and those before it are there."""
    if workers == 1:
        for train, held_out in splits:
            yield run_fold(task, train, held_out)
        return
    from matloop.workflows.clusters.workers import local_workers, run_bounded

    with local_workers(workers) as client:
        shared = client.scatter(task, broadcast=True)
        calls = [(shared, train, held_out) for train, held_out in splits]
        yield from run_bounded(client, run_fold, calls, in_flight=FOLDS)
