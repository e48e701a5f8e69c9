"""The first tables: actions, sheets, samples and their process, raw files, measurements, questions and proposals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "actions",
    "candidates",
    "proposals",
    "sheets",
    "sheet_rows",
    "questions",
    "samples",
    "verdicts",
    "answers",
    "measurements",
    "process_parameters",
    "raw_files",
)


def upgrade() -> None:
    """Make the tables, and the triggers that keep their rows as they are."""
    _make_actions()
    _make_candidates()
    _make_proposals()
    _make_sheets()
    _make_sheet_rows()
    _make_questions()
    _make_samples()
    _make_verdicts()
    _make_answers()
    _make_measurements()
    _make_process_parameters()
    _make_raw_files()
    _forbid_changes()


def _make_actions() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("details_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_actions")),
        sa.UniqueConstraint("number", name=op.f("uq_actions_number")),
    )


def _make_candidates() -> None:
    op.create_table(
        "candidates",
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("formula", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("predictions_json", sa.Text(), nullable=False),
        sa.Column("cif", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_candidates_action_id")),
        sa.PrimaryKeyConstraint("candidate_id", name=op.f("pk_candidates")),
    )
    op.create_index(op.f("ix_candidates_action_id"), "candidates", ["action_id"], unique=False)


def _make_proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("formula", sa.Text(), nullable=False),
        sa.Column("why_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_proposals_action_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    )
    op.create_index(op.f("ix_proposals_action_id"), "proposals", ["action_id"], unique=False)
    op.create_index(op.f("ix_proposals_candidate_id"), "proposals", ["candidate_id"], unique=False)


def _make_sheets() -> None:
    op.create_table(
        "sheets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_sheets_action_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sheets")),
    )
    op.create_index(op.f("ix_sheets_action_id"), "sheets", ["action_id"], unique=False)


def _make_sheet_rows() -> None:
    op.create_table(
        "sheet_rows",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("sheet_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("content_key", sa.String(length=64), nullable=False),
        sa.Column("cells_json", sa.Text(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["sheet_id"], ["sheets.id"], name=op.f("fk_sheet_rows_sheet_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sheet_rows")),
        sa.UniqueConstraint("content_key", name=op.f("uq_sheet_rows_content_key")),
    )
    op.create_index(op.f("ix_sheet_rows_sheet_id"), "sheet_rows", ["sheet_id"], unique=False)


def _make_questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("column", sa.Text(), nullable=False),
        sa.Column("as_written", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_questions_action_id")),
        sa.ForeignKeyConstraint(["row_id"], ["sheet_rows.id"], name=op.f("fk_questions_row_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
    )
    op.create_index(op.f("ix_questions_action_id"), "questions", ["action_id"], unique=False)
    op.create_index(op.f("ix_questions_row_id"), "questions", ["row_id"], unique=False)


def _make_samples() -> None:
    op.create_table(
        "samples",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("formula", sa.Text(), nullable=False),
        sa.Column("laboratory", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("batch_mass", sa.Double(), nullable=True),
        sa.Column("made_on", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("phases_found", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_samples_action_id")),
        sa.ForeignKeyConstraint(["row_id"], ["sheet_rows.id"], name=op.f("fk_samples_row_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["samples.id"], name=op.f("fk_samples_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
        sa.UniqueConstraint("supersedes", name=op.f("uq_samples_supersedes")),
    )
    op.create_index(op.f("ix_samples_action_id"), "samples", ["action_id"], unique=False)
    op.create_index(op.f("ix_samples_candidate_id"), "samples", ["candidate_id"], unique=False)
    op.create_index(op.f("ix_samples_row_id"), "samples", ["row_id"], unique=False)


def _make_verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_verdicts_action_id")),
        sa.ForeignKeyConstraint(["row_id"], ["sheet_rows.id"], name=op.f("fk_verdicts_row_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_verdicts")),
    )
    op.create_index(op.f("ix_verdicts_action_id"), "verdicts", ["action_id"], unique=False)
    op.create_index(op.f("ix_verdicts_row_id"), "verdicts", ["row_id"], unique=False)


def _make_answers() -> None:
    op.create_table(
        "answers",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("question_id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("instead", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_answers_action_id")),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name=op.f("fk_answers_question_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_answers")),
        sa.UniqueConstraint("question_id", name=op.f("uq_answers_question_id")),
    )
    op.create_index(op.f("ix_answers_action_id"), "answers", ["action_id"], unique=False)


def _make_measurements() -> None:
    op.create_table(
        "measurements",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("sample_id", sa.String(length=40), nullable=False),
        sa.Column("property", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("uncertainty", sa.Double(), nullable=True),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("conditions_json", sa.Text(), nullable=False),
        sa.Column("as_written", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_measurements_action_id")),
        sa.ForeignKeyConstraint(["row_id"], ["sheet_rows.id"], name=op.f("fk_measurements_row_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["samples.id"], name=op.f("fk_measurements_sample_id")),
        sa.ForeignKeyConstraint(["supersedes"], ["measurements.id"], name=op.f("fk_measurements_supersedes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurements")),
        sa.UniqueConstraint("supersedes", name=op.f("uq_measurements_supersedes")),
    )
    op.create_index(op.f("ix_measurements_action_id"), "measurements", ["action_id"], unique=False)
    op.create_index(op.f("ix_measurements_property"), "measurements", ["property"], unique=False)
    op.create_index("ix_measurements_property_sample_id", "measurements", ["property", "sample_id"], unique=False)
    op.create_index(op.f("ix_measurements_row_id"), "measurements", ["row_id"], unique=False)
    op.create_index(op.f("ix_measurements_sample_id"), "measurements", ["sample_id"], unique=False)


def _make_process_parameters() -> None:
    op.create_table(
        "process_parameters",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("row_id", sa.String(length=40), nullable=False),
        sa.Column("sample_id", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("as_written", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_process_parameters_action_id")),
        sa.ForeignKeyConstraint(["row_id"], ["sheet_rows.id"], name=op.f("fk_process_parameters_row_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["samples.id"], name=op.f("fk_process_parameters_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_parameters")),
    )
    op.create_index(op.f("ix_process_parameters_action_id"), "process_parameters", ["action_id"], unique=False)
    op.create_index(op.f("ix_process_parameters_row_id"), "process_parameters", ["row_id"], unique=False)
    op.create_index(op.f("ix_process_parameters_sample_id"), "process_parameters", ["sample_id"], unique=False)


def _make_raw_files() -> None:
    op.create_table(
        "raw_files",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("action_id", sa.String(length=40), nullable=False),
        sa.Column("sample_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_raw_files_action_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["samples.id"], name=op.f("fk_raw_files_sample_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_raw_files")),
    )
    op.create_index(op.f("ix_raw_files_action_id"), "raw_files", ["action_id"], unique=False)
    op.create_index(op.f("ix_raw_files_sample_id"), "raw_files", ["sample_id"], unique=False)
    op.create_index(op.f("ix_raw_files_sha256"), "raw_files", ["sha256"], unique=False)


def _forbid_changes() -> None:
    """Let the database itself refuse to change or remove a row."""
    if op.get_bind().dialect.name == "sqlite":
        for table in _TABLES:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, 'records are only added to'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION matloop_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'records are only added to'; END $$"
    )
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION matloop_only_added_to()"
        )
