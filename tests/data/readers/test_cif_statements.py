"""A CIF block states its symmetry, elements and amounts in many ways; they are read, or refused when they disagree."""

import numpy as np
import pytest

from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.space_groups import settings_of_symbol
from matloop.data.readers.cif import read_cif
from matloop.data.readers.parsed import ParsedCell
from matloop.data.readers.structure_split import Unreadable, split_rows

CUBE = "_cell_length_a {0}\n_cell_length_b {0}\n_cell_length_c {0}\n"
COLUMNS = (
    "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
)
LABELS = COLUMNS.replace("_atom_site_type_symbol\n", "")
SALT = "Mg1 Mg 0 0 0\nO1 O .5 .5 .5\n"
UNITS = "_chemical_formula_sum 'Mg O'\n_cell_formula_units_Z 4\n"
FACES = "'x, y, z'\n'x, y+1/2, z+1/2'\n'x+1/2, y, z+1/2'\n'x+1/2, y+1/2, z'\n"


def block(symmetry: str, atoms: str = SALT, *, cell: str = CUBE.format(4.21), columns: str = COLUMNS) -> str:
    return f"data_x\n{cell}{symmetry}{columns}{atoms}"


def sites_and_distance(cell: ParsedCell) -> tuple[int, float]:
    """Number of atoms in the cell, and the shortest distance in Å."""
    count = len(cell.frac_coords)
    crystals = Crystals(cell.lattice[None], np.array([0, count]), cell.numbers(), cell.frac_coords)
    return count, round(float(crystals.shortest_distances()[0]), 2)


def refusal(text: str) -> tuple[str, str]:
    with pytest.raises(Unreadable) as error:
        read_cif(text)
    return error.value.code, error.value.detail


@pytest.mark.parametrize(
    "symmetry",
    [
        "_symmetry_space_group_name_H-M 'F m -3 m'\n",
        "_symmetry_space_group_name_H_M 'F m -3 m'\n",
        "_space_group_name_H-M_alt 'Fm-3m'\n",
        "_space_group.name_H-M_full 'F 4/m -3 2/m'\n",
        "_symmetry_space_group_name_H-M 'F m 3 m'\n",
        "_symmetry_space_group_name_H-M 'f M -3 M'\n",
        "_symmetry_space_group_name_Hall '-F 4 2 3'\n",
        "_space_group_name_Hall '-f 4  2 3'\n",
        "_space_group_IT_number 225\n",
        "_symmetry_Int_Tables_number 225\n_symmetry_cell_setting cubic\n",
        f"loop_\n_symmetry_equiv_pos_as_xyz_\n{FACES}",
        f"loop_\n_space_group_symop_operation_xyz\n{FACES}",
    ],
)
def test_every_spelling_of_the_symmetry_is_understood(symmetry: str) -> None:
    assert sites_and_distance(read_cif(block(UNITS + symmetry))) == (8, 2.1)


@pytest.mark.parametrize(
    "symmetry",
    [
        "_space_group_name_H-M_alt 'F m -9 m'\n",
        "_symmetry_space_group_name_Hall '-F 4 2 3 (x,y,z+1/4)'\n",
        "_space_group_name_Schoenflies Oh^5\n",
        "_symmetry_cell_setting cubic\n",
        "_space_group_ssg_name_IT 216.1\n",
        "loop_\n_space_group_symop_ssg_operation_algebraic\nx1,x2,x3,x4\n",
        "_cell_modulation_dimension 1\n_space_group_IT_number 225\n",
        "_symmetry_space_group_name_H-M 'C -4 2 m'\n_space_group_IT_number 115\n",
    ],
)
def test_symmetry_that_is_not_understood_is_never_taken_for_none(symmetry: str) -> None:
    code, detail = refusal(block(symmetry))
    assert code == "E-STRUCT-SYMMETRY"
    assert "not understood" in detail or "modulated" in detail or "does not fit" in detail


def test_no_statement_of_symmetry_is_no_symmetry() -> None:
    assert len(read_cif(block("")).frac_coords) == 2


