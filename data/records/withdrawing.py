"""Take proposals back that a laboratory will not follow, so that their candidates may be proposed again.

A withdrawal is a record of its own. The proposal stays in the records, with what was promised for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, insert, select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.records.answered_rows import held_rows
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.identifiers import one_named
from matloop.data.records.ledger import add_action
from matloop.data.records.proposals import WITHDRAWN, taken_candidates_in
from matloop.data.records.tables import PROPOSALS, WITHDRAWALS

KIND = "withdraw"
"""Kind of the actions that withdraw proposals."""
_SHORTEST = 6  # characters by which an id may be named


def withdraw_proposals(
    database: RecordsDatabase, candidates: Sequence[str], *, reason: str, by: str = ""
) -> list[str]:  # fmt: skip
    """Withdraw the proposals of candidates, all of them or none.

    Args:
        database: The records.
        candidates: Their ids, or the beginning of each, of six characters or more, by which only one of the proposed
            candidates is meant.
        reason: Why.
        by: Who withdraws; the user of the system if empty.

    Returns:
        The ids of the candidates in full, in the order given.

    Raises:
        RecordsError: If no reason is given, a candidate is not proposed or its proposal is withdrawn already, or a
            result of it is back, also one that is held.
    """
    if not candidates or not one_line(reason).strip():
        raise RecordsError(
            "a withdrawal without a candidate or a reason", "ids of proposed candidates, and why they are withdrawn"
        )

    def work(connection: Connection) -> list[str]:
        taken = taken_candidates_in(connection)
        held = {row["candidate_id"] for row in held_rows(connection)}
        proposed = frozenset(connection.execute(select(PROPOSALS.c.candidate_id).distinct()).scalars())
        named = partial(
            one_named, known=proposed, shortest=_SHORTEST, kind="proposed candidate",
            listed="proposal.csv of a batch lists its ids",
        )  # fmt: skip
        names = list(dict.fromkeys(map(named, candidates)))
        for name in names:
            if name in taken.made or name in held:
                raise RecordsError(
                    f"a result of {name} is back" + (" and waits for an answer" if name not in taken.made else ""),
                    "candidates that were proposed and have no result",
                    "correct a result with another sheet; matloop questions lists rows that are held",
                )
            if name not in taken.pending:
                raise RecordsError(f"the proposal of {name} is withdrawn already", "proposals that still stand")
        action = add_action(connection, KIND, by=by, note=reason, details={"candidates": names})
        standing = select(PROPOSALS.c.id).where(PROPOSALS.c.candidate_id.in_(names), PROPOSALS.c.id.not_in(WITHDRAWN))
        for proposal in connection.execute(standing.order_by(PROPOSALS.c.id)).scalars().all():
            connection.execute(insert(WITHDRAWALS).values(proposal_id=proposal, action_id=action))
        return names

    return database.write(work)
