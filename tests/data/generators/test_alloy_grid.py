"""Alloy grids against every vector of whole shares."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import GeneratorError, UnknownNameError
from matloop.data.generators.alloy_grid import AlloyGrid
from tests.strategies import elements

symbols = st.lists(elements, min_size=1, max_size=4, unique=True)


def fractions_of(batch: CandidateBatch) -> list[dict[int, Fraction]]:
    """Atomic number -> exact fraction, from whole amounts."""
    rows = []
    compositions = batch.compositions
    for start, stop in itertools.pairwise(compositions.offsets):
        amounts = [int(amount) for amount in compositions.amounts[start:stop]]
        assert amounts == compositions.amounts[start:stop].tolist()
        assert math.gcd(*amounts) == 1
        zs = compositions.elements[start:stop].tolist()
        rows.append({z: Fraction(amount, sum(amounts)) for z, amount in zip(zs, amounts, strict=True)})
    return rows


def all_of(grid: AlloyGrid, size: int = 100_000) -> list[dict[int, Fraction]]:
    return [row for intake in grid.intakes(size) for row in fractions_of(intake.batch)]


@st.composite
def grids(draw: st.DrawFn) -> dict:
    pool = draw(symbols)
    steps = draw(st.integers(1, 8))
    limits = st.tuples(st.integers(0, steps), st.integers(0, steps)).map(sorted)
    bounds = {symbol: [f"{n}/{steps}" for n in draw(limits)] for symbol in draw(st.sets(st.sampled_from(pool)))}
    fewest = draw(st.integers(1, len(pool)))
    most = draw(st.integers(fewest, len(pool)))
    return {"elements": pool, "step": f"1/{steps}", "bounds": bounds, "fewest_elements": fewest, "most_elements": most}


@settings(deadline=None)
@given(grids())
def test_exactly_the_mixtures_that_keep_the_bounds(setting: dict) -> None:
    steps = int(setting["step"][2:])
    order = sorted(setting["elements"], key=ATOMIC_NUMBERS.__getitem__)
    low = [Fraction(setting["bounds"].get(symbol, ("0", "1"))[0]) for symbol in order]
    high = [Fraction(setting["bounds"].get(symbol, ("0", "1"))[1]) for symbol in order]
    expected = [
        {ATOMIC_NUMBERS[symbol]: Fraction(n, steps) for symbol, n in zip(order, shares, strict=True) if n}
        for shares in itertools.product(range(steps + 1), repeat=len(order))
        if sum(shares) == steps
        and all(a <= Fraction(n, steps) <= b for n, a, b in zip(shares, low, high, strict=True))
        and setting["fewest_elements"] <= sum(n > 0 for n in shares) <= setting["most_elements"]
    ]
    grid = AlloyGrid(**setting)
    if not expected:
        with pytest.raises(GeneratorError, match="no composition keeps"):
            grid.count()
        return
    assert grid.count() == len(expected)
    assert all_of(grid, 7) == expected  # in this order too


@pytest.mark.parametrize(("k", "steps"), [(2, 20), (5, 20), (7, 30), (3, 1000)])
def test_count_without_bounds_is_that_of_stars_and_bars(k: int, steps: int) -> None:
    pool = "Al Co Cr Cu Fe Mn Ni Ti".split()[:k]
    assert AlloyGrid(pool, step=f"1/{steps}").count() == math.comb(steps + k - 1, k - 1)
    assert AlloyGrid(pool, step=f"1/{steps}", fewest_elements=k).count() == math.comb(steps - 1, k - 1)


def test_amounts_are_exact_and_formulas_short() -> None:
    grid = AlloyGrid(["Fe", "Ni"], step=0.1, bounds={"Ni": (0.3, 0.7)})
    (intake,) = grid.intakes(10)
    assert intake.batch.formulas == ["Fe3Ni7", "Fe2Ni3", "FeNi", "Fe3Ni2", "Fe7Ni3"]


def test_limit_keeps_the_first() -> None:
    whole = all_of(AlloyGrid(["Cr", "Fe", "Ni"]))
    few = AlloyGrid(["Cr", "Fe", "Ni"], limit=17)
    assert few.count() == 17
    assert all_of(few, 4) == whole[:17]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"elements": []}, "no elements"),
        ({"step": 0.3}, "one over a whole number"),
        ({"step": 0}, "one over a whole number"),
        ({"step": "1/2000"}, "one over a whole number"),
        ({"step": float("nan")}, "a number, or a fraction"),
        ({"step": "1/0"}, "a number, or a fraction"),
        ({"step": None}, "a number, or a fraction"),
        ({"bounds": {"Fe": (0.7, 0.3)}}, "lowest and highest"),
        ({"bounds": {"Fe": (0, 1.5)}}, "lowest and highest"),
        ({"bounds": {"Fe": 0.5}}, "two numbers"),
        ({"bounds": {"Fe": "ab"}}, "two numbers"),
        ({"fewest_elements": 3}, "from 1 to 2"),
        ({"most_elements": 0}, "from 1 to 2"),
        ({"limit": 0}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(GeneratorError, match=f"E-GENERATOR: .*{message}"):
        AlloyGrid(**{"elements": ["Fe", "Ni"], **wrong})


def test_grid_too_large_to_number_is_refused() -> None:
    pool = "Al Co Cr Cu Fe Mn Ni Ti V W Mo Nb Ta Hf Zr Y Sc".split()
    with pytest.raises(GeneratorError, match="larger step"):
        AlloyGrid(pool, step="1/1000").count()


def test_unknown_elements_get_the_nearest_symbol() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown element 'Nii'.*did you mean 'Ni'"):
        AlloyGrid(["Fe", "Nii"])
    with pytest.raises(UnknownNameError, match=r"element of the grid 'Co'.*Fe, Ni"):
        AlloyGrid(["Fe", "Ni"], bounds={"Co": (0, 1)})
