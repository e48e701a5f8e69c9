"""Read the crystals of the AFLOW prototype library, which pymatgen ships, as plain JSON.

Mehl et al., Comput. Mater. Sci. 136, S1 (2017), doi:10.1016/j.commatsci.2017.01.017; 288 crystals. The file is part of
pymatgen (MIT licence), which decodes it by importing the classes that it names. Here only numbers and texts are read.
"""

from __future__ import annotations

import functools
import gzip
import io
import itertools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.identity import crystal_ids
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.errors import DatasetError
from matloop.data.packaged.package_file import PackageFile

LIBRARY = PackageFile(
    package="pymatgen",
    path=Path("analysis", "prototypes", "aflow_prototypes.json.gz"),
    sha256="a1b349b062f1734f2ed248bdc117db143f0da4a9f5b43d9e14d3f2505d664f97",
    size_limit=1_000_000,  # the file has 160 thousand bytes
    install="pymatgen",
    release="install pymatgen 2026.10.24, whose prototype library this is",
)
TEXT_LIMIT = 10_000_000  # bytes; the unpacked file has 1.6 million
_LABEL = re.compile(r"\w+_[a-z]{1,2}[A-Z]?[0-9]+_(?P<space_group>[0-9]{1,3})_\w+")


class Prototype(NamedTuple):
    """One crystal structure. Its elements are called roles A, B, ... in alphabetical order of their symbols.

    Attributes:
        label: AFLOW label (stoichiometry, Pearson symbol, space group, Wyckoff letters), which is not always unique.
        mineral: Name of the mineral, or empty.
        strukturbericht: Strukturbericht symbol, or empty.
        space_group: Number.
        lattice: Å, shape (3, 3).
        roles: Role of each site, from 0.
        frac_coords: Shape (sites, 3).
        elements: Atomic number of the prototype's own element in each role.
        symmetries: Permutations of the roles after which the crystal is the same; the first is the identity.
    """

    label: str
    mineral: str
    strukturbericht: str
    space_group: int
    lattice: NDArray[np.float64]
    roles: NDArray[np.int64]
    frac_coords: NDArray[np.float64]
    elements: NDArray[np.int64]
    symmetries: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of sites of each role."""
        return np.bincount(self.roles)


@functools.cache
def load_prototypes() -> tuple[Prototype, ...]:
    """Load all prototypes, sorted by number of roles and label.

    Raises:
        DatasetError: If the file of pymatgen differs from the one that this reader was checked against.

    >>> [(one.label, one.mineral) for one in load_prototypes() if one.strukturbericht == "B1"]
    [('AB_cF8_225_a_b', 'Halite, Rock Salt')]
    """
    with gzip.open(io.BytesIO(LIBRARY.read())) as stream:
        text = stream.read(TEXT_LIMIT + 1)
    if len(text) > TEXT_LIMIT:
        raise DatasetError(f"{LIBRARY.path.name} unpacks to more than {TEXT_LIMIT} bytes", fix=LIBRARY.release)
    prototypes = [read_prototype(entry) for entry in json.loads(text)]
    return tuple(sorted(prototypes, key=lambda one: (len(one.elements), one.label)))


def read_prototype(entry: Any) -> Prototype:
    """Read one entry of the library.

    Raises:
        DatasetError: If it does not hold an ordered crystal and its tags.
    """
    try:
        tags, crystal = entry["tags"], entry["snl"]
        label, *names = (str(tags[name]) for name in ("aflow", "mineral", "strukturbericht"))
        lattice = np.array(crystal["lattice"]["matrix"], np.float64).reshape(3, 3)
        symbols = [_only_element(site["species"]) for site in crystal["sites"]]
        frac_coords = np.array([site["abc"] for site in crystal["sites"]], np.float64).reshape(len(symbols), 3)
        match = _LABEL.fullmatch(label)
        if match is None or not (np.isfinite(lattice).all() and np.isfinite(frac_coords).all()):
            raise ValueError(f"label '{label}' or a number")
        ordered = sorted(set(symbols))
        elements = np.array([ATOMIC_NUMBERS[symbol] for symbol in ordered], np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"an entry of {LIBRARY.path.name} that is no prototype ({error})", "an ordered crystal with its AFLOW label"
        ) from error
    roles = np.array([ordered.index(symbol) for symbol in symbols], np.int64)
    mineral, strukturbericht = ("" if name == "None" else name for name in names)
    space_group = int(match["space_group"])
    symmetries = exchanges(lattice, roles, frac_coords)
    return Prototype(label, mineral, strukturbericht, space_group, lattice, roles, frac_coords, elements, symmetries)


def _only_element(species: Any) -> str:
    (one,) = species
    if one["occu"] != 1.0:
        raise ValueError(f"an occupancy of {one['occu']}")
    return str(one["element"])


def exchanges(
    lattice: NDArray[np.float64], roles: NDArray[np.int64], frac_coords: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Find the exchanges of roles that leave the content hash of the crystal the same.

    The hash does not depend on cell, origin, orientation or handedness, so an exchange that gives the mirror image is
    included.
    """
    counts = np.bincount(roles)
    permutations = [one for one in itertools.permutations(range(len(counts))) if (counts[list(one)] == counts).all()]
    table = np.array(permutations, np.int64)
    n, sites = len(table), len(roles)
    species = (table[:, roles] + 1).astype(np.uint8)  # any elements serve the purpose
    crystals = Crystals(
        np.tile(lattice, (n, 1, 1)), np.arange(n + 1) * sites, species.reshape(-1), np.tile(frac_coords, (n, 1))
    )
    ids = crystal_ids(crystals)
    return table[[one == ids[0] for one in ids]]
