"""A crystal as spheres, sticks and cell edges: for the viewer of the run report and as a still drawing."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals
from matloop.data.elements import SYMBOLS

MOST_SITES = 200  # of a cell that is drawn
_ON_FACE = 0.02  # fractional distance from a cell face below which an atom is repeated on the opposite face
_BOND_STRETCH = 1.15  # of the sum of covalent radii
_NONMETALS = [SYMBOLS.index(symbol) for symbol in "H C N O F P S Cl As Se Br Te I".split()]
_TURN, _TILT = np.radians(-24.0), np.radians(11.0)
_WIDTH, _HEIGHT, _MARGIN = 360.0, 300.0, 16.0  # of the still drawing


class Scene(NamedTuple):
    """A crystal's cell content, turned so that c points up and a towards the right of the viewer.

    Attributes:
        elements: Symbol of each atom, repeats on opposite cell faces included.
        positions: In Å, the viewer looks along -z, shape (atoms, 3).
        bonds: Pairs of atoms, shape (bonds, 2).
        edges: Ends of the twelve cell edges, shape (12, 2, 3); the first three are a, b and c.
    """

    elements: list[str]
    positions: NDArray[np.float64]
    bonds: NDArray[np.int64]
    edges: NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """What the viewer in the page is handed."""
        kinds = sorted(set(self.elements))
        return {
            "kinds": [[kind, colour_of(kind), round(radius_of(kind), 2)] for kind in kinds],
            "atoms": [
                [kinds.index(e), *np.round(p, 3).tolist()] for e, p in zip(self.elements, self.positions, strict=True)
            ],
            "bonds": self.bonds.tolist(),
            "edges": np.round(self.edges, 3).reshape(12, 6).tolist(),
        }


def crystal_scene(crystals: Crystals, row: int) -> Scene | None:
    """One crystal ready to draw; None if its cell has too many sites to be read in a drawing."""
    sites = slice(int(crystals.offsets[row]), int(crystals.offsets[row + 1]))
    species, frac = crystals.species[sites], crystals.frac_coords[sites]
    if not 0 < len(species) <= MOST_SITES:
        return None
    frac = frac - np.floor(frac + 1e-6)
    numbers, repeated = _with_faces(species, frac)
    lattice = crystals.lattice[row]
    view = _view(lattice)
    centre = lattice.sum(axis=0) / 2
    positions = (repeated @ lattice - centre) @ view.T
    bonds = _bonds(numbers, positions)
    return Scene([SYMBOLS[number] for number in numbers], positions, bonds, _edges(lattice, centre) @ view.T)


def _with_faces(species: NDArray[np.uint8], frac: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Atoms of the cell and their images on opposite faces, edges and corners."""
    shifts = np.array(list(itertools.product((0, 1), repeat=3)), float)
    images = frac[:, None, :] + shifts
    shown = (images <= 1 + _ON_FACE).all(axis=2) | (shifts == 0).all(axis=1)
    return np.repeat(species.astype(np.int64), shown.sum(axis=1)), images[shown]


def _view(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows: the viewer's right, up and backward directions."""
    up = lattice[2] / np.linalg.norm(lattice[2])
    right = lattice[0] - (lattice[0] @ up) * up
    right /= np.linalg.norm(right)
    frame = np.array([right, up, np.cross(right, up)])
    cos, sin = np.cos(_TURN), np.sin(_TURN)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    cos, sin = np.cos(_TILT), np.sin(_TILT)
    tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return tilt @ turn @ frame


def _edges(lattice: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = []
    for u, v in itertools.product((0, 1), repeat=2):
        for axis in range(3):
            start = u * lattice[(axis + 1) % 3] + v * lattice[(axis + 2) % 3]
            edges.append([start - centre, start + lattice[axis] - centre])
    return np.array(edges)


def _bonds(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs of atoms that touch. Beside nonmetals, metals are not joined: that would hide how they are coordinated."""
    from ase.data import covalent_radii

    radii = covalent_radii[numbers]
    nonmetal = np.isin(numbers, _NONMETALS)
    distance = np.linalg.norm(positions[:, None] - positions, axis=2)
    joined = distance < _BOND_STRETCH * (radii[:, None] + radii)
    if nonmetal.any():
        joined &= nonmetal[:, None] | nonmetal
    return np.argwhere(np.triu(joined, 1))


def colour_of(symbol: str) -> str:
    """Colour of an element after Jmol, ``#rrggbb``."""
    from ase.data.colors import jmol_colors

    number = min(SYMBOLS.index(symbol), len(jmol_colors) - 1)
    return "#" + "".join(f"{round(255 * part):02x}" for part in jmol_colors[number])


def radius_of(symbol: str) -> float:
    """Radius in Å an atom is drawn with: part of the covalent radius, so that bonds stay visible."""
    from ase.data import covalent_radii

    return 0.12 + 0.24 * float(covalent_radii[SYMBOLS.index(symbol)])


class Stroke(NamedTuple):
    """A line of the still drawing."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str
    width: float


class Ball(NamedTuple):
    """A circle of the still drawing."""

    x: float
    y: float
    radius: float
    kind: str


def still_drawing(scene: Scene) -> list[Stroke | Ball]:
    """The scene seen from the front, far things first, in a field of 360 by 300."""
    corners = scene.edges.reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    low, high = np.minimum(low, scene.positions.min(axis=0)), np.maximum(high, scene.positions.max(axis=0))
    scale = float(min((_WIDTH - 2 * _MARGIN) / (high - low)[0], (_HEIGHT - 2 * _MARGIN) / (high - low)[1]))
    middle = (low + high) / 2

    def place(point: NDArray[np.float64]) -> tuple[float, float]:
        x, y = (point - middle)[:2] * scale
        return round(_WIDTH / 2 + float(x), 1), round(_HEIGHT / 2 - float(y), 1)

    things: list[tuple[float, Stroke | Ball]] = []
    for start, stop in scene.edges:
        # In pieces, so that an edge may pass behind one atom and before another.
        for piece in range(6):
            ends = start + (stop - start) * piece / 6, start + (stop - start) * (piece + 1) / 6
            things.append(((ends[0] + ends[1])[2] / 2, Stroke(*place(ends[0]), *place(ends[1]), "#7b8794", 1.0)))
    for one, other in scene.bonds.tolist():
        half = (scene.positions[one] + scene.positions[other]) / 2
        for atom in (one, other):
            position = scene.positions[atom]
            stroke = Stroke(*place(position), *place(half), colour_of(scene.elements[atom]), max(0.14 * scale, 1.5))
            things.append(((position + half)[2] / 2, stroke))
    for symbol, position in zip(scene.elements, scene.positions, strict=True):
        things.append((position[2], Ball(*place(position), round(radius_of(symbol) * scale, 1), symbol)))
    return [thing for _, thing in sorted(things, key=lambda pair: pair[0])]
