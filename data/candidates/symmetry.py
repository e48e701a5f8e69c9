"""The space group of a crystal and its conventional cell, as moyo finds them.

Conventional cells follow the standard setting of International Tables A: unique axis b and cell choice 1 in monoclinic
groups, origin choice 2, and hexagonal axes in rhombohedral groups.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.space_groups import setting_of

SYMMETRY_TOLERANCE = 0.1  # Å; the tolerance of the global symmetry features of matminer
TOLERANCES = (0.003, 0.01, 0.03, SYMMETRY_TOLERANCE)
"""Tolerances in Å that are tried, the finest first."""
_SAME_PLACE = 0.01  # Å; an operation takes a symmetrised atom closer than this to another one
_VOLUME_CHANGE = 0.01  # by which symmetrising may change a volume
_GRID = 24  # translations of space groups are multiples of 1/24
# moyo logs how it counts operations of cells that are not primitive; without a handler this goes to the terminal.
logging.getLogger("moyo").addHandler(logging.NullHandler())


class SymmetricCell(NamedTuple):
    """A cell with the operations of its space group and m atoms from which these make all the others.

    Attributes:
        number: International number of the space group.
        symbol: Hermann-Mauguin symbol of its setting, such as ``F d -3 m :2``.
        hall_symbol: Hall symbol of its setting.
        lattice: Cell row vectors in Å, shape (3, 3).
        species: Atomic numbers, shape (m,).
        frac_coords: Fractional coordinates, shape (m, 3).
        multiplicities: Atoms of the cell that each of them stands for, shape (m,).
        rotations: Integers, shape (k, 3, 3).
        translations: Multiples of 1/24 in units of the cell edges, shape (k, 3).
        wyckoff: Wyckoff letter of each of the m atoms; empty texts where no symmetry was found.
        tolerance: By how much in Å atoms may have been moved for the symmetry; None where no symmetry was found.
        moved: By how much in Å the atom that moved most, or the edge that changed most, did; 0 likewise.
    """

    number: int
    symbol: str
    hall_symbol: str
    lattice: NDArray[np.float64]
    species: NDArray[np.uint8]
    frac_coords: NDArray[np.float64]
    multiplicities: NDArray[np.int64]
    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]
    wyckoff: list[str]
    tolerance: float | None
    moved: float = 0.0

    def operations(self) -> list[str]:
        """The operations as CIF writes them, the identity first."""
        return [_written(*operation) for operation in zip(self.rotations, self.translations, strict=True)]

    def all_atoms(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Make all atoms of the cell from the m atoms and the operations.

        Returns:
            Which of the m atoms each of n stands for, shape (n,), ascending; and their fractional coordinates, shape
            (n, 3), that of the atom itself before those that the operations make of it.
        """
        atoms, places = [], []
        for atom, place in enumerate(self.frac_coords):
            images = (np.concatenate([place[None], self.rotations @ place + self.translations])) % 1.0
            apart = images[:, None] - images[None]
            close = np.linalg.norm((apart - np.rint(apart)) @ self.lattice, axis=2) < _SAME_PLACE
            own = images[close.argmax(axis=1) == np.arange(len(images))]  # each place where it occurs first
            atoms.append(np.full(len(own), atom))
            places.append(own)
        return np.concatenate(atoms), np.concatenate(places)


def symmetry_of(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    species: NDArray[np.uint8],
    tolerance: float,
    *,
    setting: Any = None,
) -> Any:
    """Analyse one crystal with moyo (``moyopy.MoyoDataset``); None if the tolerance in Å is too large for it."""
    import moyopy

    cell = moyopy.Cell(lattice.tolist(), frac_coords.tolist(), species.tolist())
    try:
        return moyopy.MoyoDataset(cell, symprec=tolerance, setting=setting)
    except ValueError:  # the row gets a code, and the batch continues
        return None


def conventional_cell(
    lattice: NDArray[np.float64],
    frac_coords: NDArray[np.float64],
    species: NDArray[np.uint8],
    *,
    number: int | None = None,
) -> SymmetricCell:
    """Symmetrise a crystal and write it in the conventional cell of its space group.

    Tolerances of 0.003, 0.01, 0.03 and 0.1 Å are tried. The finest one at which the crystal has the expected space
    group counts; where none finds that, it is the group at the coarsest one that finds any. No atom moves by more than
    the tolerance.

    Args:
        lattice: Cell row vectors in Å, shape (3, 3).
        frac_coords: Fractional coordinates of n atoms, shape (n, 3).
        species: Their atomic numbers, shape (n,).
        number: The expected space group, if there is one.

    Returns:
        The symmetrised crystal. Where no symmetry is found it is the crystal as given, in P 1.
    """
    found = []
    for tolerance in TOLERANCES:
        cell = _symmetrised(lattice, frac_coords, species, tolerance)
        if cell is not None:
            if cell.number == number:
                return cell
            found.append(cell)
    if not found:
        return _without_symmetry(lattice, frac_coords, species)
    return next(cell for cell in found if cell.number == found[-1].number)


