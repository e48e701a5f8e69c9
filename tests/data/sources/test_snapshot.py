import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import InputFileError, SnapshotError
from matloop.data.packaged.materials import load_materials
from matloop.data.providers.snapshot_writer import Database, Page, SnapshotDraft, entry_row, refused_row
from matloop.data.sources.snapshot import PROVENANCE, ContentHash, Snapshot, with_provenance

ROWS = 60
DATABASE = Database("A provider", "https://example.org/v1", "2025.1", "CC-BY-4.0", "GGA_GGA+U")
PROPERTIES = {"band_gap_dft": {"unit": "eV", "method": "GGA"}}


@pytest.fixture(scope="module")
def crystals() -> CandidateBatch:
    return load_materials().take(np.arange(ROWS) * 7)


@pytest.fixture(scope="module")
def rows(crystals: CandidateBatch) -> list[dict[str, Any]]:
    """Every fifth entry cannot be read, every fifth is known by its composition alone."""
    found = []
    for row in range(ROWS):
        gap = {"band_gap_dft": None if row % 2 else row / 10}
        structure = crystals.structure(row).as_dict()
        if row % 5 == 3:
            found.append(refused_row(f"id-{row}", "E-STRUCT-NOCELL", "a molecule", formula="H2O"))
            continue
        if row % 5 == 4:
            structure["sites"][0]["species"][0]["occu"] = 0.5
        found.append(entry_row(f"id-{row}", structure, formula="", disorder="composition_only", properties=gap))
    return found


