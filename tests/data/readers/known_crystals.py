"""Crystals with known structures, and whether a cell that was read is one of them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure


class Known(NamedTuple):
    """A crystal with its usual cell.

    Attributes:
        name: Name of the mineral or compound.
        structure: Conventional cell.
        number: Number of its space group.
    """

    name: str
    structure: Structure
    number: int


_PARTS: tuple[tuple[str, str, tuple[float, ...], tuple[tuple[str, tuple[float, float, float]], ...]], ...] = (
    ("halite", "Fm-3m", (5.64,), (("Na", (0, 0, 0)), ("Cl", (0.5, 0.5, 0.5)))),
    ("cesium chloride", "Pm-3m", (4.12,), (("Cs", (0, 0, 0)), ("Cl", (0.5, 0.5, 0.5)))),
    ("fluorite", "Fm-3m", (5.46,), (("Ca", (0, 0, 0)), ("F", (0.25, 0.25, 0.25)))),
    ("zincblende", "F-43m", (5.41,), (("Zn", (0, 0, 0)), ("S", (0.25, 0.25, 0.25)))),
    ("silicon", "Fd-3m", (5.4307,), (("Si", (0, 0, 0)),)),
    ("spinel", "Fd-3m", (8.083,), (("Mg", (0, 0, 0)), ("Al", (0.625,) * 3), ("O", (0.3874,) * 3))),
    ("perovskite", "Pm-3m", (3.905,), (("Sr", (0, 0, 0)), ("Ti", (0.5, 0.5, 0.5)), ("O", (0.5, 0.5, 0)))),
    ("pyrite", "Pa-3", (5.418,), (("Fe", (0, 0, 0)), ("S", (0.385, 0.385, 0.385)))),
    ("tetragonal perovskite", "P4mm", (3.99, 3.99, 4.03), (
        ("Ba", (0, 0, 0)), ("Ti", (0.5, 0.5, 0.512)), ("O", (0.5, 0.5, 0.023)), ("O", (0.5, 0, 0.486)))),
    ("rutile", "P4_2/mnm", (4.594, 4.594, 2.959), (("Ti", (0, 0, 0)), ("O", (0.3053, 0.3053, 0)))),
    ("anatase", "I4_1/amd", (3.784, 3.784, 9.515), (("Ti", (0, 0, 0)), ("O", (0, 0, 0.2081)))),
    ("wurtzite", "P6_3mc", (3.25, 3.25, 5.207, 120), (("Zn", (1 / 3, 2 / 3, 0)), ("O", (1 / 3, 2 / 3, 0.3819)))),
    ("molybdenite", "P6_3/mmc", (3.16, 3.16, 12.29, 120), (
        ("Mo", (1 / 3, 2 / 3, 0.25)), ("S", (1 / 3, 2 / 3, 0.6225)))),
    ("corundum", "R-3c", (4.759, 4.759, 12.991, 120), (("Al", (0, 0, 0.3522)), ("O", (0.3062, 0, 0.25)))),
    ("calcite", "R-3c", (4.99, 4.99, 17.06, 120), (("Ca", (0, 0, 0)), ("C", (0, 0, 0.25)), ("O", (0.2567, 0, 0.25)))),
    ("delafossite", "R-3m", (3.035, 3.035, 17.16, 120), (
        ("Cu", (0, 0, 0)), ("Fe", (0, 0, 0.5)), ("O", (0, 0, 0.1066)))),
    ("quartz", "P3_221", (4.913, 4.913, 5.405, 120), (("Si", (0.4697, 0, 2 / 3)), ("O", (0.4135, 0.2669, 0.7858)))),
    ("olivine", "Pnma", (10.33, 6.01, 4.69), (
        ("Li", (0, 0, 0)), ("Fe", (0.2822, 0.25, 0.9747)), ("P", (0.0948, 0.25, 0.4182)),
        ("O", (0.0968, 0.25, 0.7428)), ("O", (0.4571, 0.25, 0.206)), ("O", (0.1656, 0.0465, 0.2848)))),
    ("marcasite", "Pnnm", (4.443, 5.425, 3.387), (("Fe", (0, 0, 0)), ("S", (0.2, 0.378, 0)))),
    ("baddeleyite", "P2_1/c", (5.15, 5.21, 5.32, 90, 99.2, 90), (
        ("Zr", (0.2754, 0.0395, 0.2083)), ("O", (0.0699, 0.3317, 0.3447)), ("O", (0.4496, 0.7569, 0.4792)))),
    ("tenorite", "C2/c", (4.684, 3.423, 5.129, 90, 99.54, 90), (("Cu", (0.25, 0.25, 0)), ("O", (0, 0.4184, 0.25)))),
    ("triclinic copper sulfate", "P-1", (5.12, 5.96, 6.1, 97.6, 107.3, 77.4), (
        ("Cu", (0, 0, 0)), ("S", (0.01, 0.286, 0.625)), ("O", (0.86, 0.11, 0.69)), ("O", (0.29, 0.32, 0.83)))),
)  # fmt: skip


@functools.cache
def known_crystals() -> list[Known]:
    """Crystals of all crystal systems, among them groups with two origins, two cells and many settings."""
    found = []
    for name, group, cell, atoms in _PARTS:
        structure = Structure.from_spacegroup(group, _lattice(cell), [s for s, _ in atoms], [list(p) for _, p in atoms])
        number = spglib.get_symmetry_dataset(as_cell(structure), symprec=1e-3).number
        found.append(Known(name, structure, number))
    return found


def _lattice(cell: Sequence[float]) -> Lattice:
    if len(cell) == 1:
        return Lattice.cubic(cell[0])
    if len(cell) == 4:
        return Lattice.hexagonal(cell[0], cell[2])
    return Lattice.from_parameters(*cell, *((90,) * (6 - len(cell))))


def as_cell(structure: Structure) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """The cell as spglib takes it."""
    return structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure]


def is_same(known: Known, found: Structure) -> bool:
    """Whether a cell is the crystal, in whatever setting: composition, volume, arrangement and space group."""
    expected = known.structure
    if not found.is_ordered or expected.composition.reduced_composition != found.composition.reduced_composition:
        return False
    volumes = [structure.volume / len(structure) for structure in (expected, found)]
    if abs(volumes[0] / volumes[1] - 1) > 0.01:
        return False
    matcher = StructureMatcher(ltol=0.02, stol=0.05, angle_tol=1.0, scale=False, primitive_cell=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not matcher.fit(expected, found):
            return False
        about = spglib.get_symmetry_dataset(as_cell(found), symprec=0.02)
    return about is not None and about.number == known.number
