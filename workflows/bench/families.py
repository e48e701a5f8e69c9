"""``matloop bench families``: do predictions, intervals and domain hold for a chemistry that nobody trained on?

Cards promise coverage for formulas held out, and their relatives stay in training. Here whole chemical families
(:mod:`matloop.workflows.bench.chemical_families`) are hidden in turn, and all compounds of each element
(leave-one-element-out, as leave-one-cluster-out in Meredig et al., Mol. Syst. Des. Eng. 3, 819 (2018)). A surrogate is
fitted to the other rows alone, so the hidden rows take no part in its calibration or its domain either; then it
predicts the hidden ones. Formulas that also occur among the rows to train on, as other crystals, are hidden with them.

Rare elements share a fit, in which at most a fifth of the rows are hidden
(:func:`matloop.models.surrogates.held_out.element_sets`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import SYMBOLS
from matloop.data.errors import MatloopError, unknown_name
from matloop.data.registry import lookup
from matloop.models.registry import MODELS
from matloop.models.surrogates.calibration import DOMAIN_SHARE
from matloop.models.surrogates.held_out import element_sets
from matloop.models.surrogates.prediction import forward
from matloop.workflows.bench.chemical_families import FAMILIES
from matloop.workflows.bench.finished_parts import FinishedParts, each_part, parts_in
from matloop.workflows.bench.hardware import describe_machine
from matloop.workflows.bench.labelled import ModelChoice, ReplayData, read_labelled
from matloop.workflows.bench.seeds import grouped_split, plain
from matloop.workflows.running.progress import Progress

PROPERTIES: Mapping[str, int] = {
    "bulk_modulus_vrh": 1, "shear_modulus_vrh": 1, "refractive_index": 1, "band_gap": 1,
    "formation_energy_per_atom": -1, "energy_above_hull": -1,
}  # fmt: skip
"""Packaged properties; 1 where high values are wanted, -1 where low ones are."""
LEVEL = 0.9
BEST_SHARE = 0.1
FEWEST_HIDDEN = 20  # rows of a family that is hidden, and of anything whose coverage or enrichment counts
_FEWEST_TRAINED = 100
_SHARES_OF_LIMIT = (1.0, 0.9, 0.8, 0.7, 0.6)


@dataclass(frozen=True)
class FamiliesSettings:
    """Settings of a run.

    Attributes:
        properties: Packaged properties, by default all.
        rows: Most rows of a property, drawn by whole formulas; None for all.
        folds: Most fits of each kind, spread evenly over the families, and over the sets of elements; None for all.
        family: Family of the model.
        seed: Of the draw and of the models.
    """

    properties: tuple[str, ...] = tuple(PROPERTIES)
    rows: int | None = None
    folds: int | None = None
    family: str = "extra_trees"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            MatloopError: If a setting is out of its range.
            UnknownNameError: For an unknown property.
        """
        for name in self.properties:
            if name not in PROPERTIES:
                raise unknown_name("packaged property", name, PROPERTIES)
        if self.rows is not None and self.rows < 2 * _FEWEST_TRAINED:
            raise MatloopError(f"--rows {self.rows}", f"at least {2 * _FEWEST_TRAINED}, or leave it out for all rows")
        if self.folds is not None and self.folds < 1:
            raise MatloopError(f"--folds {self.folds}", "at least 1, or leave it out for all")


