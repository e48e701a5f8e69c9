"""Triggers by which a database itself refuses to change or remove the rows of a table."""

from __future__ import annotations

from alembic import op


def keep_rows(table: str) -> None:
    """Let the database refuse every change of a table but new rows; the function of PostgreSQL is made by 0001."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'records are only added to'); END"
            )
        return
    op.execute(
        f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION matloop_only_added_to()"
    )
