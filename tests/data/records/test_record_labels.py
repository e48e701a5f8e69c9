"""Values of a records database are labels: accepted rows teach, with provenance, conditions, noise and structures."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.crystal_file import crystal_file
from matloop.data.candidates.symmetry import conventional_cell
from matloop.data.errors import CampaignError, TrainingSetError
from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import KnownCandidate, import_sheet
from matloop.data.records.questions import open_questions
from matloop.data.records.record_labels import RecordLabels
from matloop.screening.campaign.entry import Entry
from matloop.workflows.running.own_data import read_labels
from tests.data.records.result_sheets import result, write_sheet

SALTS = [metal + halide for metal in ("Li", "Na", "K", "Rb", "Cs", "Ag") for halide in ("F", "Cl", "Br", "I")]
ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CELL = conventional_cell(
    ROCK_SALT.lattice.matrix, ROCK_SALT.frac_coords, np.array([site.specie.Z for site in ROCK_SALT], np.uint8)
)
CANDIDATES = {f"c-{salt}": KnownCandidate(salt) for salt in SALTS} | {
    "c-NaCl": KnownCandidate("NaCl", cif=crystal_file(CELL, name="NaCl", facts={}))
}


@pytest.fixture
def database(place: str) -> RecordsDatabase:
    return open_records(place)


def take(database: RecordsDatabase, folder: Path, *rows: dict[str, str], laboratory: str = "lab a") -> None:
    name = f"sheet-{next(_NUMBERS)}.csv"
    import_sheet(database, write_sheet(folder / name, rows), candidates=CANDIDATES, laboratory=laboratory)


_NUMBERS = itertools.count()


def measured(salt: str, value: float, sample: str = "1", **cells: str) -> dict[str, str]:
    return result(f"c-{salt}", salt, f"{salt}-{sample}", f"{value:g}", **cells)


def test_accepted_values_teach_and_all_others_say_why_not(
    database: RecordsDatabase, place: str, tmp_path: Path
) -> None:
    rows = [measured(salt, 2 + 0.1 * at) for at, salt in enumerate(SALTS)]
    repeats = [measured(salt, 2 + 0.1 * at + 0.2, "2") for at, salt in enumerate(SALTS[:6])]
    held = measured("AgI", 5.0, "held", unit="GPa")
    limit = measured("AgI", 0.5, "limit", qualifier="below")
    partly = measured("AgI", 9.0, "partly", outcome="partly", reason="other_phases")
    take(database, tmp_path, *rows, *repeats, held, limit, partly)
    take(database, tmp_path, *[measured(salt, 7.0, "other") for salt in SALTS], laboratory="lab b")

    training, account = RecordLabels(place, property="band_gap", laboratory="lab a").read()
    assert training.provenance == "exp:lab-a"
    assert dict(account.refused) == {"E-LABEL-LIMIT": 1, "E-LABEL-SAMPLE": 1}
    by_formula = dict(zip(training.rows.formulas, training.values, strict=True))
    assert by_formula["LiF"] == pytest.approx(2.1)
    assert by_formula["AgI"] == pytest.approx(2 + 0.1 * 23)
    assert training.noise is not None
    assert training.noise.deviation == pytest.approx(0.2 / np.sqrt(2))  # of two values that lie 0.2 apart
    assert training.rows.crystals is not None
    sites = dict(zip(training.rows.formulas, training.rows.crystals.site_counts, strict=True))
    assert (sites["NaCl"], sites["LiF"]) == (8, 0)

    (question,) = open_questions(database)
    answer_questions(database, {question.id: Answer("instead", "5.0 eV" if question.doubt.column == "value" else "eV")})
    later = dict(zip(*_values_of(RecordLabels(place, property="band_gap", laboratory="lab a")), strict=True))
    assert later["AgI"] == pytest.approx((4.3 + 5.0) / 2)


def _values_of(labels: RecordLabels) -> tuple[list[str], list[float]]:
    training, _ = labels.read()
    return training.rows.formulas, training.values.tolist()


def test_records_are_read_as_they_were_before_a_correction(
    database: RecordsDatabase, place: str, tmp_path: Path
) -> None:
    take(database, tmp_path, *[measured(salt, 2.0 + 0.1 * at) for at, salt in enumerate(SALTS)])
    take(database, tmp_path, measured("LiF", 8.0))
    (question,) = open_questions(database)
    answer_questions(database, {question.id: Answer("as written")})
    now = dict(zip(*_values_of(RecordLabels(place, property="band_gap")), strict=True))
    before = dict(zip(*_values_of(RecordLabels(place, property="band_gap", until=1)), strict=True))
    assert (before["LiF"], now["LiF"]) == (2.0, 8.0)
    assert {name: value for name, value in now.items() if name != "LiF"} == {
        name: value for name, value in before.items() if name != "LiF"
    }


def test_conditions_that_all_values_state_teach_and_limits_choose_rows(
    database: RecordsDatabase, place: str, tmp_path: Path
) -> None:
    cold = [measured(salt, 2.0, measured_at="27") for salt in SALTS]
    warm = [measured(salt, 3.0, "warm", measured_at="227") for salt in SALTS]
    take(database, tmp_path, *cold, *warm)
    training, _ = RecordLabels(place, property="band_gap").read()
    assert sorted(set(training.conditions["temperature"])) == [300.15, 500.15]
    chosen = {"temperature": {"from": 400, "to": 500, "unit": "°C"}}
    with pytest.raises(TrainingSetError, match="48 rows E-LABEL-CONDITION"):
        RecordLabels(place, property="band_gap", conditions=chosen).read()
    only_warm, _ = RecordLabels(place, property="band_gap", conditions={"temperature": {"from": 400}}).read()
    assert set(only_warm.values) == {3.0}
    with pytest.raises(CampaignError, match="the records state its values"):
        RecordLabels(place, property="band_gap", conditions={"temperature": "300 K"})
    take(database, tmp_path, measured("LiF", 2.5, "unstated"))
    _, account = RecordLabels(place, property="band_gap").read()
    assert any("state the temperature, which is not used" in remark for remark in account.suspicious)


def test_new_results_are_seen_although_no_file_is_named(database: RecordsDatabase, place: str, tmp_path: Path) -> None:
    entry = Entry(name="records", options={"path": place, "property": "band_gap"})
    take(database, tmp_path, measured("LiF", 2.0))
    assert len(read_labels(entry).rows) == 1
    take(database, tmp_path, measured("NaF", 2.0))
    assert len(read_labels(entry).rows) == 2
