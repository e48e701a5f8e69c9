"""The CIF of a candidate: symmetrised, conventional, and read back as the same crystal by whoever reads it."""

import re
from pathlib import Path

import moyopy
import numpy as np
import pytest
import spglib
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystal_file import crystal_file
from matloop.data.candidates.kinds import CRYSTAL
from matloop.data.candidates.symmetry import conventional_cell, symbols_of
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column
from matloop.data.sources.structure_files import StructureFiles

pytestmark = pytest.mark.filterwarnings("ignore:Issues encountered while parsing CIF")
ROWS = np.arange(0, 6300, 90)


def item(text: str, name: str) -> str:
    """Value of a data item."""
    return re.search(rf"^{re.escape(name)} (.*)$", text, re.MULTILINE)[1].strip("'")


def group_of(structure: Structure) -> int:
    """Number of the space group by spglib, at its usual tolerance of 0.01 Å."""
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    return int(spglib.get_symmetry_dataset(cell, symprec=0.01).number)


def batch_of(*structures: Structure) -> CandidateBatch:
    return CandidateBatch.from_structures(list(structures)).batch


def test_every_reader_finds_the_same_crystal(tmp_path: Path) -> None:
    materials = load_materials().take(ROWS)
    for row in range(len(materials)):
        (tmp_path / f"{row:03d}.cif").write_text(CRYSTAL.export(materials, row), "utf-8")
    (own,) = StructureFiles(str(tmp_path)).intakes(1000)
    assert not own.refused
    assert own.batch.formulas == materials.formulas
    assert own.batch.crystals is not None
    assert materials.crystals is not None
    volumes = [each.crystals.volumes / each.crystals.site_counts for each in (own.batch, materials)]  # Å3/atom
    np.testing.assert_allclose(*volumes, rtol=1e-3)
    expected = materials.column("space_group_number")
    assert len(set(expected.tolist())) > 30
    for row, number in enumerate(expected):
        text = (tmp_path / f"{row:03d}.cif").read_text("utf-8")
        read = Structure.from_str(text, fmt="cif")
        assert int(item(text, "_space_group_IT_number")) == number
        assert (group_of(own.batch.structure(row)), group_of(read)) == (number, number)
        assert read.volume / len(read) == pytest.approx(volumes[1][row], rel=1e-3)
        assert read.composition.reduced_formula == materials.structure(row).composition.reduced_formula


