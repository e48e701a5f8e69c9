"""Prototypes that the AFLOW library of pymatgen lacks, written from published crystallography.

``datasets/published_prototypes.csv`` gives for each its space group in the standard setting of International Tables A
(origin choice 2, hexagonal axes), the lengths of the cell edges in Å that its system leaves free, one position of every
orbit, and the source. Sources marked as idealised state the arrangement; coordinates there are rounded ones of regular
octahedra. The operations of the space group, as moyo has them, make the other atoms.
"""

from __future__ import annotations

import csv
import functools
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.generators.aflow_prototypes import Prototype, exchanges, load_prototypes
from matloop.data.packaged.materials import read_verified

PROTOTYPES_FILE = Path(__file__).parents[1] / "datasets" / "published_prototypes.csv"
PROTOTYPES_SHA256 = "8a96ff7d4da1d64390baeccf42c1c187ab464f1b9c7436c3a877bd036f0d8a5b"
_SAME_PLACE = 0.1  # Å


@functools.cache
def all_prototypes() -> tuple[Prototype, ...]:
    """The AFLOW library and the published prototypes, sorted by number of roles and label.

    >>> [one.label for one in all_prototypes() if one.mineral == "Garnet"]
    ['A2B3C12D3_cI160_230_a_c_h_d']
    """
    every = (*load_prototypes(), *load_published_prototypes())
    return tuple(sorted(every, key=lambda one: (len(one.elements), one.label)))


@functools.cache
def load_published_prototypes() -> tuple[Prototype, ...]:
    """Load the published prototypes in the order of the file.

    Raises:
        DatasetError: If the file is missing or its content is not the released one.
    """
    text = read_verified(PROTOTYPES_FILE, PROTOTYPES_SHA256).decode("utf-8")
    return tuple(_prototype(row) for row in csv.DictReader(io.StringIO(text)))


def _prototype(row: dict[str, str]) -> Prototype:
    """Make all atoms of a primitive cell from one line of the table."""
    import moyopy

    space_group = int(row["space_group"])
    lattice = _lattice(space_group, [float(length) for length in row["cell"].split()])
    species: list[int] = []
    places: list[NDArray[np.float64]] = []
    for site in row["sites"].split("; "):
        symbol, *coordinates = site.split()
        orbit = _orbit(space_group, np.array(coordinates, np.float64), lattice)
        species += [ATOMIC_NUMBERS[symbol]] * len(orbit)
        places += list(orbit)
    cell = moyopy.Cell(lattice.tolist(), np.array(places).tolist(), species)
    primitive = moyopy.MoyoDataset(cell, symprec=0.01).prim_std_cell
    numbers = np.array(primitive.numbers)
    elements = np.array(sorted(set(species), key=lambda z: _SYMBOL[z]), np.int64)
    roles = np.array([elements.tolist().index(number) for number in numbers.tolist()], np.int64)
    basis, sites = np.array(primitive.basis, np.float64), np.array(primitive.positions, np.float64)
    return Prototype(
        row["label"], row["mineral"], "", space_group, basis, roles, sites, elements, exchanges(basis, roles, sites)
    )


_SYMBOL = {number: symbol for symbol, number in ATOMIC_NUMBERS.items()}


def _lattice(space_group: int, lengths: list[float]) -> NDArray[np.float64]:
    """Row vectors in Å of the conventional cell; monoclinic and triclinic ones are not in the table."""
    a, *others = lengths
    if space_group >= 195:
        return np.diag([a, a, a])
    if space_group >= 143:
        return np.array([[a, 0.0, 0.0], [-a / 2, a * np.sqrt(3) / 2, 0.0], [0.0, 0.0, others[0]]])
    return np.diag([a, a, others[0]] if space_group >= 75 else [a, *others])


def _orbit(space_group: int, place: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """All places of the conventional cell that are equivalent to one, shape (m, 3)."""
    import moyopy

    operations = moyopy.operations_from_number(space_group, setting=moyopy.Setting.standard())
    rotations, translations = np.array(operations.rotations), np.array(operations.translations)
    images = (rotations @ place + translations) % 1.0
    apart = images[:, None] - images
    near = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=2) < _SAME_PLACE
    return images[np.unique(near.argmax(axis=1))]
