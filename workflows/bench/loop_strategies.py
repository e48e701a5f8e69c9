"""Strategies of a replayed loop: which candidates to measure next, by what was measured so far.

Every strategy sees the same: features and measured values of the known candidates, features of the others, and what is
wanted. None sees a value that was not measured. Models and acquisition functions are those of
:mod:`matloop.models`; here they are only put together, beside the rivals that a loop has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.errors import MatloopError
from matloop.data.installation import install_command
from matloop.data.properties.definition import Transform
from matloop.models.acquisition.criteria import probability_of_improvement, upper_confidence_bound
from matloop.models.acquisition.outlook import TargetOutlook
from matloop.models.families.isotropic_process import IsotropicProcess, scaled_features
from matloop.models.families.making import make_ensemble
from matloop.models.surrogates.prediction import forward
from matloop.workflows.bench.discovery_settings import ranked


class Aim(NamedTuple):
    """One target, as models learn it.

    Attributes:
        ends: Lower and upper end of the wanted values, in the unit of the labels.
        scale: Scale on which models learn it.
    """

    ends: tuple[float, float]
    scale: Transform


class Asked(NamedTuple):
    """What a strategy is asked, before each batch.

    Attributes:
        known: Features of the m measured candidates, shape (m, k).
        values: Their values, one array of shape (m,) for each target.
        left: Features of the n others, shape (n, k).
        aims: The targets.
        size: Candidates wanted, at most n.
        seed: Seed of the replay and number of the batch.
    """

    known: NDArray[np.float64]
    values: Sequence[NDArray[np.float64]]
    left: NDArray[np.float64]
    aims: Sequence[Aim]
    size: int
    seed: tuple[int, int]


Strategy = Callable[[Asked], NDArray[np.int64]]
"""Picks places among the n candidates that were not measured, best first."""
Learner = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], int], tuple[Any, Any]]
"""Learns features and values, and predicts mean and spread for other features."""
Learned = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Turns the measured values of a target into what models learn of it."""

OPTIMISM = 1.0
"""Standard deviations by which ``loop`` takes a candidate to turn out better than predicted."""
MOST_FOR_PROCESS = 500
"""Measured candidates up to which ``loop`` asks a Gaussian process beside the trees."""


