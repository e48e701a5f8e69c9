"""A crystal as CIF (Hall, Allen, Brown, Acta Cryst. A47, 655, 1991): symmetrised, in its conventional cell."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.symmetry import SymmetricCell
from matloop.data.elements import SYMBOLS
from matloop.data.plain_text import one_line

_LONGEST_VALUE = 1_000  # characters; a line of a CIF may have 2048


def crystal_file(cell: SymmetricCell, *, name: str, facts: Mapping[str, str | float]) -> str:
    r"""Write a crystal as CIF.

    Args:
        cell: The crystal.
        name: Its reduced formula.
        facts: What else is known of it, by the name of a data item without the leading ``_matloop_``. What is unknown
            (nan or an empty text) is left out.

    >>> from matloop.data.candidates.symmetry import conventional_cell
    >>> cell = conventional_cell(np.eye(3) * 3.18, np.zeros((1, 3)), np.array([84], np.uint8))
    >>> print(crystal_file(cell, name="Po", facts={"candidate_id": "x1"}).partition("loop_\n")[0])
    #\#CIF_1.1
    # Po, space group P m -3 m (221), symmetrised within 0.003 angstrom; nothing moved by more than 0.0000
    data_Po
    _matloop_candidate_id 'x1'
    _chemical_formula_sum 'Po1'
    _cell_formula_units_Z 1
    _space_group_name_H-M_alt 'P m -3 m'
    _space_group_name_Hall '-P 4 2 3'
    _space_group_IT_number 221
    _cell_length_a 3.180000
    _cell_length_b 3.180000
    _cell_length_c 3.180000
    _cell_angle_alpha 90.000000
    _cell_angle_beta 90.000000
    _cell_angle_gamma 90.000000
    _cell_volume 32.157432
    <BLANKLINE>
    """
    symmetrised = "no symmetry found"
    if cell.tolerance is not None:
        moved = f"nothing moved by more than {cell.moved:.4f}"
        symmetrised = f"symmetrised within {cell.tolerance:g} angstrom; {moved}"
    lines = [
        r"#\#CIF_1.1",
        f"# {_ascii(name)}, space group {cell.symbol} ({cell.number}), {symmetrised}",
        f"data_{re.sub('[^A-Za-z0-9._-]+', '-', name)[:70] or 'crystal'}",
        *(f"_matloop_{item} {_value(value)}" for item, value in facts.items() if _is_known(value)),
        *_contents(cell),
        f"_space_group_name_H-M_alt {_value(cell.symbol)}",
        f"_space_group_name_Hall {_value(cell.hall_symbol)}",
        f"_space_group_IT_number {cell.number}",
        *_edges_and_angles(cell.lattice),
        "loop_", "_space_group_symop_id", "_space_group_symop_operation_xyz",
        *(f"{place} '{operation}'" for place, operation in enumerate(cell.operations(), start=1)),
        "loop_", "_atom_site_label", "_atom_site_type_symbol", "_atom_site_symmetry_multiplicity",
        "_atom_site_Wyckoff_symbol",
        "_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z", "_atom_site_occupancy",
        *_atoms(cell),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _contents(cell: SymmetricCell) -> list[str]:
    """Atoms of the cell, and how many formula units they make."""
    counts: dict[str, int] = {}
    for species, count in zip(cell.species, cell.multiplicities, strict=True):
        counts[SYMBOLS[species]] = counts.get(SYMBOLS[species], 0) + int(count)
    units = math.gcd(*counts.values())
    formula = " ".join(f"{symbol}{counts[symbol] // units}" for symbol in sorted(counts))
    return [f"_chemical_formula_sum '{formula}'", f"_cell_formula_units_Z {units}"]


def _edges_and_angles(lattice: NDArray[np.float64]) -> list[str]:
    edges = np.linalg.norm(lattice, axis=1)
    cosines = [lattice[i] @ lattice[j] / (edges[i] * edges[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return [
        *(f"_cell_length_{axis} {edge:.6f}" for axis, edge in zip("abc", edges, strict=True)),
        *(f"_cell_angle_{axis} {angle:.6f}" for axis, angle in zip(("alpha", "beta", "gamma"), angles, strict=True)),
        f"_cell_volume {abs(np.linalg.det(lattice)):.6f}",
    ]


def _atoms(cell: SymmetricCell) -> list[str]:
    """One line for each atom of the asymmetric unit; atoms of an element are numbered."""
    lines, used = [], dict[str, int]()
    sites = zip(cell.species, cell.multiplicities, cell.wyckoff, cell.frac_coords, strict=True)
    for species, count, letter, place in sites:
        symbol = SYMBOLS[species]
        used[symbol] = used.get(symbol, 0) + 1
        x, y, z = (f"{coordinate + 0.0:.8f}" for coordinate in np.round(place, 8) % 1.0)
        lines.append(f"{symbol}{used[symbol]} {symbol} {count} {letter or '.'} {x} {y} {z} 1")
    return lines


def _is_known(value: str | float) -> bool:
    return bool(value) if isinstance(value, str) else math.isfinite(value)


def _value(value: str | float) -> str:
    """A number as it is, or a text in quotes that does not end early.

    >>> print(_value(-0.05776123), _value("Ti4+ to Zr4+"), _value("the lab' s"))
    -0.0577612 'Ti4+ to Zr4+' "the lab' s"
    """
    if not isinstance(value, str):
        return f"{value:.6g}"
    text = _ascii(value)[:_LONGEST_VALUE]
    return '"' + text.replace('"', "'") + '"' if "'" in text else f"'{text}'"


def _ascii(text: str) -> str:
    return one_line(text).encode("ascii", "replace").decode("ascii")
