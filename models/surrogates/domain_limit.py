"""The limit of the applicability domain, decided by how intervals hold for hidden chemistry at several limits.

Whole groups of training rows were hidden in turn (:mod:`matloop.models.surrogates.hidden_chemistry`). Errors within a
group are alike, so the intervals of a group may hold much less than those of all rows. A nearer limit is worth its
candidates only if fewer groups then fail inside it. The evidence comes from training rows alone and stands on the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matloop.models.surrogates.calibration import DOMAIN_SHARE
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.hidden_chemistry import CalibrationRows
from matloop.models.surrogates.unseen_elements import LEAST_COVERAGE

SHARES = (DOMAIN_SHARE, 0.9, 0.85, 0.8)
"""Shares of the training rows that limits are tried at. With fewer, hardly a candidate would be inside."""
FEWEST_ROWS = 20  # of a hidden group inside the domain; fewer are no evidence
_CHANCE = 0.05  # that a group with the least coverage is taken for one that fails


def decide_limit(
    domain: Domain, examples: CalibrationRows, held: NDArray[np.bool_]
) -> tuple[Domain, list[dict[str, Any]]]:
    """Choose the largest limit at which the fewest hidden groups fail.

    A group fails if, with a coverage of 85 %, so few of its 90 % intervals would hold with a probability below 5 %
    (binomial). Groups with fewer than 20 rows inside do not count.

    Args:
        domain: With the widest limit.
        examples: Predictions of its rows.
        held: Whether the 90 % interval of each example holds the truth, calibrated without its group, shape (c,).

    Returns:
        The domain with the limit chosen, and the evidence for a card at each limit, widest first; without hidden rows
        the same domain and no evidence.
    """
    if not examples.hidden.any():
        return domain, []
    evidence = [_at(float(np.quantile(domain.own, share)), share, examples, held) for share in SHARES]
    chosen = choose(evidence)
    return replace(domain, limit=chosen["distance"]), [{**one, "chosen": one is chosen} for one in evidence]


def choose(evidence: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the first with the fewest groups that fail.

    >>> choose([{"distance": 1.0, "groups_failing": 2}, {"distance": 0.9, "groups_failing": 0}])["distance"]
    0.9
    >>> choose([{"distance": 1.0, "groups_failing": 2}, {"distance": 0.9, "groups_failing": 2}])["distance"]
    1.0
    """
    return min(evidence, key=lambda one: one["groups_failing"])


def _at(limit: float, share: float, examples: CalibrationRows, held: NDArray[np.bool_]) -> dict[str, Any]:
    """Count the hidden groups inside one limit, and those that fail there."""
    from scipy.stats import binom

    inside, hidden = examples.inside(limit), examples.hidden
    of_groups = [held[inside & (examples.group == number)] for number in np.unique(examples.group[hidden])]
    judged = [one for one in of_groups if len(one) >= FEWEST_ROWS]
    chances = [float(binom.cdf(one.sum(), len(one), LEAST_COVERAGE)) for one in judged]
    within = held[inside & hidden]
    return {
        "share_of_training": share,
        "distance": limit,
        "hidden_rows": len(within),
        "coverage_hidden": float(within.mean()) if len(within) else None,
        "least_coverage_of_a_group": min((float(one.mean()) for one in judged), default=None),
        "groups": len(judged),
        "groups_failing": sum(chance < _CHANCE for chance in chances),
    }
