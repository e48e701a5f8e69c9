"""Records as a file for electronic laboratory notebooks, read back by the library of the standard."""

import csv
import io
import json
import zipfile
from pathlib import Path

from rocrate.rocrate import ROCrate

from matloop.data.records.database import open_records
from matloop.data.records.importing import KnownCandidate, import_sheet
from matloop.data.records.notebook_export import export_notebook
from matloop.data.records.result_sheet import STEPS
from tests.data.records.result_sheets import result, write_sheet

KNOWN = {"cand-tio2": KnownCandidate("TiO2"), "cand-gan": KnownCandidate("GaN")}
HOSTILE = "=cmd|' /C calc'!A0"


def write_steps(path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.heading("en") for column in STEPS])
        cells = {"sample_id": "A1", "step": "1", "operation": "heat", "temperature": "900"}
        writer.writerow([cells.get(column.key, "") for column in STEPS])
    return path


def test_each_sample_is_a_data_set_with_its_values(tmp_path: Path) -> None:
    database = open_records(str(tmp_path / "records.sqlite"))
    rows = [
        result("cand-tio2", "TiO2", "A1", "3.1", note=HOSTILE),
        result("cand-tio2", "TiO2", "A1", "<0.5", method="reflectance"),
        result("cand-gan", "GaN", "../../B", outcome="failed", reason="melted"),
        result("nobody", "GaN", "C", "3.4"),  # held, so no record of it
    ]
    import_sheet(database, write_sheet(tmp_path / "s.csv", rows), candidates=KNOWN, laboratory="lab-a")
    import_sheet(database, write_steps(tmp_path / "steps.csv"), candidates=KNOWN)
    assert export_notebook(tmp_path / "lab.eln", database) == 2
    with zipfile.ZipFile(tmp_path / "lab.eln") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        assert all(".." not in name and name.startswith("lab/") for name in files)
        archive.extractall(tmp_path / "read")
    crate = ROCrate(tmp_path / "read" / "lab")
    sets = {part["name"]: part for part in crate.root_dataset["hasPart"] if part.type == "Dataset"}
    assert set(sets) == {"A1: TiO2 (made)", "../../B: GaN (failed)"}
    made = sets["A1: TiO2 (made)"]
    measured = {(one["propertyID"], one["value"], one["unitText"]) for one in made["variableMeasured"]}
    assert measured == {("band_gap", "3.1", "eV"), ("band_gap", "<0.5", "eV")}
    assert sets["../../B: GaN (failed)"].get("variableMeasured") is None
    inside = {part["name"]: part.id for part in made["hasPart"]}
    assert set(inside) == {"sample.json", "values.csv", "process_steps.csv"}
    record = json.loads(files[f"lab/{inside['sample.json']}"])
    assert (record["outcome"], record["laboratory"], len(record["values"])) == ("made", "lab-a", 2)
    (step,) = csv.DictReader(io.StringIO(files[f"lab/{inside['process_steps.csv']}"].decode("utf-8-sig")))
    assert (step["parameter"], float(step["value"]), step["unit"]) == ("temperature", 900, "°C")
    assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(io.StringIO(
        files[f"lab/{inside['values.csv']}"].decode("utf-8-sig"))) for cell in row)  # fmt: skip


def test_equal_records_make_equal_files(tmp_path: Path) -> None:
    database = open_records(str(tmp_path / "records.sqlite"))
    import_sheet(database, write_sheet(tmp_path / "s.csv", [result("cand-gan", "GaN", "A", "3.4")]), candidates=KNOWN)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        export_notebook(tmp_path / folder / "same.eln", database)
    assert (tmp_path / "one" / "same.eln").read_bytes() == (tmp_path / "two" / "same.eln").read_bytes()