@pytest.mark.parametrize(
    "symmetry",
    [
        f"loop_\n_symmetry_equiv_pos_as_xyz\n{FACES[:-20]}\n",  # one centring is missing
        "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-y,x,z+1/4'\n",
        "_space_group_name_H-M_alt 'F m -3 m'\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n",
        "_space_group_IT_number 227\nloop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,-z'\n",
        "_space_group_name_H-M_alt 'F m -3 m'\n_space_group_IT_number 227\n",
        "_space_group_name_H-M_alt 'F m -3 m'\n_space_group_name_Hall 'P 1'\n",
    ],
)
def test_statements_that_contradict_each_other_are_refused(symmetry: str) -> None:
    assert refusal(block(symmetry))[0] == "E-STRUCT-SYMMETRY"


def test_formula_and_z_must_agree_with_the_atoms_made() -> None:
    assert refusal(block(UNITS)) == (
        "E-STRUCT-FORMULA", "MgO and Z = 4 are stated, but the symmetry makes 2 atoms",
    )  # fmt: skip
    whole = UNITS.replace("'Mg O'", "'Mg4 O4'") + "_space_group_IT_number 225\n"
    assert len(read_cif(block(whole)).frac_coords) == 8  # some programs state the formula of the whole cell


SILICON = CUBE.format(5.4307)


@pytest.mark.parametrize(
    ("symbol", "at", "expected"),
    [
        ("F d -3 m", "0 0 0", (8, 2.35)),
        ("F d -3 m", ".125 .125 .125", (8, 2.35)),
        ("F d 3 m S", "0 0 0", (8, 2.35)),
        ("F d -3 m :2", ".125 .125 .125", (8, 2.35)),
        ("F d -3 m Z", ".125 .125 .125", (8, 2.35)),
    ],
)
def test_the_origin_is_decided_by_formula_and_z(symbol: str, at: str, expected: tuple[int, float]) -> None:
    stated = f"_chemical_formula_sum Si\n_cell_formula_units_Z 8\n_symmetry_space_group_name_H-M '{symbol}'\n"
    assert sites_and_distance(read_cif(block(stated, f"Si1 Si {at}\n", cell=SILICON))) == expected


def test_an_origin_without_evidence_is_refused_with_the_way_out() -> None:
    code, detail = refusal(block("_symmetry_space_group_name_H-M 'F d -3 m'\n", "Si1 Si 0 0 0\n", cell=SILICON))
    assert code == "E-STRUCT-SYMMETRY"
    assert ":1 or F 41/d -3 2/m :2, which are different crystals; state the setting, formula and Z" in detail


def test_axes_of_rhombohedral_groups_follow_the_cell() -> None:
    stated = "_symmetry_space_group_name_H-M 'R -3 m'\n"
    angles = "_cell_angle_alpha 57.1\n_cell_angle_beta 57.1\n_cell_angle_gamma 57.1\n"
    assert len(read_cif(block(stated, "Bi1 Bi .234 .234 .234\n", cell=CUBE.format(4.75) + angles)).frac_coords) == 2
    hexagonal = "_cell_length_a 4.546\n_cell_length_b 4.546\n_cell_length_c 11.86\n_cell_angle_gamma 120\n"
    assert len(read_cif(block(stated, "Bi1 Bi 0 0 .234\n", cell=hexagonal)).frac_coords) == 6


def test_a_short_monoclinic_symbol_follows_the_angle_of_the_cell() -> None:
    cell = "_cell_length_a 5\n_cell_length_b 6\n_cell_length_c 7\n_cell_angle_{} 100\n"
    of_axis = {}
    for axis, angle in (("b", "beta"), ("c", "gamma")):
        text = block("_space_group_name_H-M_alt 'P 2'\n", "Mg1 Mg .1 .2 .3\n", cell=cell.format(angle))
        of_axis[axis] = sorted(read_cif(text).frac_coords.round(6).tolist())[-1]
    assert of_axis == {"b": [0.9, 0.2, 0.7], "c": [0.9, 0.8, 0.3]}


