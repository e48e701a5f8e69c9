"""Take accepted values back that are wrong and have nothing to stand in their place.

A retraction is a record of its own. The value stays in the records, but counts, teaches and hits no more; the same
value that comes again is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, insert, select

from matloop.data.errors import RecordsError
from matloop.data.plain_text import one_line
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.identifiers import one_named
from matloop.data.records.known_samples import stands
from matloop.data.records.ledger import add_action
from matloop.data.records.tables import MEASUREMENTS, RETRACTIONS

KIND = "retract"
"""Kind of the actions that retract values."""
_SHORTEST = 10  # characters by which an id may be named, with its msr-


def retract_values(database: RecordsDatabase, values: Sequence[str], *, reason: str, by: str = "") -> list[str]:
    """Retract values, all of them or none.

    Args:
        database: The records.
        values: Their ids (``measurement_id`` of an export), or the beginning of each, of ten characters or more.
        reason: Why.
        by: Who retracts; the user of the system if empty.

    Returns:
        The ids in full, in the order given.

    Raises:
        RecordsError: If no reason is given, or one of them is no value that counts now.
    """
    if not values or not one_line(reason).strip():
        raise RecordsError("a retraction without a value or a reason", "ids of values, and why they are retracted")

    def work(connection: Connection) -> list[str]:
        retracted = MEASUREMENTS.c.id.in_(select(RETRACTIONS.c.measurement_id))
        standing = select(MEASUREMENTS.c.id).where(stands(MEASUREMENTS), ~retracted)
        known = frozenset(connection.execute(standing).scalars())
        name = partial(
            one_named, known=known, shortest=_SHORTEST, kind="value that counts now",
            listed="matloop records --export values.csv writes them as measurement_id",
        )  # fmt: skip
        names = list(dict.fromkeys(map(name, values)))
        add_retractions(connection, add_action(connection, KIND, by=by, note=reason, details={"values": names}), names)
        return names

    return database.write(work)


def add_retractions(connection: Connection, action: str, values: Sequence[str]) -> None:
    """Retract values by an action."""
    connection.execute(insert(RETRACTIONS), [{"measurement_id": value, "action_id": action} for value in values])
