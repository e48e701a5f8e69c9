import numpy as np
import pytest

from matloop.data.chemistry.assigned_states import assigned_states, states_in_words, states_of_words
from matloop.data.chemistry.lone_pairs import has_lone_pair
from matloop.data.elements import ATOMIC_NUMBERS
from tests.strategies import batch_of


def states(formula: str) -> str:
    compositions = batch_of(formula).compositions
    return states_in_words(assigned_states(compositions), compositions, 0)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("ZrSc2O5", "Sc3+ Zr4+ O2-"), ("La2Ti2S2O5", "Ti4+ La3+ O2- S2-"), ("Fe3O4", "Fe2.67+ O2-"),
        ("Mn3O4", "Mn2.67+ O2-"), ("Pb3O4", "Pb2.67+ O2-"), ("V6O13", "V4.33+ O2-"), ("NaCl2", ""), ("Ni3Al", ""),
    ],
)  # fmt: skip
def test_states_are_those_of_textbooks(formula: str, expected: str) -> None:
    assert states(formula) == expected


@pytest.mark.parametrize("formula", ["Fe3O4", "BaTiO3", "K2YTa5O15", "Eu3S4", "LiMn2O4"])
def test_states_add_up_to_nothing(formula: str) -> None:
    compositions = batch_of(formula).compositions
    assert assigned_states(compositions) @ compositions.amounts == pytest.approx(0)


def test_words_are_read_back() -> None:
    assert states_of_words("Fe2.67+ Na+ O2-") == {26: 2.67, 11: 1.0, 8: -2.0}
    assert states_of_words("no ions") == {}


def test_ions_with_a_lone_pair_are_those_of_textbooks() -> None:
    having = ["Tl+", "Sn2+", "Pb2+", "As3+", "Sb3+", "Bi3+", "Se4+", "Te4+", "I5+"]
    lacking = ["Tl3+", "Sn4+", "Pb4+", "Bi5+", "Te6+", "La3+", "O2-", "S2-", "Ba2+", "Zn2+"]

    def has(ion: str) -> bool:
        return has_lone_pair(*next(iter(states_of_words(ion).items())))

    assert [has(ion) for ion in having] == [True] * len(having)
    assert [has(ion) for ion in lacking] == [False] * len(lacking)
    assert not has_lone_pair(ATOMIC_NUMBERS["Bi"], np.nan)