@pytest.mark.parametrize(
    ("labels", "formula", "elements"),
    [
        ("FE1 O1", "", {"Fe", "O"}),
        ("NA1 CL1", "", {"Na", "Cl"}),
        ("CO1 O1", "", {"Co", "O"}),
        ("CO1 O1", "'C O'", {"C", "O"}),
        ("Fe2A O1B", "", {"Fe", "O"}),
        ("Ti_a O-1", "", {"Ti", "O"}),
        ("Si1 Os1", "'Si O'", {"Si", "O"}),
        ("K1 Og1", "'K O'", {"K", "O"}),
    ],
)
def test_clear_labels_give_the_element(labels: str, formula: str, elements: set[str]) -> None:
    first, second = labels.split()
    stated = f"_chemical_formula_sum {formula}\n" if formula else ""
    cell = read_cif(block(stated, f"{first} 0 0 0\n{second} .5 .5 .5\n", columns=LABELS))
    assert set(cell.amounts()) == elements


@pytest.mark.parametrize(
    ("labels", "formula", "code"),
    [
        ("Mg1 OH1", "", "E-STRUCT-SYMBOLS"),
        ("Mg1 OH1", "'Mg O H'", "E-STRUCT-FORMULA"),
        ("K1 Og1", "", "E-STRUCT-SYMBOLS"),
        ("Oa1 Os1", "", "E-STRUCT-SYMBOLS"),
        ("CO1 C1", "", "E-STRUCT-SYMBOLS"),
        ("CO1 O1", "'Co C O'", "E-STRUCT-SYMBOLS"),
        ("Mg1 HO1", "", "E-STRUCT-SYMBOLS"),
        ("Mg1 Wat1", "", "E-STRUCT-ELEMENT"),
        ("Mg1 Cg1", "", "E-STRUCT-ELEMENT"),
        ("Mg1 Va1", "", "E-STRUCT-ELEMENT"),
        ("Mg1 M1", "", "E-STRUCT-ELEMENT"),
        ("Mg1 D1", "", "E-STRUCT-ELEMENT"),
    ],
)
def test_labels_that_may_mean_something_else_are_refused(labels: str, formula: str, code: str) -> None:
    first, second = labels.split()
    stated = f"_chemical_formula_sum {formula}\n" if formula else ""
    assert refusal(block(stated, f"{first} 0 0 0\n{second} .5 .5 .5\n", columns=LABELS))[0] == code


def test_a_type_may_be_a_mixture_and_no_group() -> None:
    cell = read_cif(block("", "A1 '0.8Nb + 0.2Zr' 0 0 0\n"))
    assert cell.occupancies == [{"Nb": 0.8, "Zr": 0.2}]
    for kind in ("O-H", "OH", "Nb,Zr", "'Nb+Zr'"):
        assert refusal(block("", f"A1 {kind} 0 0 0\n"))[0] == "E-STRUCT-ELEMENT"


def test_a_tag_with_two_values_is_refused() -> None:
    other = LABELS + "K1 0 0 0\nBr1 .5 .5 .5\n"
    assert refusal(block("") + other)[0] == "E-FILE-SYNTAX"
    assert refusal(block("_cell_length_a 5\n"))[0] == "E-FILE-SYNTAX"
    assert len(read_cif(block("_cell_length_a 4.21\n_journal_year 1\n_journal_year 2\n")).frac_coords) == 2


def test_a_column_belongs_to_its_own_table() -> None:
    occupancies = "loop_\n_atom_site_occupancy\n0.5\n1\n"
    assert refusal(block("") + occupancies) == (
        "E-FILE-SYNTAX", "_atom_site_occupancy and _atom_site_fract_x stand in different tables",
    )  # fmt: skip


def test_every_header_starts_a_row() -> None:
    text = (
        block("") + "  data_second\n" + block("").partition("\n")[2] + "\tDATA_third\n" + block("").partition("\n")[2]
    )
    assert [row.label for row in split_rows("a.cif", text.encode())] == ["x", "second", "third"]
    assert refusal(block("") + "Mg2 Mg 0 0 .1 data_second\n")[0] == "E-FILE-SYNTAX"


