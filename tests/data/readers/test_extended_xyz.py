import numpy as np
import pytest

from tests.data.readers.reading import outcome, outcomes

HEAD = 'Lattice="4.1 0 0 0 4.1 0 0 0 4.1" Properties=species:S:1:pos:R:3 pbc="T T T"'
ATOMS = "Cs 0 0 0\nCl 2.05 2.05 2.05\n"
IMAGE = f"2\n{HEAD}\n{ATOMS}"
SALT = ("", "ClCs")


def rows(text: str) -> list[tuple[str, str]]:
    return [(found.code, found.formula) for found in outcomes("run.extxyz", text)]


@pytest.mark.parametrize("between", ["\n", "\n\n\n", " \t\n", "\r\n\r\n"])
def test_blank_lines_between_images_lose_none(between: str) -> None:
    assert rows(between.join([IMAGE] * 4)) == [SALT] * 4
    assert rows(between + IMAGE + between) == [SALT]


def test_an_image_of_wrong_length_is_refused_alone() -> None:
    short, long = IMAGE.replace("Cs 0 0 0\n", ""), IMAGE + "Cs 1 1 1\n"
    assert [code for code, _ in rows(IMAGE + short + IMAGE + long + IMAGE)] == [
        "", "E-FILE-SYNTAX", "", "E-FILE-SYNTAX", "",
    ]  # fmt: skip
    assert [code for code, _ in rows(IMAGE + "two\n" + IMAGE.partition("\n")[2] + IMAGE)] == ["", "E-FILE-SYNTAX", ""]
    assert [code for code, _ in rows(IMAGE + IMAGE[:-10])] == ["", "E-FILE-SYNTAX"]


@pytest.mark.parametrize(
    "head",
    [
        HEAD + " lattice=fcc",
        "lattice=fcc pbc=F " + HEAD.replace(' pbc="T T T"', ' pbc="T T T"').replace("pbc=F ", ""),
        HEAD + r' info="_JSON {\"Lattice\": \"9 0 0 0 9 0 0 0 9\", \"pbc\": \"F F F\"}"',
        HEAD + " comment='Lattice=\"9 0 0 0 9 0 0 0 9\"'",
        'title="pbc=F Lattice=fcc" ' + HEAD,
        HEAD.replace('"T T T"', "[T, T, T]") + " energy=nan virial={1 2 3}",
        HEAD.replace("Lattice", "LATTICE").replace("Properties", "properties"),
        HEAD.replace("=", " = "),
        HEAD.replace('"4.1 0 0 0 4.1 0 0 0 4.1"', "{4.1 0 0 0 4.1 0 0 0 4.1}"),
        HEAD + " " + HEAD,
    ],
)
def test_other_keys_leave_the_crystal_as_it_is(head: str) -> None:
    found = outcome("a.extxyz", f"2\n{head.replace('pbc=F ', '')}\n{ATOMS}")
    assert (found.code, found.symbols) == ("", ("Cs", "Cl")), found.detail
    np.testing.assert_allclose(found.lattice, np.eye(3) * 4.1)


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (HEAD + ' Lattice="9 0 0 0 9 0 0 0 9"', "E-FILE-SYNTAX"),
        (HEAD.replace("Lattice", "lattice") + ' LATTICE="9 0 0 0 9 0 0 0 9"', "E-FILE-SYNTAX"),
        (HEAD.replace('"4.1 0 0 0 4.1 0 0 0 4.1"', "4.1"), "E-FILE-SYNTAX"),
        (HEAD.replace("T T T", "T T F"), "E-STRUCT-NOCELL"),
        (HEAD.replace("pos:R:3", "pos:R:2"), "E-FILE-SYNTAX"),
        (HEAD.replace("pos:R:3", "pos:R:3:pos:R:3"), "E-FILE-SYNTAX"),
        (HEAD.replace("pos:R:3", "pos:R:3:forces:R:3"), "E-FILE-SYNTAX"),
        (HEAD.replace("pos:R:3", "pos:R"), "E-FILE-SYNTAX"),
        (HEAD.replace("pos:R:3", "force:R:3"), "E-STRUCT-NOATOMS"),
        (HEAD.replace("species:S:1", "type:S:1"), "E-STRUCT-SYMBOLS"),
    ],
)
def test_headers_that_contradict_themselves_or_the_atoms(head: str, code: str) -> None:
    assert outcome("a.xyz", f"2\n{head}\n{ATOMS}").code == code


