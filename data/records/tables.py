"""The tables of the records database.

The classes of records follow the materials-genome data standard T/CSTM 00120-2019: a *sample* and the process that made
it, *raw data* as files known by their hash, and *derived data* as values of properties. Beside them stand the sheets
that brought them, the verdict on each row, questions and answers, and what was proposed. Every record names the action
that made it. No row is ever changed or removed (triggers of the database refuse that): a correction is a new record
that names the one it supersedes, and a verdict or an answer is a further record.

Numbers stand in the unit of the catalogue of properties, and in base units of conditions and process parameters, beside
the text as it was written. Times are UTC in ISO 8601. Columns named ``..._json`` hold JSON.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Double, ForeignKey, Index, Integer, MetaData, String, Table, Text

APPLICATION_ID = 0x6D61746C
"""``matl``: marks an SQLite file as a records database."""

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _reference(name: str, to: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, String(40), ForeignKey(f"{to}.id"), nullable=nullable, index=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _word(name: str, *allowed: str) -> Column[str]:
    listed = ", ".join(f"'{word}'" for word in allowed)
    return Column(name, Text, CheckConstraint(f"{name} IN ({listed})", name=name), nullable=False)


ACTIONS = Table(
    "actions", METADATA, _id(),
    Column("number", Integer, nullable=False, unique=True),  # order in which actions were taken
    _text("kind"), _text("at"), _text("by"), _text("version"), _text("note"), _text("details_json"),
)  # fmt: skip
"""What was done, when, by whom and with which version: an import, an answer, a proposal, a decision about a model."""

CANDIDATES = Table(
    "candidates", METADATA, Column("candidate_id", Text, primary_key=True), _reference("action_id", "actions"),
    _text("formula"), _text("origin"), _text("predictions_json"), _text("cif"),
)  # fmt: skip
"""Candidates that were proposed or screened, with what was predicted for them and, of crystals, their structure."""

OWN_PROPERTIES = Table(
    "own_properties", METADATA, Column("number", Integer, primary_key=True, autoincrement=True),
    _text("name"), _reference("action_id", "actions"), _text("definition_json"),
)  # fmt: skip
"""Definitions of properties that campaigns bring; the newest of a name counts."""

SHEETS = Table(
    "sheets", METADATA, _id(), _reference("action_id", "actions"),
    _text("name"), _text("sha256"), _text("encoding"), Column("rows", Integer, nullable=False),
)  # fmt: skip
"""Imported files."""

SHEET_ROWS = Table(
    "sheet_rows", METADATA, _id(), _reference("sheet_id", "sheets"), Column("number", Integer, nullable=False),
    _word("part", "results", "steps"), Column("content_key", String(64), nullable=False, unique=True),
    _text("cells_json"), _text("fault"),
)  # fmt: skip
"""Rows of sheets as they were written; a row with the same content is taken in once."""

VERDICTS = Table(
    "verdicts", METADATA, Column("number", Integer, primary_key=True, autoincrement=True),
    _reference("row_id", "sheet_rows"), _reference("action_id", "actions"),
    _word("verdict", "accepted", "held", "refused"), _text("code"), _text("detail"),
)  # fmt: skip
"""What became of each row; the newest verdict counts."""

SAMPLES = Table(
    "samples", METADATA, _id(), _reference("action_id", "actions"), _reference("row_id", "sheet_rows"),
    Column("candidate_id", Text, nullable=False, index=True), _text("formula"), _text("laboratory"), _text("name"),
    _word("outcome", "made", "partly", "failed"), _text("reason"), Column("batch_mass", Double),
    _text("made_on"), _text("made_by"), _text("phases_found"), _text("note"),
    Column("supersedes", String(40), ForeignKey("samples.id"), unique=True),
)  # fmt: skip
"""Attempts to make a candidate, with their outcome; the batch mass is in grams."""

PROCESS_PARAMETERS = Table(
    "process_parameters", METADATA, _id(), _reference("action_id", "actions"), _reference("row_id", "sheet_rows"),
    _reference("sample_id", "samples"),
    Column("step", Integer, nullable=False), _text("operation"), _text("name"),
    Column("value", Double), _text("unit"), _text("as_written"),
)  # fmt: skip
"""Parameters of the steps by which a sample was made. A parameter that is no number has no value."""

REPLACED_STEPS = Table(
    "replaced_steps", METADATA, Column("number", Integer, primary_key=True, autoincrement=True),
    Column("replaced_row_id", String(40), ForeignKey("sheet_rows.id"), nullable=False, unique=True),
    _reference("row_id", "sheet_rows"), _reference("action_id", "actions"),
)  # fmt: skip
"""Rows of process steps whose place, with all their parameters, another row took."""

RAW_FILES = Table(
    "raw_files", METADATA, _id(), _reference("action_id", "actions"), _reference("sample_id", "samples"),
    _text("name"), Column("sha256", String(64), nullable=False, index=True), Column("bytes", Integer, nullable=False),
    _text("description"),
)  # fmt: skip
"""Files that an instrument wrote, known by their hash."""

MEASUREMENTS = Table(
    "measurements", METADATA, _id(), _reference("action_id", "actions"), _reference("row_id", "sheet_rows"),
    _reference("sample_id", "samples"),
    Column("property", Text, nullable=False, index=True),
    Column("value", Double, nullable=False), _word("relation", "=", "~", "<", ">"),
    Column("uncertainty", Double), Column("repeats", Integer, nullable=False),
    _text("unit"), _text("method"), _text("conditions_json"), _text("as_written"),
    Column("supersedes", String(40), ForeignKey("measurements.id"), unique=True),
)  # fmt: skip
"""Values of properties, or limits below or above which the value lies; the uncertainty is one standard deviation."""

QUESTIONS = Table(
    "questions", METADATA, _id(), _reference("action_id", "actions"), _reference("row_id", "sheet_rows"),
    _text("code"), _text("column"), _text("as_written"), _text("detail"),
)  # fmt: skip
"""What must be settled before a row is accepted."""

ANSWERS = Table(
    "answers", METADATA, Column("number", Integer, primary_key=True, autoincrement=True),
    Column("question_id", String(40), ForeignKey("questions.id"), nullable=False, unique=True),
    _reference("action_id", "actions"), _word("answer", "as written", "instead", "refuse"), _text("instead"),
)  # fmt: skip
"""How a question was settled: the cell is right as written, another text stands instead, or the row is refused."""

PROPOSALS = Table(
    "proposals", METADATA, _id(), _reference("action_id", "actions"), Column("place", Integer, nullable=False),
    Column("candidate_id", Text, nullable=False, index=True), _text("formula"), _text("why_json"),
)  # fmt: skip
"""Candidates that were proposed to a lab, in batches; each batch is an action."""

WITHDRAWALS = Table(
    "withdrawals", METADATA, Column("number", Integer, primary_key=True, autoincrement=True),
    Column("proposal_id", String(40), ForeignKey("proposals.id"), nullable=False, unique=True),
    _reference("action_id", "actions"),
)  # fmt: skip
"""Proposals that were taken back before a result came; the note of the action says why."""

RETRACTIONS = Table(
    "retractions", METADATA, Column("number", Integer, primary_key=True, autoincrement=True),
    Column("measurement_id", String(40), ForeignKey("measurements.id"), nullable=False, unique=True),
    _reference("action_id", "actions"),
)  # fmt: skip
"""Values that were taken back after they had been accepted; the note of the action says why."""

Index("ix_measurements_property_sample_id", MEASUREMENTS.c.property, MEASUREMENTS.c.sample_id)

APPEND_ONLY = tuple(table.name for table in METADATA.sorted_tables)
"""Tables whose rows no statement may change or remove."""
