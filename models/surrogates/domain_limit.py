"""The limit of the applicability domain, decided by how intervals hold for hidden chemistry at several limits.

Whole groups of training rows were hidden in turn (:mod:`matloop.models.surrogates.hidden_chemistry`). The domain
reaches as far as the 90 % intervals of the hidden rows inside it hold at least 85 %. The evidence comes from training
rows alone and stands on the card, with the groups that fail: errors within a group are alike, so that few of the
intervals of one may hold although those of all rows do, and a nearer limit seldom mends that.
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


def decide_limit(domain: Domain, examples: CalibrationRows, held: NDArray[np.bool_]) -> Domain:
    """Choose the largest limit at which intervals of hidden rows inside hold 85 %, or else the nearest limit.

    Args:
        domain: With the widest limit.
        examples: Predictions of its rows.
        held: Whether the 90 % interval of each example holds the truth, calibrated without its group, shape (c,).

    Returns:
        The domain with the limit chosen; without hidden rows the same domain.
    """
    evidence = evidence_at_limits(domain, examples, held)
    return replace(domain, limit=choose(evidence)["distance"]) if evidence else domain


def evidence_at_limits(
    domain: Domain, examples: CalibrationRows, held: NDArray[np.bool_]
) -> list[dict[str, Any]]:  # fmt: skip
    """How intervals of hidden rows hold at each limit that is tried, widest first; nothing without hidden rows.

    The limit of the domain is the one with ``chosen``. A group fails if, with a coverage of 85 %, so few of its
    intervals would hold with a probability below 5 % (binomial). Groups with fewer than 20 rows inside do not count.

    Args:
        domain: The domain.
        examples: Predictions of its rows.
        held: Whether the 90 % interval of each example holds the truth, calibrated without its group, shape (c,).
    """
    if not examples.hidden.any():
        return []
    found = [_at(float(np.quantile(domain.own, share)), share, examples, held) for share in SHARES]
    return [{**one, "chosen": one["distance"] == domain.limit} for one in found]


def choose(evidence: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the first at which enough intervals of hidden rows hold, or where they are no evidence; else the last.

    >>> choose([{"distance": 1.0, "coverage_hidden": 0.8}, {"distance": 0.9, "coverage_hidden": 0.87}])["distance"]
    0.9
    >>> choose([{"distance": 1.0, "coverage_hidden": 0.8}, {"distance": 0.9, "coverage_hidden": 0.81}])["distance"]
    0.9
    """
    enough = (one for one in evidence if one["coverage_hidden"] is None or one["coverage_hidden"] >= LEAST_COVERAGE)
    return next(enough, evidence[-1])


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
        "coverage_hidden": float(within.mean()) if len(within) >= FEWEST_ROWS else None,
        "least_coverage_of_a_group": min((float(one.mean()) for one in judged), default=None),
        "groups": len(judged),
        "groups_failing": sum(chance < _CHANCE for chance in chances),
    }
