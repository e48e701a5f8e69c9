"""``matloop bench discovery``: would a shortlist have found the best materials of labelled data?

For each seed some formulas are labelled and the others are a pool. A surrogate trained on the labelled rows gives each
row of the pool the probability of being a hit: of reaching the value from which a row is in the top share of the
*labelled* rows, the only threshold known at that point. Three shortlists are judged against the truth: the most
probable rows, those more probable than not, and the set of conformal selection with its limit on the share of misses.
Rounds of labelling the most probable rows and training again are in
:mod:`matloop.workflows.bench.discovery_rounds`.

The discovery acceleration factor is precision over prevalence (Riebesell et al., Nat. Mach. Intell. 7, 836 (2025)): how
many times more hits a shortlist has than as many rows drawn at random.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.selection import Evidence, conformal_selection
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.discovery_rounds import Replay, replay
from matloop.workflows.bench.discovery_settings import DiscoverySettings, ranked, within
from matloop.workflows.bench.labelled import ReplayData
from matloop.workflows.bench.seeds import grouped_split, over_seeds
from matloop.workflows.bench.wanted_targets import check_thresholds

RANKS = (10, 20, 50, 100)
CURVE = np.linspace(0, 1, 101)  # shares of the pool at which the found share of the hits is noted


class SeedResult(NamedTuple):
    """Results of the replay of one seed.

    Attributes:
        seed: The seed.
        labelled: Rows trained on.
        pool: Rows to choose from.
        not_predicted: Rows of the pool without a prediction, such as those with a new element; they rank last.
        threshold: Value from which a row is a hit, in the unit of the property.
        prevalence: Share of hits in the pool.
        shortlists: Figures of each shortlist, see :func:`judge`.
        hits_at: Hits among the first k rows of the ranking, and among k random rows; by k.
        found: Share of the hits among the first rows of the ranking, at the shares of the pool of ``CURVE``.
        rounds: Rounds of labelling, if asked for.
        seconds: Wall time.
    """

    seed: int
    labelled: int
    pool: int
    not_predicted: int
    threshold: float
    prevalence: float
    shortlists: dict[str, dict[str, float]]
    hits_at: dict[int, tuple[int, float]]
    found: NDArray[np.float64]
    rounds: Replay | None
    seconds: float


class DiscoveryRun(NamedTuple):
    """A finished benchmark: data, settings, the result of each seed, and the wall time of everything."""

    data: ReplayData
    settings: DiscoverySettings
    seeds: list[SeedResult]
    seconds: float


def run_discovery(data: ReplayData, settings: DiscoverySettings, *, workers: int = 1) -> DiscoveryRun:
    """Replay all seeds.

    Raises:
        InputFileError: If logarithms are asked for and a label is not positive.
        ThresholdError: If no row that is labelled at first is a hit, or more than half of them are.
        ModelError: If too few rows are labelled to train on.
    """
    start = time.perf_counter()
    settings.model.check(data)
    seeds = over_seeds(replay_seed, data, settings, seeds=settings.seeds, workers=workers)
    return DiscoveryRun(data, settings, seeds, data.seconds + time.perf_counter() - start)


def replay_seed(data: ReplayData, settings: DiscoverySettings, seed: int) -> SeedResult:
    """Label some formulas, train, rank and judge the others."""
    start = time.perf_counter()
    train, pool = grouped_split(data.groups, settings.labelled, seed=seed)
    ends = settings.ends(data.target[train])
    name = data.known.name
    check_thresholds({name: data.target[train]}, {name: ends}, of=f"{data.name} labelled at first (seed {seed})")
    surrogate = settings.model.fit(data, train, seed=seed)
    prediction = surrogate.predict(data.features.take(pool))
    probability = prediction.probability_between(*ends)
    hit = within(data.target[pool], ends)
    ranking = ranked(probability)
    size = settings.shortlist or max(round(settings.top * len(pool)), 1)
    shortlists = {
        "most probable": np.isin(np.arange(len(pool)), ranking[:size]) & np.isfinite(probability),
        "more probable than not": probability > 0.5,
        "conformal selection": _selected(surrogate, prediction, ends, within(data.target[train], ends), settings),
    }
    hits = np.concatenate([[0], np.cumsum(hit[ranking])])
    found = np.interp(CURVE * len(pool), np.arange(len(hits)), hits / hits[-1]) if hit.any() else np.full(101, np.nan)
    rounds = replay(data, settings, train=train, pool=pool, ends=ends, seed=seed) if settings.rounds else None
    return SeedResult(
        seed, len(train), len(pool), int(np.isnan(probability).sum()), next(filter(np.isfinite, ends)),
        float(hit.mean()), {name: judge(mask, hit) for name, mask in shortlists.items()},
        {k: (int(hits[k]), k * float(hit.mean())) for k in RANKS if k < len(pool)}, found, rounds,
        time.perf_counter() - start,
    )  # fmt: skip


def judge(chosen: NDArray[np.bool_], hit: NDArray[np.bool_]) -> dict[str, float]:
    """Score a shortlist: size, precision, recall, F1, discovery acceleration factor and share of misses.

    An empty shortlist has no misses and no precision; without a hit in the pool there are no recall and no
    acceleration.

    Args:
        chosen: Whether each row of the pool is on the shortlist, shape (n,).
        hit: Whether its truth is a hit, shape (n,).

    >>> figures = judge(np.array([True, True, False, False]), np.array([True, False, False, False]))
    >>> figures["precision"], figures["recall"], figures["daf"], figures["false_discovery"]
    (0.5, 1.0, 2.0, 0.5)
    """
    size, hits, found = int(chosen.sum()), int(hit.sum()), int((chosen & hit).sum())
    precision = found / size if size else np.nan
    return {
        "chosen": size,
        "found": found,
        "precision": precision,
        "recall": found / hits if hits else np.nan,
        "f1": 2 * found / (size + hits) if hits else np.nan,
        "daf": precision * len(hit) / hits if hits else np.nan,
        "false_discovery": (size - found) / max(size, 1),
    }


def _selected(
    surrogate: Surrogate,
    prediction: Prediction,
    ends: tuple[float, float],
    met: NDArray[np.bool_],
    settings: DiscoverySettings,
) -> NDArray[np.bool_]:
    new = surrogate.out_of_fold_prediction()
    evidence = Evidence(new.probability_between(*ends), met, prediction.probability_between(*ends))
    return conformal_selection([evidence], max_false_discovery=settings.max_false_discovery).mask
