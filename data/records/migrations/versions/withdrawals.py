"""The table of proposals that were withdrawn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from matloop.data.records.migrations.only_added_to import keep_rows

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the triggers that keep its rows as they are."""
    op.create_table(
        "withdrawals",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("proposal_id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_withdrawals_action_id")),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name=op.f("fk_withdrawals_proposal_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("proposal_id", name=op.f("uq_withdrawals_proposal_id")),
    )
    op.create_index(op.f("ix_withdrawals_action_id"), "withdrawals", ["action_id"], unique=False)
    keep_rows("withdrawals")
