"""Masses against numbers that were reckoned by hand from IUPAC's abridged atomic weights."""

import pytest

from matloop.data.errors import SynthesisError, UnknownNameError
from matloop.data.synthesis.batch import Batch, read_batch, weigh
from matloop.data.synthesis.precursors import find_precursor
from matloop.data.synthesis.routes import route_from

# Standard atomic weights 2021, abridged: T. Prohaska et al., Pure Appl. Chem. 94, 573 (2022).
WEIGHTS = {
    "H": 1.0080, "Li": 6.94, "C": 12.011, "N": 14.007, "O": 15.999, "P": 30.974, "Ti": 47.867, "Fe": 55.845,
    "Ba": 137.33,
}  # fmt: skip


def mass(**atoms: float) -> float:
    return sum(WEIGHTS[symbol] * n for symbol, n in atoms.items())


BATIO3 = mass(Ba=1, Ti=1, O=3)
LIFEPO4 = mass(Li=1, Fe=1, P=1, O=4)


@pytest.mark.parametrize(
    ("target", "grams_by_hand"),
    [
        ("BaTiO3", {"BaCO3": 10 * mass(Ba=1, C=1, O=3) / BATIO3, "TiO2": 10 * mass(Ti=1, O=2) / BATIO3}),
        (
            "LiFePO4",
            {
                "Li2CO3": 10 * mass(Li=2, C=1, O=3) / 2 / LIFEPO4,
                "FeC2O4.2H2O": 10 * mass(Fe=1, C=2, O=6, H=4) / LIFEPO4,
                "NH4H2PO4": 10 * mass(N=1, H=6, P=1, O=4) / LIFEPO4,
            },
        ),
    ],
)
def test_masses_are_right_to_a_thousandth(target: str, grams_by_hand: dict[str, float]) -> None:
    route = route_from(target, [find_precursor(name) for name in grams_by_hand], oxidises=target == "LiFePO4")
    assert route is not None
    weighed = {one.formula: one.grams for one in weigh(route.reaction, Batch(10))}
    assert weighed == pytest.approx(grams_by_hand, rel=1e-3)


def test_purity_and_excess_raise_what_is_weighed() -> None:
    route = route_from("LiCoO2", [find_precursor("Li2CO3"), find_precursor("Co3O4")])
    assert route is not None
    plain = {one.formula: one.grams for one in weigh(route.reaction, Batch(10))}
    asked = read_batch(10, ["Co3O4=99.5%"], ["Li=5%"])
    more = {one.formula: one.grams for one in weigh(route.reaction, asked)}
    assert more["Li2CO3"] == pytest.approx(plain["Li2CO3"] * 1.05)
    assert more["Co3O4"] == pytest.approx(plain["Co3O4"] / 0.995)


def test_what_is_weighed_is_what_arises() -> None:
    route = route_from("BaTiO3", [find_precursor("BaCO3"), find_precursor("TiO2")])
    assert route is not None
    grams = sum(one.grams for one in weigh(route.reaction, Batch(10)))
    assert grams - 10 == pytest.approx(10 / BATIO3 * mass(C=1, O=2), rel=1e-3)  # the carbon dioxide


@pytest.mark.parametrize(
    ("grams", "purity", "loss"),
    [
        (0, [], []), (-1, [], []), (float("nan"), [], []), (1e9, [], []),
        (10, ["BaCO3=0"], []), (10, ["BaCO3=101%"], []), (10, ["BaCO3"], []), (10, [], ["Li=-5%"]),
        (10, ["BaCO3=99%", "BaCO3=98%"], []), (10, [], ["Li=5%", "Li=10%"]),
        (10, [], ["Li=200%"]), (10, [], ["=5%"]), (10, [], ["Li=inf"]),
    ],
)  # fmt: skip
def test_numbers_out_of_range_are_refused(grams: float, purity: list[str], loss: list[str]) -> None:
    with pytest.raises(SynthesisError):
        read_batch(grams, purity, loss)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownNameError):
        read_batch(10, ["BaTiO3=99%"])
    with pytest.raises(UnknownNameError):
        read_batch(10, [], ["Lx=5%"])
