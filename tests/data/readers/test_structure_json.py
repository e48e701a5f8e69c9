import json
from typing import Any

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
