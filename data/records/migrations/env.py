"""Runs migrations on the connection that :mod:`matloop.data.records.database` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from matloop.data.records.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # SQLite and PostgreSQL both take changes of tables back with their transaction
)
context.run_migrations()