@pytest.mark.parametrize(("groups", "refused"), [("1 2", True), ("-1 .", True), ("1 1", False), (". .", False)])
def test_disorder_groups_without_occupancies_are_disorder(groups: str, refused: bool) -> None:
    columns = COLUMNS + "_atom_site_disorder_group\n"
    first, second = groups.split()
    text = block("", f"Mg1 Mg 0 0 0 {first}\nO1 O .5 .5 .5 {second}\n", columns=columns)
    if refused:
        assert refusal(text)[0] == "E-STRUCT-DISORDER"
    else:
        assert read_cif(text).is_ordered


@pytest.mark.parametrize(
    "symmetry",
    ["_space_group_name_H-M_alt ?\n", "_spacegroup_name 'F m -3 m'\n", "_symmetry_cell_setting cubic\n"],
)
def test_a_tag_of_symmetry_without_an_understood_value_is_not_no_symmetry(symmetry: str) -> None:
    assert refusal(block(symmetry))[0] == "E-STRUCT-SYMMETRY"


GLIDE_N = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z\n1/2-x,1/2+y,1/2-z\n1/2+x,1/2-y,1/2+z\n"
GENERAL = "Mg1 Mg .11 .22 .33\nO1 O .43 .31 .62\n"
MONOCLINIC = "_cell_length_a 5.1\n_cell_length_b 6.2\n_cell_length_c 7.3\n_cell_angle_beta {}\n"


def test_operations_of_another_setting_than_the_symbol_are_refused() -> None:
    cell = MONOCLINIC.format(101)
    for symbol in ("P 21/n", "P 1 21/n 1"):
        text = block(f"_space_group_name_H-M_alt '{symbol}'\n{GLIDE_N}", GENERAL, cell=cell)
        assert len(read_cif(text).frac_coords) == 8
    code, detail = refusal(block(f"_space_group_name_H-M_alt 'P 21/c'\n{GLIDE_N}", GENERAL, cell=cell))
    assert code == "E-STRUCT-SYMMETRY"
    assert "P 21/c" in detail
    assert "P 1 21/n 1" in detail


def test_a_symbol_that_is_not_understood_needs_formula_and_z_beside_the_operations() -> None:
    strange = f"_space_group_name_H-M_alt 'my own cell'\nloop_\n_symmetry_equiv_pos_as_xyz\n{FACES}"
    code, detail = refusal(block(strange))
    assert (code, "my own cell" in detail) == ("E-STRUCT-SYMMETRY", True)
    assert len(read_cif(block(UNITS + strange)).frac_coords) == 8


@pytest.mark.parametrize("angle", ["90", "90.3", "101"])
def test_a_short_monoclinic_symbol_means_axis_b_in_a_cell_that_allows_it(angle: str) -> None:
    text = block("_space_group_name_H-M_alt 'P 21/n'\n", GENERAL, cell=MONOCLINIC.format(angle))
    listed = block(GLIDE_N, GENERAL, cell=MONOCLINIC.format(angle))
    places = [np.sort((read_cif(each).frac_coords % 1).round(6), axis=0) for each in (text, listed)]
    np.testing.assert_allclose(places[0], places[1], atol=1e-6)


@pytest.mark.parametrize("kind", ["NH4", "PO4", "CO3", "CN", "H2O", "OH", "O-H", "D", "Wat", "Fe,Mn"])
def test_a_type_that_is_a_group_of_atoms_is_refused(kind: str) -> None:
    code, detail = refusal(block("", f"A1 '{kind}' 0 0 0\nO1 O .5 .5 .5\n"))
    assert (code, kind in detail) == ("E-STRUCT-ELEMENT", True)


def test_two_settings_with_crowded_atoms_are_no_proof_of_each_other() -> None:
    # Neither origin is possible, and the ids of crystals that are refused must not make them equal.
    atoms = "Mg1 Mg .1 .2 .3\nO1 O .11 .21 .31\n"
    cell = CUBE.format(3.0)
    assert refusal(block("_space_group_name_H-M_alt 'P n -3 m'\n", atoms, cell=cell))[0] == "E-STRUCT-SYMMETRY"


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("7Li", {"Li": 1.0}),
        ("2H", {"H": 1.0}),
        ("1H", {"H": 1.0}),
        ("238U", {"U": 1.0}),
        ("0.5Fe", {"Fe": 0.5}),
        ("Fe2.67+", {"Fe": 1.0}),
        ("O-2", {"O": 1.0}),
    ],
)
def test_a_number_before_a_type_is_an_isotope_or_a_share(kind: str, shares: dict[str, float]) -> None:
    assert read_cif(block("", f"A1 '{kind}' 0 0 0\n")).occupancies == [shares]


