"""Properties that campaigns define for themselves, as the records keep them.

A result sheet states values of them, and whoever answers a question or exports a table later may not have the campaign
at hand. So the records keep the definition, with its unit, of each.
"""

from __future__ import annotations

import dataclasses

from sqlalchemy import Connection, insert, select

from matloop.data.errors import PropertyError
from matloop.data.properties.catalogue import Catalogue, catalogue, outside_properties
from matloop.data.properties.definition import Property
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.data.records.database import RecordsDatabase
from matloop.data.records.ledger import as_json, damaged_records, read_json
from matloop.data.records.tables import OWN_PROPERTIES


def catalogue_of_records(database: RecordsDatabase) -> Catalogue:
    """The catalogue in use, with the properties of campaigns that the records know."""
    with database.reading() as connection:
        return catalogue_in(connection)


def catalogue_in(connection: Connection) -> Catalogue:
    """The same, in a transaction; a definition in use comes before that of the records.

    Raises:
        PropertyError: If the two have different units.
    """
    own = _recorded(connection)
    for known in catalogue().own:
        require_unit(own.get(known.name, known), known, of="the records")
        own[known.name] = known
    taken = {*PACKAGED_PROPERTIES, *outside_properties()}
    return Catalogue(tuple(known for name, known in own.items() if name not in taken))


def require_unit(before: Property, now: Property, *, of: str) -> None:
    """Refuse another definition of a property whose numbers would mean something else.

    Raises:
        PropertyError: If the units differ.
    """
    if before.unit != now.unit:
        raise PropertyError(
            f"property '{now.name}' in {now.unit}", f"{before.unit}, in which {of} have it",
            "give the property of this campaign another name, or that unit",
        )  # fmt: skip


def new_properties(connection: Connection) -> list[Property]:
    """Own properties in use that the records have not, or otherwise."""
    recorded = _recorded(connection)
    return [known for known in catalogue().own if recorded.get(known.name) != known]


def add_properties(connection: Connection, action: str) -> None:
    """Add the new own properties in use; the newest definition of a name counts."""
    rows = [
        {"name": known.name, "action_id": action, "definition_json": as_json(dataclasses.asdict(known))}
        for known in new_properties(connection)
    ]
    if rows:
        connection.execute(insert(OWN_PROPERTIES), rows)


def _recorded(connection: Connection) -> dict[str, Property]:
    found = {}
    wanted = select(OWN_PROPERTIES.c.name, OWN_PROPERTIES.c.definition_json).order_by(OWN_PROPERTIES.c.number)
    for name, written in connection.execute(wanted):
        of = f"property '{name}'"
        try:
            found[name] = Property(**read_json(written, of=of))
        except (TypeError, AttributeError, PropertyError) as error:
            raise damaged_records(of) from error
    return found
