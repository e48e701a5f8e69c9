"""The table of properties that campaigns define for themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from matloop.data.records.migrations.only_added_to import keep_rows

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the triggers that keep its rows as they are."""
    op.create_table(
        "own_properties",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("definition_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_own_properties_action_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_own_properties")),
    )
    op.create_index(op.f("ix_own_properties_action_id"), "own_properties", ["action_id"], unique=False)
    keep_rows("own_properties")