class HiddenRows(NamedTuple):
    """Hidden rows of one family or element, as a surrogate of the other rows predicted them; on the scale of the model.

    Attributes:
        name: Name of the family, or symbol of the element.
        trained: Rows that the surrogate was fitted to.
        mean_of_trained: Mean of their values.
        truth: Values of the hidden rows, shape (n,).
        predicted: Their predictions, nan where refused, shape (n,).
        inside: Whether the 90 % interval holds the truth, shape (n,).
        in_domain: Whether the row counts as inside the domain, shape (n,).
        distance: To the rows trained on, in units of the widest limit a domain may have, not finite for compounds of a
            nonmetal that they hardly have, shape (n,).
        limit: Of the domain, in the same units; the training decided it.
    """

    name: str
    trained: int
    mean_of_trained: float
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    inside: NDArray[np.bool_]
    in_domain: NDArray[np.bool_]
    distance: NDArray[np.float64]
    limit: float

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what ``plain(rows._asdict())`` wrote."""
        return cls(
            content["name"], content["trained"], content["mean_of_trained"],
            np.array(content["truth"], float), np.array(content["predicted"], float),
            np.array(content["inside"], bool), np.array(content["in_domain"], bool),
            np.array(content["distance"], float), content["limit"],
        )  # fmt: skip


class Fold(NamedTuple):
    """Compounds that are hidden together: one family, or those with any of a few elements.

    Attributes:
        kind: ``families`` or ``elements``.
        members: Rows of the family, or of each of the elements, by name.
    """

    kind: str
    members: Mapping[str, NDArray[np.int64]]


class PropertyResult(NamedTuple):
    """Hidden rows of one property: of each family, of each element, and the seconds of all fits."""

    data: ReplayData
    families: list[HiddenRows]
    elements: list[HiddenRows]
    seconds: float


class FamiliesRun(NamedTuple):
    """A finished benchmark: settings, the result of each property, and the wall time of everything."""

    settings: FamiliesSettings
    properties: dict[str, PropertyResult]
    seconds: float


def run_families(
    settings: FamiliesSettings,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Progress | None = None,
    features: Sequence[str] | None = None,
) -> FamiliesRun:
    """Hide all families and elements in turn, for each property.

    Args:
        settings: Properties, rows, family of the model, seed.
        folder: Where finished folds are kept until all are done; the same call goes on from there.
        workers: Folds worked on at once, each in a process of its own.
        progress: Told of each fold.
        features: Names of featurizers, by default those of crystals.

    Raises:
        RunError: If the folder holds folds of other data or settings.
        UnknownNameError: For an unknown family of models.
        ModelError: If a surrogate cannot be fitted.
    """
    start = time.perf_counter()
    lookup("model", MODELS, settings.family)
    found = {name: _of_property(read_rows(name, settings, features=features), settings) for name in settings.properties}
    key = plain(
        {
            "settings": {"rows": settings.rows, "family": settings.family, "seed": settings.seed},
            "properties": {name: [data.sha256, data.features.fingerprint] for name, (data, _) in found.items()},
            "versions": describe_machine()["versions"],
        }
    )
    parts = parts_in(folder, key) if folder else FinishedParts()
    calls = [(name, fold) for name, (_, folds) in found.items() for fold in folds.values()]
    names = [f"{name}-{number}" for name, (_, folds) in found.items() for number in folds]

    def compute(numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        chosen = [(found[name][0], settings, fold) for name, fold in (calls[number] for number in numbers)]
        for (_, _, fold), (rows, seconds) in zip(chosen, _predict_all(chosen, workers), strict=True):
            hidden = [one._asdict() for one in rows]
            yield plain({"kind": fold.kind, "hidden": hidden, "seconds": seconds})

    contents = each_part(
        parts, names, compute, progress=progress, step="hidden families and elements",
        note=lambda part: ", ".join(one["name"] for one in part["hidden"])[:60],
    )  # fmt: skip
    results = {}
    for name, (data, _) in found.items():
        own = [part for (of, _), part in zip(calls, contents, strict=True) if of == name]
        results[name] = PropertyResult(
            data, _of_kind(own, "families"), _of_kind(own, "elements"), sum(part["seconds"] for part in own)
        )
    return FamiliesRun(settings, results, time.perf_counter() - start)


def read_rows(name: str, settings: FamiliesSettings, *, features: Sequence[str] | None = None) -> ReplayData:
    """Read the packaged rows of a property with their features, as many as asked for."""
    data = read_labelled("materials", name, features=features, family=settings.family)
    if settings.rows is None or settings.rows >= len(data.target):
        return data
    rows, _ = grouped_split(data.groups, settings.rows / len(data.target), seed=settings.seed)
    whole = data.training
    training = replace(
        whole, rows=whole.rows.take(rows), values=whole.values[rows], groups=whole.groups[rows],
        weights=whole.weights[rows],
    )  # fmt: skip
    return data._replace(training=training, features=data.features.take(rows))


def folds_of(elements: NDArray[np.bool_], groups: NDArray[np.integer]) -> list[Fold]:
    """Find what is hidden together: each family, then each set of elements.

    Families of fewer than 20 rows are left out, and those without which fewer than 100 rows remain.

    Args:
        elements: Which elements each row contains, shape (m, 119).
        groups: Formula group of each row, shape (m,).
    """
    folds = []
    for family in FAMILIES:
        rows = np.flatnonzero(family.contains(elements))
        if len(rows) >= FEWEST_HIDDEN and len(elements) - len(rows) >= _FEWEST_TRAINED:
            folds.append(Fold("families", {family.name: rows}))
    for numbers in element_sets(elements, groups):
        members = {SYMBOLS[number]: np.flatnonzero(elements[:, number]) for number in numbers}
        if (~elements[:, numbers].any(axis=1)).sum() >= _FEWEST_TRAINED:
            folds.append(Fold("elements", members))
    return folds


def predict_hidden(data: ReplayData, settings: FamiliesSettings, fold: Fold) -> tuple[list[HiddenRows], float]:
    """Fit a surrogate to the rows that are not hidden, and predict those that are; also return the seconds it took."""
    start = time.perf_counter()
    hidden = np.unique(np.concatenate(list(fold.members.values())))
    train = np.flatnonzero(~np.isin(data.groups, data.groups[hidden]))
    transform = data.known.transform
    surrogate = ModelChoice(settings.family, transform).fit(data, train, seed=settings.seed)
    domain = surrogate.domain
    widest = float(np.quantile(domain.own, DOMAIN_SHARE)) or 1.0
    found = []
    for name, rows in fold.members.items():
        features, truth = data.features.take(rows), data.target[rows]
        prediction = surrogate.predict(features)
        low, high = prediction.interval(LEVEL)
        found.append(
            HiddenRows(
                name, len(train), float(forward(data.target[train], transform).mean()), forward(truth, transform),
                prediction.scaled_median, (low <= truth) & (truth <= high), prediction.in_domain,
                surrogate.calibration_distance(features) / widest, domain.limit / widest,
            )
        )  # fmt: skip
    return found, time.perf_counter() - start


def figures(hidden: Sequence[HiddenRows], *, sign: int) -> dict[str, Any]:
    """Compute the figures of one family or element, or of several together, where each row counts once for each.

    Args:
        hidden: Their hidden rows.
        sign: 1 where high values are wanted, -1 where low ones are.

    Returns:
        ``rows``; ``refused`` and ``outside``, shares of all rows; ``mae`` of the rows that are predicted, beside
        ``mae_of_mean``, which the mean of the rows trained on has there; ``rows_in_domain`` and
        ``coverage_in_domain``, ``coverage_outside``; ``enrichment``: how many more of the best tenth are among the
        tenth predicted best than at random, the mean over those with 20 rows and a prediction. None without rows.
        ``coverage_interval``: the coverages in domain under which so many intervals hold with a probability of 2.5 % at
        each end (Clopper and Pearson, Biometrika 26, 404 (1934)), as if rows held or failed independently.
    """
    truth, predicted, inside, in_domain = (
        np.concatenate([getattr(one, name) for one in hidden]) for name in ("truth", "predicted", "inside", "in_domain")
    )
    known = ~np.isnan(predicted)
    rival = np.concatenate([np.abs(one.truth - one.mean_of_trained) for one in hidden])
    enough = (one for one in hidden if len(one.truth) >= FEWEST_HIDDEN and not np.isnan(one.predicted).all())
    gains = [_enrichment(one.truth, one.predicted, sign) for one in enough]
    return {
        "rows": len(truth),
        "refused": _mean(~known),
        "outside": _mean(known & ~in_domain),
        "mae": _mean(np.abs(predicted - truth)[known]),
        "mae_of_mean": _mean(rival[known]),
        "rows_in_domain": int(in_domain.sum()),
        "coverage_in_domain": _mean(inside[in_domain]),
        "coverage_interval": _binomial_interval(inside[in_domain]),
        "coverage_outside": _mean(inside[known & ~in_domain]),
        "enrichment": _mean(np.array(gains)),
    }


def _of_property(data: ReplayData, settings: FamiliesSettings) -> tuple[ReplayData, dict[int, Fold]]:
    ModelChoice(settings.family, data.known.transform).check(data)
    return data, _spread(folds_of(data.features.elements, data.groups), settings.folds)


def _spread(folds: Sequence[Fold], most: int | None) -> dict[int, Fold]:
    """Take at most so many folds of each kind, at even distances, by their place among all.

    A stopped run keeps them under that place, so one with other ``folds`` goes on from the same.
    """
    chosen: list[int] = []
    for kind in dict.fromkeys(fold.kind for fold in folds):
        own = [place for place, fold in enumerate(folds) if fold.kind == kind]
        taken = np.linspace(0, len(own) - 1, min(most or len(own), len(own))).round().astype(int)
        chosen += [own[number] for number in np.unique(taken)]
    return {place: folds[place] for place in chosen}


def _predict_all(
    calls: Sequence[tuple[ReplayData, FamiliesSettings, Fold]], workers: int
) -> Iterator[tuple[list[HiddenRows], float]]:
    """Predict the hidden rows of folds, in order, each as soon as it and those before it are done."""
    if workers == 1:
        for call in calls:
            yield predict_hidden(*call)
        return
    from matloop.workflows.clusters.workers import local_workers, run_bounded

    with local_workers(min(workers, len(calls))) as client:
        shared = {id(data): client.scatter(data, broadcast=True) for data, _, _ in calls}
        scattered = [(shared[id(data)], settings, fold) for data, settings, fold in calls]
        yield from run_bounded(client, predict_hidden, scattered, in_flight=2 * workers)


def _of_kind(parts: Sequence[Mapping[str, Any]], kind: str) -> list[HiddenRows]:
    return [HiddenRows.from_json(one) for part in parts if part["kind"] == kind for one in part["hidden"]]


def _enrichment(truth: NDArray[np.float64], predicted: NDArray[np.float64], sign: int) -> float:
    """Return how many more of the best tenth are among the tenth predicted best than at random."""
    count = max(round(BEST_SHARE * len(truth)), 1)
    best = np.argsort(-sign * truth, kind="stable")[:count]
    picked = np.argsort(-np.where(np.isnan(predicted), -np.inf, sign * predicted), kind="stable")[:count]
    return float(np.isin(picked, best).mean() * len(truth) / count)


def _binomial_interval(held: NDArray[np.bool_]) -> tuple[float, float] | None:
    from scipy.stats import binomtest

    if not len(held):
        return None
    found = binomtest(int(held.sum()), len(held)).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def coverage_by_distance(hidden: Sequence[HiddenRows]) -> list[dict[str, Any]]:
    """Count predicted rows within shares of the widest limit of the domain, and how many of their intervals hold.

    Args:
        hidden: Hidden rows of several families or elements.
    """
    inside, predicted, distance = (
        np.concatenate([getattr(one, name) for one in hidden]) for name in ("inside", "predicted", "distance")
    )
    known = ~np.isnan(predicted)
    found = []
    for share in _SHARES_OF_LIMIT:
        near = known & (distance <= share)
        found.append({"within": share, "share": float(near.mean()), "coverage": _mean(inside[near])})
    return found


def _mean(values: NDArray[Any]) -> float | None:
    return float(values.mean()) if len(values) else None
