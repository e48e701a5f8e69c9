import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import SYMBOLS
from matloop.data.errors import ROW_CODES
from matloop.data.guard.messages import unpack
from matloop.data.packaged.materials import load_materials
from matloop.data.readers.structure_split import Unreadable, split_rows
from matloop.data.readers.structure_text import read_row, request
from tests.data.readers.structure_texts import CIF, POSCAR, WRITERS, cif_of

MIXED = "A1 0 0 0 0.5\nB1 .5 .5 .5 1\n".replace("A1", "Fe1").replace("B1", "O1")


def read(name: str, content: str | bytes, disorder: str = "reject") -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Values and arrays of every row of a file; a file that is refused as a whole is one row."""
    raw = content.encode() if isinstance(content, str) else content
    try:
        rows = split_rows(name, raw)
    except Unreadable as error:
        return [({"code": error.code, "detail": error.detail, "formula": ""}, {})]
    return [tuple(unpack(read_row(request(row, disorder)))) for row in rows]  # type: ignore[misc]


def only(name: str, content: str | bytes, disorder: str = "reject") -> tuple[str, str]:
    ((values, _),) = read(name, content, disorder)
    return values["code"], values["formula"]


def code_of(name: str, content: str | bytes, disorder: str = "reject") -> str:
    return only(name, content, disorder)[0]


def structure_of(arrays: dict[str, Any]) -> Structure:
    return Structure(Lattice(arrays["lattice"]), [SYMBOLS[z] for z in arrays["species"]], arrays["frac_coords"])


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip_of_packaged_crystals(name: str) -> None:
    materials = load_materials()
    rows = np.random.default_rng(1).choice(len(materials), 200, replace=False)
    identical = 0
    for row in rows.tolist():
        original = materials.structure(row)
        ((values, arrays),) = read(name, WRITERS[name](original))
        assert values["code"] == "", (materials.formulas[row], values)
        found = structure_of(arrays)
        if CandidateBatch.from_structures([found]).batch.ids == [materials.ids[row]]:
            identical += 1
        else:  # eight decimals and a symmetrised cell move atoms a little
            assert StructureMatcher().fit(found, original), materials.formulas[row]
    # Symmetrised means changed: by less than 0.01 angstroms, but by more than the resolution of an id.
    assert identical >= {"symmetric.cif": 150, "plain.cif": 195, "atoms.extxyz": 195}.get(name, 200)


def test_symmetry_is_applied_and_centred_cells_are_whole() -> None:
    ((values, arrays),) = read("salt.cif", CIF)
    assert values["formula"] == "Na4Cl4"
    assert StructureMatcher().fit(
        structure_of(arrays),
        Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3]),
    )


@pytest.mark.parametrize(
    "content",
    [
        CIF.replace("\n", "\r"),
        CIF.replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + CIF.encode(),
        CIF.encode("utf-16"),
        (CIF + "_publ_author_name 'Müller'\n").encode("latin-1"),
        "# 中文\n" + CIF,
        CIF.replace("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz").replace("data_", "DATA_"),
        CIF.replace("_atom_site_", "_atom_site.").replace("_cell_length_", "_cell.length_"),
        CIF + "_note\n;\ndata_not_a_block\n_atom_site_fract_x 1\n;\n",
        CIF.replace("Na1+ 0 0", "Na1+ 0. -1E+0").replace("0.5 0.5 0.5", "0.5(1) .5 # here\n5.0e-1"),
    ],
    ids=["CR", "CRLF", "BOM", "UTF-16", "Latin-1", "Chinese", "old tags", "dots", "text field", "numbers"],
)
def test_spellings_of_one_cif(content: str | bytes) -> None:
    assert only("salt.cif", content) == ("", "Na4Cl4")


def test_space_group_symbol_stands_for_its_operations() -> None:
    text = cif_of("Na1 0 0 0 1\nCl1 .5 .5 .5 1\n", edge=5.64, extra="_symmetry_space_group_name_H-M 'F m -3 m'\n")
    assert only("a.cif", text) == ("", "Na4Cl4")
    assert code_of("a.cif", text.replace("F m -3 m", "F m -9 m")) == "E-STRUCT-SYMMETRY"
    number = "_symmetry_Int_Tables_number 225\n"
    assert only("a.cif", cif_of("Na1 0 0 0 1\n", extra=number)) == ("", "Na4")
    assert code_of("a.cif", cif_of("Na1 .1 .2 .3 1\n", extra=number.replace("225", "62"))) == "E-STRUCT-SYMMETRY"
    assert only("a.cif", cif_of("Na1 0 0 0 1\n")) == ("", "Na")


def test_every_block_with_atoms_is_a_row() -> None:
    text = "data_global\n_publ_text 'x'\n" + CIF + cif_of("Cs1 0 0 0 1\nCl1 .5 .5 .5 1\n", name="second")
    rows = split_rows("two.cif", text.encode())
    assert [row.label for row in rows] == ["salt", "second"]
    assert [values["formula"] for values, _ in read("two.cif", text)] == ["Na4Cl4", "ClCs"]


def test_images_and_entries_are_rows() -> None:
    image = '2\nLattice="4.1 0 0 0 4.1 0 0 0 4.1"\nCs 0 0 0\nCl 2.05 2.05 2.05\n'
    values = [values for values, _ in read("run.extxyz", image + image.replace("Cs", "Xx") + image + "7\n\nCs 0 0 0\n")]
    assert [(v["code"], v["formula"]) for v in values][:3] == [("", "ClCs"), ("E-STRUCT-ELEMENT", ""), ("", "ClCs")]
    assert [v["code"] for v in values][3:] == ["E-FILE-SYNTAX"]
    salt = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0] * 3, [0.5] * 3]).as_dict()
    assert [values["code"] for values, _ in read("list.json", json.dumps([salt, {"a": ']"['}, salt]))] == [
        "", "E-FILE-FORMAT", "",
    ]  # fmt: skip
    entries = {"meta": {"data": [1, 2]}, "data": [salt, salt]}
    assert len(read("response.json", json.dumps(entries))) == 2


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.cif", "", "E-FILE-EMPTY"),
        ("a.cif", " \r\n\t", "E-FILE-EMPTY"),
        ("readme.txt", "these are my structures", "E-FILE-FORMAT"),
        ("a.cif", b"\x00\x01\x02", "E-FILE-ENCODING"),
        ("a.cif", b"\xff\xfea", "E-FILE-ENCODING"),
        ("a.cif", b"\x1f\x8b\x08", "E-FILE-FORMAT"),
        ("a.cif", b"a" * 20_000_001, "E-FILE-TOO-LARGE"),
        ("a.cif", "data_molecule\n_atom_site_label C\n", "E-STRUCT-NOCELL"),
        ("a.cif", CIF[: CIF.index("loop_\n_atom_site")], "E-STRUCT-NOATOMS"),
        ("a.cif", CIF[:-6], "E-FILE-SYNTAX"),
        ("a.cif", CIF + ";\nnever closed", "E-FILE-SYNTAX"),
        ("a.cif", CIF.replace("x, y+1/2, z+1/2", "x, q, z"), "E-STRUCT-SYMMETRY"),
        ("a.cif", CIF.replace("x, y+1/2, z+1/2", "x, y, y"), "E-STRUCT-SYMMETRY"),
        ("a.cif", CIF.replace("5.640(1)", "9.64", 1).replace("x, y+1/2, z+1/2", "z, x, y"), "E-STRUCT-SYMMETRY"),
        ("a.cif", CIF.replace("5.640(1)", "nan", 1), "E-STRUCT-NONFINITE"),
        ("a.cif", CIF.replace("5.640(1)", "1e999", 1), "E-STRUCT-NONFINITE"),
        ("a.cif", CIF.replace("gamma 90", "gamma 190"), "E-STRUCT-CELL"),
        ("a.cif", CIF.replace("Na1 Na1+", "Du1 Du"), "E-STRUCT-ELEMENT"),
        ("a.cif", CIF.replace("Na1 Na1+", "D1 D"), "E-STRUCT-ELEMENT"),
        ("a.cif", CIF.replace("'Cl Na'", "'Cl H2 Na O'"), "E-STRUCT-FORMULA"),
        ("a.cif", CIF.replace("'Cl Na'", "'Cl3 Na'"), "E-STRUCT-FORMULA"),
        ("a.cif", CIF.replace("0 0 0 1", "0 0 0 1.5"), "E-STRUCT-OCCUPANCY"),
        ("a.cif", CIF.replace("0 0 0 1", "0 0 0 -1"), "E-STRUCT-OCCUPANCY"),
        ("a.cif", CIF.replace("0 0 0 1", "0 0 ? 1"), "E-STRUCT-NOATOMS"),
        ("a.cif", CIF.replace("0.5 0.5 0.5", "0.01 0.02 0.03"), "E-STRUCT-DISTANCE"),
        ("a.cif", cif_of("Na1 0 0 0 1\nCl1 0 0 0 1\n"), "E-STRUCT-DISTANCE"),
        ("a.cif", cif_of("Na1 0 0 0 .8\nCl1 0 0 0 .8\n"), "E-STRUCT-OCCUPANCY"),
        ("a.cif", cif_of(MIXED), "E-STRUCT-DISORDER"),
        ("a.cif", cif_of("Na1 0 0 0 1\n", edge=1000.0), "E-STRUCT-VOLUME"),
        ("a.cif", cif_of("O1 0 0 0 2\n").replace("occupancy", "attached_hydrogens"), "E-STRUCT-FORMULA"),
        ("POSCAR", POSCAR.replace("Cs Cl\n", ""), "E-STRUCT-SYMBOLS"),
        ("POSCAR", POSCAR.replace("1 1\n", "1000000000 1\n"), "E-STRUCT-SIZE"),
        ("POSCAR", POSCAR.replace("1 1\n", "1 200\n"), "E-FILE-SYNTAX"),
        ("POSCAR", POSCAR.replace("1 1\n", "0 0\n"), "E-STRUCT-NOATOMS"),
        ("POSCAR", POSCAR.replace("1 1\n", "-1 1\n"), "E-FILE-SYNTAX"),
        ("POSCAR", POSCAR.replace("0 4.1 0", "0 nan 0"), "E-STRUCT-NONFINITE"),
        ("POSCAR", POSCAR.replace("0 4.1 0", "4.1 0 0"), "E-STRUCT-VOLUME"),
        ("POSCAR", POSCAR.replace("0 4.1 0", "4.1 0 0").replace("Direct", "Cartesian"), "E-STRUCT-CELL"),
        ("POSCAR", POSCAR.replace("1.0\n", "0\n", 1), "E-FILE-SYNTAX"),
        ("POSCAR", POSCAR.replace("Direct", "Whatever"), "E-FILE-SYNTAX"),
        ("POSCAR", POSCAR[:40], "E-FILE-SYNTAX"),
        ("XDATCAR", POSCAR.replace("Direct", "Direct configuration=     1"), "E-FILE-FORMAT"),
        ("a.axsf", "ANIMSTEPS 2\nCRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD 1\n1 1\n1 0 0 0\n", "E-FILE-FORMAT"),
        ("a.xyz", "2\ncomment\nH 0 0 0\nH 0 0 1\n", "E-STRUCT-NOCELL"),
        ("a.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4" pbc="T T F"\nH 0 0 0\n', "E-STRUCT-NOCELL"),
        ("a.xyz", '999999999999999999\nLattice="4 0 0 0 4 0 0 0 4"\nH 0 0 0\n', "E-STRUCT-SIZE"),
        ("a.xyz", '1\nLattice="4 0 0 0 4 0 0 0" \nH 0 0 0\n', "E-FILE-SYNTAX"),
        ("a.xyz", '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=pos:R:3\n0 0 0\n', "E-STRUCT-SYMBOLS"),
        ("a.xsf", "SLAB\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n1 1\n1 0 0 0\n", "E-STRUCT-NOCELL"),
        ("a.xsf", "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\n", "E-STRUCT-NOATOMS"),
        ("a.xsf", "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n1000000000 1\n1 0 0 0\n", "E-STRUCT-SIZE"),
        ("a.xsf", "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n1 1\n119 0 0 0\n", "E-STRUCT-ELEMENT"),
        ("a.json", "{", "E-FILE-SYNTAX"),
        ("a.json", "{}", "E-FILE-FORMAT"),
        ("a.json", "[" * 100_000, "E-FILE-SYNTAX"),
        ("a.json", '{"sites": []}', "E-STRUCT-NOCELL"),
        ("a.json", '{"lattice_vectors": [[4,0,0],[0,4,0],[0,0,NaN]]}', "E-STRUCT-NONFINITE"),
    ],
)  # fmt: skip
def test_each_fault_has_its_code(name: str, content: str | bytes, code: str) -> None:
    assert code_of(name, content) == code
    assert code in ROW_CODES


def test_scaled_and_cartesian_poscars() -> None:
    volume = POSCAR.replace("1.0\n", f"{-(4.1**3):.9f}\n", 1)
    three = POSCAR.replace("1.0\n", "2 1 1\n", 1).replace("4.1 0 0", "2.05 0 0")
    cartesian = three.replace("Direct\n0 0 0\n.5 .5 .5", "Cartesian\n0 0 0\n1.025 2.05 2.05")
    selective = POSCAR.replace("Direct", "Selective dynamics\nDirect").replace(".5 .5 .5", ".5 .5 .5 T T F")
    potcar = POSCAR.replace("Cs Cl", "Cs_sv Cl/abc").replace("Cl/abc", "Cl_h")
    fortran = POSCAR.replace("4.1 0 0", "4.1D0 0 0")
    for text in (volume, three, cartesian, selective, potcar, fortran):
        ((values, arrays),) = read("POSCAR", text)
        assert values["code"] == "", (text, values)
        np.testing.assert_allclose(arrays["lattice"], np.eye(3) * 4.1, atol=1e-8)
        np.testing.assert_allclose(arrays["frac_coords"], [[0] * 3, [0.5] * 3], atol=1e-8)


def test_composition_only_keeps_the_amounts() -> None:
    ((values, arrays),) = read("a.cif", cif_of(MIXED), "composition_only")
    assert (values["code"], values["formula"], arrays) == ("", "OFe0.5", {})


def test_shares_of_one_element_fill_a_site() -> None:
    text = cif_of("Fe1 0 0 0 0.5\nFe2 0 0 0 0.5\nO1 .5 .5 .5 1\n")
    assert only("a.cif", text) == ("", "OFe")


def test_ordering_takes_whole_atoms_and_small_cells_only() -> None:
    half = "_symmetry_space_group_name_H-M 'F m -3 m'\n"
    text = cif_of("Na1 0 0 0 .5\nK1 0 0 0 .5\nCl1 .5 .5 .5 1\n", edge=5.9, extra=half)
    assert only("a.cif", text, "order") == ("", "Na2Cl4K2")
    assert code_of("a.cif", text.replace("0 .5", "0 .4"), "order") == "E-STRUCT-DISORDER"
    assert code_of("a.cif", cif_of(MIXED), "order") == "E-STRUCT-DISORDER"


def test_optimade_vacancies_are_disorder() -> None:
    entry = {
        "lattice_vectors": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "cartesian_site_positions": [[0, 0, 0]],
        "species_at_sites": ["Fe1"],
        "species": [{"name": "Fe1", "chemical_symbols": ["Fe", "vacancy"], "concentration": [0.9, 0.1]}],
    }
    assert code_of("a.json", json.dumps(entry)) == "E-STRUCT-DISORDER"
    assert only("a.json", json.dumps(entry), "composition_only") == ("", "Fe0.9")


def _seeds() -> list[tuple[str, bytes]]:
    materials = load_materials()
    smallest = np.argsort(materials.crystals.site_counts)[:3000:500] if materials.crystals else []
    seeds = [
        (name, write(materials.structure(int(row))).encode()) for row in smallest for name, write in WRITERS.items()
    ]
    return [*seeds, ("salt.cif", CIF.encode()), ("POSCAR", POSCAR.encode()), ("mixed.cif", cif_of(MIXED).encode())]


SEEDS = _seeds()
FRAGMENTS = [
    b"nan", b"-inf", b"1e999", b"0", b"-1", b"1000000000", b"\n", b"\r", b";", b"'", b'"', b"loop_\n", b"data_x\n",
    b"#", b"_atom_site_label\n", b"_cell_length_a 1e-9\n", b"{", b"]", b",", b"null", b"\x00", b"\xff", b"Xx", b" ",
    b"?", b"1/0", b'"@module": "os", ', b"1e-300", b"9" * 400,
]  # fmt: skip


@st.composite
def damaged_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good file after a few cuts, repeats, insertions and changed bytes."""
    name, content = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.integers(start, min(start + 60, len(content))))
        middle = draw(st.one_of(st.just(b""), st.sampled_from(FRAGMENTS), st.binary(max_size=3)))
        if draw(st.booleans()):
            middle += content[start:stop] * draw(st.integers(0, 3))
        content = content[:start] + middle + content[stop:]
    return draw(st.sampled_from([name, "POSCAR", "x.dat"])) if draw(st.booleans()) else name, content


@settings(max_examples=1500)
@given(damaged_files(), st.sampled_from(["reject", "composition_only"]))
def test_whatever_is_damaged_ends_in_a_sound_cell_or_a_code(file: tuple[str, bytes], disorder: str) -> None:
    for values, arrays in read(*file, disorder):
        assert values["code"] == "" or values["code"] in ROW_CODES
        if arrays:
            assert values["code"] == ""
            assert CandidateBatch.from_structures([structure_of(arrays)]).batch.ids
        elif not values["code"]:
            assert not CandidateBatch.from_formulas([values["formula"]]).refused


@settings(max_examples=300)
@given(st.sampled_from(["a.cif", "POSCAR", "a.xyz", "a.xsf", "a.json", "a"]), st.binary(max_size=200))
def test_noise_ends_in_a_code(name: str, content: bytes) -> None:
    assert all(values["code"] in ROW_CODES for values, _ in read(name, content))
