"""Runs migrations on the connection that :mod:`matloop.data.records.database` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from matloop.data.records.tables import METADATA


def run_migrations() -> None:
    """Bring the tables to the version that Alembic was asked for."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        transactional_ddl=True,  # SQLite and PostgreSQL both take changes of tables back with their transaction
    )
    context.run_migrations()


if not __name__.startswith("matloop."):  # Alembic loads this file under a name of its own
    run_migrations()
