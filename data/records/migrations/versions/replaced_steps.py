"""The table of process steps whose place a later row took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from matloop.data.records.migrations.only_added_to import keep_rows

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the triggers that keep its rows as they are."""
    op.create_table(
        "replaced_steps",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("replaced_row_id", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_replaced_steps_action_id")),
        sa.ForeignKeyConstraint(["replaced_row_id"], ["sheet_rows.id"], name=op.f("fk_replaced_steps_replaced_row_id")),
        sa.ForeignKeyConstraint(["row_id"], ["sheet_rows.id"], name=op.f("fk_replaced_steps_row_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_replaced_steps")),
        sa.UniqueConstraint("replaced_row_id", name=op.f("uq_replaced_steps_replaced_row_id")),
    )
    op.create_index(op.f("ix_replaced_steps_action_id"), "replaced_steps", ["action_id"], unique=False)
    op.create_index(op.f("ix_replaced_steps_row_id"), "replaced_steps", ["row_id"], unique=False)
    keep_rows("replaced_steps")
