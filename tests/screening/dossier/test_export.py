"""What other programs read back from an export is what the run found."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
import openpyxl
import pyarrow as pa
import pytest
import spglib
from monty.json import MontyDecoder
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import SYMBOLS
from matloop.data.errors import RunError
from matloop.data.properties.columns import Column
from matloop.data.sources.ase_database import AseDatabase
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.whole_files import write_table
from matloop.screening.dossier.export import WrittenExport, write_export
from matloop.screening.dossier.exported_table import ExportedTable, exported_table
from matloop.screening.flags.symmetric_sites import symmetric_sites
from matloop.screening.runs.run_view import RunView
from tests.screening.report.run_directories import make_run

ORIGINS = [
    "NaCl (mp-1), Na+ to K+", "12", "1e5", "T", "=1+1", "a=b", 'say "x"', "back\\slash", "[1, 2]", "{a}", "氧化硅",
    "Si\u202eO2", "two\nlines", "nan", "1 2 3", "True", "_JSON 5", "it's", "", "@SUM(A1)",
]  # fmt: skip
ROWS = len(ORIGINS)
NUMBERS = ("rank", "shortlisted", "probability", "band_gap_pred", "band_gap_lo", "band_gap_hi", "probability_band_gap")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with awkward origins, whose first three crystals are relaxed and whose last two are formulas alone."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    make_run(folder, "band_gap", "refractive_index", rows=ROWS, places=3)
    ranked = RunView(folder).ranked
    energies = np.where(np.arange(ROWS) < 3, -5.25, np.nan)
    outcomes = ["converged"] * 3 + [""] * (ROWS - 3)
    changed = ranked.with_columns({
        Column.ORIGIN: ORIGINS, Column.RELAXATION_ENERGY: energies, Column.RELAXATION_OUTCOME: outcomes,
    })  # fmt: skip
    table = changed.to_arrow()
    for name in ("lattice", "species", "frac_coords"):
        at = table.schema.get_field_index(name)
        cells = [None] * 2 if name == "lattice" else [[]] * 2
        array = pa.array([*table[name].to_pylist()[:-2], *cells], table.schema.field(at).type)
        table = table.set_column(at, name, array)
    write_table(folder / "ranked.parquet", table)
    campaign = folder / "campaign.yaml"
    campaign.write_text(campaign.read_text("utf-8").replace("potential: null", "potential: {name: chgnet}"), "utf-8")
    assert "chgnet" in campaign.read_text("utf-8")
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> ExportedTable:
    return exported_table(RunView(folder))


def clean(text: str) -> str:
    return text.replace("\u202e", "")


def check_values(found: dict[str, Any], row: dict[str, Any]) -> None:
    for name in NUMBERS:
        assert found[name] == pytest.approx(row[name], rel=1e-7), name
    assert found["band_gap_unit"] == "eV"
    assert found["candidate_id"] == row["candidate_id"]


def test_the_table_names_units_and_meanings(table: ExportedTable) -> None:
    assert len(table) == ROWS
    expected = {"band_gap_pred": "eV", "refractive_index_lo": "1", "relaxation_energy": "eV/atom"}
    assert {name: table.meanings[name].unit for name in expected} == expected
    assert all(about.description for about in table.meanings.values())


def test_extended_xyz_is_read_back_by_ase(table: ExportedTable, tmp_path: Path) -> None:
    written = write_export(table, tmp_path / "all.xyz")
    images = ase.io.read(tmp_path / "all.xyz", ":")
    assert (written.rows, written.without_crystal) == (len(images), 2) == (ROWS - 2, 2)
    assert written.lines()[1].startswith("  2 candidates without a crystal left out")
    for row, (atoms, about) in enumerate(zip(images, table.rows(), strict=False)):
        check_values(atoms.info, about)
        assert atoms.info["formula"] == about["formula"]
        expected = " ".join(clean(ORIGINS[row]).split())
        assert atoms.info["origin"] in (expected, expected.replace("\\", "/").replace('"', "'")), ORIGINS[row]
        assert len(atoms) == table.batch.crystals.site_counts[row]  # type: ignore[union-attr]
        assert np.allclose(atoms.cell, table.batch.cell(row)[0], atol=1e-7)
        if row < 3:
            assert atoms.get_potential_energy() == pytest.approx(-5.25 * len(atoms))
            assert atoms.info["potential"] == "chgnet"
        else:
            assert "relaxation_energy" not in atoms.info


def test_our_own_source_reads_the_extended_xyz(table: ExportedTable, tmp_path: Path) -> None:
    write_export(table, tmp_path / "all.extxyz")
    (intake,) = StructureFiles(tmp_path / "all.extxyz").intakes(100)
    assert not intake.refused
    assert intake.batch.ids == table.batch.ids[: ROWS - 2]


def test_an_ase_database_is_searched_by_predictions(table: ExportedTable, tmp_path: Path) -> None:
    path = tmp_path / "all.db"
    for _ in range(2):  # a file that is there is replaced
        assert write_export(table, path).rows == ROWS - 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["all.db"]
    with ase.db.connect(path) as database:
        rows = list(database.select())
        assert len(rows) == ROWS - 2
        assert database.count("shortlisted>0") == 3
        assert database.count("band_gap_pred>0.5") == (table.batch.column("band_gap_pred")[: ROWS - 2] > 0.5).sum()
    for at, (row, about) in enumerate(zip(rows, table.rows(), strict=False)):
        check_values({**row.data["matloop"], **row.key_value_pairs}, about)
        assert row.reduced_formula == about["formula"]
        assert row.data["matloop"]["origin"] == clean(ORIGINS[at])
        assert ("energy" in row) == (at < 3)
    (intake,) = AseDatabase(path).intakes(100)
    assert intake.batch.ids == table.batch.ids[: ROWS - 2]


def check_symmetry(structure: Structure, properties: dict[str, Any], batch: CandidateBatch, row: int) -> None:
    """The crystal is in its conventional cell with its Wyckoff letters, and the one before is there atom by atom."""
    cell = structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers
    dataset = spglib.get_symmetry_dataset(cell, symprec=0.01)
    assert dataset.number == batch.table[Column.SPACE_GROUP_NUMBER][row].as_py()
    assert len(structure) == len(dataset.std_types)
    letters = structure.site_properties["wyckoff"]
    counts = Counter(letters)
    assert all(count % int(letter[:-1]) == 0 for letter, count in counts.items())
    before = properties["crystal_before_symmetrising"]
    lattice, species, places = batch.cell(row)
    np.testing.assert_array_equal(before["lattice"], lattice)
    np.testing.assert_array_equal(before["frac_coords"], places)
    assert before["species"] == [SYMBOLS[element] for element in species]


def test_pymatgen_reads_structures_and_entries(table: ExportedTable, tmp_path: Path) -> None:
    write_export(table, tmp_path / "all.json")
    found = json.loads((tmp_path / "all.json").read_text("utf-8"), cls=MontyDecoder)
    assert len(found) == ROWS - 2
    for row, (one, about) in enumerate(zip(found, table.rows(), strict=False)):
        if row < 3:
            assert isinstance(one, ComputedStructureEntry)
            assert one.energy_per_atom == pytest.approx(-5.25)
            assert one.parameters == {"potential": "chgnet"}
            check_values(one.data, about)
            structure = one.structure
        else:
            assert isinstance(one, Structure)
            check_values(one.properties, about)
            assert one.properties["origin"] == clean(ORIGINS[row])
            structure = one
        assert structure.matches(table.batch.structure(row))
        properties = one.data if row < 3 else one.properties
        check_symmetry(structure, properties, table.batch, row)
    (intake,) = StructureFiles(tmp_path / "all.json").intakes(100)
    assert intake.batch.formulas == table.batch.formulas[: ROWS - 2]
    # Symmetrising moves atoms by some hundredths of an ångström at most, and the id of a crystal tells.
    same = [symmetric_sites(table.batch, row).cell.moved < 1e-3 for row in range(ROWS - 2)]
    assert sum(same) > 10
    ids = zip(intake.batch.ids, table.batch.ids, same, strict=False)
    assert all(one == other for one, other, unmoved in ids if unmoved)


def test_csv_holds_every_candidate_and_no_formulas_of_spreadsheets(table: ExportedTable, tmp_path: Path) -> None:
    assert write_export(table, tmp_path / "all.csv") == WrittenExport(tmp_path / "all.csv", ROWS)
    with (tmp_path / "all.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == ROWS
    for row, about in zip(rows, table.rows(), strict=True):
        check_values({name: float(row[name]) if name in NUMBERS else row[name] for name in row}, about)
    assert [row["origin"] for row in rows[4:6]] == ["'=1+1", "a=b"]
    assert rows[11]["origin"] == "SiO2"
    assert rows[5]["relaxation_energy"] == ""


def test_xlsx_holds_every_candidate_and_says_what_its_columns_mean(table: ExportedTable, tmp_path: Path) -> None:
    write_export(table, tmp_path / "all.xlsx")
    book = openpyxl.load_workbook(tmp_path / "all.xlsx")
    names, *rows = book["candidates"].iter_rows(values_only=True)
    assert len(rows) == ROWS
    for row, about in zip(rows, table.rows(), strict=True):
        check_values(dict(zip(names, row, strict=True)), about)
    assert all(cell.data_type != "f" for line in book["candidates"].iter_rows() for cell in line)
    meanings = {name: (unit, meaning) for name, unit, meaning in book["columns"].iter_rows(min_row=2, values_only=True)}
    assert meanings["band_gap_lo"] == ("eV", "band gap: Lower end of the 90 % interval.")
    assert list(meanings) == list(names)


def test_back_tests_of_lists_go_with_the_files_that_have_a_place_for_notes(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder, run)
    lists = {
        "targets": ["refractive_index", "band_gap"], "materials": 766, "hits": 9, "size": 3, "lists": 20, "met": 2.04,
        "promised": 1.2, "random": 0.12,
    }  # fmt: skip
    summary = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**summary, "back_tests": [lists]}), "utf-8")
    table = exported_table(RunView(run))
    for name in ("all.xlsx", "all.db"):
        write_export(table, tmp_path / name)
    said = "Lists like this held 2.0 hits in 3: of 766 known materials, each predicted as a new one, 9 have the wanted"
    sheet = openpyxl.load_workbook(tmp_path / "all.xlsx")["notes"]
    (_, first, *others) = sheet.iter_rows(values_only=True)
    assert first[0].startswith(said)
    assert first[1].startswith("同类名单每 3 个中达标 2.0 个")
    assert others[-1][0].startswith("The probabilities below add up to ")
    with ase.db.connect(tmp_path / "all.db") as database:
        assert database.metadata["notes"] == [first[0], *(line[0] for line in others)]


def test_only_the_shortlist(folder: Path, tmp_path: Path) -> None:
    chosen = exported_table(RunView(folder), shortlisted=True)
    assert chosen.batch.column("shortlisted").tolist() == [1, 2, 3]
    assert write_export(chosen, tmp_path / "three.xyz").rows == 3
    assert [atoms.info["shortlisted"] for atoms in ase.io.read(tmp_path / "three.xyz", ":")] == [1, 2, 3]


def test_data_frames_carry_units(table: ExportedTable) -> None:
    frame = table.to_pandas()
    assert len(frame) == ROWS
    assert frame.attrs["units"]["band_gap_hi"] == "eV"
    assert "refractive_index_pred" not in frame.attrs["units"]


@pytest.mark.parametrize("name", ["all", "all.cif", "all.xls", ".xyz/nothing", "all.parquet"])
def test_other_formats_are_refused_with_those_there_are(table: ExportedTable, name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"names no format.*\.xyz, \.extxyz, \.db, \.json, \.csv, \.xlsx"):
        write_export(table, tmp_path / name)


def test_a_folder_that_is_not_there_is_named(table: ExportedTable, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no folder"):
        write_export(table, tmp_path / "none" / "all.csv")


@pytest.mark.parametrize("name", ["none.xyz", "none.db", "none.json"])
def test_a_run_of_formulas_alone_has_no_file_of_crystals(name: str, tmp_path: Path) -> None:
    make_run(tmp_path / "formulas", "band_gap", crystals=False)
    formulas = exported_table(RunView(tmp_path / "formulas"))
    with pytest.raises(RunError, match=r"none of 30 candidates has a crystal.*\.csv, \.xlsx.*none\.csv"):
        write_export(formulas, tmp_path / name)
    assert not (tmp_path / name).exists()
    assert write_export(formulas, tmp_path / "all.csv").rows == 30


def test_a_run_that_is_not_finished_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_bytes((folder / "campaign.yaml").read_bytes())
    with pytest.raises(RunError, match="matloop resume"):
        exported_table(RunView(tmp_path))


def test_a_batch_in_a_notebook_is_escaped_and_bounded(table: ExportedTable) -> None:
    hostile = table.batch.with_columns(origin=["<script>alert(1)</script>"] * ROWS)
    shown = hostile._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    many = CandidateBatch.from_formulas(["NaCl"] * 1000).batch.with_columns({f"c{at}": [at] * 1000 for at in range(50)})
    assert many._repr_html_().count("<tr>") == 21
    assert many._repr_html_().count("<th>") == 12
    assert many._repr_html_().startswith("<p>1,000 candidates, 0 with a crystal, 52 columns</p>")