def _symmetrised(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], species: NDArray[np.uint8], tolerance: float
) -> SymmetricCell | None:
    """The symmetrised crystal; None where moyo finds none, or one that is another crystal."""
    import moyopy

    standard = moyopy.Setting.standard()
    found = symmetry_of(lattice, frac_coords, species, tolerance, setting=standard)
    if found is None:
        return None
    basis, places = np.array(found.std_cell.basis), np.array(found.std_cell.positions) % 1.0
    kinds = np.array(found.std_cell.numbers, np.uint8)
    operations = moyopy.operations_from_number(found.number, setting=standard)
    rotations = np.array(operations.rotations, np.int64)
    translations = np.rint(np.array(operations.translations) * _GRID) % _GRID / _GRID
    moved, taken = _moved(lattice, frac_coords, species, found)
    orbits = _orbits(basis, places, kinds, rotations, translations)
    volumes = [abs(np.linalg.det(cell)) / count for cell, count in ((lattice, len(species)), (basis, len(kinds)))]
    same_atoms = np.array_equal(_shares(kinds), _shares(species))
    if orbits is None or not same_atoms or abs(volumes[1] / volumes[0] - 1) > _VOLUME_CHANGE or moved > tolerance:
        return None
    first, orbit_of = orbits
    letters = {int(orbit_of[place]): letter for place, letter in zip(taken, found.wyckoffs, strict=True)}
    symbol, hall_symbol = symbols_of(found.hall_number)
    return SymmetricCell(
        found.number, symbol, hall_symbol, basis, kinds[first], places[first], np.bincount(orbit_of), rotations,
        translations, [letters.get(orbit, "") for orbit in range(len(first))], tolerance, moved,
    )  # fmt: skip


def _moved(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], species: NDArray[np.uint8], found: Any
) -> tuple[float, NDArray[np.int64]]:
    """Find how far in Å symmetrising moved the atoms or the ends of the edges, and where each atom went.

    Args:
        lattice: Cell row vectors as given in Å, shape (3, 3).
        frac_coords: Fractional coordinates as given, shape (n, 3).
        species: Atomic numbers as given, shape (n,).
        found: What moyo found, with the standard cell.

    Returns:
        The largest distance, infinite where an atom has no counterpart, and the atom of the standard cell that each of
        the n atoms became.
    """
    linear, shift = np.array(found.std_linear), np.array(found.std_origin_shift)
    basis, places = np.array(found.std_cell.basis), np.array(found.std_cell.positions)
    given = (frac_coords - shift) @ np.linalg.inv(linear).T
    apart = given[:, None] - places[None]
    gaps = np.linalg.norm((apart - np.rint(apart)) @ basis, axis=2)
    gaps[species[:, None] != np.array(found.std_cell.numbers)[None]] = np.inf
    edges = [np.linalg.norm(cell, axis=1) for cell in (linear.T @ lattice, basis)]
    return float(max(gaps.min(axis=1).max(), np.abs(edges[0] - edges[1]).max())), gaps.argmin(axis=1)


def symbols_of(hall_number: int) -> tuple[str, str]:
    """Hermann-Mauguin and Hall symbol of a setting of a space group.

    The first one has the setting behind a colon where the symbol alone leaves the origin or the axes open. Monoclinic
    symbols are the long ones, which name the unique axis.

    Args:
        hall_number: Number of the setting, 1 to 530.

    >>> symbols_of(81), symbols_of(526)
    (('P 1 21/c 1', '-P 2ybc'), ('F d -3 m :2', '-F 4vw 2vw 3'))
    """
    setting = setting_of(hall_number)
    open_ends = f" :{setting.choice}" if setting.choice in ("1", "2", "H", "R") else ""
    return setting.short + open_ends, setting.hall


def _orbits(
    lattice: NDArray[np.float64],
    places: NDArray[np.float64],
    species: NDArray[np.uint8],
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """One atom of each orbit, and the orbit of each atom; None where the operations do not leave the crystal as it is.

    Of each orbit the atom with the least coordinates is taken.
    """
    order = np.lexsort((*np.round(places, 6).T[::-1], species))
    free, orbit_of = np.ones(len(places), bool), np.zeros(len(places), np.int64)
    first: list[int] = []
    for atom in order:
        if not free[atom]:
            continue
        images = rotations @ places[atom] + translations
        apart = images[:, None] - places[None]
        gaps = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=2)
        hit = gaps.argmin(axis=1)
        if gaps.min(axis=1).max() > _SAME_PLACE or (species[hit] != species[atom]).any() or not free[hit].all():
            return None
        free[hit], orbit_of[hit] = False, len(first)
        first.append(int(atom))
    return np.array(first, np.int64), orbit_of


def _shares(species: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.round(np.bincount(species, minlength=256) / len(species), 9)


def _without_symmetry(
    lattice: NDArray[np.float64], frac_coords: NDArray[np.float64], species: NDArray[np.uint8]
) -> SymmetricCell:
    """The crystal as it is, with the identity as its only operation."""
    symbol, hall_symbol = symbols_of(1)
    return SymmetricCell(
        1, symbol, hall_symbol, lattice, species, frac_coords % 1.0, np.ones(len(species), np.int64),
        np.eye(3, dtype=np.int64)[None], np.zeros((1, 3)), [""] * len(species), None,
    )  # fmt: skip


def _written(rotation: NDArray[np.int64], translation: NDArray[np.float64]) -> str:
    """One operation as CIF writes it.

    >>> _written(np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]]), np.array([0, 0.5, 1 / 3]))
    '-y,x-y+1/2,z+1/3'
    """
    parts = []
    for row, shift in zip(rotation, translation, strict=True):
        terms = "".join(
            f"{'+' if factor > 0 else '-'}{axis}" for factor, axis in zip(row, "xyz", strict=True) if factor
        )
        fraction = Fraction(round(float(shift) * _GRID), _GRID) % 1
        parts.append(terms.removeprefix("+") + (f"+{fraction}" if fraction else ""))
    return ",".join(parts)