def test_a_column_that_properties_does_not_name_is_refused() -> None:
    shifted = IMAGE.replace("Cs 0", "Cs 1 0").replace("Cl 2.05", "Cl 1 2.05")
    assert outcome("a.xyz", shifted).code == "E-FILE-SYNTAX"
    assert outcome("a.xyz", shifted.replace("species:S:1", "species:S:1:tag:I:1")).symbols == ("Cs", "Cl")


@pytest.mark.parametrize("head", [HEAD, HEAD.replace(" Properties=species:S:1:pos:R:3", "")])
def test_numbers_of_types_are_no_elements(head: str) -> None:
    text = f"2\n{head}\n1 0 0 0\n2 2.05 2.05 2.05\n"
    assert outcome("dump.xyz", text).code == "E-STRUCT-SYMBOLS"
    assert outcome("dump.xyz", text.replace("\n1 0", "\nCs 0")).code == "E-STRUCT-SYMBOLS"


def test_atomic_numbers_are_elements_and_agree_with_symbols() -> None:
    numbered = f"2\n{HEAD.replace('species:S:1', 'Z:I:1')}\n55 0 0 0\n17 2.05 2.05 2.05\n"
    assert outcome("a.xyz", numbered).symbols == ("Cs", "Cl")
    both = f"2\n{HEAD.replace('pos:R:3', 'pos:R:3:Z:I:1')}\nCs 0 0 0 55\nCl 2.05 2.05 2.05 17\n"
    assert outcome("a.xyz", both).symbols == ("Cs", "Cl")
    assert outcome("a.xyz", both.replace("2.05 17", "2.05 35")).code == "E-STRUCT-SYMBOLS"


@pytest.mark.parametrize("label", ["CA", "HO", "CO", "OW", "HW1", "X", "D"])
def test_names_of_atoms_in_molecules_are_no_elements(label: str) -> None:
    assert outcome("a.xyz", IMAGE.replace("Cs", label)).code in ("E-STRUCT-SYMBOLS", "E-STRUCT-ELEMENT")


def test_occupancies_of_a_column_count() -> None:
    head = HEAD.replace("pos:R:3", "pos:R:3:occupancy:R:1")
    assert rows(f"2\n{head}\nCs 0 0 0 1\nCl 2.05 2.05 2.05 1.0\n") == [SALT]
    assert rows(f"2\n{head}\nCs 0 0 0 0.5\nCl 2.05 2.05 2.05 1\n")[0][0] == "E-STRUCT-DISORDER"
    assert rows(f"2\n{head}\nCs 0 0 0 1.5\nCl 2.05 2.05 2.05 1\n")[0][0] == "E-STRUCT-OCCUPANCY"


def test_lengths_in_another_unit_are_refused() -> None:
    assert rows(IMAGE.replace(HEAD, f"{HEAD} units=angstrom")) == [SALT]
    assert rows(IMAGE.replace(HEAD, f"{HEAD} units=bohr"))[0][0] == "E-FILE-SYNTAX"


@pytest.mark.parametrize("species", ["Cs0.5", "Cs1Rb1", "Cs/Rb", "D"])
def test_a_species_that_is_not_one_whole_element_is_refused(species: str) -> None:
    assert rows(IMAGE.replace("Cs 0", f"{species} 0"))[0][0] == "E-STRUCT-ELEMENT"


