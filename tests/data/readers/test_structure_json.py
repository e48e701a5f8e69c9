import json
from typing import Any

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import (
    CompositionEnergyAdjustment,
    ComputedEntry,
    ComputedStructureEntry,
    ConstantEnergyAdjustment,
)

from matloop.data.properties.columns import Column
from tests.data.readers.reading import outcome, outcomes

SALT = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0] * 3, [0.5] * 3])
PLAIN = SALT.as_dict()
ENTRY = ComputedStructureEntry(SALT, -6.5, energy_adjustments=[ConstantEnergyAdjustment(-0.5)], entry_id="x")


def formulas(text: str, name: str = "a.json") -> list[str]:
    return [found.code or found.formula for found in outcomes(name, text)]


def test_an_entry_of_pymatgen_gives_its_crystal_and_its_energies() -> None:
    found = outcome("a.json", json.dumps(ENTRY.as_dict()))
    assert found.symbols == ("Cs", "Cl")
    assert found.stated == {
        Column.ENTRY_ENERGY: -6.5,
        Column.ENTRY_ENERGY_PER_ATOM: pytest.approx(ENTRY.uncorrected_energy_per_atom),
        Column.ENTRY_CORRECTION_PER_ATOM: pytest.approx(ENTRY.correction_per_atom),
        Column.ENTRY_CORRECTED_ENERGY_PER_ATOM: pytest.approx(ENTRY.energy_per_atom),
    }
    adjusted = ComputedStructureEntry(SALT, -6.5, energy_adjustments=[CompositionEnergyAdjustment(-0.6, 1, name="Cl")])
    assert outcome("a.json", json.dumps(adjusted.as_dict())).stated[Column.ENTRY_CORRECTION_PER_ATOM] == -0.3
    assert outcome("a.json", json.dumps(PLAIN)).stated == {}


@pytest.mark.parametrize("entry", [PLAIN, ENTRY.as_dict(), {"id": 7, "structure": PLAIN}], ids=["plain", "entry", "id"])
@pytest.mark.parametrize("indent", [None, 2])
def test_lists_objects_of_lists_and_lines(entry: dict[str, Any], indent: int | None) -> None:
    three = [entry] * 3
    values = [three, {"entries": three}, {"data": three, "meta": {"data": [1]}}, {"about": "x", "structures": three}]
    for value in values:
        assert formulas(json.dumps(value, indent=indent)) == ["ClCs"] * 3
    assert formulas("\n".join(json.dumps(part, indent=indent) for part in three)) == ["ClCs"] * 3
    lines = "\n\n".join(map(json.dumps, three)) + "\n"
    assert formulas(lines, "a.jsonl") == ["ClCs"] * 3
    assert formulas(lines, "a.dat") == ["ClCs"] * 3


def test_a_broken_line_harms_no_other() -> None:
    line = json.dumps(ENTRY.as_dict())
    assert formulas("\n".join([line, line[:-40], "null", line])) == ["ClCs", "E-FILE-SYNTAX", "E-FILE-FORMAT", "ClCs"]


@pytest.mark.parametrize("cut", [1, 2, 30, 300])
def test_what_a_cut_file_announces_is_counted(cut: int) -> None:
    text = json.dumps({"entries": [PLAIN, PLAIN, PLAIN], "last": 1})
    found = formulas(text[: len(text) - cut])
    assert found[:2] == ["ClCs"] * 2
    assert len(found) >= 3
    assert found[-1] == "E-FILE-SYNTAX"


def test_a_list_beside_a_crystal_is_not_lost() -> None:
    assert formulas(json.dumps(PLAIN | {"data": [1, 2]})) == ["ClCs"]
    assert formulas(json.dumps({"data": [1, 2]} | PLAIN)) == ["E-FILE-FORMAT", "E-FILE-FORMAT", "E-FILE-SYNTAX"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (ComputedEntry("CsCl", -6.5).as_dict(), "E-STRUCT-NOCELL"),
        (ENTRY.as_dict() | {"composition": {"Cs": 1, "Cl": 2}}, "E-STRUCT-FORMULA"),
        (ENTRY.as_dict() | {"composition": {"Cs": 1}}, "E-STRUCT-FORMULA"),
        (ENTRY.as_dict() | {"energy": "low"}, "E-FILE-SYNTAX"),
        (PLAIN | {"@class": "Slab"}, "E-STRUCT-NOCELL"),
        ({"structure": "data_salt"}, "E-FILE-FORMAT"),
        ({"entries": []}, "E-FILE-FORMAT"),
        ({"a": PLAIN, "b": PLAIN}, "E-FILE-FORMAT"),
    ],
)
def test_entries_that_are_refused(value: Any, code: str) -> None:
    assert outcome("a.json", json.dumps(value)).code == code


