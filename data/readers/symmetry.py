"""Read symmetry operations as CIF writes them: ``-y, x-y, z+1/3``, or the symbol of a space group."""

from __future__ import annotations

import functools
import re
import warnings

import numpy as np
from numpy.typing import NDArray

from matloop.data.readers.structure_split import Unreadable

_MOST_OPERATIONS = 1_000
_TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?)?\*?([xyz]?)")


def operations_of_words(words: list[str], centrings: list[str]) -> NDArray[np.float64]:
    """Read operations, shape (n, 3, 4): a rotation, and a translation in the last column.

    Args:
        words: One operation each.
        centrings: Translations, which magnetic CIFs list separately.

    Raises:
        Unreadable: If a text is not a symmetry operation, or there are too many.
    """
    if len(words) * max(len(centrings), 1) > _MOST_OPERATIONS:
        raise Unreadable("E-STRUCT-SYMMETRY", f"{len(words) * max(len(centrings), 1):,} operations")
    operations = [_operation(word) for word in words if word]
    shifts = [np.column_stack([np.zeros((3, 3)), _operation(word)[:, 3]]) for word in centrings if word]
    return np.array([operation + shift for shift in shifts or [np.zeros((3, 4))] for operation in operations])


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
    if not np.isfinite(operation).all() or abs(abs(np.linalg.det(operation[:, :3])) - 1) > 1e-6:
        raise Unreadable("E-STRUCT-SYMMETRY", word[:60])
    return operation


def operations_of_symbol(name: str, other: str) -> NDArray[np.float64]:
    """Operations of a space group in the setting that its symbol names, shape (n, 3, 4). No symbol means no symmetry.

    Args:
        name: Hermann-Mauguin symbol.
        other: Number or Hall symbol. On its own it is sufficient only if it says that there is no symmetry.

    Raises:
        Unreadable: If the symbol is unknown or missing.

    >>> len(operations_of_symbol("P 21/c", "14"))
    4
    """
    plain = _plain(name)
    if plain.upper() == "P1" or (not plain and _plain(other).upper() in ("", "1", "P1")):
        return np.eye(3, 4)[None]
    if plain not in _known_symbols():
        raise Unreadable("E-STRUCT-SYMMETRY", f"space group {(name or other)[:60]} without operations")
    from pymatgen.symmetry.groups import SpaceGroup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about the long form of the symbol
        group = SpaceGroup(_known_symbols()[plain])
    matrices = [operation.affine_matrix[:3] for operation in group.symmetry_ops]
    # pymatgen returns a set, and the structure must not depend on its order.
    return np.array(sorted(matrices, key=lambda matrix: matrix.round(6).tolist()))


def fit_cell(operations: NDArray[np.float64], lattice: NDArray[np.float64]) -> bool:
    """Whether the rotations leave the cell unchanged, to two percent of its longest squared edge."""
    metric = lattice @ lattice.T
    rotations = operations[:, :, :3]
    turned = rotations.transpose(0, 2, 1) @ metric @ rotations
    return bool(np.abs(turned - metric).max() <= 0.02 * metric.max())


def _plain(symbol: str) -> str:
    return re.sub(r"[\s_]", "", symbol)


@functools.cache
def _known_symbols() -> dict[str, str]:
    """Known symbols by their spelling without blanks and underscores."""
    from pymatgen.symmetry.groups import SpaceGroup

    symbols = [*SpaceGroup.full_sg_mapping, *SpaceGroup.abbrev_sg_mapping, *sorted(SpaceGroup.SG_SYMBOLS)]
    return {_plain(symbol): symbol for symbol in symbols}
