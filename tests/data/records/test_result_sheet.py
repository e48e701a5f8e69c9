"""The columns of the result sheet: headings that a reader can tell apart, in both languages."""

from pathlib import Path

import pytest

from matloop.data.records.result_codes import RESULT_CODES
from matloop.data.records.result_sheet import LANGUAGES, RESULTS, STEPS, SheetColumn, keys_of_headings, plain_heading

TABLES = pytest.mark.parametrize("columns", [RESULTS, STEPS], ids=["results", "steps"])


@TABLES
def test_every_heading_of_either_language_leads_to_its_column(columns: tuple[SheetColumn, ...]) -> None:
    keys = keys_of_headings(columns)
    for column in columns:
        for language in LANGUAGES:
            assert keys[plain_heading(column.heading(language))] == column.key
        assert keys[plain_heading(column.key)] == column.key
    headings = {plain_heading(column.heading(language)) for column in columns for language in LANGUAGES}
    assert len(headings) >= 2 * len(columns) - sum(column.label.en == column.label.zh for column in columns)


@TABLES
def test_choices_of_a_column_differ_in_both_languages(columns: tuple[SheetColumn, ...]) -> None:
    for column in columns:
        assert (column.kind == "choice") == bool(column.choices)
        for language in LANGUAGES:
            words = column.words(language)
            assert len(set(words)) == len(words)
            assert not [word for word in [*words, column.heading(language)] if word.startswith(("=", "+", "-", "@"))]


def test_a_sheet_tells_what_came_of_a_synthesis_and_why() -> None:
    needed = {"candidate_id", "sample_id", "outcome", "reason", "property", "value", "uncertainty", "unit", "method"}
    assert needed <= {column.key for column in RESULTS}
    assert {"temperature", "duration", "atmosphere", "heating_rate"} <= {column.key for column in STEPS}


def test_page_names_all_choices_and_codes() -> None:
    page = (Path(__file__).parents[3] / "docs" / "records.md").read_text(encoding="utf-8")
    for column in (*RESULTS, *STEPS):
        if column.choices:
            listed = "; ".join(f"{label.en} ({label.zh})" for label in column.choices.values())
            assert f"| {column.label.en} ({column.label.zh}) | {listed} |" in page, column.key
    for code, label in RESULT_CODES.items():
        assert f"| `{code}` | {label.en} |" in page, code