def test_a_key_twice_is_refused() -> None:
    text = json.dumps(PLAIN)
    other = json.dumps((SALT * (2, 1, 1)).as_dict()["sites"])
    assert outcome("a.json", f'{text[:-1]}, "sites": {other}}}').code == "E-FILE-SYNTAX"


JARVIS = {
    "lattice_mat": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]],
    "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "elements": ["Cs", "Cl"],
    "cartesian": False,
    "props": ["", ""],
}


def test_atoms_and_entries_of_jarvis_are_read() -> None:
    assert formulas(json.dumps(JARVIS)) == ["ClCs"]
    assert formulas(json.dumps([{"jid": "JVASP-1", "atoms": JARVIS, "formula": "CsCl"}] * 2)) == ["ClCs"] * 2
    cartesian = JARVIS | {"coords": [[0, 0, 0], [2.05] * 3], "cartesian": True}
    near, far = (outcome("a.json", json.dumps(atoms)) for atoms in (JARVIS, cartesian))
    assert near.frac_coords is not None
    assert near.frac_coords == pytest.approx(far.frac_coords)
    assert formulas(json.dumps(JARVIS | {"cartesian": None})) == ["E-FILE-SYNTAX"]
    assert formulas(json.dumps(JARVIS | {"elements": ["Cs"]})) == ["E-FILE-SYNTAX"]


