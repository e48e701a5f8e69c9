"""CIFs of known crystals in any setting, with every statement spelt and placed at random. Every file is right."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import spglib
from pymatgen.core import Lattice

from tests.data.readers.known_crystals import Known, as_cell

_OLD_FIRST = ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M_alt")
_HALL = ("_symmetry_space_group_name_Hall", "_space_group_name_Hall", "_symmetry_space_group_name_hall")
_NUMBER = ("_symmetry_Int_Tables_number", "_space_group_IT_number")
_OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
_NOISE = (
    "_audit_creation_method 'made by hand'", "_publ_author_name 'O''Neil, A.'", "_journal_year 1997",
    "_exptl_crystal_density_diffrn ?", "_publ_section_title\n;\n data_ of a crystal\n_atom_site_fract_x 0.3\n loop_\n;",
    "loop_\n_publ_author_name\n'Müller, B.'\n'Xu, C.'", "_diffrn_ambient_temperature 293(2)",
    "loop_\n_geom_bond_atom_site_label_1\n_geom_bond_atom_site_label_2\n_geom_bond_distance\nA1 A2 2.1(1)",
)  # fmt: skip


def write_cif(known: Known, random: Random) -> str:
    """Write a crystal as a CIF."""
    numbers = [n for n in range(1, 531) if spglib.get_spacegroup_type(n).number == known.number]
    setting = random.choice(numbers)
    data = spglib.get_symmetry_dataset(as_cell(known.structure), symprec=1e-3, hall_number=setting)
    lattice = Lattice(data.std_lattice)
    in_p1 = random.random() < 0.15
    places = [(int(z), place) for z, place in zip(data.std_types, data.std_positions, strict=True)]
    if not in_p1:
        places = _one_of_each_orbit(places, setting, random)
    items = [
        *_cell_items(lattice, random),
        *([] if in_p1 and random.random() < 0.5 else _symmetry(setting, in_p1, random)),
    ]
    counts = {symbol: int(n) for symbol, n in known.structure.composition.get_el_amt_dict().items()}
    divisor = math.gcd(*counts.values())
    parts = [symbol + ("" if n == divisor else str(n // divisor)) for symbol, n in counts.items()]
    random.shuffle(parts)
    with_formula = random.random() < 0.8
    if with_formula:
        items.append(f"_chemical_formula_sum {_quoted(' '.join(parts), random)}")
    if random.random() < 0.5:
        atoms = len(data.std_types)
        items.append(f"_cell_formula_units_Z {atoms // (sum(counts.values()) // divisor)}")
    if random.random() < 0.4:
        items.append(f"_cell_volume {lattice.volume:.2f}")
    items.append(_atoms(places, with_formula, random))
    items += random.sample(_NOISE, random.randint(0, 3))
    random.shuffle(items)
    text = (
        f"{random.choice(['data_', 'DATA_', 'Data_'])}{random.choice(['x', '1234567', known.name.replace(' ', '_')])}\n"
    )
    if random.random() < 0.3:
        text = "data_global\n_publ_contact_author 'nobody'\n" + text
    return _in_disguise(text + "\n".join(items) + "\n", random)


def _one_of_each_orbit(
    places: list[tuple[int, np.ndarray]], setting: int, random: Random
) -> list[tuple[int, np.ndarray]]:
    """One atom of each set of equivalent ones, any of them, in any cell."""
    found = spglib.get_symmetry_from_database(setting)
    left, chosen = list(places), []
    while left:
        z, place = left[random.randrange(len(left))]
        images = place @ np.transpose(found["rotations"], (0, 2, 1)) + found["translations"]
        apart = lambda other: np.abs((images - other + 0.5) % 1 - 0.5).max(1).min()  # noqa: B023, E731
        left = [(y, other) for y, other in left if y != z or apart(other) > 1e-3]
        chosen.append((z, place + [random.choice((0, 0, 0, 1, -1)) for _ in range(3)]))
    random.shuffle(chosen)
    return chosen


def _cell_items(lattice: Lattice, random: Random) -> list[str]:
    lengths = [f"_cell_length_{axis} {_length(value, random)}" for axis, value in zip("abc", lattice.abc, strict=True)]
    names = ("alpha", "beta", "gamma")
    return lengths + [f"_cell_angle_{name} {_angle(v, random)}" for name, v in zip(names, lattice.angles, strict=True)]


def _length(value: float, random: Random) -> str:
    return random.choice([f"{value:.5f}", f"{value:.6f}", f"{value:.5f}(3)", f"+{value:.5f}", f"{value:.7e}"])


def _angle(value: float, random: Random) -> str:
    if abs(value - round(value)) < 1e-6:
        return random.choice([str(round(value)), f"{value:.1f}", f"{value:.3f}", f"{round(value)}."])
    return random.choice([f"{value:.4f}", f"{value:.5f}(2)"])


def _symmetry(setting: int, in_p1: bool, random: Random) -> list[str]:
    """Statements that name the setting without doubt, or leave open only what a reader can decide by the atoms."""
    kind = spglib.get_spacegroup_type(1 if in_p1 else setting)
    symbol, hall, choice = kind.international_full.replace("_", ""), kind.hall_symbol, kind.choice
    said = {
        "symbol": f"{random.choice(_OLD_FIRST)} {_quoted(_spelling(symbol, choice, random), random)}",
        "hall": f"{random.choice(_HALL)} {_quoted(hall, random)}",
        "number": f"{random.choice(_NUMBER)} {kind.number}",
        "operations": _operation_loop(kind.hall_number, random),
    }
    standard = choice in ("", "1", "2", "H", "b", "b1")
    chosen = set(random.choice([
        ("operations",), ("operations", "symbol"), ("operations", "symbol", "number"), ("operations", "number"),
        ("hall",), ("hall", "number"), ("hall", "symbol"), ("symbol",), ("symbol", "number"),
        ("operations", "hall", "symbol", "number"), ("number",) if standard else ("hall",),
    ]))  # fmt: skip
    return [said[name] for name in said if name in chosen]


def _spelling(symbol: str, choice: str, random: Random) -> str:
    suffix = f"{random.choice([':', ' :'])}{choice}" if choice in ("1", "2", "H", "R") and random.random() < 0.6 else ""
    spelt = random.choice([symbol, symbol.replace(" ", ""), symbol.replace(" ", "  "), symbol.lower().capitalize()])
    return spelt + suffix


def _operation_loop(setting: int, random: Random) -> str:
    found = spglib.get_symmetry_from_database(setting)
    order = list(range(len(found["rotations"])))
    random.shuffle(order)
    numbered, style = random.random() < 0.4, random.randrange(4)
    words = [_operation(found["rotations"][n], found["translations"][n], style) for n in order]
    tag = random.choice(_OPERATIONS)
    if numbered:
        ids = {"_symmetry_equiv_pos_as_xyz": "_symmetry_equiv_pos_site_id"}.get(tag, "_space_group_symop_id")
        return "\n".join(["loop_", ids, tag, *(f"{n} '{word}'" for n, word in enumerate(words, 1))])
    quote = random.choice("'\"") if style % 2 else ""
    return "\n".join(["loop_", tag, *(f"{quote}{word}{quote}" for word in words)])


def _operation(rotation: np.ndarray, translation: np.ndarray, style: int) -> str:
    parts = []
    for row, shift in zip(rotation, translation, strict=True):
        terms = [("-" if n < 0 else "+") + "xyz"[axis] for axis, n in enumerate(row) if n]
        twelfths = round(float(shift) * 12) % 12
        divisor = math.gcd(twelfths, 12)
        fraction = f"{twelfths // divisor}/{12 // divisor}" if twelfths else ""
        if style in (0, 1):
            word = "".join(terms).removeprefix("+") + (f"+{fraction}" if fraction else "")
        else:
            word = fraction + ("".join(terms) if fraction else "".join(terms).removeprefix("+"))
        parts.append(word.upper() if style == 3 else word)
    return (", " if style % 2 else ",").join(parts)


def _quoted(text: str, random: Random) -> str:
    if " " not in text and random.random() < 0.3 and text[0] not in "-_#$[;":
        return text
    quote = "'" if '"' in text else random.choice("'\"") if "'" not in text else '"'
    return f"\n;{text}\n;" if '"' in text and "'" in text else f"{quote}{text}{quote}"


def _atoms(places: list[tuple[int, np.ndarray]], with_formula: bool, random: Random) -> str:
    """The loop of atoms, with its columns in any order."""
    symbols = [_symbol(z) for z, _ in places]
    labels = [f"{symbol}{n}" for n, symbol in enumerate(symbols, 1)]
    digits = random.choice([5, 6, 8])
    columns = {"_atom_site_label": labels}
    if not with_formula or random.random() < 0.6:
        charged = random.random() < 0.2
        columns["_atom_site_type_symbol"] = [f"{symbol}{'0+' if charged else ''}" for symbol in symbols]
    for axis, letter in enumerate("xyz"):
        columns[f"_atom_site_fract_{letter}"] = [_coordinate(place[axis], digits, random) for _, place in places]
    if random.random() < 0.4:
        columns["_atom_site_occupancy"] = [random.choice(["1", "1.0", "1.00", "."]) for _ in places]
    if random.random() < 0.4:
        columns["_atom_site_U_iso_or_equiv"] = ["0.012(3)" for _ in places]
    if random.random() < 0.2:
        columns["_atom_site_calc_flag"] = ["d" for _ in places]
    names = list(columns)
    random.shuffle(names)
    rows = [random.choice([" ", "  ", "\t"]).join(columns[name][row] for name in names) for row in range(len(places))]
    if random.random() < 0.1:
        rows = [" ".join(rows)]
    return "\n".join(["loop_", *names, *rows])


def _symbol(z: int) -> str:
    from matloop.data.elements import SYMBOLS

    return SYMBOLS[z]


def _coordinate(value: float, digits: int, random: Random) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == round(float(text), 2) and random.random() < 0.5:
        text = text.rstrip("0") or "0"
        text = text + "0" if text.endswith(".") and random.random() < 0.5 else text
    if random.random() < 0.1:
        text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) and len(text) > 3 else text
    return f"{text}({random.randint(1, 9)})" if random.random() < 0.15 and "." in text[:-1] else text


def _in_disguise(text: str, random: Random) -> str:
    """Change the case of tags, indentation, comments, blank lines and line ends; text fields stay as they are."""
    tag_case = random.choice([str, str, str.lower, str.upper])
    lines, in_field = [], False
    indent = random.choice(["", "", "  ", "\t"])
    for line in text.split("\n"):
        if line.startswith(";"):
            in_field = not in_field
            lines.append(line)
            continue
        if in_field:
            lines.append(line)
            continue
        tag, blank, rest = line.partition(" ")
        line = tag_case(tag) + blank * random.choice([1, 1, 3]) + rest if tag.startswith("_") else line
        if random.random() < 0.05:
            lines.append(random.choice(["", "   ", "# a remark", "#data_no _cell_length_a 9"]))
        is_header = line[:5].lower() in ("data_", "loop_")
        lines.append(line if is_header else indent + line)
        if line and random.random() < 0.03 and not line.startswith("'"):
            lines[-1] += " # seen"
    return random.choice(["\n", "\n", "\r\n", "\r"]).join(lines)
