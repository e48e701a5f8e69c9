import pytest
from pymatgen.core import Element, Species

from matloop.data.chemistry.open_shells import shell_of
from matloop.data.chemistry.oxidation_states import OXIDATION_STATES
from matloop.data.elements import ATOMIC_NUMBERS

F_METALS = (*range(57, 72), *range(89, 104))
IONS = [(symbol, state) for symbol, states in OXIDATION_STATES.items() for state in states if state > 0]
D_METALS = [ion for ion in IONS if 3 <= Element(ion[0]).group <= 12 and Element(ion[0]).Z not in F_METALS]


@pytest.mark.parametrize(("symbol", "state"), D_METALS)
def test_d_electrons_are_the_group_less_the_charge_and_unpaired_ones_are_those_of_pymatgen(
    symbol: str, state: int
) -> None:
    shell = shell_of(ATOMIC_NUMBERS[symbol], state)
    assert shell is not None
    assert (shell.kind, shell.electrons) == ("d", min(max(Element(symbol).group - state, 0), 10))  # Hg+ bonds to Hg+
    if Element(symbol).row == 4 and Element(symbol).is_transition_metal and Element(symbol).group < 12:
        unpaired = Species(symbol, state).get_crystal_field_spin("oct", "high")
        assert shell.is_open == (unpaired > 0)


@pytest.mark.parametrize(
    ("symbol", "state", "electrons"),
    [("Ce", 4, 0), ("Ce", 3, 1), ("Pr", 3, 2), ("Eu", 2, 7), ("Gd", 3, 7), ("Yb", 2, 14), ("Yb", 3, 13), ("Lu", 3, 14),
     ("La", 3, 0), ("Th", 4, 0), ("U", 6, 0), ("U", 4, 2), ("Pu", 3, 5)],
)  # fmt: skip
def test_f_electrons_are_those_of_textbooks(symbol: str, state: int, electrons: int) -> None:
    shell = shell_of(ATOMIC_NUMBERS[symbol], state)
    assert shell is not None
    assert (shell.kind, shell.electrons) == ("f", electrons)
    assert shell.is_open == (0 < electrons < 14)


def test_main_group_ions_have_no_such_shell() -> None:
    assert [shell_of(ATOMIC_NUMBERS[symbol], 2) for symbol in ("Mg", "Ga", "Sn", "Ba", "Pb", "O")] == [None] * 6
