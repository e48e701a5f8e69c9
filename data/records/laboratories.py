"""Laboratories by the names under which they send results."""

from __future__ import annotations

from sqlalchemy import select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import laboratory_in
from matloop.data.records.tables import ACTIONS, SHEETS

_LONGEST, _MOST_SHOWN = 100, 10


def written_name(laboratory: str) -> str:
    r"""The name of a laboratory as the records keep it.

    >>> written_name(" lab\n a ")
    'lab a'
    """
    return one_line(laboratory)[:_LONGEST]


def known_laboratory(database: RecordsDatabase, laboratory: str) -> str:
    """The name of a laboratory that sent a sheet; empty for all laboratories.

    Args:
        database: The records.
        laboratory: The name as somebody wrote it.

    Raises:
        RecordsError: If sheets came, and none of them from it.
        DamagedFileError: If an action cannot be read.
    """
    name = written_name(laboratory)
    with database.reading() as connection:
        query = select(ACTIONS.c.number, ACTIONS.c.details_json).where(ACTIONS.c.id.in_(select(SHEETS.c.action_id)))
        there = {laboratory_in(details, of=f"action {number}") for number, details in connection.execute(query)}
    if not name or name in there or not there:
        return name
    listed = sorted(there - {""})
    shown = ", ".join(listed[:_MOST_SHOWN]) + (" and others" if len(listed) > _MOST_SHOWN else "")
    raise RecordsError(
        f"'{name}', and no sheet of a laboratory of that name", shown or "none: no sheet was sent with a name",
        "the name that matloop import was given as --laboratory; leave it out for all laboratories",
    )  # fmt: skip
