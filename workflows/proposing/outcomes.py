"""What a laboratory made and failed to make corrects the probability that a candidate is made and meets all targets.

Where the campaign asks for a makeable phase, that probability is corrected. Elsewhere probabilities hold for compounds
that are made, and nothing is known of making. There the probability of being made begins at one and becomes the share
of compounds that the laboratory makes: its mean under a Beta prior with the weight of four compounds that were made, in
the limit in which no failure was seen before. Outcomes decide this share once; beyond it they only tell which compounds
fare better or worse than that, by the likeness of their compositions.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.records.attempts import Attempt, Attempts, attempts_of
from matloop.data.records.contents import samples_table
from matloop.data.records.database import RecordsDatabase
from matloop.models.stability.laboratory_outcomes import COMMON, LaboratoryOutcomes
from matloop.screening.runs.run_view import RunView
from matloop.workflows.stages.makeable import kinship_targets, makeable_phases

ASSUMED = 4
"""Compounds that count as made before the first attempt, where no model says what can be made."""
_SMALLEST = 1e-6


class OutcomeFactor:
    """By what a laboratory made and failed to make multiplies probabilities of meeting all targets.

    Args:
        attempts: What was tried.
        limit: Largest energy above the hull in eV/atom of the makeable phases that the probability of all targets
            counts; None where it counts none.
    """

    def __init__(self, attempts: Attempts, limit: float | None) -> None:
        self._attempts, self._limit = attempts, limit

    @classmethod
    def of(cls, view: RunView, database: RecordsDatabase | None) -> Self:
        """The factor for candidates of a run.

        Args:
            view: The run.
            database: The records; None for none.
        """
        attempts = Attempts([], 0) if database is None else attempts_of(samples_table(database))
        ends = {name: (-np.inf if low is None else low, np.inf if high is None else high)
                for name, (low, high) in view.ranges.items()}  # fmt: skip
        limits = [ends[name][1] for name in kinship_targets(view.campaign, ends)]
        return cls(attempts, limits[0] if limits else None)

    def of_candidates(self, ids: Sequence[str], compositions: Compositions) -> NDArray[np.float64]:
        """The factor of each of n candidates, shape (n,)."""
        if self._limit is None:
            return made_factor(self._attempts, ids, compositions, None)
        if not self._attempts.counted:
            return np.ones(len(ids))
        own = makeable_phases(compositions, self._limit).tolist()
        prior = {**self._prior_of_tried, **dict(zip(ids, own, strict=True))}
        return made_factor(self._attempts, ids, compositions, prior)

    @functools.cached_property
    def _prior_of_tried(self) -> dict[str, float]:
        """Probability of being makeable of what was tried, in whichever run it was a candidate, by id."""
        tried = self._attempts.counted
        compositions = _compositions_of(tried)
        chances = makeable_phases(compositions, self._limit or 0.0).tolist()
        return {one.candidate_id: chance for one, chance in zip(tried, chances, strict=True)}


def made_factor(
    attempts: Attempts, ids: Sequence[str], compositions: Compositions, prior: Mapping[str, float] | None
) -> NDArray[np.float64]:
    """By what outcomes multiply the probability of meeting all targets, shape (n,).

    Args:
        attempts: What was tried.
        ids: Of the candidates of a pool.
        compositions: Of the same candidates.
        prior: Probability of being makeable that the probability of all targets holds, by id; None where it holds none.
            The factor of a candidate without one is 1.
    """
    if prior is None:
        tried = _one_a_compound(attempts.counted)
        weights = np.array([one.weight for one in tried])
        successes = float(weights @ np.array([one.success for one in tried]))
        rate = (successes + ASSUMED) / (float(weights.sum()) + ASSUMED)
        beyond = _outcomes(tried, np.full(len(tried), rate), common=0.0)
        return beyond.probability(compositions, np.full(len(ids), rate))
    known = _one_a_compound([one for one in attempts.counted if np.isfinite(prior.get(one.candidate_id, np.nan))])
    if not known:
        return np.ones(len(ids))
    outcomes = _outcomes(known, np.array([prior[one.candidate_id] for one in known]))
    before = np.array([prior.get(name, np.nan) for name in ids])
    after = outcomes.probability(compositions, before)
    return np.where(np.isfinite(before), after / np.maximum(before, _SMALLEST), 1.0)


def _one_a_compound(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The best outcome of each compound, of whichever of its crystals."""
    best: dict[str, Attempt] = {}
    for one in attempts:
        known = best.setdefault(one.formula, one)
        if (one.success, one.weight) > (known.success, known.weight):
            best[one.formula] = one
    return list(best.values())


def _outcomes(
    attempts: Sequence[Attempt], prior: NDArray[np.float64], *, common: float = COMMON
) -> LaboratoryOutcomes:  # fmt: skip
    tried = _compositions_of(attempts)
    success, weights = (np.array([getattr(one, name) for one in attempts]) for name in ("success", "weight"))
    return LaboratoryOutcomes.fit(tried, prior, success, weights=weights, common=common)


def _compositions_of(attempts: Sequence[Attempt]) -> Compositions:
    return CandidateBatch.from_formulas([one.formula for one in attempts], exact=True).batch.compositions
