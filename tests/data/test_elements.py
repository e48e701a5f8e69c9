import numpy as np
import pytest
from pymatgen.core import Element

from matloop.data.elements import ATOMIC_NUMBERS, RADIOACTIVE, SYMBOLS, element_table

pytestmark = pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
NUMBERS = range(1, 119)


def test_symbols_and_numbers_are_those_of_pymatgen() -> None:
    assert [SYMBOLS[number] for number in NUMBERS] == [Element.from_Z(number).symbol for number in NUMBERS]
    assert {symbol: Element(symbol).Z for symbol in ATOMIC_NUMBERS} == ATOMIC_NUMBERS
    assert len(SYMBOLS) == 119


def test_radioactive_elements() -> None:
    # pymatgen counts bismuth (half-life 2e19 years) as radioactive.
    assert {SYMBOLS[z] for z in NUMBERS if Element.from_Z(z).is_radioactive} - {"Bi"} == RADIOACTIVE


@pytest.mark.parametrize(
    ("column", "attribute"),
    [("atomic_mass", "atomic_mass"), ("atomic_radius", "atomic_radius"), ("pauling_electronegativity", "X")],
)
def test_table_repeats_pymatgen(column: str, attribute: str) -> None:
    ours = element_table().columns((column,))[1:, 0]
    theirs = [getattr(Element.from_Z(z), attribute) for z in NUMBERS]
    np.testing.assert_allclose(ours, np.array([np.nan if v is None else v for v in theirs], float), rtol=1e-6)


def test_table_is_read_only_and_shared() -> None:
    assert element_table() is element_table()
    with pytest.raises(ValueError, match="read-only"):
        element_table().values[8, 0] = 1.0


def test_columns_come_in_the_order_asked_for() -> None:
    both = element_table().columns(("AtomicWeight", "Number"))
    assert both.shape == (119, 2)
    assert both[26].tolist() == [element_table().columns(("AtomicWeight",))[26, 0], 26.0]
    assert np.isnan(both[0]).all()  # there is no element 0
