"""Checks of ``matloop doctor`` on facts that age: rules, lists of critical materials, prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from matloop.data.element_facts.fact_tables import TABLES, expired_tables
from matloop.data.errors import MatloopError
from matloop.workflows.inspecting.check import FAIL, OK, WARN, Check


def check_facts(on: dt.date | None = None) -> Iterator[Check]:
    """Check the tables of element facts by their sha256, and tell which are past their expiry.

    Args:
        on: The day asked about; today by default.
    """
    day = on or dt.date.today()
    sound = True
    for table in TABLES.values():
        try:
            table.rows()
        except MatloopError as error:
            sound = False
            yield Check(f"facts: {table.label.en}", FAIL, f"{error.code}: {error.got}", error.fix)
    expired = expired_tables(day)
    for table in expired:
        yield Check(
            f"facts: {table.label.en}", WARN,
            f"hold as of {table.as_of}; they had to be looked at again from {table.expires}",
            f"compare with the newest version of its source ({table.source}), or use a newer matloop",
        )  # fmt: skip
    if sound and not expired:
        yield Check("facts", OK, f"{len(TABLES)} tables of element facts: sha256 as released, none past its expiry")
