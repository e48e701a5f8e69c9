"""Labels that a campaign derives from total energies of its own."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from matloop.data.candidates.batch import Intake
from matloop.data.errors import CampaignError, EnergySourceError
from matloop.data.own_labels.label_account import LabelAccount, assembled
from matloop.data.sources.structure_files import StructureFiles
from matloop.data.training.training_set import TrainingSet
from matloop.screening.campaign.entry import Entry
from matloop.workflows.inspecting.validation import check_campaign
from matloop.workflows.running.identity import input_files, read_at_intake
from matloop.workflows.running.own_data import read_labels
from matloop.workflows.running.own_hull import own_hull, with_own_hull
from matloop.workflows.stages.scoring import build_filters
from tests.workflows.conftest import campaign

METALS, HALIDES = ("Li", "Na", "K", "Rb"), ("F", "Cl", "Br", "I")


def entries(**parameters: Any) -> list[ComputedStructureEntry]:
    """Return salts of two structures and their elements, with total energies."""
    random = np.random.default_rng(1)
    found = []
    for word in (*METALS, *HALIDES):
        cell = Structure(Lattice.cubic(4.0), [word, word], [[0] * 3, [0.5] * 3])
        found.append(ComputedStructureEntry(cell, 2 * random.uniform(-2, -1), parameters=parameters))
    for metal in METALS:
        for halide in HALIDES:
            for size in (5.0, 5.5):
                cell = Structure(Lattice.cubic(size), [metal, halide], [[0] * 3, [0.5] * 3])
                found.append(ComputedStructureEntry(cell, 2 * random.uniform(-4, -3), parameters=parameters))
    return found


def labels(path: Path, **options: Any) -> tuple[TrainingSet, LabelAccount]:
    written = {
        "path": str(path), "property": "energy_above_hull", "column": "entry_energy_per_atom",
        "derive": "energy_above_hull", "source": "dft:pbe", **options,
    }  # fmt: skip
    return assembled([read_labels(Entry(name="structure_files", options=written, argument=None))])


def write_json(path: Path, found: list[ComputedStructureEntry]) -> Path:
    path.write_text(json.dumps([entry.as_dict() for entry in found]))
    return path


def truth(found: list[ComputedStructureEntry]) -> list[float]:
    diagram = PhaseDiagram([PDEntry(entry.composition, entry.energy) for entry in found])
    return [float(diagram.get_e_above_hull(PDEntry(entry.composition, entry.energy))) for entry in found]


def test_entries_extended_xyz_and_tables_give_the_hull_of_pymatgen(tmp_path: Path) -> None:
    found = entries(run_type="GGA")
    expected = truth(found)
    training, account = labels(write_json(tmp_path / "entries.json", found))
    np.testing.assert_allclose(training.values, expected, atol=1e-9)
    assert account.refused == {}
    images = []
    (tmp_path / "cifs").mkdir()
    with (tmp_path / "energies.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "E (eV/atom)"])
        for number, entry in enumerate(found):
            atoms: Atoms = entry.structure.to_ase_atoms(msonable=False)
            images.append(Atoms(atoms, info={"energy": entry.energy}))
            entry.structure.to(str(tmp_path / "cifs" / f"{number:02}.cif"))
            table.writerow([f"{number:02}.cif", entry.energy_per_atom])
    write(tmp_path / "all.extxyz", images, format="extxyz")
    np.testing.assert_allclose(labels(tmp_path / "all.extxyz", column="energy_per_atom")[0].values, expected, atol=1e-6)
    beside = {"labels": str(tmp_path / "energies.csv"), "file": "name", "column": "E (eV/atom)"}
    np.testing.assert_allclose(labels(tmp_path / "cifs", **beside)[0].values, expected, atol=1e-9)


def test_rows_whose_elements_lack_say_so(tmp_path: Path) -> None:
    found = [entry for entry in entries() if entry.reduced_formula not in ("Rb", "F2")]
    path = write_json(tmp_path / "entries.json", found)
    with pytest.raises(EnergySourceError, match=r"24 phases without one of pure Li, F, Na, Cl, K, Br, I\. "):
        labels(write_json(tmp_path / "few.json", [e for e in found if e.reduced_formula[0] in "LNK" and e.energy < -4]))
    training, account = labels(path, property="formation_energy_per_atom", derive="formation_energy")
    assert dict(account.refused) == {"E-HULL-ELEMENT": 14}
    assert len(training) == len(found) - 14
    assert account.suspicious[0] == "no energy of pure F, Rb, so that 14 rows teach nothing"


def test_several_calculations_in_one_file_are_refused(tmp_path: Path) -> None:
    mixed = [*entries(run_type="GGA")[:30], *entries(run_type="r2SCAN")[30:]]
    with pytest.raises(EnergySourceError, match=r"entries\.json \(1\).* and 27 more; R2SCAN in entries\.json \(31\)"):
        labels(write_json(tmp_path / "entries.json", mixed))


def test_total_energies_as_labels_are_looked_at_and_unknown_ones_refused(tmp_path: Path) -> None:
    path = write_json(tmp_path / "entries.json", entries())
    _, account = labels(path, property="formation_energy_per_atom", derive=None)
    assert "write derive: formation_energy" in account.suspicious[0]
    with pytest.raises(CampaignError, match="one of formation_energy, energy_above_hull"):
        labels(path, derive="formation_enrgy")


def test_candidates_with_energies_are_judged_by_the_hull_of_their_own(tmp_path: Path) -> None:
    found = entries(run_type="GGA")
    expected = truth(found)
    path = write_json(tmp_path / "entries.json", found)
    names = {"structure_files": str(path)}
    changes = {
        "sources": [names], "hull": {"references": [names]},
        "filters": [{"stated_value": {"property": "energy_above_hull", "at_most": 0.2}}],
    }  # fmt: skip
    made = campaign(**changes)
    check_campaign(made)
    batch = next(StructureFiles(path).intakes(100)).batch
    assert made.hull is not None
    placed = with_own_hull(Intake(batch, []), own_hull(made.hull), column=made.hull.column).batch
    np.testing.assert_allclose(placed.column("energy_above_hull_dft"), expected, atol=1e-9)
    (stable,) = build_filters(made)
    assert stable.judge(placed).keep.tolist() == [value <= 0.2 for value in expected]
    assert str(path) in input_files(read_at_intake(made))
    wrong = campaign(sources=[names], hull={"references": [names], "column": "energie"})
    with pytest.raises(CampaignError, match=r"hull: .*no phase of the hull has a number 'energie'; .*entry_energy"):
        check_campaign(wrong)


def test_the_lowest_energy_of_a_formula_is_that_of_its_ground_state(tmp_path: Path) -> None:
    rows = [(word, -1.5) for word in (*METALS, *HALIDES)]
    rows += [(metal + halide, -3.5) for metal in METALS for halide in HALIDES]
    rows += [("Li", -1.3), ("Na2Cl2", -3.1), ("KI", -3.5)]
    path = tmp_path / "energies.csv"
    path.write_text("formula,E\n" + "".join(f"{formula},{energy}\n" for formula, energy in rows))
    for derive, name in (("formation_energy", "formation_energy_per_atom"), ("energy_above_hull", "energy_above_hull")):
        options = {"path": str(path), "property": name, "column": "E", "unit": "eV/atom", "derive": derive}
        entry = Entry(name="table", options={**options, "source": "dft:pbe"}, argument=None)
        training, account = assembled([read_labels(entry)])
        assert len(training) == 24
        found = dict(zip(training.rows.formulas, training.values, strict=True))
        assert found["Li"] == pytest.approx(0.0)
        assert found["NaCl"] == pytest.approx(-2.0 if derive == "formation_energy" else 0.0)
        assert dict(account.refused) == {"E-LABEL-HIGHER-PHASE": 2}
        assert "a higher phase of Li, whose lowest energy is in" in account.rows[24].detail