def write(path: Path, rows: list[dict[str, Any]], pages: int = 3) -> dict[str, Any]:
    draft = SnapshotDraft(path, {"provider": "test"}, properties=PROPERTIES)
    parts = [rows[len(rows) * i // pages : len(rows) * (i + 1) // pages] for i in range(pages)]
    for number, part in enumerate(parts):
        draft.add(Page(part, None if number == pages - 1 else str(number + 1), "2025.1"))
    return draft.finish(DATABASE)


@pytest.fixture
def path(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    write(tmp_path / "s.parquet", rows)
    return tmp_path / "s.parquet"


def test_crystals_compositions_and_refused_rows_come_back_in_order(path: Path, crystals: CandidateBatch) -> None:
    source = Snapshot(str(path))
    assert source.count() == ROWS
    for size in (1000, 7):
        intakes = list(source.intakes(size))
        assert len(intakes) == -(-ROWS // size)
        names = [name for intake in intakes for name in intake.batch.table["origin"].to_pylist()]
        assert names == [f"id-{row}" for row in range(ROWS) if row % 5 != 3]
        ids = [name for intake in intakes for name in intake.batch.ids]
        known = [row for row in range(ROWS) if row % 5 != 3]
        same = [ids[at] == crystals.ids[row] for at, row in enumerate(known)]
        assert same == [row % 5 != 4 for row in known]
        refused = [row for intake in intakes for row in intake.refused]
        assert {(row.code, row.formula) for row in refused} == {("E-STRUCT-NOCELL", "H2O")}
        assert [row.detail for row in refused][:2] == ["id-3: a molecule", "id-8: a molecule"]
    (whole,) = source.intakes(1000)
    assert whole.batch.has_crystal.tolist() == [row % 5 != 4 for row in known]
    assert whole.batch.table["known"].to_pylist() == [True] * len(known)
    assert whole.batch.table["band_gap_dft"].to_pylist() == [None if row % 2 else row / 10 for row in known]
    assert CandidateBatch.from_arrow(whole.batch.to_arrow()).ids == whole.batch.ids


def test_hash_does_not_depend_on_the_pages(path: Path, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    about = write(tmp_path / "other.parquet", rows, pages=11)
    assert about["sha256"] == Snapshot(str(path)).provenance["sha256"]
    changed = [dict(row) for row in rows]
    changed[0]["band_gap_dft"] = 0.1
    assert write(tmp_path / "changed.parquet", changed)["sha256"] != about["sha256"]
    with pytest.raises(SnapshotError, match="has sha256"):
        Snapshot(str(path), sha256="0" * 64)
    assert Snapshot(str(path), sha256=about["sha256"].upper()).count() == ROWS


def test_null_empty_and_zero_have_different_hashes() -> None:
    hashes = set()
    for values in ([None], [0.0], [], [None, None]):
        content = ContentHash()
        content.update(pa.table({"x": pa.array(values, pa.float64())}))
        hashes.add(content.hexdigest())
    for words in (["ab", "c"], ["a", "bc"], [None, "abc"], ["", "abc"]):
        content = ContentHash()
        content.update(pa.table({"x": pa.array(words, pa.string())}))
        hashes.add(content.hexdigest())
    assert len(hashes) == 8


def test_changed_rows_are_found(path: Path) -> None:
    table = pq.read_table(path)
    gaps = table["band_gap_dft"].to_pylist()
    gaps[0] += 1e-9
    at = table.schema.get_field_index("band_gap_dft")
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(gaps, pa.float64())), path)
    source = Snapshot(str(path))
    for use in (source.count, lambda: next(iter(source.intakes(10)))):
        with pytest.raises(SnapshotError, match=r"E-SNAPSHOT: the rows of s\.parquet are not the ones"):
            use()


def test_changed_provenance_is_found(path: Path) -> None:
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    metadata[PROVENANCE] = metadata[PROVENANCE].replace(b"GGA_GGA+U", b"R2SCAN")
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(SnapshotError, match=r"provenance of s\.parquet was changed"):
        Snapshot(str(path))


def test_files_cut_short_or_damaged(path: Path) -> None:
    content = path.read_bytes()
    for cut in (0, 3, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(SnapshotError, match="cannot be read"):
            Snapshot(str(path))
    places = range(10, len(content) // 3, 97)
    found = 0
    for at in places:
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        try:
            assert Snapshot(str(path)).count() == ROWS  # a byte of the packing that says nothing about the rows
        except SnapshotError:
            found += 1
    assert found > 0.8 * len(places)


def test_files_that_are_no_snapshot(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="a snapshot written by matloop fetch"):
        Snapshot(str(tmp_path / "gone.parquet"))
    pq.write_table(pa.table({"formula": ["NaCl"]}), tmp_path / "table.parquet")
    with pytest.raises(SnapshotError, match="is no snapshot"):
        Snapshot(str(tmp_path / "table.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.append_column("note", pa.array(["x"] * len(table))), path)
    with pytest.raises(SnapshotError, match="columns of other types"):
        Snapshot(str(path))


def test_a_stranger_with_a_right_hash_is_gated_all_the_same(path: Path) -> None:
    """Whoever writes a snapshot can write its hash too."""
    rows = pq.read_table(path).to_pylist()[:4]
    rows[0]["frac_coords"] = rows[0]["frac_coords"][:-1]
    rows[1]["lattice"][0] = float("nan")
    rows[2]["species"] = [200] * len(rows[2]["species"])
    rows[3] |= {"code": "E-NO-SUCH", "formula": None}
    rows.append(rows[0] | {"lattice": None, "species": None, "frac_coords": None, "formula": "Xx2"})
    rows.append(rows[4] | {"code": None, "formula": "NaCl"})
    forge(path, pa.Table.from_pylist(rows, schema=pq.read_schema(path)))
    source = Snapshot(str(path))
    (intake,) = source.intakes(10)
    assert len(intake.batch) == 0
    assert len(intake.refused) == source.count() == 6
    codes = ["E-FILE-SYNTAX", "E-STRUCT-NONFINITE", "E-STRUCT-ELEMENT", "E-FILE-SYNTAX", "E-FORMULA-ELEMENT",
             "E-FILE-SYNTAX"]  # fmt: skip
    assert [row.code for row in intake.refused] == codes


@pytest.mark.parametrize("name", ["origin", "known", "candidate_id", "band_gap", "band_gap_pred", "hardness_dft", ""])
def test_only_columns_of_known_properties_are_taken(name: str, path: Path) -> None:
    table = pq.read_table(path).slice(0, 3)
    forge(path, table.append_column(name, pa.array([1.0, 2.0, None])))
    with pytest.raises(SnapshotError, match=rf"has the columns {name}\W.*such as band_gap_dft"):
        Snapshot(str(path))


@pytest.mark.parametrize("name", ["code", "band_gap_dft"])
def test_two_columns_of_one_name(name: str, path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.append_column(table.schema.field(name), table[name]), path)
    with pytest.raises(SnapshotError, match="two columns of one name"):
        Snapshot(str(path))


def test_properties_of_other_functionals_are_taken(path: Path) -> None:
    table = pq.read_table(path).slice(0, 3)
    names = ("energy_above_hull_r2scan_dft", "energy_above_hull_gga_gga_u_r2scan_dft")
    for name in names:
        table = table.append_column(name, pa.array([1.0, 2.0, None]))
    forge(path, table)
    (intake,) = Snapshot(str(path)).intakes(10)
    assert [intake.batch.table[name].to_pylist() for name in names] == [[1.0, 2.0, None]] * 2


def forge(path: Path, table: pa.Table) -> None:
    """Write a table over a snapshot, with the hash that fits it."""
    content = ContentHash()
    content.update(table)
    about = json.loads(pq.read_schema(path).metadata[PROVENANCE])
    about |= {"sha256": content.hexdigest(), "rows": table.num_rows}
    pq.write_table(table.cast(with_provenance(table.schema, about)), path)


def test_a_draft_of_no_or_missing_pages_makes_no_snapshot(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    draft = SnapshotDraft(tmp_path / "s.parquet", {}, properties=PROPERTIES)
    assert list(tmp_path.iterdir()) == []
    draft.add(Page(rows[:5], "2", "2025.1"))
    with pytest.raises(SnapshotError, match="lacks pages"):
        draft.finish(DATABASE)
    again = SnapshotDraft(tmp_path / "s.parquet", {}, properties=PROPERTIES)
    assert (again.next_page, again.rows) == ("2", 5)
    with pytest.raises(SnapshotError, match=r"was '2025\.1' when the fetch began"):
        again.add(Page(rows[5:], None, "2025.2"))
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotError, match="cannot use"):
        SnapshotDraft(tmp_path / "file" / "s.parquet", {}, properties={}).add(Page([], None, ""))
