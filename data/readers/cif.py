"""Crystals from the text of one CIF block, without guessing.

A lenient reader drops an atom that it cannot interpret, and warns. This reader refuses the block, because a structure
without some of its atoms looks like a different material. Statements of a block that contradict each other are refused
too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import MAX_SITES
from matloop.data.elements import ATOMIC_NUMBERS, element_table
from matloop.data.readers.cif_agreement import check_agreement, stated_formula
from matloop.data.readers.cif_block import CifBlock
from matloop.data.readers.cif_elements import check_labels, shares_of_type, symbols_of_labels
from matloop.data.readers.cif_symmetry import Candidate, stated_symmetry
from matloop.data.readers.parsed import FULL, ParsedCell, number
from matloop.data.readers.structure_split import Unreadable

_SAME_PLACE = 0.1  # Å; images of an atom that are closer than this are one atom on a special position
_ROUNDED = 0.02  # Å; images that are closer are apart because coordinates are rounded
_THIRDS = np.array([1 / 3, 2 / 3, 1 / 6, 5 / 6])
_VOLUME_TOLERANCE = 0.02  # of the volume of the cell
# Shortest distance over the sum of covalent radii in a cell that is ruled out, and in the one that rules it out.
_CROWDED_AND_NORMAL = ((0.7, 0.8), (0.45, 0.6))
_MOST_SITES_TO_JUDGE = 400


class _Sites(NamedTuple):
    """The atoms listed.

    Attributes:
        shares: Symbol -> occupancy of each atom.
        frac: Fractional coordinates, shape (n, 3).
        rows: Row of each atom in the table of the block.
    """

    shares: list[dict[str, float]]
    frac: NDArray[np.float64]
    rows: list[int]


def read_cif(text: str) -> ParsedCell:
    """Read the crystal of one block.

    Raises:
        Unreadable: If the block holds no crystal, breaks the rules of CIF, or contradicts itself.
    """
    block = CifBlock(text)
    lattice = _lattice(block)
    sites = _sites(block)
    candidates = stated_symmetry(block, lattice)
    for candidate in candidates:
        _check_angles(block, candidate.operations)
    if len(candidates) == 1:
        return _expanded(block, lattice, sites, candidates[0].operations)
    return _decided(block, lattice, sites, candidates)


def _decided(block: CifBlock, lattice: NDArray[np.float64], sites: _Sites, candidates: list[Candidate]) -> ParsedCell:
    """Expand the atoms in every setting that the block may mean, and return the crystal if only one is possible.

    Raises:
        Unreadable: If none of the settings is possible, or they lead to different crystals.
    """
    possible: list[ParsedCell] = []
    refusals: list[Unreadable] = []
    for candidate in candidates:
        try:
            possible.append(_expanded(block, lattice, sites, candidate.operations))
        except Unreadable as refusal:
            refusals.append(refusal)
    if not possible:
        raise refusals[0]
    possible = _without_crowded(possible)
    if len(possible) > 1 and not _are_equal(possible):
        names = " or ".join(candidate.name for candidate in candidates[:4])
        raise Unreadable(
            "E-STRUCT-SYMMETRY",
            f"the space group may mean {names}, which are different crystals; state the setting, formula and Z, or all "
            "symmetry operations",
        )
    return possible[0]


def _are_equal(cells: Sequence[ParsedCell]) -> bool:
    """Whether ordered cells are one crystal, described from different origins or along different axes."""
    if not all(cell.is_ordered for cell in cells):
        return False
    from pymatgen.core import Lattice, Structure

    structures = [Structure(Lattice(cell.lattice), cell.numbers().tolist(), cell.frac_coords) for cell in cells]
    ids = CandidateBatch.from_structures(structures).batch.ids  # a cell that is refused has none
    return len(ids) == len(cells) and len(set(ids)) == 1


def _without_crowded(cells: list[ParsedCell]) -> list[ParsedCell]:
    """Leave cells out in which atoms are much closer than bonds are, if there is another in which none are.

    The limits lie apart, because the right cell of a compressed or badly refined crystal is a little crowded too.
    """
    closest = [_closest(cell) for cell in cells]
    limit = next((crowded for crowded, normal in _CROWDED_AND_NORMAL if max(closest) >= normal), 0.0)
    return [cell for cell, share in zip(cells, closest, strict=True) if share >= limit]


def _closest(cell: ParsedCell) -> float:
    """Smallest distance between two whole atoms, as a share of the sum of their covalent radii."""
    full = np.flatnonzero([sum(site.values()) >= FULL for site in cell.occupancies])
    if not 0 < len(full) <= _MOST_SITES_TO_JUDGE:
        return 1.0
    elements = [ATOMIC_NUMBERS[max(cell.occupancies[row], key=cell.occupancies[row].__getitem__)] for row in full]
    radii = np.nan_to_num(element_table().columns(("CovalentRadius",))[elements, 0], nan=0.0) / 100.0  # pm to Å
    frac = cell.frac_coords[full]
    apart = (frac[:, None] - frac + 0.5) % 1.0 - 0.5
    closest = np.inf
    for shift in np.ndindex(3, 3, 3):
        lengths = np.linalg.norm((apart + np.array(shift) - 1) @ cell.lattice, axis=2)
        if shift == (1, 1, 1):
            np.fill_diagonal(lengths, np.inf)
        closest = min(closest, float((lengths / np.maximum(radii[:, None] + radii, 1e-9)).min()))
    return closest


def _coordinate(word: str) -> float:
    """Read a coordinate, which people also write as a fraction such as 1/3."""
    if match := re.fullmatch(r"([+-]?\d{1,2})/([1-9]\d?)", word):
        return int(match[1]) / int(match[2])
    return number(word)


def _lattice(block: CifBlock) -> NDArray[np.float64]:
    """Row vectors of the cell in Å, with a along x and b in the xy plane."""
    words = [block.text(f"_cell_length_{axis}") for axis in "abc"]
    angles = [block.text(f"_cell_angle_{axis}") for axis in ("alpha", "beta", "gamma")]
    if not all(words):
        raise Unreadable("E-STRUCT-NOCELL")
    a, b, c = (number(word) for word in words)
    alpha, beta, gamma = (np.radians(number(word)) if word else np.pi / 2 for word in angles)
    if (np.array([a, b, c]) == 1).all() and not any(re.search(r"[2-9]", word) for word in words):
        raise Unreadable("E-STRUCT-NOCELL", "a cell of 1 Å stands for no cell")
    if not (min(a, b, c) > 0 and all(0 < angle < np.pi for angle in (alpha, beta, gamma))):
        raise Unreadable("E-STRUCT-CELL", "cell lengths and angles span no cell")
    cos_a, cos_b, cos_g = (0.0 if abs(x - np.pi / 2) < 1e-12 else np.cos(x) for x in (alpha, beta, gamma))
    sin_g = np.sin(gamma)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = (cos_a - cos_b * cos_g) / sin_g
        z = np.sqrt(1 - cos_b**2 - y**2)
        lattice = np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c * cos_b, c * y, c * z]])
    if not np.isfinite(lattice).all():
        raise Unreadable("E-STRUCT-CELL", "cell lengths and angles span no cell")
    stated, volume = block.text("_cell_volume"), float(abs(np.linalg.det(lattice)))
    if stated and number(stated) > 0 and abs(volume - number(stated)) > _VOLUME_TOLERANCE * volume:
        raise Unreadable("E-STRUCT-CELL", f"{stated[:20]} Å3 is stated; lengths and angles span {volume:.6g} Å3")
    return lattice


def _check_angles(block: CifBlock, operations: NDArray[np.float64]) -> None:
    """Refuse a cell with an unknown angle that the symmetry leaves open.

    An angle that a block does not mention is 90 degrees by the dictionary of CIF; one written ``?`` is not known.

    Raises:
        Unreadable: If an angle is unknown.
    """
    for name, (one, other) in {"alpha": (1, 2), "beta": (0, 2), "gamma": (0, 1)}.items():
        tag = f"_cell_angle_{name}"
        if not block.has_unknown(tag):
            continue
        skew = np.zeros((3, 3))
        skew[one, other] = skew[other, one] = 1.0
        rotations = operations[:, :, :3]
        if (rotations.transpose(0, 2, 1) @ skew @ rotations).mean(0)[one, other] > 1e-6:
            raise Unreadable("E-STRUCT-CELL", f"{tag} is unknown, and the symmetry does not fix it; state the angle")


def _sites(block: CifBlock) -> _Sites:
    """List the atoms of the block, dummies and empty places left out."""
    columns = [block.column(f"_atom_site_fract_{axis}") for axis in "xyz"]
    count = len(columns[0])
    if not count or any(len(column) != count for column in columns):
        raise Unreadable("E-STRUCT-NOATOMS")
    if count > 4 * MAX_SITES:
        raise Unreadable("E-STRUCT-SIZE", f"{count:,} atoms listed")
    for axis in "yz":
        block.column_beside("_atom_site_fract_x", f"_atom_site_fract_{axis}")
    types, flags, given, hydrogens = (
        block.column_beside("_atom_site_fract_x", f"_atom_site_{name}") or [""] * count
        for name in ("type_symbol", "calc_flag", "occupancy", "attached_hydrogens")
    )
    if any(word and number(word) > 0 for word in hydrogens):
        raise Unreadable("E-STRUCT-FORMULA", "hydrogen is stated without coordinates")
    if any(not word for column in columns for word in column):
        raise Unreadable("E-STRUCT-NOATOMS", "an atom has no coordinates")
    frac = np.array([[_coordinate(word) for word in column] for column in columns]).T
    if block.has_unknown("_atom_site_occupancy"):
        raise Unreadable("E-STRUCT-OCCUPANCY", "an occupancy is unknown (a question mark); state it")
    occupancies = np.array([number(word) if word else 1.0 for word in given])
    if not ((occupancies >= 0) & (occupancies <= 1.02)).all():
        raise Unreadable("E-STRUCT-OCCUPANCY", f"{occupancies.min():g} to {occupancies.max():g}")
    real = [row for row in range(count) if flags[row].lower() != "dum" and occupancies[row] > 0]
    if not real:
        raise Unreadable("E-STRUCT-NOATOMS", "all atoms are dummies or have no occupancy")
    _check_disorder_groups(block, count, occupancies)
    elements = _elements(block, [types[row] for row in real], real)
    shares = [
        {symbol: share * min(float(occupancies[row]), 1.0) for symbol, share in element.items()}
        for row, element in zip(real, elements, strict=True)
    ]
    return _Sites(shares, frac[real], real)


def _elements(block: CifBlock, types: list[str], rows: list[int]) -> list[dict[str, float]]:
    """Return the elements of some of the atoms with their shares, from their types, or otherwise from their labels."""
    labels = block.column_beside("_atom_site_fract_x", "_atom_site_label")
    untyped = [place for place, kind in enumerate(types) if not kind]
    if untyped and not labels:
        raise Unreadable("E-STRUCT-SYMBOLS", "there is neither a type nor a label of each atom")
    symbols = symbols_of_labels([labels[rows[place]] for place in untyped], list(stated_formula(block)))
    named = dict(zip(untyped, symbols, strict=True))
    stated = list(stated_formula(block))
    shares = [
        {named[place]: 1.0} if place in named else shares_of_type(kind, stated) for place, kind in enumerate(types)
    ]
    if labels and not stated:
        check_labels([labels[row] for row in rows], shares)
    return shares


def _check_disorder_groups(block: CifBlock, count: int, occupancies: NDArray[np.float64]) -> None:
    """Refuse alternatives that the block does not weight by occupancies.

    Raises:
        Unreadable: If atoms of two disorder groups are listed as fully there.
    """
    groups, assemblies = (
        block.column_beside("_atom_site_fract_x", f"_atom_site_disorder_{name}") or [""] * count
        for name in ("group", "assembly")
    )
    for group, assembly, share in zip(groups, assemblies, occupancies, strict=True):
        if assembly and not group and share >= FULL:
            raise Unreadable(
                "E-STRUCT-DISORDER",
                f"an atom of the disorder assembly {assembly[:20]} has neither group nor occupancy; state them",
            )
    full = {group for group, share in zip(groups, occupancies, strict=True) if group not in ("", "0") and share >= FULL}
    if len(full) > 1 or any(group.startswith("-") for group in full):
        raise Unreadable(
            "E-STRUCT-DISORDER",
            f"disorder groups {', '.join(sorted(full))[:60]} have no occupancies; keep one group, or state occupancies",
        )


def _expanded(
    block: CifBlock, lattice: NDArray[np.float64], sites: _Sites, operations: NDArray[np.float64]
) -> ParsedCell:
    """Apply the symmetry operations to the listed atoms, which gives all atoms of the cell.

    Raises:
        Unreadable: If the cell contradicts what else the block states.
    """
    frac = sites.frac
    near = np.abs((frac % 1.0)[..., None] - _THIRDS) < 1.01e-4  # 0.3333 is meant to be one third
    frac = np.where(near.any(-1), _THIRDS[near.argmax(-1)] + np.floor(frac), frac)
    places: list[Any] = []
    owners: list[int] = []
    shares = [dict(share) for share in sites.shares]
    for site, coordinates in enumerate(frac):
        images = (operations[:, :, :3] @ coordinates + operations[:, :, 3]) % 1.0
        kept = _distinct(images, lattice)
        places.append(kept)
        if sum(shares[site].values()) < FULL and len(kept) < len(images):
            shares[site] = _gathered(shares[site], len(_distinct(images, lattice, apart=_ROUNDED)) / len(kept))
        owners += [site] * len(kept)
        if len(owners) > 8 * MAX_SITES:
            raise Unreadable("E-STRUCT-SIZE", f"more than {8 * MAX_SITES:,} atoms in the cell")
    cell = ParsedCell(lattice, np.concatenate(places), [dict(shares[i]) for i in owners])
    check_agreement(block, cell, [len(kept) for kept in places], sites.rows, len(operations))
    return cell


def _gathered(share: dict[str, float], places: float) -> dict[str, float]:
    """Add up the occupancies of an atom that is split over several places around a special position.

    Raises:
        Unreadable: If together they are more than one atom.
    """
    if places * sum(share.values()) > 1.02:
        raise Unreadable(
            "E-STRUCT-OCCUPANCY", f"an atom fills {places:g} places close together by {sum(share.values()):g} each"
        )
    return {symbol: places * part for symbol, part in share.items()}


def _distinct(
    images: NDArray[np.float64], lattice: NDArray[np.float64], *, apart: float = _SAME_PLACE
) -> NDArray[np.float64]:
    """Keep the first of the images of an atom, shape (n, 3), that are at the same place.

    The operations form a group, so an image that coincides with none is the sign that all are distinct.
    """
    kept: list[NDArray[np.float64]] = []
    while len(images):
        steps = images - images[0]
        steps -= np.rint(steps)
        others = ((steps @ lattice) ** 2).sum(1) > apart**2
        if not kept and others[1:].all():
            return images
        kept.append(images[0])
        images = images[others]
    return np.array(kept)