MIXED = r'occupancy="_JSON {\"0\": {\"Na\": 0.6, \"K\": 0.4}, \"1\": {\"K\": 0.4, \"Na\": 0.6}, \"2\": {\"Cl\": 1}}"'
KINDS = HEAD.replace("pos:R:3", "pos:R:3:spacegroup_kinds:I:1")
SITES = "Na 0 0 0 0\nCl 2.05 2.05 2.05 2\n"


@pytest.mark.parametrize(
    ("header", "atoms", "expected"),
    [
        (f"{KINDS} {MIXED}", SITES, ("E-STRUCT-DISORDER", "Na0.6ClK0.4")),
        (KINDS + r' occupancy="_JSON {\"0\": {\"Na\": 1}, \"2\": {\"Cl\": 1.0}}"', SITES, ("", "NaCl")),
        (f"{KINDS} {MIXED}", SITES.replace("Na", "Rb"), ("E-STRUCT-OCCUPANCY", "")),
        (f"{HEAD} {MIXED}", ATOMS, ("E-STRUCT-DISORDER", "")),
        (f"{HEAD} occupancy=1.0", ATOMS, SALT),
        (f"{HEAD} occupancy=0.5", ATOMS, ("E-STRUCT-OCCUPANCY", "")),
        (f"{HEAD} occupancy=partial", ATOMS, ("E-STRUCT-OCCUPANCY", "")),
    ],
)
def test_occupancies_of_the_header_count(header: str, atoms: str, expected: tuple[str, str]) -> None:
    assert rows(f"2\n{header}\n{atoms}") == [expected]


@pytest.mark.parametrize("name", ["site_occupancy", "occups", "site_occupancies", "Occupancy", "occ"])
def test_columns_of_occupancies_by_other_names(name: str) -> None:
    head = HEAD.replace("pos:R:3", f"pos:R:3:{name}:R:1")
    assert rows(f"2\n{head}\nCs 0 0 0 0.5\nCl 2.05 2.05 2.05 1\n")[0][0] == "E-STRUCT-DISORDER"


@pytest.mark.parametrize(
    "unit",
    ["unit=bohr", "length_unit=bohr", "length_units=bohr", "Units=nm", 'units="atomic units"', "cell_unit=furlong"],
)
def test_other_length_units_are_refused(unit: str) -> None:
    found = outcome("a.xyz", f"2\n{HEAD} {unit}\n{ATOMS}")
    assert found.code == "E-FILE-SYNTAX"
    assert "angstrom" in found.detail


@pytest.mark.parametrize(
    "unit",
    ["units=eV/Angstrom", "units=metal", "force_units=Hartree/Bohr", "energy_unit=Ha", "length_unit=Å", "units=eV,Ang"],
)
def test_units_of_energies_and_forces_are_passed_over(unit: str) -> None:
    assert rows(f"2\n{HEAD} {unit}\n{ATOMS}") == [SALT]


@pytest.mark.parametrize(
    "lattice", ["[[4,0,0],[1,4,0],[0,0,5]]", "[[4, 0, 0], [1, 4, 0], [0, 0, 5]]", "[4, 0, 0, 1, 4, 0, 0, 0, 5]"]
)
def test_a_lattice_as_a_list_has_the_cell_vectors_as_rows(lattice: str) -> None:
    found = outcome("a.xyz", f"2\nLattice={lattice} Properties=species:S:1:pos:R:3\nCs 0 0 0\nCl 2 2 2\n")
    np.testing.assert_allclose(found.lattice, [[4, 0, 0], [1, 4, 0], [0, 0, 5]])


def test_the_column_numbers_of_ase_agrees_with_the_symbols() -> None:
    head = HEAD.replace("pos:R:3", "pos:R:3:numbers:I:1")
    text = f"2\n{head}\nCs 0 0 0 55\nCl 2.05 2.05 2.05 17\n"
    assert rows(text) == [SALT]
    assert rows(text.replace("55", "37"))[0][0] == "E-STRUCT-SYMBOLS"


