"""A batch in the records: all of it is written, or nothing."""

from __future__ import annotations

import os
from dataclasses import replace

from matloop.data.records.database import DEFAULT_FILE, ENVIRONMENT, RecordsDatabase, open_records
from matloop.data.records.proposals import add_proposal
from matloop.workflows.proposing.proposal import Proposal, as_records
from matloop.workflows.proposing.proposal_words import as_json


def recorded(database: RecordsDatabase, proposal: Proposal) -> Proposal:
    """Write a batch into the records, and return it with the id of the action.

    Raises:
        RecordsError: If one of the candidates was proposed or made meanwhile.
    """
    said = as_json(proposal)
    del said["candidates"], said["action"]
    return replace(proposal, action=add_proposal(database, as_records(proposal), details=said))


def records_there(place: str | None) -> RecordsDatabase | None:
    """The records that are named, or that are used without a name if there are any; None without."""
    if place is None and not os.environ.get(ENVIRONMENT) and not DEFAULT_FILE.exists():
        return None
    return open_records(place, may_create=False)