def trees(
    known: NDArray[np.float64], values: NDArray[np.float64], left: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread by the extremely randomised trees of campaigns."""
    model = make_ensemble("extra_trees", {"trees": 100, "seed": seed})
    return model.fit(known, values).predict(left)


def process(
    known: NDArray[np.float64], values: NDArray[np.float64], left: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread by a Gaussian process with one length scale; the seed changes nothing."""
    features = scaled_features(np.concatenate([known, left]))
    fitted = IsotropicProcess.fit(features[: len(known)].astype(np.float64), values)
    return fitted.predict(features[len(known) :])


def process_and_trees(
    known: NDArray[np.float64], values: NDArray[np.float64], left: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread of a mixture of what a Gaussian process and trees expect, half of each.

    What they disagree about widens the spread (linear pool: Stone, Ann. Math. Statist. 32, 1339 (1961),
    doi:10.1214/aoms/1177704873). The process is asked up to :data:`MOST_FOR_PROCESS` measured candidates, because its
    time grows with their cube; then the trees decide alone.
    """
    by_trees = trees(known, values, left, seed)
    if len(known) > MOST_FOR_PROCESS or not np.std(values):
        return by_trees
    return half_of_each(process(known, values, left, seed), by_trees)


def half_of_each(
    first: tuple[NDArray[np.float64], NDArray[np.float64]], second: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of an equal mixture of two distributions, given as mean and standard deviation.

    >>> tuple(float(part[0]) for part in half_of_each((np.array([1.0]), np.zeros(1)), (np.array([3.0]), np.zeros(1))))
    (2.0, 1.0)
    """
    mean = (first[0] + second[0]) / 2
    return mean, np.sqrt((first[1] ** 2 + second[1] ** 2) / 2 + (first[0] - second[0]) ** 2 / 4)


def plain_forest(
    known: NDArray[np.float64], values: NDArray[np.float64], left: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread by a random forest of scikit-learn as it comes: 100 trees, all features tried at each split."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(random_state=seed).fit(known.astype(np.float32), values)
    single = left.astype(np.float32)
    predicted = np.stack([tree.predict(single) for tree in forest.estimators_])
    return predicted.mean(axis=0), predicted.std(axis=0)


def normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of the normal distribution at the ranks of n values, shape (n,): their order without their scale.

    Blom, Statistical Estimates and Transformed Beta-Variables, Wiley (1958).

    >>> normal_scores(np.array([1.0, 1000.0, 10.0])).round(2).tolist()
    [-0.87, 0.87, 0.0]
    """
    from scipy.stats import norm, rankdata

    return np.asarray(norm.ppf((rankdata(values) - 0.375) / (len(values) + 0.25)))


def values_and_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half standardised values, half their normal scores, shape (n,): who comes first, and by how much.

    Values alone let one outlier decide where trees split; their order alone forgets how far out the best ones lie. The
    result does not depend on the unit.

    >>> values_and_order(np.array([1.0, 1000.0, 10.0])).round(2).tolist()
    [-0.79, 1.14, -0.35]
    """
    spread = float(np.std(values))
    standardised = (values - np.mean(values)) / spread if spread else np.zeros(len(values))
    return (standardised + normal_scores(values)) / 2


def as_measured(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values themselves."""
    return values


def outlooks(asked: Asked, learn: Learner, *, single: Learned, scaled: bool = True) -> list[TargetOutlook]:
    """What models of each target say of the candidates that were not measured.

    Args:
        asked: What was measured, and what is wanted.
        learn: Makes the models.
        single: What they learn in place of the values of a single target with one end, of which all that matters is
            who comes first.
        scaled: Whether they learn other targets on their scale, or as they were measured.
    """
    one_end = len(asked.aims) == 1 and not np.isfinite(asked.aims[0].ends).all()
    found = []
    for aim, values in zip(asked.aims, asked.values, strict=True):
        if not np.isfinite(aim.ends).any():
            continue
        scale: Transform = aim.scale if scaled and (values > 0).all() else "identity"
        ends = forward(np.array(aim.ends), scale)
        if not np.isfinite(ends).any():
            continue  # a positive value is above any end that is not
        learned = single(values) if one_end else forward(values, scale)
        if one_end:
            ends = np.where(np.isfinite(aim.ends), 0.0, aim.ends)
        mean, spread = learn(asked.known, learned, asked.left, asked.seed[0])
        found.append(TargetOutlook(mean, spread, float(ends[0]), float(ends[1]), float(np.std(learned)) or 1.0))
    return found


def merit(targets: Sequence[TargetOutlook], *, optimism: float) -> NDArray[np.float64]:
    """How promising each candidate is, shape (n,).

    One target that is high enough or low enough is a matter of its value, so that the order goes on beyond its limit.
    Several targets, or a window, are met or not: there it is the probability of meeting all.

    Args:
        targets: Outlook of each.
        optimism: Standard deviations by which the value of a single target may turn out better than predicted.
    """
    if len(targets) == 1 and not targets[0].is_window:
        return upper_confidence_bound(targets, width=optimism)
    return probability_of_improvement(targets)


def by_models(
    asked: Asked, learn: Learner = process_and_trees, *, single: Learned = values_and_order, optimism: float = OPTIMISM
) -> NDArray[np.int64]:
    """Pick by models; see :func:`outlooks` and :func:`merit` for what they learn and how it is judged."""
    return ranked(merit(outlooks(asked, learn, single=single), optimism=optimism))[: asked.size]


def loop(asked: Asked) -> NDArray[np.int64]:
    """The default of matloop: a Gaussian process and trees, half of each, and some optimism."""
    return by_models(asked)


def trees_alone(asked: Asked) -> NDArray[np.int64]:
    """The same with extremely randomised trees whatever their error."""
    return by_models(asked, trees)


def greedy(asked: Asked) -> NDArray[np.int64]:
    """The same as ``loop`` without optimism: what is predicted best."""
    return by_models(asked, optimism=0.0)


def forest(asked: Asked) -> NDArray[np.int64]:
    """The plain loop of many papers: a random forest of scikit-learn, values as measured, what is predicted best."""
    found = outlooks(asked, plain_forest, single=as_measured, scaled=False)
    return ranked(merit(found, optimism=0.0))[: asked.size]


def physbo(asked: Asked) -> NDArray[np.int64]:
    """PHYSBO as its manual uses it: Bayesian linear model of random features, Thompson sampling, in whole batches.

    It maximises one number. Several targets are the smallest of their margins, in units of the spread of each.

    Motoyama et al., Comput. Phys. Commun. 278, 108405 (2022), doi:10.1016/j.cpc.2022.108405.

    Raises:
        MatloopError: If it is not installed.
    """
    try:
        import physbo as peer
    except ImportError:
        raise MatloopError(
            "the strategy physbo, and physbo is not installed", "loop, greedy, forest", install_command("physbo")
        ) from None
    margins = [
        TargetOutlook(values, values, *aim.ends, spread=float(np.std(values)) or 1.0).margin(values)
        for aim, values in zip(asked.aims, asked.values, strict=True)
    ]
    everything = np.concatenate([asked.known, asked.left])
    spread = everything.std(axis=0)
    features = (everything - everything.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    measured = np.arange(len(asked.known))
    policy = peer.search.discrete.Policy(test_X=features, initial_data=[measured, np.min(margins, axis=0)])
    policy.set_seed(1000 * asked.seed[0] + asked.seed[1])
    picked = policy.bayes_search(
        max_num_probes=1, num_search_each_probe=asked.size, is_disp=False, score="TS", interval=0, num_rand_basis=500
    )
    return np.asarray(picked, np.int64) - len(measured)


RANDOM = "random"
"""The rival of every strategy: an order of chance, which needs no model."""
STRATEGIES: Mapping[str, Strategy] = {
    "loop": loop, "trees": trees_alone, "greedy": greedy, "forest": forest, "physbo": physbo,
}  # fmt: skip
DEFAULT = ("loop", "trees", "forest")
"""Strategies that are replayed unless others are named."""
