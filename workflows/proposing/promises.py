"""What was promised of candidates that were tried, beside what came of them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from matloop.data.records.attempts import attempts_of
from matloop.data.records.contents import samples_table, values_table
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import candidates_in
from matloop.data.records.tables import ACTIONS, PROPOSALS
from matloop.models.surrogates.kept_promises import AS_STATED, PromiseCorrection

Ranges = Mapping[str, tuple[float, float]]


class TriedCandidates(NamedTuple):
    """Candidates that were tried, of which a probability of being a hit had been stated.

    Attributes:
        stated: That probability, shape (n,).
        corrected: As results had corrected it when it was stated, shape (n,).
        found: Whether each is a hit, shape (n,).
        for_prospects: Whether each was chosen for its prospects, and not to explore, shape (n,).
        complete: Whether every target was measured of those that were made.
    """

    stated: NDArray[np.float64]
    corrected: NDArray[np.float64]
    found: NDArray[np.bool_]
    for_prospects: NDArray[np.bool_]
    complete: bool

    @property
    def correction(self) -> PromiseCorrection:
        """What they say of promises; nothing where not every target is measured."""
        chosen = self.for_prospects
        return PromiseCorrection.fit(self.stated[chosen], self.found[chosen]) if self.complete else AS_STATED


def tried_candidates(database: RecordsDatabase, ranges: Ranges, *, laboratory: str = "") -> TriedCandidates:
    """Compare candidates that were tried with the probabilities that were stated for them.

    A candidate is a hit if every property of the targets that any laboratory measures lies in its range. One that
    nobody could make is none; one of which a value is missing is not counted.

    Args:
        database: The records.
        ranges: Wanted range of each target, in the unit of the property.
        laboratory: Whose results; those of all laboratories if empty.
    """
    promises = _promises(database)
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in values_table(database, list(ranges)).to_pylist():
        if row["relation"] in "=~" and (not laboratory or row["laboratory"] == laboratory):
            values[row["candidate_id"]][row["property"]].append(row["value"])
    asked = {name for one in values.values() for name in one}
    made: dict[str, bool] = defaultdict(bool)
    for attempt in attempts_of(samples_table(database), laboratory=laboratory).counted:
        made[attempt.candidate_id] |= attempt.success > 0
    rows = []
    for name, was_made in made.items():
        complete = bool(asked) and asked <= set(values[name])
        promise = promises.get(name)
        if promise is not None and (complete or not was_made):
            means = {one: float(np.mean(values[name][one])) for one in asked} if complete else {}
            hit = complete and all(ranges[one][0] <= mean <= ranges[one][1] for one, mean in means.items())
            rows.append((*promise, hit))
    stated, corrected, chosen, found = zip(*rows, strict=True) if rows else ((), (), (), ())
    return TriedCandidates(
        np.array(stated, float), np.array(corrected, float), np.array(found, bool), np.array(chosen, bool),
        asked == set(ranges),
    )  # fmt: skip


class _Promise(NamedTuple):
    stated: float
    corrected: float
    for_prospects: bool


def _promises(database: RecordsDatabase) -> dict[str, _Promise]:
    """What was promised of each candidate: when it was proposed, else in its run."""
    query = select(PROPOSALS.c.candidate_id, PROPOSALS.c.why_json).join(ACTIONS, ACTIONS.c.id == PROPOSALS.c.action_id)
    with database.reading() as connection:
        found = {
            name: _Promise(one.promise, one.promise, True)
            for name, one in candidates_in(connection).items()
            if math.isfinite(one.promise)
        }
        proposed = [(name, json.loads(why)) for name, why in connection.execute(query.order_by(ACTIONS.c.number))]
    return found | {name: _read(why) for name, why in proposed if why.get("probability") is not None}


def _read(why: Mapping[str, Any]) -> _Promise:
    stated = float(why["probability"])
    corrected = why.get("corrected")  # the first batches have none
    return _Promise(stated, stated if corrected is None else float(corrected), why.get("purpose") != "explore")
