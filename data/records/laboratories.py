"""Laboratories by the names under which they send results."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import laboratory_in
from matloop.data.records.result_sheet import plain_heading
from matloop.data.records.tables import ACTIONS, SHEETS

_LONGEST, _MOST_SHOWN = 100, 10


def written_name(laboratory: str) -> str:
    r"""The name of a laboratory as the records keep it.

    >>> written_name(" lab\n a ")
    'lab a'
    """
    return one_line(laboratory)[:_LONGEST]


def spelled_as_known(connection: Connection, laboratory: str) -> str:
    """The name of a laboratory as its sheets came before, whatever its capitals, spaces and full-width characters.

    Args:
        connection: In a transaction.
        laboratory: The name as somebody wrote it.
    """
    return _among(_named(connection), written_name(laboratory))


def _among(there: Collection[str], name: str) -> str:
    alike = (one for one in sorted(there) if plain_heading(one) == plain_heading(name))
    return name if name in there else next(alike, name)


def _named(connection: Connection) -> set[str]:
    """Names under which sheets came; an empty one among them where one came without."""
    query = select(ACTIONS.c.number, ACTIONS.c.details_json).where(ACTIONS.c.id.in_(select(SHEETS.c.action_id)))
    return {laboratory_in(details, of=f"action {number}") for number, details in connection.execute(query)}


def known_laboratory(database: RecordsDatabase, laboratory: str) -> str:
    """The name of a laboratory that sent a sheet; empty for all laboratories.

    Args:
        database: The records.
        laboratory: The name as somebody wrote it.

    Raises:
        RecordsError: If sheets came, and none of them from it.
        DamagedFileError: If an action cannot be read.
    """
    with database.reading() as connection:
        there = _named(connection)
    name = _among(there, written_name(laboratory))
    if not name or name in there or not there:
        return name
    listed = sorted(there - {""})
    shown = ", ".join(listed[:_MOST_SHOWN]) + (" and others" if len(listed) > _MOST_SHOWN else "")
    raise RecordsError(
        f"'{name}', and no sheet of a laboratory of that name", shown or "none: no sheet was sent with a name",
        "the name that matloop import was given as --laboratory; leave it out for all laboratories",
    )  # fmt: skip