@pytest.mark.parametrize("kind", ["7Fe", "2Fe", "Fe0.5", "Al0.50", "Fe.5", "0.8Fe + 0.8Mg"])
def test_a_type_that_is_more_or_less_than_an_atom_is_refused(kind: str) -> None:
    assert refusal(block("", f"A1 '{kind}' 0 0 0\nO1 O .5 .5 .5\n"))[0] == "E-STRUCT-ELEMENT"


def test_deuterium_is_refused_with_the_way_out() -> None:
    assert "write H" in refusal(block("", "D1 D 0 0 0\n"))[1]


@pytest.mark.parametrize("formula", ["", "_chemical_formula_sum 'Fe Mg Al Si Co Ca Na O H N C'\n"])
@pytest.mark.parametrize(
    "label",
    [
        "FeMg1", "Fe/Mg", "Fe1Mg1", "Fe_Mg", "AlSi1", "CoNi", "CaNa", "Fe-vac", "H2O1", "O2H", "O(H)", "O-H", "N(H3)",
        "C1H3", "FEMG1", "K,Na", "Al+Si",
    ],
)  # fmt: skip
def test_a_label_of_several_atoms_is_none_of_them(label: str, formula: str) -> None:
    code = refusal(block(formula, f"{label} 0 0 0\nO1 .5 .5 .5\n", columns=LABELS))[0]
    assert code in ("E-STRUCT-SYMBOLS", "E-STRUCT-ELEMENT", "E-STRUCT-FORMULA")


@pytest.mark.parametrize("label", ["SiT1", "SiM4", "Si1A", "Si(1)", "Si_1", "Si1'", "Si1_oct", "Si1B"])
def test_labels_of_sites_and_series_are_clear(label: str) -> None:
    assert set(read_cif(block("", f"{label} 0 0 0\nO1B .5 .5 .5\n", columns=LABELS)).amounts()) == {"Si", "O"}


def test_an_unknown_angle_is_no_right_angle() -> None:
    unknown = "_cell_angle_alpha 90\n_cell_angle_beta ?\n_cell_angle_gamma 90\n"
    cubic = block(unknown + "_space_group_IT_number 225\n")
    assert len(read_cif(cubic).frac_coords) == 8
    for symmetry in ("", "_space_group_name_H-M_alt 'P 1 21/m 1'\n"):
        assert refusal(block(unknown + symmetry)) == (
            "E-STRUCT-CELL", "_cell_angle_beta is unknown, and the symmetry does not fix it; state the angle",
        )  # fmt: skip


def test_a_volume_that_is_not_that_of_the_cell_is_refused() -> None:
    assert len(read_cif(block("_cell_volume 74.6(2)\n")).frac_coords) == 2
    assert refusal(block("_cell_volume 149.2\n"))[0] == "E-STRUCT-CELL"


FACE_CENTRED = f"loop_\n_symmetry_equiv_pos_as_xyz\n{FACES}"


@pytest.mark.parametrize(
    "symmetry",
    [
        f"{FACE_CENTRED}loop_\n_space_group_symop_operation_xyz\nx,y,z\n",
        "_space_group_IT_number 225\n_symmetry_Int_Tables_number 221\n",
        "_space_group_name_Hall '-F 4 2 3'\n_symmetry_space_group_name_Hall '-P 4 2 3'\n",
        "_space_group_name_H-M_alt 'F d -3 m :2'\n_space_group_IT_coordinate_system_code 1\n",
        "_symmetry_cell_setting cubic\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n",
        "_parent_space_group.name_H-M_alt 'F m -3 m'\n",
        "_cod_original_sg_symbol_H-M 'F m -3 m'\n",
        "_spg_number 225\n",
        "_int_tables_number 225\n",
        "_pd_phase_space_group 'F m -3 m'\n",
        "_icsd_space_group 'F m -3 m'\n",
        "_crystal_system cubic\n",
        "_cell_setting cubic\n",
        "_H-M_symbol 'F m -3 m'\n",
    ],
)
def test_every_statement_of_symmetry_counts(symmetry: str) -> None:
    assert refusal(block(symmetry))[0] == "E-STRUCT-SYMMETRY"


