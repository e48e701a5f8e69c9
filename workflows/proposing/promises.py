"""What was promised of candidates that were tried, beside what came of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.records.attempts import attempts_of
from matloop.data.records.contents import samples_table, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import candidates_in
from matloop.data.records.proposals import written_proposals
from matloop.models.surrogates.kept_promises import AS_STATED, PromiseCorrection

Ranges = Mapping[str, tuple[float, float]]


class TriedCandidates(NamedTuple):
    """Candidates that were tried, of which a probability of being a hit had been stated.

    Attributes:
        stated: That probability, shape (n,).
        corrected: As results had corrected it when it was stated, shape (n,).
        found: Whether each is a hit, shape (n,).
        for_prospects: Whether each was chosen for its prospects, and not to explore, shape (n,).
        unmeasured: Targets of which none of the candidates has a value, or whose range is not known. Probabilities are
            those of meeting all targets, so that nothing is compared with them until each target is measured.
    """

    stated: NDArray[np.float64]
    corrected: NDArray[np.float64]
    found: NDArray[np.bool_]
    for_prospects: NDArray[np.bool_]
    unmeasured: tuple[str, ...] = ()

    @property
    def correction(self) -> PromiseCorrection:
        """What they say of promises."""
        chosen = self.for_prospects
        return PromiseCorrection.fit(self.stated[chosen], self.found[chosen]) if chosen.any() else AS_STATED


def tried_candidates(
    database: RecordsDatabase, ranges: Ranges, *, campaign: str, laboratory: str = ""
) -> TriedCandidates:  # fmt: skip
    """Compare candidates of a campaign that were tried with the probabilities that were stated for them.

    A candidate is a hit if the value of every target lies in its range. One that nobody could make is none; one of
    which a value is missing is not counted.

    Args:
        database: The records.
        ranges: Wanted range of each target, in the unit of the property; nan where none is known.
        campaign: Name of the campaign whose promises count.
        laboratory: Whose results; those of all laboratories if empty.

    Raises:
        DamagedFileError: If a proposal cannot be read.
    """
    promises = _promises(database, campaign)
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in values_table(database, list(ranges)).to_pylist():
        is_mine = row["candidate_id"] in promises and (not laboratory or row["laboratory"] == laboratory)
        if row["relation"] in "=~" and is_mine:
            values[row["candidate_id"]][row["property"]].append(row["value"])
    measured = {name for one in values.values() for name in one}
    unmeasured = tuple(name for name, ends in ranges.items() if name not in measured or math.isnan(ends[0]))
    made: dict[str, bool] = defaultdict(bool)
    for attempt in attempts_of(samples_table(database), laboratory=laboratory).counted:
        made[attempt.candidate_id] |= attempt.success > 0
    rows = []
    for name, was_made in made.items():
        complete = set(ranges) == set(values[name])
        promise = promises.get(name)
        if promise is not None and not unmeasured and (complete or not was_made):
            means = {one: float(np.mean(values[name][one])) for one in ranges} if complete else {}
            hit = complete and all(ranges[one][0] <= mean <= ranges[one][1] for one, mean in means.items())
            rows.append((*promise, hit))
    stated, corrected, chosen, found = zip(*rows, strict=True) if rows else ((), (), (), ())
    return TriedCandidates(
        np.array(stated, float), np.array(corrected, float), np.array(found, bool), np.array(chosen, bool),
        unmeasured if made.keys() & promises.keys() else (),
    )  # fmt: skip


class _Promise(NamedTuple):
    stated: float
    corrected: float
    for_prospects: bool


def _promises(database: RecordsDatabase, campaign: str) -> dict[str, _Promise]:
    """What a campaign promised of each candidate: when it was proposed, else in its run."""
    with database.reading() as connection:
        found = {
            name: _Promise(one.promise, one.promise, True)
            for name, one in candidates_in(connection).items()
            if one.campaign == campaign and math.isfinite(one.promise)
        }
    return found | {
        one.candidate_id: _read(one.why)
        for one in written_proposals(database)
        if one.campaign == campaign and one.why.get("probability") is not None
    }


def _read(why: Mapping[str, Any]) -> _Promise:
    stated = float(why["probability"])
    corrected = why.get("corrected")  # the first batches have none
    return _Promise(stated, stated if corrected is None else float(corrected), why.get("purpose") != "explore")