def test_cell_is_the_conventional_one_and_lists_one_atom_of_each_kind_of_place() -> None:
    primitive = Structure(
        Lattice([[0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]]), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    text = CRYSTAL.export(batch_of(primitive), 0)
    assert (item(text, "_space_group_name_H-M_alt"), item(text, "_space_group_name_Hall")) == ("F m -3 m", "-F 4 2 3")
    assert (item(text, "_cell_length_a"), item(text, "_cell_formula_units_Z")) == ("5.640000", "4")
    assert text.count("\nNa") + text.count("\nCl") == 2
    assert len(re.findall(r"^\d+ '", text, re.MULTILINE)) == 192
    assert text.isascii()


def test_what_relaxing_leaves_is_evened_out() -> None:
    rutile = Structure.from_spacegroup(136, Lattice.tetragonal(4.6, 2.96), ["Ti", "O"], [[0] * 3, [0.305, 0.305, 0]])
    moved = rutile.copy().perturb(0.01)
    text = CRYSTAL.export(batch_of(moved), 0)
    assert item(text, "_space_group_name_H-M_alt") == "P 42/m n m"
    assert item(text, "_cell_length_a") == item(text, "_cell_length_b")
    assert group_of(Structure.from_str(text, fmt="cif")) == 136


def test_the_group_that_the_table_names_decides_the_tolerance() -> None:
    # Orthorhombic by 0.02 Å: a tolerance of 0.1 Å calls it cubic.
    almost = batch_of(Structure(Lattice.orthorhombic(4.10, 4.12, 4.14), ["Cs", "Cl"], [[0] * 3, [0.5] * 3]))
    for stated, found in ((None, 221), (221, 221), (47, 47), (5, 221)):
        batch = almost if stated is None else almost.with_columns({Column.SPACE_GROUP_NUMBER: [stated]})
        assert int(item(CRYSTAL.export(batch, 0), "_space_group_IT_number")) == found


def test_a_crystal_without_symmetry_stays_as_it_is() -> None:
    rng = np.random.default_rng(1)
    triclinic = Lattice.from_parameters(5.1, 6.3, 7.7, 81, 97, 112)
    places = (np.array([[0, 0, 0], [0.5, 0.1, 0.5], [0.1, 0.5, 0.6]]) + rng.random((3, 3)) / 10).tolist()
    batch = batch_of(Structure(triclinic, ["Na", "O", "H"], places))
    text = CRYSTAL.export(batch, 0)
    assert item(text, "_space_group_name_H-M_alt") == "P 1"
    assert len(Structure.from_str(text, fmt="cif")) == 3


def test_without_an_answer_of_moyo_it_is_p_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("tolerance")

    monkeypatch.setattr(moyopy, "MoyoDataset", refuse)
    salt = Structure.from_spacegroup(225, Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    text = CRYSTAL.export(batch_of(salt), 0)
    assert item(text, "_space_group_name_H-M_alt") == "P 1"
    assert "no symmetry found" in text
    read = Structure.from_str(text, fmt="cif")
    assert (len(read), group_of(read)) == (8, 225)


@pytest.mark.parametrize(
    ("group", "sites", "expected"),
    [
        (136, {"Ti": (0, 0, 0), "O": (0.305, 0.305, 0)}, ["O 4 f", "Ti 2 a"]),
        (227, {"Mg": (0.125,) * 3, "Al": (0.5,) * 3, "O": (0.2624,) * 3}, ["O 32 e", "Mg 8 a", "Al 16 d"]),
        (186, {"Zn": (1 / 3, 2 / 3, 0), "O": (1 / 3, 2 / 3, 0.38)}, ["O 2 b", "Zn 2 b"]),
    ],
)
def test_places_have_the_letters_of_the_international_tables(
    group: int, sites: dict[str, tuple[float, ...]], expected: list[str]
) -> None:
    lattice = {136: Lattice.tetragonal(4.594, 2.959), 227: Lattice.cubic(8.08), 186: Lattice.hexagonal(3.25, 5.2)}
    crystal = Structure.from_spacegroup(
        {136: "P4_2/mnm", 227: "Fd-3m:2", 186: "P6_3mc"}[group], lattice[group], list(sites), list(sites.values())
    )
    text = CRYSTAL.export(batch_of(crystal.get_primitive_structure()), 0)
    found = [" ".join(line.split()[1:4]) for line in text.splitlines() if re.match(r"^[A-Z][a-z]?\d+ ", line)]
    assert found == expected


@pytest.mark.parametrize(("moved", "tolerance"), [(0.0, 0.003), (0.004, 0.01), (0.012, 0.03), (0.04, 0.1)])
def test_the_finest_tolerance_that_finds_the_group_is_taken_and_nothing_moves_further(
    moved: float, tolerance: float
) -> None:
    rutile = Structure.from_spacegroup(136, Lattice.tetragonal(4.6, 2.96), ["Ti", "O"], [[0] * 3, [0.305, 0.305, 0]])
    rutile.translate_sites([2], [moved / 4.6, 0, 0])
    batch = batch_of(rutile).with_columns({Column.SPACE_GROUP_NUMBER: [136]})
    lattice, species, places = batch.cell(0)
    cell = conventional_cell(lattice, places, species, number=136)
    assert (cell.number, cell.tolerance) == (136, tolerance)
    assert moved / 4 - 1e-9 <= cell.moved <= min(moved + 1e-9, tolerance)
    atoms, all_places = cell.all_atoms()
    assert np.bincount(atoms).tolist() == cell.multiplicities.tolist()
    symmetric = Structure(cell.lattice, cell.species[atoms].tolist(), all_places)
    assert group_of(symmetric) == 136
    np.testing.assert_allclose(symmetric[0].frac_coords, cell.frac_coords[0])


def test_symbols_say_which_setting_is_meant() -> None:
    symbols = dict(symbols_of(number) for number in range(1, 531))
    assert len(symbols) > 500
    assert symbols["P 1 21/c 1"] == "-P 2ybc"
    assert symbols["R -3 m :H"] == '-R 3 2"'
    assert symbols["F d -3 m :1"] != symbols["F d -3 m :2"] == "-F 4vw 2vw 3"
    assert not any("_" in symbol or "=" in hall for symbol, hall in symbols.items())


def test_facts_go_along_and_text_of_users_stays_inside_its_quotes() -> None:
    salt = conventional_cell(np.eye(3) * 3.2, np.zeros((1, 3)), np.array([84], np.uint8))
    hostile = 'a\' "b"\n_cell_length_a 9\n;\x1b[31m\u202edata_x' + "é" * 2000
    facts = {"origin": hostile, "potential": "", "hull_distance_eV_per_atom": -0.0577, "energy": float("nan")}
    text = crystal_file(salt, name="Po\n_x", facts=facts)
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 2048
    assert "_matloop_hull_distance_eV_per_atom -0.0577\n" in text
    assert "_matloop_potential" not in text
    assert "_matloop_energy" not in text
    read = Structure.from_str(text, fmt="cif")
    assert (read.formula, read.lattice.a) == ("Po1", 3.2)
    assert len(re.findall(r"^data_", text, re.MULTILINE)) == 1