def test_the_same_stated_twice_is_no_contradiction() -> None:
    twice = f"{FACE_CENTRED}loop_\n_space_group_symop_operation_xyz\n{FACES}_symmetry_cell_setting triclinic\n"
    assert len(read_cif(block(twice)).frac_coords) == 8
    assert len(read_cif(block("_spg_number 1\n_cod_original_sg_symbol_H-M 'P 1'\n")).frac_coords) == 2


@pytest.mark.parametrize(
    ("column", "values", "agrees"),
    [
        ("_atom_site_symmetry_multiplicity", "4 4", True),
        ("_atom_site_symmetry_multiplicity", "1 1", True),  # the order of the site symmetry, as a program writes it
        ("_atom_site_site_symmetry_order", "1 1", True),
        ("_atom_site_symmetry_multiplicity", "8 4", False),
        ("_atom_site_site_symmetry_order", "4 4", False),
    ],
)
def test_multiplicities_agree_with_the_atoms_made(column: str, values: str, agrees: bool) -> None:
    first, second = values.split()
    atoms = f"Mg1 Mg 0 0 0 {first}\nO1 O .5 .5 .5 {second}\n"
    text = block(FACE_CENTRED, atoms, columns=f"{COLUMNS}{column}\n")
    if agrees:
        assert len(read_cif(text).frac_coords) == 8
    else:
        assert refusal(text)[0] == "E-STRUCT-SYMMETRY"


def test_a_wyckoff_letter_shows_that_there_is_symmetry() -> None:
    atoms = "Mg1 Mg 0 0 0 4a\nO1 O .5 .5 .5 4b\n"
    assert refusal(block("", atoms, columns=f"{COLUMNS}_atom_site_Wyckoff_symbol\n"))[0] == "E-STRUCT-SYMMETRY"


@pytest.mark.parametrize(
    "stated",
    [
        "_exptl_crystal_density_diffrn 3.588\n",
        "_chemical_formula_weight 40.30\n_cell_formula_units_Z 4\n",
        "_chemical_formula_structural 'Mg O'\n_cell_formula_units_Z 4\n",
    ],
)
def test_density_weight_and_other_formulas_show_that_atoms_are_missing(stated: str) -> None:
    assert len(read_cif(block(stated + FACE_CENTRED)).frac_coords) == 8
    assert refusal(block(stated))[0] == "E-STRUCT-FORMULA"


def test_formulas_with_brackets_are_compared_too() -> None:
    assert refusal(block("_chemical_formula_sum 'Mg (O H)2'\n")) == (
        "E-STRUCT-FORMULA", "Mg(OH)2 is stated, H has no atoms",
    )  # fmt: skip


def test_alternatives_without_occupancies_are_disorder() -> None:
    atoms = "Mg1 Mg 0 0 0 .\nO1A O .5 .5 .5 A\nO1B O .5 .5 .8 A\n"
    assert refusal(block("", atoms, columns=f"{COLUMNS}_atom_site_disorder_assembly\n"))[0] == "E-STRUCT-DISORDER"


LAYERED = "_cell_length_a {a}\n_cell_length_b {b}\n_cell_length_c {c}\n{angles}"


@pytest.mark.parametrize(
    ("symbol", "a", "b", "c", "angles"),
    [
        ("R -3 m", 4.3338, 4.3338, 40.931, ""),
        ("R -3 m", 4.3338, 4.3338, 40.931, "_cell_angle_gamma ?\n"),
        ("R -3 m", 4.3338, 4.3338, 40.931, "_cell_angle_gamma 102\n"),
        ("P 63/m m c", 3.16, 3.16, 30, ""),
        ("P 4/m m m", 5, 5.6, 30, ""),
        ("P m m m", 5, 5.6, 30, "_cell_angle_beta 93\n"),
        ("P 1 21/c 1", 5, 5.6, 30, "_cell_angle_alpha 92\n_cell_angle_beta 100\n"),
    ],
)
def test_long_cells_must_fit_their_symmetry_too(symbol: str, a: float, b: float, c: float, angles: str) -> None:
    cell = LAYERED.format(a=a, b=b, c=c, angles=angles)
    assert refusal(block(f"_space_group_name_H-M_alt '{symbol}'\n", cell=cell))[0] == "E-STRUCT-SYMMETRY"


