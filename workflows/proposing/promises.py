"""What was promised of candidates that were tried, beside what came of them."""

from __future__ import annotations

import math
from collections import defaultdict
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.conditions import read_conditions
from matloop.data.records.attempts import attempts_of
from matloop.data.records.contents import samples_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import Ranges, stated_candidates
from matloop.data.records.proposals import WrittenProposal, written_proposals
from matloop.models.surrogates.kept_promises import AS_STATED, PromiseCorrection
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.proposing.met_targets import Conditions, is_met, values_by_candidate
from matloop.workflows.proposing.outcomes import OutcomeFactor


class TriedCandidates(NamedTuple):
    """Candidates that were tried, of which a probability of being a hit had been stated.

    Attributes:
        ids: Of n candidates.
        formulas: Their formulas.
        stated: Probability that had been stated, shape (n,).
        corrected: As results had corrected it when it was stated, shape (n,).
        outcome_factor: By what outcomes of making had multiplied the stated probability, shape (n,).
        found: Whether each is a hit, shape (n,).
        is_alike: Whether each was chosen for its prospects, and not to explore, and promised for the ranges that are
            wanted now, shape (n,).
        unmeasured: Targets of which nothing is known for any of the candidates, where therefore none is counted.
    """

    ids: tuple[str, ...]
    formulas: tuple[str, ...]
    stated: NDArray[np.float64]
    corrected: NDArray[np.float64]
    outcome_factor: NDArray[np.float64]
    found: NDArray[np.bool_]
    is_alike: NDArray[np.bool_]
    unmeasured: tuple[str, ...] = ()

    def correction(self, outcomes: OutcomeFactor) -> PromiseCorrection:
        """What they say of promises, beyond what outcomes say of making.

        What could not be made is no hit. Outcomes of making correct probabilities by a factor of their own, which
        holds these failures already. So hits are compared with the probabilities as outcomes correct them now, lest
        failures count twice.

        Args:
            outcomes: The factor by which outcomes correct probabilities now.
        """
        rows = np.flatnonzero(self.is_alike)
        if not len(rows):
            return AS_STATED
        tried = CandidateBatch.from_formulas([self.formulas[row] for row in rows], exact=True).batch
        now = outcomes.of_candidates([self.ids[row] for row in rows], tried.compositions)
        promised = np.clip(self.stated[rows] / self.outcome_factor[rows] * now, 0.0, 1.0)
        return PromiseCorrection.fit(promised, self.found[rows])


def tried_candidates(
    database: RecordsDatabase, ranges: Ranges, *, campaign: str, at: Conditions = MappingProxyType({}),
    laboratory: str = "",
) -> TriedCandidates:  # fmt: skip
    """Compare candidates of a campaign that were tried with the probabilities that were stated for them.

    A candidate is a hit if every target lies in the range for which its probability was stated. One that nobody could
    make, or of which one target lies outside, is none, whatever else is measured; one of which something is missing is
    not counted. A limit counts where it decides, as a value below 1 does where 3 or more is wanted. As long as nothing
    is known of a target, misses are known and hits are not, so that none counts while a candidate waits for a value.

    Args:
        database: The records.
        ranges: Range wanted now of each target, in the unit of the property; nan where none is known.
        campaign: Name of the campaign whose promises count.
        at: Conditions at which each target is wanted, by property.
        laboratory: Whose results; those of all laboratories if empty.

    Raises:
        DamagedFileError: If a proposal cannot be read.
    """
    promises = {name: one.wanting(ranges) for name, one in _promises(database, campaign).items()}
    targets = sorted({name for one in promises.values() for name in one.ranges})
    values = values_by_candidate(database, targets, laboratory=laboratory)
    met = {
        name: {key: is_met(values[name, key], ends, at.get(key, {})) for key, ends in one.ranges.items()}
        for name, one in promises.items()
    }
    decided = {key for one in met.values() for key, found in one.items() if found is not None}
    made: dict[str, bool] = defaultdict(bool)
    for attempt in attempts_of(samples_table(database), laboratory=laboratory).counted:
        if attempt.candidate_id in promises:
            made[attempt.candidate_id] |= attempt.success > 0
    missed = {name: not was_made or False in met[name].values() for name, was_made in made.items()}
    hit = {name: not missed[name] and all(met[name].values()) for name in made}
    all_known = all(missed[name] or hit[name] for name in made)
    rows = [
        (name, promises[name], hit[name])
        for name in made
        if (missed[name] or hit[name]) and (all_known or decided >= promises[name].ranges.keys())
    ]
    unmeasured = tuple(name for name in ranges if name not in decided) if made and not rows else ()
    numbers = np.array([(one.stated, one.corrected, one.outcome_factor) for _, one, _ in rows], float).reshape(-1, 3)
    return TriedCandidates(
        tuple(name for name, _, _ in rows), tuple(one.formula for _, one, _ in rows),
        numbers[:, 0], numbers[:, 1], numbers[:, 2], np.array([hit for _, _, hit in rows], bool),
        np.array([one.for_prospects and _are_alike(one.ranges, ranges) for _, one, _ in rows], bool), unmeasured,
    )  # fmt: skip


def wanted_conditions(campaign: Campaign) -> Conditions:
    """Conditions at which each target of a campaign is wanted, each in the unit in which it is stored."""
    return {target.property: read_conditions(target.at) for target in campaign.targets if target.at}


def _are_alike(then: Ranges, now: Ranges) -> bool:
    """Whether ranges are the same, as far as those of now are known."""
    return then.keys() == now.keys() and all(
        math.isnan(end) or math.isclose(one, end, rel_tol=1e-6)
        for name, ends in now.items() for one, end in zip(then[name], ends, strict=True)
    )  # fmt: skip


class _Promise(NamedTuple):
    """What was stated of a candidate; without ranges where they were not written down."""

    formula: str
    stated: float
    corrected: float
    for_prospects: bool
    ranges: Ranges
    outcome_factor: float = 1.0

    def wanting(self, ranges: Ranges) -> _Promise:
        """The same for the ranges that were wanted then, or for others where those are not known."""
        return self if self.ranges else self._replace(ranges=ranges)


def _promises(database: RecordsDatabase, campaign: str) -> dict[str, _Promise]:
    """What a campaign promised of each candidate: when it was proposed, else in its run."""
    with database.reading() as connection:
        found = {
            name: _Promise(one.formula, one.promise, one.promise, True, one.ranges)
            for name, one in stated_candidates(connection)
            if one.campaign == campaign and math.isfinite(one.promise)
        }
    return found | {
        one.candidate_id: _read(one)
        for one in written_proposals(database)
        if one.campaign == campaign and one.why.get("probability") is not None
    }


def _read(written: WrittenProposal) -> _Promise:
    why, stated = written.why, float(written.why["probability"])
    corrected = why.get("corrected")  # the first batches have none
    return _Promise(
        written.formula, stated, stated if corrected is None else float(corrected), why.get("purpose") != "explore",
        written.ranges, float(why.get("outcome_factor", 1.0)),
    )  # fmt: skip
