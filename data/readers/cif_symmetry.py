"""The symmetry that a CIF block states, in any of the usual ways, and whether its statements agree.

A block may list operations, name a space group by its Hermann-Mauguin or Hall symbol, or give its number. Whatever it
states must agree. A name that stands for several settings leads to several candidates; the reader decides between them
by the atoms.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.space_groups import (
    Setting,
    operations_of,
    settings_of_hall,
    settings_of_number,
    settings_of_symbol,
)
from matloop.data.readers.cif_block import CifBlock
from matloop.data.readers.structure_split import Unreadable
from matloop.data.readers.symmetry_operations import are_equal, fit_cell, number_of, operations_of_words

_OPERATIONS = (
    "_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", "_space_group_symop_magn_operation_xyz",
    "_symmetry_equiv_pos_xyz", "_space_group_symop_as_xyz",
)  # fmt: skip
_CENTRINGS_OF: dict[str, list[list[float]]] = {
    "P": [[0, 0, 0]],
    "A": [[0, 0, 0], [0, 0.5, 0.5]],
    "B": [[0, 0, 0], [0.5, 0, 0.5]],
    "C": [[0, 0, 0], [0.5, 0.5, 0]],
    "I": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "F": [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
}
_CENTRINGS = "_space_group_symop_magn_centering_xyz"
_SYMBOLS = (
    "_space_group_name_h_m_alt", "_symmetry_space_group_name_h_m", "_space_group_name_h_m",
    "_space_group_name_h_m_full", "_symmetry_space_group_name_h_m_alt",
)  # fmt: skip
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBERS = ("_space_group_it_number", "_symmetry_int_tables_number", "_symmetry_space_group_it_number")
_NUMBERED = ("_symmetry_equiv_pos_site_id", "_space_group_symop_id")
_PLAIN_CODES = ("1", "2", "h", "r")
_CODES = ("_space_group_it_coordinate_system_code",)
_MODULATED = ("_space_group_ssg", "_space_group_symop_ssg", "_cell_wave_vector", "_cell_modulation", "_cell_subsystem")
_STATES_SYMMETRY = ("_symmetry", "_space_group", "_spacegroup", "_spgr", "_sg_")
_SPEAKS_OF_SYMMETRY = re.compile(
    "space_?group|symmetry|int_tables|spgr?_|_sg_|crystal_system|crystal_class|cell_setting|h_m_|_hall|point_group"
    "|pearson|bravais|centring|centering|lattice_type|lattice_system"
)
_OF_ATOMS_AND_WORK = (
    "_atom", "_geom", "_refln", "_diffrn", "_exptl", "_audit", "_journal", "_publ", "_computing", "_citation",
)  # fmt: skip
_SYSTEM = ("_symmetry_cell_setting", "_space_group_crystal_system")
_SYSTEMS = (
    (2, "triclinic"), (15, "monoclinic"), (74, "orthorhombic"), (142, "tetragonal"), (194, "trigonal"), (230, "cubic"),
)  # fmt: skip
"""Last group of each crystal system; trigonal and hexagonal groups count as one, since files mix their names."""
_NAMES_OF_SYSTEMS = frozenset(name for _, name in _SYSTEMS)
_CONFIRMING = ("_chemical_formula_sum", "_cell_formula_units_z")  # the atoms made are compared with them
_EXACT = 1e-4  # of the product of two edges: cells are written with four digits or more
_MEND = "list all symmetry operations under _space_group_symop_operation_xyz"


class Candidate(NamedTuple):
    """Operations that a block may mean.

    Attributes:
        name: Name of the setting, for messages.
        operations: Shape (n, 3, 4).
    """

    name: str
    operations: NDArray[np.float64]


def stated_symmetry(block: CifBlock, lattice: NDArray[np.float64]) -> list[Candidate]:
    """List the sets of operations that a block may mean and that its cell allows; a block without symmetry is P1.

    Args:
        block: The block.
        lattice: Row vectors of its cell in Å, shape (3, 3).

    Returns:
        At least one candidate. There are several if a symbol leaves origin or axes open.

    Raises:
        Unreadable: If the symmetry is not understood, statements contradict each other, or none fits the cell.
    """
    modulated = next((tag for tag in block.tags if tag.startswith(_MODULATED) and block.text(tag) != "0"), "")
    if modulated:
        raise _refusal(f"{modulated} states a modulated structure; matloop reads its average structure alone")
    words = _listed_operations(block)
    statement = _statement(block)
    if any(words):
        centrings = tuple(block.column(_CENTRINGS))
        operations = operations_of_words(words, centrings)
        is_known = bool(statement.settings) and _check_operations(words, centrings, statement)
        is_known |= bool(statement.unknown) and _names_centred_cell(block, operations)
        if not statement.settings:
            _check_system(block, operations)
        if statement.unknown and not is_known and not all(block.text(tag) for tag in _CONFIRMING):
            raise _refusal(f"{statement.unknown} is not understood; leave it out if the operations listed are right")
        candidates = [Candidate(f"the {len(operations)} operations listed", operations)]
    elif statement.settings and not statement.unknown:
        settings = _best_fitting(statement.settings, lattice)
        candidates = [Candidate(str(setting), operations_of(setting)) for setting in settings]
    else:
        unknown = statement.unknown or next((tag for tag in block.all_tags if _needs_understanding(block, tag)), "")
        if unknown:
            raise _refusal(f"{unknown} is not understood; {_MEND}")
        candidates = [Candidate("P 1", np.eye(3, 4)[None])]
    fitting = [candidate for candidate in candidates if fit_cell(candidate.operations, lattice)]
    if not fitting:
        raise _refusal(f"{' and '.join(candidate.name for candidate in candidates[:3])} does not fit the cell")
    return fitting


def _best_fitting(settings: tuple[Setting, ...], lattice: NDArray[np.float64]) -> tuple[Setting, ...]:
    """Keep the settings that the cell fits to the last digit, if there are any; the others fit a rounded cell only.

    A monoclinic cell with three right angles fits every unique axis. A symbol that names no axis then means b, which
    is the convention of the International Tables.
    """
    exact = tuple(setting for setting in settings if fit_cell(operations_of(setting), lattice, tolerance=_EXACT))
    along_b = tuple(setting for setting in exact if setting.unique_axis == "b")
    return along_b or exact or settings


class _Statement(NamedTuple):
    """What names and number of a space group say together.

    Attributes:
        settings: Settings that agree with all of them; empty if nothing is understood.
        words: All of them, for messages.
        unknown: The first of them that is not understood, for messages.
    """

    settings: tuple[Setting, ...]
    words: str
    unknown: str


def _statement(block: CifBlock) -> _Statement:
    """Bring names and number of the space group together.

    Raises:
        Unreadable: If two of them contradict each other.
    """
    parts = [(f"space group {symbol[:40]}", settings_of_symbol(symbol)) for symbol in _values(block, _SYMBOLS)]
    parts += [(f"Hall symbol {hall[:40]}", settings_of_hall(hall)) for hall in _values(block, _HALL)]
    for number in _values(block, _NUMBERS):
        known = number.isascii() and number.isdecimal() and len(number) <= 3
        parts.append((f"space group number {number[:20]}", settings_of_number(int(number)) if known else []))
    settings: list[Setting] = []
    for index, (words, others) in enumerate(parts):
        both = [setting for setting in settings if setting in others] if settings and others else settings or others
        if settings and others and not both:
            raise _refusal(f"{parts[index - 1][0]} and {words} contradict each other; leave the wrong one out")
        settings = both
    code = block.text(*_CODES).lower()
    coded = [setting for setting in settings if code and setting.choice.lower() == code]
    if code in _PLAIN_CODES and not coded and settings and all(setting.choice for setting in settings):
        raise _refusal(
            f"{parts[0][0]} and coordinate system code {code} contradict each other; leave the wrong one out"
        )
    _check_stated_system(block, coded or settings)
    unknown = next((words for words, others in parts if not others), "")
    return _Statement(tuple(coded or settings), " and ".join(words for words, _ in parts), unknown)


def _values(block: CifBlock, tags: tuple[str, ...]) -> list[str]:
    """Return the different values under tags that mean the same."""
    return list(dict.fromkeys(filter(None, map(block.text, tags))))


@functools.lru_cache(maxsize=2_000)
def _check_operations(words: tuple[str, ...], centrings: tuple[str, ...], statement: _Statement) -> bool:
    """Refuse operations of another space group than the one stated beside them; whether they are just its own."""
    operations = operations_of_words(words, centrings)
    if any(are_equal(operations, operations_of(setting)) for setting in statement.settings):
        return True
    number = number_of(operations)
    known = [setting for setting in settings_of_number(number) if are_equal(operations, operations_of(setting))]
    if known and number == statement.settings[0].number:
        raise _refusal(
            f"the block states {statement.words}, but the operations listed are those of {known[0]}; correct "
            "one of them, or leave the wrong one out"
        )
    if number not in {setting.number for setting in statement.settings}:
        raise _refusal(
            f"the block states {statement.words}, but the {len(operations)} operations listed are those of space group "
            f"{number or '?'}; correct one of them, or leave the wrong one out"
        )
    return False


def _names_centred_cell(block: CifBlock, operations: NDArray[np.float64]) -> bool:
    """Whether a symbol such as C -1 or F 4/m m m describes listed operations.

    Cells that the tables do not centre have no setting there. Their symbol still tells the centring and the rotations.
    """
    for symbol in _values(block, _SYMBOLS):
        plain = settings_of_symbol(f"P{symbol.strip()[1:]}")
        shifts: list[list[float]] = [
            row[:, 3].round(3).tolist() for row in operations if (row[:, :3] == np.eye(3)).all()
        ]
        if plain and sorted(shifts) == sorted(_CENTRINGS_OF.get(symbol.strip()[:1].upper(), [])):
            return _rotation_types(operations) in map(_rotation_types, map(operations_of, plain))
    return False


def _rotation_types(operations: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Trace and determinant of each distinct rotation, which tell the crystal class."""
    distinct = {row[:, :3].tobytes(): row[:, :3] for row in np.ascontiguousarray(operations + 0.0)}
    return sorted((round(float(np.trace(r))), round(float(np.linalg.det(r)))) for r in distinct.values())