@pytest.mark.parametrize(
    "stated",
    ["_symmetry_space_group_name_H-M P21 /c\n", "_space_group_name_H-M_alt R3 c\n", "_cell_length_a 4. 21\n"],
)
def test_a_value_with_blanks_needs_quotation_marks(stated: str) -> None:
    code, detail = refusal(f"data_x\n{stated}" + block("").partition("\n")[2])
    assert code == "E-FILE-SYNTAX"
    assert "more than one value; put quotation marks" in detail


def test_what_is_written_twice_alike_or_about_the_work_is_no_contradiction() -> None:
    more = "_cell_length_a 4.210\n_cell_measurement_temperature 293\n_cell_measurement_temperature 295\n_journal_year\n"
    assert len(read_cif(block(more)).frac_coords) == 2
    ended = block(f"loop_\n_symmetry_equiv_pos_as_xyz\n{FACES}stop_\n")
    assert len(read_cif(ended).frac_coords) == 8


def test_an_unknown_operation_or_occupancy_is_refused() -> None:
    assert refusal(block("loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n?\n"))[0] == "E-STRUCT-SYMMETRY"
    assert refusal(block("loop_\n_symmetry_equiv_pos_site_id\n1\n2\n"))[0] == "E-STRUCT-SYMMETRY"
    text = block("", "Mg1 Mg 0 0 0 ?\nO1 O .5 .5 .5 1\n", columns=f"{COLUMNS}_atom_site_occupancy\n")
    assert refusal(text)[0] == "E-STRUCT-OCCUPANCY"
    assert len(read_cif(text.replace("?", ".")).frac_coords) == 2


def test_an_atom_split_around_a_special_position_is_whole() -> None:
    stated = "_space_group_name_H-M_alt 'P m -3 m'\n_chemical_formula_sum 'Ba Ti O3'\n_cell_formula_units_Z 1\n"
    columns = f"{COLUMNS}_atom_site_occupancy\n"
    atoms = "Ba1 Ba 0 0 0 1\nTi1 Ti .51 .5 .5 .16667\nO1 O .5 .5 0 1\n"
    assert read_cif(block(stated, atoms, columns=columns, cell=CUBE.format(4.0))).amounts() == {
        "O": 3.0, "Ti": pytest.approx(1.0, abs=1e-3), "Ba": 1.0,
    }  # fmt: skip
    twice = atoms.replace(".16667", ".5")
    assert refusal(block(stated, twice, columns=columns, cell=CUBE.format(4.0)))[0] == "E-STRUCT-OCCUPANCY"


@pytest.mark.parametrize("formula", ["'C20 H30 O5'", "'C20 H29 O5 U'", "'C19 H29 O5 Cd'", "'C20 H29 N O4'"])
def test_one_wrong_atom_of_many_is_found(formula: str) -> None:
    places = [(x / 10, y / 10, z / 10) for x in range(0, 10, 2) for y in range(0, 10, 2) for z in range(0, 10, 2)]
    kinds = ["C"] * 20 + ["H"] * 29 + ["O"] * 5
    atoms = "".join(
        f"{kind}{number} {kind} {x} {y} {z}\n"
        for number, (kind, (x, y, z)) in enumerate(zip(kinds, places[:54], strict=True))
    )
    cell = CUBE.format(9.0)
    right = "_chemical_formula_sum 'C20 H29 O5'\n_cell_formula_units_Z 1\n"
    assert len(read_cif(block(right, atoms, cell=cell)).frac_coords) == 54
    assert refusal(block(right.replace("'C20 H29 O5'", formula), atoms, cell=cell))[0] == "E-STRUCT-FORMULA"


