"""Random materials for property tests."""

import itertools

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.elements import SYMBOLS

elements = st.sampled_from(SYMBOLS[1:])
"""Chemical symbols, hydrogen to oganesson."""


def amounts(largest: int = 40) -> st.SearchStrategy[int]:
    return st.integers(1, largest)


def whole_compositions(symbols: st.SearchStrategy[str] = elements) -> st.SearchStrategy[dict[str, int]]:
    """Symbol -> atoms per formula unit, one to seven elements."""
    return st.dictionaries(symbols, amounts(), min_size=1, max_size=7)


@st.composite
def formula_texts(draw: st.DrawFn, symbols: st.SearchStrategy[str] = elements, depth: int = 3) -> str:
    """Formulas with nested parentheses, repeated elements, whole and decimal amounts."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        if depth and draw(st.booleans()):
            part = f"({draw(formula_texts(symbols, depth - 1))})"
        else:
            part = draw(symbols)
        parts.append(part + draw(st.sampled_from(["", "", "1", "2", "3", "12", "0.5", "1.25"])))
    return "".join(parts)


@st.composite
def sound_crystals(draw: st.DrawFn, most_sites: int = 6) -> Crystals:
    """One triclinic crystal of distinct sites well apart, in a cell without needless skew."""
    edges = np.array([draw(st.floats(4.0, 9.0)) for _ in range(3)])
    shear = np.array([draw(st.floats(-0.4, 0.4)) for _ in range(3)])
    lattice = np.diag(edges)
    lattice[1, 0], lattice[2, 0], lattice[2, 1] = shear * edges[[0, 0, 1]]
    # Sites sit near the points of a 2 x 2 x 2 grid, so they are at least 1 Å apart.
    grid = list(itertools.product((0.0, 0.5), repeat=3))
    places = draw(st.lists(st.sampled_from(grid), min_size=1, max_size=most_sites, unique=True))
    shift = st.floats(-0.1, 0.1)
    frac_coords = np.array([[axis + draw(shift) for axis in place] for place in places])
    species = np.array([draw(st.integers(1, 100)) for _ in places], np.uint8)
    crystals = Crystals(lattice[None], np.array([0, len(places)]), species, frac_coords)
    assume(crystals.row_codes()[0] == "")
    return crystals


@st.composite
def unimodular(draw: st.DrawFn, steps: int = 3) -> NDArray[np.int64]:
    """Whole-number matrix of determinant +1 or -1: another choice of cell of the same lattice."""
    change = np.eye(3, dtype=np.int64)[list(draw(st.permutations(range(3))))]
    for _ in range(draw(st.integers(0, steps))):
        target, source = draw(st.permutations(range(3)))[:2]
        change[target] += draw(st.sampled_from([-1, 1])) * change[source]
    return change


@st.composite
def rotations(draw: st.DrawFn) -> NDArray[np.float64]:
    """Proper rotation from a random unit quaternion."""
    w, x, y, z = (draw(st.floats(-1, 1)) for _ in range(4))
    length = np.sqrt(w * w + x * x + y * y + z * z)
    assume(length > 0.1)
    w, x, y, z = w / length, x / length, y / length, z / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def formula_of(composition: dict[str, int]) -> str:
    return "".join(f"{symbol}{amount}" for symbol, amount in composition.items())


def batch_of(*formulas: str) -> CandidateBatch:
    """Candidates of formulas that must all be readable."""
    intake = CandidateBatch.from_formulas(formulas, exact=True)
    assert not intake.refused
    return intake.batch