def _listed_operations(block: CifBlock) -> tuple[str, ...]:
    """Return the operations that the block lists; empty if it lists none.

    Raises:
        Unreadable: If it lists different ones under two tags.
    """
    lists = {tag: tuple(block.column(tag)) for tag in _OPERATIONS if any(block.column(tag))}
    centrings = tuple(block.column(_CENTRINGS))
    for tag in lists:
        if block.has_unknown(tag):
            raise _refusal(f"an operation under {tag} is unknown; {_MEND}")
    numbered = next((tag for tag in _NUMBERED if len(block.column(tag)) > 1), "")
    if numbered and not lists:
        raise _refusal(f"{numbered} counts operations that are not listed; {_MEND}")
    (first, words), *others = lists.items() or [("", ())]
    for tag, other in others:
        if other != words and not are_equal(
            operations_of_words(words, centrings), operations_of_words(other, centrings)
        ):
            raise _refusal(f"{first} and {tag} list different operations; leave the wrong ones out")
    return words


def _check_system(block: CifBlock, operations: NDArray[np.float64]) -> None:
    """Refuse operations of another crystal system than the block states, where nothing else names the group."""
    if other := _other_system(block, number_of(operations)):
        raise _refusal(f"the crystal system stated is {other}, but not that of the operations listed; {_MEND}")


