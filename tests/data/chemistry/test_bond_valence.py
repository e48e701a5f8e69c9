"""Bond-valence sums against pymatgen's, and under changes that leave a crystal what it is."""

from typing import NamedTuple

import numpy as np
import pytest
from pymatgen.analysis.bond_valence import calculate_bv_sum
from pymatgen.core import Element

from matloop.data.candidates.crystals import Crystals
from matloop.data.chemistry.bond_valence import (
    instability_indices,
    kinds_of,
    lengths_between,
    single_bond_lengths,
    site_valences,
)

RUTILE = Crystals(
    np.diag([4.594, 4.594, 2.959])[None], np.array([0, 6]), np.array([22, 22, 8, 8, 8, 8], np.uint8),
    np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.305, 0.305, 0], [0.695, 0.695, 0], [0.805, 0.195, 0.5],
              [0.195, 0.805, 0.5]]),
)  # fmt: skip
CHARGES = np.array([4.0, 4.0, -2.0, -2.0, -2.0, -2.0])


class Neighbour(NamedTuple):
    """What pymatgen asks of a site and of a neighbour."""

    specie: Element
    nn_distance: float = 0.0


@pytest.mark.parametrize(("cation", "anion"), [("Ti", "O"), ("Si", "O"), ("K", "Cl"), ("Ga", "N"), ("Zn", "S")])
def test_a_bond_of_the_length_of_the_table_has_one_valence_unit_in_pymatgen_too(cation: str, anion: str) -> None:
    one, other = Element(cation), Element(anion)
    length = float(single_bond_lengths()[one.Z, other.Z])
    by_pymatgen = calculate_bv_sum(Neighbour(one), [Neighbour(other, length)])
    if by_pymatgen == 0:  # it counts bonds of five elements alone
        by_pymatgen = calculate_bv_sum(Neighbour(Element("Si")), [Neighbour(other, single_bond_lengths()[14, other.Z])])
    assert by_pymatgen == pytest.approx(1.0)


def sums_of(crystals: Crystals, charges: np.ndarray) -> np.ndarray:
    kinds = kinds_of(crystals, charges)
    return site_valences(crystals, kinds, lengths_between(kinds)).sums


def test_the_six_bonds_of_titanium_in_rutile_add_up() -> None:
    length = single_bond_lengths()[22, 8]
    near = 4 * np.exp((length - 1.949) / 0.37) + 2 * np.exp((length - 1.980) / 0.37)
    sums = sums_of(RUTILE, CHARGES)
    assert near < sums[0] < near + 0.2  # further oxygen atoms are 3.5 Å away
    assert sums[0] == pytest.approx(4, abs=0.25)
    assert sums[:2].sum() == pytest.approx(sums[2:].sum())  # every bond is counted from both of its ends


def test_cell_origin_and_order_of_sites_do_not_matter() -> None:
    expected = sums_of(RUTILE, CHARGES)
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    order = np.array([3, 0, 5, 1, 2, 4])
    moved = Crystals(RUTILE.lattice @ turned, RUTILE.offsets, RUTILE.species[order], RUTILE.frac_coords[order] + 0.37)
    np.testing.assert_allclose(sums_of(moved, CHARGES[order]), expected[order], rtol=1e-9)
    doubled = Crystals(
        RUTILE.lattice * np.array([2, 1, 1])[:, None], np.array([0, 12]), np.tile(RUTILE.species, 2),
        np.concatenate([RUTILE.frac_coords * [0.5, 1, 1] + [shift, 0, 0] for shift in (0, 0.5)]),
    )  # fmt: skip
    np.testing.assert_allclose(sums_of(doubled, np.tile(CHARGES, 2)), np.tile(expected, 2), rtol=1e-9)


def test_a_site_at_the_centre_is_on_centre_and_a_shifted_one_is_not() -> None:
    perovskite = Crystals(
        np.eye(3)[None] * 4.0, np.array([0, 5]), np.array([56, 22, 8, 8, 8], np.uint8),
        np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
    )  # fmt: skip
    charges = np.array([2.0, 4.0, -2.0, -2.0, -2.0])
    kinds = kinds_of(perovskite, charges)
    assert site_valences(perovskite, kinds, lengths_between(kinds)).off_centre[:2].max() < 1e-9
    perovskite.frac_coords[1, 2] += 0.05
    shifted = site_valences(perovskite, kinds, lengths_between(kinds)).off_centre
    assert 0.1 < shifted[1] < 1.0
    assert shifted[0] < 1e-9


def test_unknown_charges_and_pairs_without_a_length_are_not_judged() -> None:
    unknown = np.full(6, np.nan)
    assert np.isnan(sums_of(RUTILE, unknown)).all()
    kinds = kinds_of(RUTILE, CHARGES)
    nothing = np.full((len(kinds.elements),) * 2, np.nan)
    assert np.isnan(site_valences(RUTILE, kinds, nothing).sums).all()
    assert len(kinds_of(RUTILE, unknown).elements) == 2


def test_the_instability_index_is_a_root_mean_square() -> None:
    sums, charges = np.array([2.0, 1.5, 1.0, 1.2]), np.array([2.0, -2.0, 1.0, -1.0])
    found = instability_indices(np.array([0, 2, 4]), sums, charges)
    np.testing.assert_allclose(found, [np.sqrt(0.125), np.sqrt(0.02)])
