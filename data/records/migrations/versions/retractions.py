"""The table of values that were retracted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from matloop.data.records.migrations.only_added_to import keep_rows

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the triggers that keep its rows as they are."""
    op.create_table(
        "retractions",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("measurement_id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_retractions_action_id")),
        sa.ForeignKeyConstraint(["measurement_id"], ["measurements.id"], name=op.f("fk_retractions_measurement_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_retractions")),
        sa.UniqueConstraint("measurement_id", name=op.f("uq_retractions_measurement_id")),
    )
    op.create_index(op.f("ix_retractions_action_id"), "retractions", ["action_id"], unique=False)
    keep_rows("retractions")