def _check_stated_system(block: CifBlock, settings: Sequence[Setting]) -> None:
    """Refuse a space group of another crystal system than the one stated. P 1 is left: it may describe any cell."""
    numbers = {setting.number for setting in settings}
    if len(numbers) == 1 and numbers != {1} and (other := _other_system(block, min(numbers))):
        raise _refusal(f"the crystal system stated is {other}, but space group {min(numbers)} is of another one")


def _other_system(block: CifBlock, number: int) -> str:
    """Return the crystal system that a block states, if that of a group is another one."""
    found = next((name for last, name in _SYSTEMS if number <= last), "")
    for stated in filter(None, (block.text(tag).lower() for tag in _SYSTEM)):
        alike = "trigonal" if stated in ("hexagonal", "rhombohedral") else stated
        if number and alike in _NAMES_OF_SYSTEMS and alike != found:
            return stated
    return ""


def _needs_understanding(block: CifBlock, tag: str) -> bool:
    """Whether a tag speaks of symmetry, other than that there is none."""
    if tag.startswith(_OF_ATOMS_AND_WORK) or tag.endswith("_id"):
        return False
    if tag.startswith(_STATES_SYMMETRY):
        return True
    return bool(_SPEAKS_OF_SYMMETRY.search(tag)) and block.text(tag).replace(" ", "").upper() not in ("", "1", "P1")


def _refusal(detail: str) -> Unreadable:
    return Unreadable("E-STRUCT-SYMMETRY", detail)
