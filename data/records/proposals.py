"""Batches that were proposed to a laboratory, what was withdrawn of them, and which candidates are taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from matloop.data.errors import RecordsError
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.identifiers import new_id
from matloop.data.records.ledger import (
    KnownCandidate,
    Ranges,
    add_action,
    add_candidates,
    as_json,
    read_json,
    read_ranges,
    stated_candidates,
)
from matloop.data.records.own_properties import add_properties
from matloop.data.records.tables import ACTIONS, PROPOSALS, SAMPLES, WITHDRAWALS

KIND = "propose"
WITHDRAWN = select(WITHDRAWALS.c.proposal_id)
"""Ids of the proposals that were withdrawn, as part of a query."""
"""Kind of the actions that propose a batch."""


class ProposedCandidate(NamedTuple):
    """A candidate of a batch.

    Attributes:
        candidate_id: Its id.
        known: What is known of it, with its predictions.
        why: Why it was chosen, as plain JSON values.
    """

    candidate_id: str
    known: KnownCandidate
    why: Mapping[str, Any]


class TakenCandidates(NamedTuple):
    """Candidates that are not to be proposed again.

    Attributes:
        made: With a sample, whatever came of it.
        pending: Proposed, not withdrawn since, and without a sample.
    """

    made: frozenset[str]
    pending: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """All of them."""
        return self.made | self.pending


def taken_candidates(database: RecordsDatabase) -> TakenCandidates:
    """Candidates that were made or are proposed."""
    with database.reading() as connection:
        return taken_candidates_in(connection)


def taken_candidates_in(connection: Connection) -> TakenCandidates:
    """The same, in a transaction."""
    made = frozenset(connection.execute(select(SAMPLES.c.candidate_id).distinct()).scalars())
    standing = PROPOSALS.c.id.not_in(WITHDRAWN)
    proposed = frozenset(connection.execute(select(PROPOSALS.c.candidate_id).where(standing).distinct()).scalars())
    return TakenCandidates(made, proposed - made)


class WrittenProposal(NamedTuple):
    """A candidate that was proposed, as the records hold it.

    Attributes:
        candidate_id: The candidate.
        formula: Its formula.
        campaign: Name of the campaign that it was proposed for.
        why: Why it was chosen and what was promised.
        ranges: Ranges that the promise is about, in the unit of each property; none where they were not written down.
    """

    candidate_id: str
    formula: str
    campaign: str
    why: Mapping[str, Any]
    ranges: Ranges


def written_proposals(database: RecordsDatabase) -> list[WrittenProposal]:
    """Every proposal, withdrawn ones too, the oldest first.

    Raises:
        DamagedFileError: If one of them cannot be read.
    """
    query = (
        select(
            PROPOSALS.c.candidate_id, PROPOSALS.c.formula, PROPOSALS.c.why_json, ACTIONS.c.details_json,
            ACTIONS.c.number,
        )
        .join(ACTIONS, ACTIONS.c.id == PROPOSALS.c.action_id)
        .order_by(ACTIONS.c.number, PROPOSALS.c.place)
    )  # fmt: skip
    with database.reading() as connection:
        rows = connection.execute(query).all()
    batches = {number: details for *_, details, number in rows}
    said = {number: read_json(details, of=f"action {number}") for number, details in batches.items()}
    ranges = {number: read_ranges(one, of=f"action {number}") for number, one in said.items()}
    return [
        WrittenProposal(
            name, formula, str(said[number].get("campaign", "")), read_json(why, of=f"the proposal of {name}"),
            ranges[number],
        )
        for name, formula, why, _, number in rows
    ]  # fmt: skip


def campaigns_of_candidates(database: RecordsDatabase) -> dict[str, frozenset[str]]:
    """Campaigns that proposed or promised each candidate, by its id; one that none did is left out."""
    found = defaultdict[str, set[str]](set)
    with database.reading() as connection:
        for name, one in stated_candidates(connection):
            if one.campaign:
                found[name].add(one.campaign)
    for proposal in written_proposals(database):
        found[proposal.candidate_id].add(proposal.campaign)
    return {name: frozenset(campaigns) for name, campaigns in found.items()}


def withdrawn_candidates(connection: Connection) -> frozenset[str]:
    """Candidates whose every proposal was withdrawn; a result of one may come back all the same."""
    withdrawn = PROPOSALS.c.id.in_(WITHDRAWN)
    names = frozenset(connection.execute(select(PROPOSALS.c.candidate_id).where(withdrawn).distinct()).scalars())
    standing = select(PROPOSALS.c.candidate_id).where(~withdrawn).distinct()
    return names - frozenset(connection.execute(standing).scalars())


def add_proposal(
    database: RecordsDatabase, batch: Sequence[ProposedCandidate], *, details: Mapping[str, Any], note: str = ""
) -> str:
    """Write a batch into the records with the own properties of the catalogue in use, all of it or nothing.

    Args:
        database: The records.
        batch: The candidates in the order of their choice.
        details: How they were chosen, as plain JSON values.
        note: Anything else.

    Returns:
        The id of the action.

    Raises:
        RecordsError: If one of them was proposed or made meanwhile.
    """

    def work(connection: Connection) -> str:
        taken = taken_candidates_in(connection).all
        if again := [one.candidate_id for one in batch if one.candidate_id in taken]:
            raise RecordsError(
                f"{again[0]} was proposed or made while this batch was chosen", "candidates that nobody has taken",
                "run it again",
            )  # fmt: skip
        action = add_action(connection, KIND, note=note, details=details)
        add_properties(connection, action)
        add_candidates(connection, action, {one.candidate_id: one.known for one in batch})
        for place, one in enumerate(batch, start=1):
            connection.execute(
                insert(PROPOSALS).values(
                    id=new_id("proposal"), action_id=action, place=place, candidate_id=one.candidate_id,
                    formula=one.known.formula, why_json=as_json(one.why),
                )
            )  # fmt: skip
        return action

    return database.write(work)
