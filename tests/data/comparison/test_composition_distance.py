import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.comparison.composition_distance import composition_distances
from matloop.data.elements import SYMBOLS, element_table
from matloop.data.packaged.materials import load_materials
from tests.strategies import formula_of, whole_compositions


def compositions(*formulas: str) -> Compositions:
    parsed, codes = parse_formulas(formulas, exact=True)
    assert not codes.any()
    return parsed


def mendeleev(symbol: str) -> float:
    return float(element_table().columns(("MendeleevNumber",))[SYMBOLS.index(symbol), 0])


def test_distance_computed_by_hand() -> None:
    # Li 1, Na 2, K 3, Ti 43, Zr 44, O 87, F 93.
    assert [mendeleev(symbol) for symbol in ("Na", "K", "Ti", "Zr", "O", "F")] == [2, 3, 43, 44, 87, 93]
    one = compositions("NaF", "TiO2", "Na2O")
    other = compositions("KF", "ZrO2", "K2O", "TiO2")
    by_hand = [
        # NaF = 1/2 at 2, 1/2 at 93. To K2O = 2/3 at 3, 1/3 at 87: half goes 2 -> 3, a sixth 93 -> 3, a third 93 -> 87.
        [1 / 2, (44 - 2) / 3 + (87 - 2) / 6 + (93 - 87) / 2, 1 / 2 + 90 / 6 + 6 / 3, 41 / 3 + 85 / 6 + 6 / 2],
        [(43 - 3) / 3 + (87 - 3) / 6 + (93 - 87) / 2, 1 / 3, (43 - 3) / 3 + (87 - 3) / 3, 0],
        [1 / 2 + 1 / 6 + 0 + 0, (44 - 2) / 3 + (87 - 2) / 3, 2 / 3, (43 - 2) / 3 + (87 - 2) / 3],
    ]
    # Na2O -> KF: half goes 2 -> 3, a sixth 2 -> 93, a third 87 -> 93.
    by_hand[2][0] = 1 / 2 + (93 - 2) / 6 + (93 - 87) / 3
    np.testing.assert_allclose(composition_distances(one, other), by_hand, rtol=1e-12, atol=1e-12)


@given(*[whole_compositions()] * 3)
def test_it_is_a_metric(a: dict[str, int], b: dict[str, int], c: dict[str, int]) -> None:
    three = compositions(*map(formula_of, (a, b, c)))
    distance = composition_distances(three, three)
    assert (distance.diagonal() == 0).all()
    np.testing.assert_array_equal(distance, distance.T)
    assert distance[0, 2] <= distance[0, 1] + distance[1, 2] + 1e-9
    assert 0 <= distance.min() <= distance.max() <= 102


@given(whole_compositions(), st.integers(2, 9))
def test_only_equal_fractions_are_at_zero(content: dict[str, int], factor: int) -> None:
    assume(set(content) != {"Og"})
    multiple = {symbol: amount * factor for symbol, amount in content.items()}
    richer = {**content, "Og": content.get("Og", 0) + 7}
    both = compositions(formula_of(multiple), formula_of(richer))
    distance = composition_distances(compositions(formula_of(content)), both)
    assert distance[0, 0] < 1e-12
    assert distance[0, 1] > 1e-6


def test_every_element_has_its_own_place() -> None:
    elements = compositions(*SYMBOLS[1:])
    distance = composition_distances(elements, elements)
    assert distance[~np.eye(len(distance), dtype=bool)].min() == 0.5
    # Elements beyond lawrencium stand half a step after their lighter homologue.
    heavy = SYMBOLS.index("Rf") - 1
    assert distance[heavy, SYMBOLS.index("Hf") - 1] == 0.5
    assert distance[SYMBOLS.index("Og") - 1, SYMBOLS.index("Rn") - 1] == 0.5


def test_distances_do_not_depend_on_what_else_is_asked() -> None:
    known = load_materials().compositions
    rows = np.arange(0, len(known), 97)
    whole = composition_distances(known.take(rows), known)
    for k in (0, 7, len(rows) - 1):
        np.testing.assert_array_equal(composition_distances(known.take(rows[k : k + 1]), known)[0], whole[k])
    assert composition_distances(known.take(np.empty(0, np.int64)), known).shape == (0, len(known))
