"""200 dirty sheets: no row vanishes, and none is accepted with another meaning than its own."""

import math
from collections import Counter

import pytest

from matloop.data.records.contents import samples_table, values_table
from matloop.data.records.database import open_records
from matloop.data.records.importing import KnownCandidate, import_sheet
from tests.data.records.dirty_sheets import ASKED, CANDIDATES, RIGHT, DirtySheet, Row, dirty_sheet

SHEETS = 200
KNOWN = {
    name: KnownCandidate(formula, "run", {"band_gap": 2.0, "bulk_modulus_vrh": 120.0})
    for name, formula in CANDIDATES.items()
}  # fmt: skip


def meant(row: Row) -> tuple[str, str, str]:
    return row.cells["candidate_id"].strip(), row.property, row.relation


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[DirtySheet], list[list[str]], dict, dict]:
    folder = tmp_path_factory.mktemp("dirty")
    database = open_records(str(folder / "records.sqlite"))
    sheets = [dirty_sheet(folder, seed) for seed in range(SHEETS)]
    verdicts = []
    for sheet in sheets:
        report = import_sheet(database, sheet.path, candidates=KNOWN)
        assert len(report.rows) + report.blank == sum(row.copies for row in sheet.rows), sheet.form
        assert all(row.doubts or row.verdict == "accepted" for row in report.rows)
        verdicts.append([row.verdict for row in report.rows])
    values = {row["sample"]: row for row in values_table(database).to_pylist()}
    samples = {row["sample"]: row for row in samples_table(database).to_pylist()}
    return sheets, verdicts, values, samples


def test_nothing_is_silently_wrong(imported) -> None:
    sheets, _, values, samples = imported
    wrong = []
    for sheet in sheets:
        for row in sheet.rows:
            name = row.cells.get("sample_id", "").strip()
            found = values.get(name)
            if row.expected == "asked":
                wrong += [(sheet.form, row.rule, row.cells, "accepted")] if found or name in samples else []
            elif math.isnan(row.value):
                wrong += [] if found is None and name in samples else [(sheet.form, row.rule, row.cells, found)]
            elif (
                found is None
                or (found["candidate_id"], found["property"], found["relation"]) != meant(row)
                or not math.isclose(found["value"], row.value, rel_tol=1e-9)
                or (
                    not (math.isnan(row.uncertainty) and found["uncertainty"] is None)
                    and not math.isclose(found["uncertainty"] or math.nan, row.uncertainty, rel_tol=1e-9)
                )
            ):
                wrong.append((sheet.form, row.rule, row.cells, found))
    assert not wrong, "\n".join(map(str, wrong[:20]))


def test_a_second_copy_of_a_row_is_asked_about(imported) -> None:
    sheets, verdicts, _, _ = imported
    for sheet, found in zip(sheets, verdicts, strict=True):
        accepted = sum(row.expected == "right" for row in sheet.rows)
        assert found.count("accepted") == accepted, sheet.form


def test_every_rule_and_form_was_used(imported) -> None:
    sheets, *_ = imported
    rules = Counter(row.rule for sheet in sheets for row in sheet.rows)
    assert set(rules) == set(RIGHT) | set(ASKED)
    assert min(rules.values()) >= 10
    assert len({sheet.form for sheet in sheets}) >= 25
