"""A batch in the records: all of it is written, or nothing; and read again, so that its files can be written again."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import select

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import RecordsError
from matloop.data.plain_text import counted, one_line
from matloop.data.records.database import DEFAULT_FILE, ENVIRONMENT, RecordsDatabase, open_records
from matloop.data.records.ledger import read_json, read_ranges
from matloop.data.records.proposals import KIND, WITHDRAWN, add_proposal
from matloop.data.records.tables import ACTIONS, PROPOSALS
from matloop.data.runs.intake_files import read_intake
from matloop.models.acquisition.batch import Choice
from matloop.models.surrogates.kept_promises import PromiseCorrection
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.proposing.laboratory import Laboratory
from matloop.workflows.proposing.proposal import ChosenCandidate, Proposal, Wish, as_records
from matloop.workflows.proposing.proposal_words import as_json
from matloop.workflows.proposing.scored_pool import PoolCounts

LAST = "last"
"""Names the newest batch of a run."""
_SHORTEST = 6  # characters by which a batch may be named


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


def short_name(action: str) -> str:
    """By what people name a batch: the first characters of the id of its action."""
    return action.partition("-")[2][:8]


@in_catalogue_of_run
def proposal_again(view: RunView, database: RecordsDatabase, named: str) -> Proposal:
    """A batch of a run as the records hold it, without what was withdrawn since.

    Args:
        view: The run.
        database: The records.
        named: The id of its action or its first characters, as :func:`short_name` gives them, or ``last``.

    Raises:
        RecordsError: If the records hold no such batch of the run, all of it was withdrawn, or the run no longer holds
            its candidates.
    """
    batch = _named(_batches(database, view), named, view.folder.name)
    with database.reading() as connection:
        query = select(PROPOSALS.c.candidate_id, PROPOSALS.c.formula, PROPOSALS.c.why_json)
        query = query.where(PROPOSALS.c.action_id == batch.action, PROPOSALS.c.id.not_in(WITHDRAWN))
        rows = connection.execute(query.order_by(PROPOSALS.c.place)).all()
    if not rows:
        raise RecordsError(
            f"the batch {short_name(batch.action)}, all candidates of which were withdrawn",
            "a batch with candidates that stand, or a new one by matloop propose without --again",
        )
    said, chosen = batch.said, tuple(chosen_candidate(*row) for row in rows)
    counts = PoolCounts(said["scored"], said["free"], Counter(said["left_out"]))
    return Proposal(
        said["run"], said["campaign"], Wish(**{name: said[name] for name in Wish._fields}),
        Laboratory.model_validate(said["laboratory"]), chosen, _candidates(view, [one.candidate_id for one in chosen]),
        counts, said["best_margin"], said["measured"], said["temperature_celsius"], action=batch.action,
        retrained=tuple(said["retrained"]), correction=PromiseCorrection(**said["correction"]),
        ranges=read_ranges(said, of="a proposal"), outdated=tuple(said.get("outdated", ())),
    )  # fmt: skip


class _Batch(NamedTuple):
    action: str
    at: str
    said: Mapping[str, Any]


def _batches(database: RecordsDatabase, view: RunView) -> list[_Batch]:
    """The batches of a run, the oldest first."""
    query = select(ACTIONS.c.id, ACTIONS.c.at, ACTIONS.c.details_json, ACTIONS.c.number).where(ACTIONS.c.kind == KIND)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(ACTIONS.c.number)).all()
    found = [_Batch(action, at, read_json(details, of=f"action {number}")) for action, at, details, number in rows]
    mine = (view.folder.name, view.campaign.name)  # runs of two campaigns may have folders of one name
    return [one for one in found if (one.said.get("run"), one.said.get("campaign")) == mine]


def _named(batches: Sequence[_Batch], named: str, run: str) -> _Batch:
    text = named.strip()
    found = [
        one for one in batches
        if text in (LAST, one.action)
        or (len(text) >= _SHORTEST and (one.action.startswith(text) or one.action.partition("-")[2].startswith(text)))
    ]  # fmt: skip
    if found and (text == LAST or len(found) == 1):
        return found[-1]
    listed = ", ".join(f"{short_name(one.action)} of {one.at[:10]}" for one in reversed(batches[-10:]))
    raise RecordsError(
        f"'{one_line(text)[:60]}', which names {counted(len(found), 'batch', 'batches')} of {run} in these records",
        f"one of {listed}, or {LAST}" if listed else "the batch of a run that matloop propose recorded",
    )


def chosen_candidate(candidate: str, formula: str, why: str) -> ChosenCandidate:
    """A candidate of a batch as the records hold it.

    Args:
        candidate: Its id.
        formula: Its formula.
        why: What :func:`~matloop.workflows.proposing.proposal.why_of` said of it, as JSON.
    """
    said = read_json(why, of=f"the proposal of {candidate}")
    predictions = {
        name: (_number(one["value"]), _number(one["lo"]), _upper_end(one))
        for name, one in said.get("predictions", {}).items()
    }
    choice = Choice(
        -1, said["purpose"], said["value"], said["alone"], said["rank_alone"], said["nearest"] - 1, said["correlation"]
    )
    return ChosenCandidate(
        candidate, formula, choice, _number(said["probability"]), _number(said["corrected"]), predictions,
        _number(said.get("price_usd_per_kilogram")), tuple(said["precursors"]), said.get("outcome_factor", 1.0),
    )  # fmt: skip


def _number(written: float | None) -> float:
    return math.nan if written is None else float(written)


def _upper_end(written: Mapping[str, float | None]) -> float:
    """The upper end of an interval, infinite where a lower one stands alone."""
    return math.inf if written["hi"] is None and written["lo"] is not None else _number(written["hi"])


def _candidates(view: RunView, ids: Sequence[str]) -> CandidateBatch:
    """Candidates of a run by their ids, in that order."""
    found: dict[str, pa.Table] = {}
    for path in view.parts(view.paths.candidates):
        batch = read_intake(path).batch
        for row, name in enumerate(batch.ids):
            if name in ids and name not in found:
                found[name] = batch.take([row]).to_arrow()
    if gone := [name for name in ids if name not in found]:
        raise RecordsError(f"{gone[0]}, which {view.folder} does not hold", "the run that the batch was chosen from")
    return CandidateBatch.from_arrow(pa.concat_tables([found[name] for name in ids], promote_options="permissive"))