def test_a_label_that_is_another_element_than_its_type_is_refused() -> None:
    atoms = "Na1 Cl 0 0 0\nCl1 S .5 .5 .5\n"
    assert refusal(block("", atoms))[0] == "E-STRUCT-SYMBOLS"
    assert len(read_cif(block("_chemical_formula_sum 'Cl S'\n", atoms)).frac_coords) == 2
    assert len(read_cif(block("", "B1 Ti 0 0 0\nX1 O .5 .5 .5\n")).frac_coords) == 2  # names of sites


@pytest.mark.parametrize("label", ["NO1", "FM1", "ES1", "CF1", "AT1", "PO1"])
def test_no_capitals_become_a_radioactive_element(label: str) -> None:
    code = refusal(block("", f"{label} 0 0 0\nO1 .5 .5 .5\n", columns=LABELS))[0]
    assert code in ("E-STRUCT-SYMBOLS", "E-STRUCT-ELEMENT")


def test_labels_of_feldspars_are_read_with_their_formula() -> None:
    formula = "_chemical_formula_sum 'Na O3'\n"
    atoms = "NaA 0 0 0\nOCo .5 .5 .5\nOCm .5 0 .5\nOBo 0 .5 .5\n"
    assert read_cif(block(formula, atoms, columns=LABELS)).amounts() == {"O": 3.0, "Na": 1.0}


CENTRED = "'x,y,z'\n'-x,-y,-z'\n'x+1/2,y+1/2,z'\n'1/2-x,1/2-y,-z'\n"


def test_a_symbol_of_a_cell_that_the_tables_do_not_centre_agrees_with_its_operations() -> None:
    stated = "_symmetry_space_group_name_H-M '{}'\nloop_\n_symmetry_equiv_pos_as_xyz\n" + CENTRED
    assert len(read_cif(block(stated.format("C -1"))).frac_coords) == 4
    for other in ("I -1", "C 1", "C 2/m m", "X -1"):
        assert refusal(block(stated.format(other)))[0] == "E-STRUCT-SYMMETRY"


@pytest.mark.parametrize(
    ("symbol", "same"),
    [
        ("F 41/d -3 2/m (origin choice 2)", "F d -3 m :2"),
        ("F d -3 m O2", "F d -3 m :2"),
        ("F d -3 m (No. 227) ", "F d -3 m"),
        ("F m -3 m (225)", "F m -3 m"),
        ("P 1 21/c 1 (#14)", "P 1 21/c 1"),
        ("R -3 2/m (hexagonal axes)", "R -3 m :H"),
    ],
)
def test_suffixes_of_symbols_in_words(symbol: str, same: str) -> None:
    assert settings_of_symbol(symbol) == settings_of_symbol(same) != []


def test_a_number_behind_a_symbol_must_be_its_own() -> None:
    assert settings_of_symbol("F m -3 m (227)") == []


def test_an_understood_symbol_of_the_operations_outvotes_an_unread_one() -> None:
    stated = "_space_group_name_H-M_alt 'P -1'\n_space_group_name_Hall '-P 1 (0 0 0)'\n"
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,-z\n"
    assert len(read_cif(block(stated + listed)).frac_coords) == 2


def test_deuterated_crystals_are_mended_by_writing_hydrogen() -> None:
    stated = "_chemical_formula_sum 'Li D'\n_cell_formula_units_Z 4\n_exptl_crystal_density_diffrn 0.88\n"
    atoms = "Li1 7Li+ 0 0 0\nD1 2H .5 .5 .5\n"
    text = block(stated + "_space_group_IT_number 225\n", atoms, cell=CUBE.format(4.07))
    assert read_cif(text).amounts() == {"H": 4.0, "Li": 4.0}
    assert "write H" in refusal(text.replace(" 2H ", " D1+ "))[1]


def test_words_in_place_of_a_density_say_nothing() -> None:
    assert len(read_cif(block("_exptl_crystal_density_diffrn 'not measured'\n")).frac_coords) == 2
    assert refusal(block("_exptl_crystal_density_diffrn '7.2 g/cm3'\n" + FACE_CENTRED))[0] == "E-STRUCT-FORMULA"


def test_coordinates_may_be_fractions() -> None:
    assert read_cif(block("", "Mg1 Mg 1/3 2/3 0\n")).frac_coords.tolist() == [[1 / 3, 2 / 3, 0]]
