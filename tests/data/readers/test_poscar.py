import numpy as np
import pytest

from tests.data.readers.reading import Outcome, outcome

HALITE = "halite\n1.0\n0 2.8 2.8\n2.8 0 2.8\n2.8 2.8 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"


def is_halite(found: Outcome) -> bool:
    if found.code or found.lattice is None or found.frac_coords is None:
        return False
    same = np.allclose(found.lattice, [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]])
    return found.symbols == ("Na", "Cl") and same and np.allclose(found.frac_coords, [[0] * 3, [0.5] * 3])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Na Cl", "Na_pv/0d2f7c Cl/ab12"),
        ("Na Cl", "Na/ Cl/"),
        ("Na Cl", "Na_sv_GW Cl_h"),
        ("Na Cl", "Na_pv/0d2f7c    Cl_GW/ ! hashes of POTCAR"),
        ("Na Cl", " Na   Cl # cation, anion"),
        ("1.0\n", "1.0 ! scale\n"),
        ("1.0\n", "1.0 # scale\n"),
        ("1.0\n", "1.0d0 universal scaling factor\n"),
        ("1.0\n", "1 1 1 along x, y and z\n"),
        ("0 2.8 2.8\n", "0 2.8 2.8 ! a\n"),
        ("1 1\n", "1 1 ! two atoms\n"),
        ("1 1\n", "1 1 atoms\n"),
        ("Direct", "direct ! fractional"),
        ("Direct", "Fractional"),
        (".5 .5 .5", ".5 .5 .5 Cl ! anion"),
        ("0 0 0\n.5 .5 .5", "0 0 0 Na1\n.5 .5 .5 Cl1"),
        ("0 0 0\n.5 .5 .5", "0 0 0 ! F\n.5 .5 .5 ! F"),
        (".5 .5 .5\n", ".5 .5 .5\n\n0 0 0\n0 0 0\n"),
        ("halite", "[NaCl] of the mine"),
        ("halite", '{"not": "JSON"}'),
        ("halite", ""),
        ("Direct", "Selective dynamics\nDirect"),
    ],
)
@pytest.mark.parametrize("name", ["POSCAR", "relaxed.vasp", "structure.dat"])
def test_comments_potentials_and_brackets_leave_the_crystal_as_it_is(name: str, old: str, new: str) -> None:
    text = HALITE.replace(old, new, 1)
    assert is_halite(outcome(name, text)), text


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("1 1\n", "1 1 1\n", "E-FILE-SYNTAX"),
        ("1 1\n", "1\n", "E-FILE-SYNTAX"),
        ("Na Cl", "Na Cl O", "E-FILE-SYNTAX"),
        ("Na Cl", "NaCl", "E-FILE-SYNTAX"),
        ("Na Cl", "Na_pv/0d2fCl/ab12", "E-FILE-SYNTAX"),
        ("Na Cl", "H.5 Cl", "E-STRUCT-ELEMENT"),
        ("Na Cl", "A Cl", "E-STRUCT-ELEMENT"),
        ("Na Cl", "Na/x/y Cl", "E-STRUCT-ELEMENT"),
        ("Na Cl\n", "", "E-STRUCT-SYMBOLS"),
        ("1.0\n", "1.0 2.0\n", "E-FILE-SYNTAX"),
        ("1.0\n", "scale 1.0\n", "E-FILE-SYNTAX"),
        ("1.0\n", "nan\n", "E-STRUCT-NONFINITE"),
        ("0 0 0\n.5 .5 .5", "0 0 0 Cl\n.5 .5 .5 Na", "E-STRUCT-SYMBOLS"),
        ("0 0 0\n.5 .5 .5", "0 0 0 T T T Cl\n.5 .5 .5 F F F Na", "E-STRUCT-SYMBOLS"),
        (".5 .5 .5\n", ".5 .5 .5\n.25 .25 .25\n", "E-FILE-SYNTAX"),
        ("\n.5 .5 .5", "", "E-FILE-SYNTAX"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(old: str, new: str, code: str) -> None:
    assert outcome("POSCAR", HALITE.replace(old, new, 1)).code == code


def test_a_message_names_the_mend() -> None:
    assert "one number below each symbol" in outcome("POSCAR", HALITE.replace("1 1\n", "1 1 1\n")).detail
    assert "write the symbols" in outcome("POSCAR", HALITE.replace("Na Cl\n", "")).detail


OLD = HALITE.replace("Na Cl\n", "").replace("Direct\n0 0 0\n.5 .5 .5", "Direct(2) [A1B1]\n0 0 0 Na\n.5 .5 .5 Cl")


def test_symbols_behind_the_coordinates_name_the_elements_of_an_old_file() -> None:
    assert is_halite(outcome("POSCAR", OLD))
    assert is_halite(outcome("POSCAR", OLD.replace("1 1\n", "1 1 ! atoms\n").replace("Direct(2)", "S\nDirect")))
    for old, new in (("0 0 0 Na", "0 0 0"), ("\n1 1\n", "\n2\n")):
        assert outcome("POSCAR", OLD.replace(old, new)).code == "E-STRUCT-SYMBOLS"


@pytest.mark.parametrize(
    "atoms",
    ["0 0 0\n.5 .5 .5 Na", "0 0 0 Cl\n.5 .5 .5", "0 0 0 1 Cl\n.5 .5 .5 2 Na", "0 0 0 T T F 1 Cl\n.5 .5 .5"],
)
def test_every_labelled_line_is_compared(atoms: str) -> None:
    assert outcome("POSCAR", HALITE.replace("0 0 0\n.5 .5 .5", atoms)).code == "E-STRUCT-SYMBOLS"
    right = atoms.translate(str.maketrans({"N": "C", "C": "N", "a": "l", "l": "a"}))
    assert is_halite(outcome("POSCAR", HALITE.replace("0 0 0\n.5 .5 .5", right)))


def test_a_remark_that_begins_like_a_symbol_is_no_label() -> None:
    assert is_halite(outcome("POSCAR", HALITE.replace("0 0 0\n", "0 0 0 In the corner\n")))


@pytest.mark.parametrize(
    ("end", "is_refused"),
    [
        ("\n.2 .2 .2\n", True),
        ("\n.2 .2 .2 Cl\n.3 .3 .3 Cl\n", True),
        ("Cartesian\n.2 .2 .2\n", True),
        ("\n.2 .2 .2\n.3 .3 .3\n.4 .4 .4\n", True),
        ("\n0 0 0\n0 0 0\n\n1\n0.5\n0 0 0\n0 0 0\n", False),
        ("Cartesian\n0 0 0.1\n0 0 0\n", False),
        ("Lattice velocities and vectors\n1\n0 0 0\n0 0 0\n0 0 0\n4 0 0\n0 4 0\n0 0 4\n", False),
        ("\n\n", False),
    ],
)
def test_velocities_are_as_many_as_the_atoms(end: str, is_refused: bool) -> None:
    found = outcome("CONTCAR", HALITE + end)
    assert found.code == "E-FILE-SYNTAX" if is_refused else is_halite(found)


def test_frac_means_direct_and_deuterium_has_a_way_out() -> None:
    assert is_halite(outcome("POSCAR", HALITE.replace("Direct", "frac")))
    assert "write H" in outcome("POSCAR", HALITE.replace("Na Cl", "D Cl")).detail