IPI = "# CELL(abcABC): 4.1 4.1 4.1 90 90 90 Step: 0 Bead: 0 positions{angstrom} cell{angstrom}"


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (IPI, SALT),
        (IPI.replace("cell{angstrom}", "cell{atomic_unit}"), ("E-STRUCT-NOCELL", "")),
        (IPI.replace(" positions{angstrom}", ""), ("E-STRUCT-NOCELL", "")),
        (IPI.replace("abcABC", "H"), ("E-STRUCT-NOCELL", "")),
        ("cell=4.1 4.1 4.1", ("E-STRUCT-NOCELL", "")),
        ("a molecule", ("E-STRUCT-NOCELL", "")),
    ],
)
def test_the_cell_of_ipi(comment: str, expected: tuple[str, str]) -> None:
    assert rows(f"2\n{comment}\n{ATOMS}") == [expected]
    assert expected == SALT or "write Lattice=" in outcome("a.xyz", f"2\n{comment}\n{ATOMS}").detail


@pytest.mark.parametrize("word", ["D", "D1+", "2H", "T"])
def test_deuterium_has_a_way_out(word: str) -> None:
    assert "write H" in outcome("a.xyz", IMAGE.replace("Cs 0", f"{word} 0")).detail


@pytest.mark.parametrize(
    ("columns", "more", "end"),
    [
        ("species:S:1:pos:R:3:REF_forces:R:3", "REF_energy=-1.0 config_type=Default head=mp", " 0 0 0.1"),
        (
            "species:S:1:pos:R:3:forces:R:3:atomic_energies:R:1",
            "energy=-6.1 free_energy=-6.1 stress='1 2 3'",
            " 0 0 0 1",
        ),
        ("species:S:1:pos:R:3:map_shift:I:3:n_neighb:I:1", "cutoff=5.0 nneightol=1.2 virial={1 0 0}", " 0 0 0 12"),
        ("species:S:1:pos:R:3:id:I:1:mol:L:1", 'Origin="0 0 0" Time=0.5 Timestep=10 units=metal', " 7 T"),
    ],
    ids=["MACE", "NequIP", "GAP", "OVITO"],
)
def test_images_of_other_programs_are_read(columns: str, more: str, end: str) -> None:
    head = HEAD.replace("species:S:1:pos:R:3", columns)
    assert rows(f"2\n{head} {more}\nCs 0 0 0{end}\nCl 2.05 2.05 2.05{end}\n") == [SALT]


@pytest.mark.parametrize(
    ("keys", "stated"),
    [
        ("energy=-6.0", {"entry_energy": -6.0, "entry_energy_per_atom": -3.0}),
        ('gap="1.5" ok=T name=x virial={1 2} n=inf', {"extxyz_gap": 1.5}),
        ("my_energy=-4 my_energy_per_atom=7", {"extxyz_my_energy": -4.0, "extxyz_my_energy_per_atom": 7.0}),
        ("energy=-1e3 energy_unit=meV gap=2", {"entry_energy": -1.0, "entry_energy_per_atom": -0.5, "extxyz_gap": 2.0}),
        ("energy=-1 energy_units=smoots gap=2", {"extxyz_gap": 2.0}),
        ("energy=-1 energy=-1.0", {"entry_energy": -1.0, "entry_energy_per_atom": -0.5}),
    ],
)
def test_numbers_of_the_header_are_stated(keys: str, stated: dict[str, float]) -> None:
    found = outcome("a.xyz", f"2\n{HEAD} {keys}\n{ATOMS}")
    assert (found.code, found.stated) == ("", stated)


def test_a_number_with_two_values_is_refused() -> None:
    assert outcome("a.xyz", f"2\n{HEAD} energy=-1 energy=-2\n{ATOMS}").code == "E-FILE-SYNTAX"