def test_other_json_is_refused_with_the_way_out() -> None:
    found = outcome("a.json", json.dumps({"numbers": [55, 17], "positions": [[0, 0, 0], [2, 2, 2]], "cell": [4.1] * 3}))
    assert found.code == "E-FILE-FORMAT"
    assert "extended XYZ" in found.detail


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy of plain data with another value at a path such as ``sites.0.label``."""
    copy = json.loads(json.dumps(value))
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    inside = copy
    for word in parents:
        inside = inside[word]
    inside[last] = new
    return copy


OPTIMADE = {
    "lattice_vectors": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]],
    "cartesian_site_positions": [[0, 0, 0], [2.05, 2.05, 2.05]],
    "species_at_sites": ["Cs", "Cl"],
    "species": [{"name": name, "chemical_symbols": [name], "concentration": [1.0]} for name in ("Cs", "Cl")],
    "structure_features": [], "nsites": 2, "nelements": 2, "elements": ["Cl", "Cs"], "assemblies": None,
    "chemical_formula_descriptive": "CsCl", "chemical_formula_reduced": "ClCs", "chemical_formula_anonymous": "AB",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "new", "code"),
    [
        ("structure_features", ["implicit_atoms"], "E-STRUCT-FORMULA"),
        ("structure_features", ["unknown_positions"], "E-STRUCT-NOATOMS"),
        ("structure_features", ["site_attachments"], "E-STRUCT-FORMULA"),
        ("structure_features", ["assemblies"], "E-STRUCT-DISORDER"),
        ("structure_features", ["disorder"], "E-STRUCT-DISORDER"),
        ("assemblies", [{"sites_in_groups": [[0], [1]], "group_probabilities": [0.5, 0.5]}], "E-STRUCT-DISORDER"),
        ("nsites", 3, "E-STRUCT-FORMULA"),
        ("nelements", 3, "E-STRUCT-FORMULA"),
        ("elements", ["Cs", "I"], "E-STRUCT-FORMULA"),
        ("chemical_formula_descriptive", "CsCl2", "E-STRUCT-FORMULA"),
        ("chemical_formula_reduced", "Cl2Cs", "E-STRUCT-FORMULA"),
        ("chemical_formula_anonymous", "A2B", "E-STRUCT-FORMULA"),
        ("species.0.chemical_symbols", ["Cs", "vacancy"], "E-STRUCT-OCCUPANCY"),
        ("species.0", {"name": "Cs", "chemical_symbols": ["Cs", "vacancy"]}, "E-STRUCT-OCCUPANCY"),
        ("species.0", {"name": "Cs", "chemical_symbols": ["Cs"]}, ""),
        ("chemical_formula_descriptive", "caesium chloride, technical", ""),
        ("chemical_formula_descriptive", "Cs2 Cl2", ""),
        ("nsites", None, ""),
        ("structure_features", None, ""),
    ],
)
def test_an_optimade_entry_agrees_with_itself(path: str, new: Any, code: str) -> None:
    expected = code or "ClCs"
    if path.endswith("chemical_symbols"):
        expected = "E-FILE-SYNTAX"  # one concentration of two symbols
    assert formulas(json.dumps({"id": "1", "type": "structures", "attributes": changed(OPTIMADE, path, new)})) == [
        expected
    ]


@pytest.mark.parametrize(
    ("path", "new", "code"),
    [
        ("lattice.a", 4.2, "E-STRUCT-CELL"),
        ("lattice.gamma", 120.0, "E-STRUCT-CELL"),
        ("lattice.volume", 70.0, "E-STRUCT-CELL"),
        ("lattice.a", 4.1001, ""),
        ("lattice.volume", None, ""),
        ("sites.1.xyz", [2.05, 2.05, 0.0], "E-FILE-SYNTAX"),
        ("sites.1.xyz", [2.05, 2.05, 2.051], ""),
        ("sites.1.xyz", [6.15, 2.05, 2.05], ""),
        ("sites.1.abc", None, ""),
        ("sites.1.xyz", None, ""),
        ("sites.0.label", "Rb1", "E-STRUCT-SYMBOLS"),
        ("sites.0.label", "Cl1", "E-STRUCT-SYMBOLS"),
        ("sites.0.label", "Cs1", ""),
        ("sites.0.label", "B1", ""),
        ("sites.0.label", "Alpha", ""),
    ],
)
def test_a_structure_of_pymatgen_agrees_with_itself(path: str, new: Any, code: str) -> None:
    found = outcome("a.json", json.dumps(changed(PLAIN, path, new)))
    assert found.code == code, found.detail
    assert code or found.frac_coords == pytest.approx(np.array([[0] * 3, [0.5] * 3]))


def test_a_site_without_coordinates_is_named() -> None:
    found = outcome("a.json", json.dumps(changed(changed(PLAIN, "sites.1.abc", None), "sites.1.xyz", None)))
    assert found.code == "E-STRUCT-NOATOMS"
    assert "site 2" in found.detail
    assert "fractional" in found.detail


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"formula_pretty": "CsCl", "nsites": 2, "composition": {"Cs": 1.0, "Cl": 1.0}, "chemsys": "Cl-Cs"}, ""),
        ({"composition_reduced": {"Cs": 1.0, "Cl": 1.0}, "formula_anonymous": "AB", "volume": 68.9}, ""),
        ({"formula_pretty": "my salt", "nsites": None, "composition": None}, ""),
        ({"formula_pretty": "CsBr"}, "E-STRUCT-FORMULA"),
        ({"formula_pretty": "Cs(Cl)2"}, "E-STRUCT-FORMULA"),
        ({"nsites": 4}, "E-STRUCT-FORMULA"),
        ({"composition": {"Cs": 1.0, "Cl": 3.0}}, "E-STRUCT-FORMULA"),
        ({"composition_reduced": {"Rb": 1.0, "Cl": 1.0}}, "E-STRUCT-FORMULA"),
    ],
)
def test_what_stands_around_a_structure_agrees_with_it(more: dict[str, Any], code: str) -> None:
    record = {"material_id": "mp-1", "structure": PLAIN} | more
    assert formulas(json.dumps([record])) == [code or "ClCs"]


@pytest.mark.parametrize(
    ("atoms", "around", "code"),
    [
        ({"abc": [4.1, 4.1, 4.1], "angles": [90.0, 90.0, 90.0]}, {"formula": "CsCl", "nat": 2, "spg": 221}, ""),
        ({"abc": ["4.1", "4.1", "4.1"]}, {"formula": "-", "nat": "na"}, ""),
        ({"abc": [4.1, 4.1, 5.1]}, {}, "E-STRUCT-CELL"),
        ({"angles": [90.0, 90.0, 60.0]}, {}, "E-STRUCT-CELL"),
        ({}, {"formula": "CsBr"}, "E-STRUCT-FORMULA"),
        ({}, {"nat": 3}, "E-STRUCT-FORMULA"),
    ],
)
def test_an_entry_of_jarvis_agrees_with_itself(atoms: dict[str, Any], around: dict[str, Any], code: str) -> None:
    assert formulas(json.dumps([{"jid": "JVASP-1", "atoms": JARVIS | atoms} | around])) == [code or "ClCs"]


def test_deuterium_has_a_way_out() -> None:
    for word in ("D", "D1+", "2H"):
        text = json.dumps(changed(PLAIN, "sites.0.species", [{"element": word, "occu": 1}]))
        assert "write H" in outcome("a.json", text).detail
