"""Bond valences: how well the distances in a crystal agree with the charges of its ions.

The valence of a bond of length R is s = exp((R0 - R) / 0.37 Å), and the valences of all bonds of an ion add up to its
charge where the crystal suits it (Brown and Altermatt, Acta Cryst. B41, 244 (1985), doi:10.1107/S0108768185002063).
R0, the length of a bond of one valence unit, follows for every pair of elements from a size and a softness of each
(O'Keeffe and Brese, J. Am. Chem. Soc. 113, 3226 (1991), doi:10.1021/ja00009a002), whose table pymatgen carries.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals, image_range
from matloop.data.elements import SYMBOLS

SOFTNESS = 0.37  # Å; b of Brown and Altermatt, the same for all pairs
LONGEST_BOND = 6.0  # Å; a bond of that length has less than 1e-4 valence units for all but the largest ions


class Kinds(NamedTuple):
    """The ions of many crystals.

    Attributes:
        elements: Atomic number of each of the k kinds, sorted by (element, charge).
        charges: Charge of each in elementary charges, shape (k,); nan where it is not known.
        sites: Kind of each site of the crystals, shape (sites,).
    """

    elements: NDArray[np.int64]
    charges: NDArray[np.float64]
    sites: NDArray[np.int64]


class SiteValences(NamedTuple):
    """What the bonds of each site add up to.

    Attributes:
        sums: Bond-valence sum of each site in valence units, shape (sites,); nan where the charge of an ion is not
            known or a pair of elements has no R0.
        off_centre: Distance in Å of each site from the mean place of its counter-ions, weighted by the valences of the
            bonds, shape (sites,); likewise.
    """

    sums: NDArray[np.float64]
    off_centre: NDArray[np.float64]


def kinds_of(crystals: Crystals, charges: NDArray[np.float64]) -> Kinds:
    """Number the ions of crystals.

    Args:
        crystals: n crystals.
        charges: Charge of each site, shape (sites,).
    """
    charges = np.where(np.isnan(charges), np.inf, charges)  # unlike nan, it equals itself
    pairs = np.stack([crystals.species.astype(np.float64), charges])
    distinct, sites = np.unique(pairs, axis=1, return_inverse=True)
    return Kinds(distinct[0].astype(np.int64), np.where(np.isinf(distinct[1]), np.nan, distinct[1]), sites.ravel())


@functools.cache
def single_bond_lengths() -> NDArray[np.float64]:
    """R0 of each pair of elements in Å by atomic numbers, shape (119, 119); nan where the table lacks an element.

    >>> from matloop.data.elements import ATOMIC_NUMBERS
    >>> round(float(single_bond_lengths()[ATOMIC_NUMBERS["Zr"], ATOMIC_NUMBERS["O"]]), 3)
    1.951
    """
    from pymatgen.analysis.bond_valence import BV_PARAMS

    sizes, softness = np.full((2, len(SYMBOLS)), np.nan)
    for element, found in BV_PARAMS.items():
        sizes[element.Z], softness[element.Z] = found["r"], found["c"]
    r, c = sizes[:, None], softness[:, None]
    shared = r * sizes * (np.sqrt(c) - np.sqrt(softness)) ** 2 / (c * r + softness * sizes)
    return np.asarray(r + sizes - shared)


def lengths_between(kinds: Kinds) -> NDArray[np.float64]:
    """R0 of each pair of kinds in Å, shape (k, k), as the published table has it."""
    return single_bond_lengths()[np.ix_(kinds.elements, kinds.elements)]


def site_valences(crystals: Crystals, kinds: Kinds, lengths: NDArray[np.float64]) -> SiteValences:
    """Add up the bonds of every site to ions of opposite charge.

    Args:
        crystals: n crystals that passed :meth:`~matloop.data.candidates.crystals.Crystals.row_codes`.
        kinds: Their ions.
        lengths: R0 of each pair of kinds in Å, shape (k, k).

    >>> salt = Crystals(
    ...     2.106 * np.array([[[0, 1, 1], [1, 0, 1], [1, 1, 0]]]), np.array([0, 2]),
    ...     np.array([12, 8], np.uint8), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    ... )
    >>> kinds = kinds_of(salt, np.array([2.0, -2.0]))
    >>> site_valences(salt, kinds, lengths_between(kinds)).sums.round(2)  # MgO
    array([2.3, 2.3])
    """
    found = _site_valences(
        crystals.lattice, crystals.offsets, crystals.frac_coords, kinds.sites, kinds.charges, lengths, LONGEST_BOND
    )
    return SiteValences(*found)


def instability_indices(
    offsets: NDArray[np.int64], sums: NDArray[np.float64], charges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Global instability index of n crystals in valence units, shape (n,); nan where a sum is not known.

    It is the root mean square over all sites of the difference between bond-valence sum and charge (Salinas-Sanchez et
    al., J. Solid State Chem. 100, 201 (1992), doi:10.1016/0022-4596(92)90094-C).

    Args:
        offsets: Sites of crystal ``i`` lie at ``offsets[i]:offsets[i + 1]``, shape (n + 1,).
        sums: Bond-valence sums, shape (sites,).
        charges: Charge of each site, shape (sites,).

    >>> instability_indices(np.array([0, 2]), np.array([1.9, 2.2]), np.array([2.0, -2.0])).round(3)
    array([0.158])
    """
    squares = np.add.reduceat((sums - np.abs(charges)) ** 2, offsets[:-1])
    return np.asarray(np.sqrt(squares / np.diff(offsets)))


@numba.njit(cache=True, nogil=True)
def _site_valences(lattice, offsets, frac, kinds, charges, lengths, cutoff):  # type: ignore[no-untyped-def]
    sums, off_centre = np.zeros(len(kinds)), np.full(len(kinds), np.nan)
    for i in range(len(lattice)):
        cell = lattice[i]
        reach = image_range(cell, cutoff)
        for a in range(offsets[i], offsets[i + 1]):
            own = charges[kinds[a]]
            if np.isnan(own):
                sums[a] = np.nan
            mean_x = mean_y = mean_z = 0.0
            for b in range(offsets[i], offsets[i + 1]):
                if not own * charges[kinds[b]] < 0:
                    continue
                length = lengths[kinds[a], kinds[b]]
                du, dv, dw = frac[b, 0] - frac[a, 0], frac[b, 1] - frac[a, 1], frac[b, 2] - frac[a, 2]
                du, dv, dw = du - np.rint(du), dv - np.rint(dv), dw - np.rint(dw)
                for h in range(-reach[0], reach[0] + 1):
                    for k in range(-reach[1], reach[1] + 1):
                        for m in range(-reach[2], reach[2] + 1):
                            u, v, w = du + h, dv + k, dw + m
                            x = u * cell[0, 0] + v * cell[1, 0] + w * cell[2, 0]
                            y = u * cell[0, 1] + v * cell[1, 1] + w * cell[2, 1]
                            z = u * cell[0, 2] + v * cell[1, 2] + w * cell[2, 2]
                            squared = x * x + y * y + z * z
                            if squared < cutoff * cutoff:
                                valence = np.exp((length - np.sqrt(squared)) / SOFTNESS)
                                sums[a] += valence
                                mean_x += valence * x
                                mean_y += valence * y
                                mean_z += valence * z
            if sums[a] > 0:
                off_centre[a] = np.sqrt(mean_x * mean_x + mean_y * mean_y + mean_z * mean_z) / sums[a]
    return sums, off_centre
