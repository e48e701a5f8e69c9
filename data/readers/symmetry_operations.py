"""Symmetry operations as CIF writes them (``-y, x-y, z+1/3``), and the check that a list of them is a group."""

from __future__ import annotations

import functools
import re

import numpy as np
import spglib
from numpy.typing import NDArray

from matloop.data.readers.structure_split import Unreadable

_MOST_OPERATIONS = 1_000
_TERM = re.compile(r"([+-]?)(?:([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:/([0-9]+))?)?\*?([xyz]?)")
_STEPS = 24  # translations of all settings of the tables are multiples of 1/24
_STEP_TOLERANCE = 2e-3  # of a lattice translation; files write thirds with three digits
_RESOLUTION = 1_000  # equal translations have equal multiples of one thousandth


@functools.lru_cache(maxsize=2_000)
def operations_of_words(words: tuple[str, ...], centrings: tuple[str, ...] = ()) -> NDArray[np.float64]:
    """Read a list of operations, shape (n, 3, 4): a rotation, and a translation in the last column.

    Args:
        words: One operation each.
        centrings: Translations, which magnetic CIFs list separately.

    Raises:
        Unreadable: If a text is not a symmetry operation, there are too many, or together they are no group.

    >>> operations_of_words(("x,y,z", "-x,-y,-z+1/2")).shape
    (2, 3, 4)
    """
    if len(words) * max(len(centrings), 1) > _MOST_OPERATIONS:
        raise Unreadable("E-STRUCT-SYMMETRY", f"{len(words) * max(len(centrings), 1):,} operations")
    operations = [_operation(word) for word in words if word]
    shifts = [np.column_stack([np.zeros((3, 3)), _operation(word)[:, 3]]) for word in centrings if word]
    listed = np.array([operation + shift for shift in shifts or [np.zeros((3, 4))] for operation in operations])
    distinct = _without_repeats(listed)
    if not is_group(distinct):
        raise Unreadable(
            "E-STRUCT-SYMMETRY",
            f"the {len(distinct)} operations listed are no group: one is missing or wrong; state all of them, or the "
            "space group alone",
        )
    distinct.flags.writeable = False
    return distinct


def is_group(operations: NDArray[np.float64]) -> bool:
    """Whether operations, shape (n, 3, 4), include the identity and are closed, translations of the lattice aside."""
    rotations, shifts = operations[:, :, :3], operations[:, :, 3]
    keys = set(_keys(operations))
    if len(keys) != len(operations) or _keys(np.eye(3, 4)[None])[0] not in keys:
        return False
    for rotation, shift in zip(rotations, shifts, strict=True):
        products = np.concatenate([rotation @ rotations, (shifts @ rotation.T + shift)[:, :, None]], axis=2)
        if not keys.issuperset(_keys(products)):
            return False
    return True


def are_equal(some: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether two lists of operations are the same, translations of the lattice aside, in any order."""
    return len(some) == len(others) and set(_keys(some)) == set(_keys(others))


def number_of(operations: NDArray[np.float64]) -> int:
    """Find the number of the space group in the International Tables, or 0 if there is none."""
    kind = spglib.get_spacegroup_type_from_symmetry(
        operations[:, :, :3].astype(np.intc), np.ascontiguousarray(operations[:, :, 3])
    )
    return kind.number if kind is not None else 0


def fit_cell(operations: NDArray[np.float64], lattice: NDArray[np.float64], *, tolerance: float = 0.02) -> bool:
    """Whether the rotations leave the cell unchanged.

    Args:
        operations: Shape (n, 3, 4).
        lattice: Row vectors in Å, shape (3, 3).
        tolerance: Largest change of a scalar product of two edges, as a share of the product of their lengths: twice
            the relative error of a length, or the error of the cosine of an angle.
    """
    metric = lattice @ lattice.T
    rotations = operations[:, :, :3]
    turned = rotations.transpose(0, 2, 1) @ metric @ rotations
    squares = np.maximum(np.diagonal(turned, axis1=1, axis2=2), np.diagonal(metric))
    products = np.sqrt(squares[:, :, None] * squares[:, None, :])
    return bool((np.abs(turned - metric) <= tolerance * products).all())


def _operation(word: str) -> NDArray[np.float64]:
    """Read one operation.

    >>> _operation("-y, x-y, z+1/4").tolist()
    [[0.0, -1.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.25]]
    """
    operation = np.zeros((3, 4))
    parts = re.sub(r"\s", "", word.lower()).split(",")
    if len(parts) not in (3, 4) or len(word) > 200:  # a fourth part is time reversal in magnetic CIFs
        raise Unreadable("E-STRUCT-SYMMETRY", word[:60])
    for row, part in enumerate(parts[:3]):
        at = 0
        while at < len(part):
            match = _TERM.match(part, at)
            if match is None or not (match[2] or match[4]) or (at and not match[1]):
                raise Unreadable("E-STRUCT-SYMMETRY", word[:60])
            value = float(match[2] or 1) / (float(match[3] or 1) or np.nan)
            operation[row, "xyz".index(match[4]) if match[4] else 3] += -value if match[1] == "-" else value
            at = match.end()
    rotation = operation[:, :3]
    if not np.isfinite(operation).all() or (rotation != np.rint(rotation)).any() or abs(np.linalg.det(rotation)) != 1:
        raise Unreadable("E-STRUCT-SYMMETRY", f"'{word[:60]}' is no symmetry operation")
    steps = np.rint(operation[:, 3] * _STEPS) / _STEPS
    near = np.abs(operation[:, 3] - steps) < _STEP_TOLERANCE
    operation[:, 3] = np.where(near, steps, operation[:, 3])
    return operation


def _keys(operations: NDArray[np.float64]) -> list[bytes]:
    """Make a key of each operation that leaves translations of the lattice out."""
    whole = np.rint(operations * [1, 1, 1, _RESOLUTION]).astype(np.int32)
    whole[:, :, 3] %= _RESOLUTION
    return [row.tobytes() for row in whole]


def _without_repeats(operations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave repeats out: magnetic CIFs list an operation with time reversal and without."""
    first = {key: row for row, key in reversed(list(enumerate(_keys(operations))))}
    return operations[sorted(first.values())]
