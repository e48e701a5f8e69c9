"""POSCAR and extended XYZ files of known crystals, in other cells and spellings; some of them do not say enough."""

from __future__ import annotations

from random import Random

import numpy as np
from pymatgen.core import Structure

from tests.data.readers.known_crystals import Known

_ENDS = ("\n", "\n", "\r\n", "\r")


def _in_another_cell(known: Known, random: Random) -> Structure:
    """The crystal with other axes, another origin and order of atoms, perhaps in a larger or smaller cell."""
    structure = known.structure.copy()
    if random.random() < 0.3:
        structure = structure.get_primitive_structure()
    if random.random() < 0.15 and len(structure) <= 16:
        structure.make_supercell(random.choice([(2, 1, 1), (1, 1, 2)]))
    change = np.eye(3, dtype=int)
    for _ in range(random.randint(0, 2)):
        one, other = random.sample(range(3), 2)
        change[one] += random.choice((-1, 1)) * change[other]
    lattice = change @ structure.lattice.matrix
    places = structure.cart_coords @ np.linalg.inv(lattice) + [random.random() for _ in range(3)]
    order = list(range(len(structure)))
    random.shuffle(order)
    symbols = [structure[n].specie.symbol for n in order]
    return Structure(lattice, symbols, places[order] % 1.0)


def write_poscar(known: Known, random: Random) -> tuple[str, bool]:
    """Write a POSCAR, and say whether it leaves out or contradicts what a reader must know."""
    structure = _in_another_cell(known, random)
    if random.random() < 0.7:
        structure = structure.get_sorted_structure()
    runs: list[tuple[str, int]] = []
    for site in structure:
        symbol = site.specie.symbol
        runs = [*runs[:-1], (symbol, runs[-1][1] + 1)] if runs and runs[-1][0] == symbol else [*runs, (symbol, 1)]
    said = random.choice(["symbols"] * 12 + ["no symbols", "more counts", "fewer counts", "more atoms", "fewer atoms"])
    scale, factors = _scale(structure.volume, random)
    title = random.choice([known.name, "", "[NaCl] of the mine", "{'a': 1}", "1.0", "data_x", "# comment", "Cs Cl"])
    rows = structure.lattice.matrix / factors
    lines = [title, scale + _comment(random, blank=True), *(_numbers(row, random) + _comment(random) for row in rows)]
    endings = ["", "_pv", "_sv_GW", "_h", "/3a7c12d4f", "_pv/9be01177a", "/"]
    symbols = [symbol + random.choice(endings[: random.choice([1, 1, 7])]) for symbol, _ in runs]
    counts = [str(count) for _, count in runs]
    counts = {"more counts": [*counts, "3"], "fewer counts": counts[:-1]}.get(said, counts)
    if said != "no symbols":
        lines.append("  ".join(symbols) + _comment(random))
    lines.append("  ".join(counts) + _comment(random))
    is_selective = random.random() < 0.3
    lines += [random.choice(["Selective dynamics", "S", "selective"])] if is_selective else []
    is_direct = random.random() < 0.6
    mode = ["Direct", "direct", "D", "Direct ! fractional"] if is_direct else ["Cartesian", "cart", "K", "C # angstrom"]
    lines.append(random.choice(mode))
    places = structure.frac_coords if is_direct else structure.cart_coords / factors
    flags = " T F T" if is_selective else ""
    with_label = random.random() < 0.2
    labels = [f" {site.specie.symbol}" if with_label else "" for site in structure]
    atoms = [_numbers(place, random) + flags + label for place, label in zip(places, labels, strict=True)]
    lines += {"more atoms": [*atoms, "0.1 0.2 0.3"], "fewer atoms": atoms[:-1]}.get(said, atoms)
    if said == "symbols" and random.random() < 0.2:
        lines += ["", *["0.0 0.0 0.0"] * len(atoms)]
    indent = random.choice(["", "  ", "\t"])
    return random.choice(_ENDS).join([lines[0], *(indent + line for line in lines[1:]), ""]), said != "symbols"


def _scale(volume: float, random: Random) -> tuple[str, np.ndarray]:
    kind = random.randrange(5)
    if kind == 0:
        return f"{-volume:.9f}", np.ones(3)
    if kind == 1:
        factors = [random.choice([0.5, 1.0, 2.0, 5.43]) for _ in range(3)]
        return " ".join(map(str, factors)), np.array(factors)
    factor = random.choice([1.0, 1.0, 0.529177, 4.1])
    return random.choice([f"{factor}", f"{factor:.6E}", f"{factor:.6f}".replace(".", ".") + "d0"]), np.full(3, factor)


def _comment(random: Random, *, blank: bool = False) -> str:
    if random.random() > 0.2:
        return ""
    return random.choice([" ! a remark", " # 1 2 3", "  !x", *([" scaling factor"] if blank else [])])


def _numbers(values: np.ndarray, random: Random) -> str:
    style = random.randrange(3)
    words = [f"{value:.9f}" if style else f"{value:.12E}" for value in values]
    return ("   " if style == 1 else " ").join(
        word.replace("E", "D") if random.random() < 0.1 else word for word in words
    )


def write_extended_xyz(known: Known, random: Random) -> tuple[str, list[bool]]:
    """Write one to four images, and say of each whether it leaves out or contradicts what a reader must know."""
    images, unclear = [], []
    for _ in range(random.randint(1, 4)):
        said = random.choice(["all"] * 14 + ["types", "no cell", "two cells", "column too many"])
        images.append(_image(_in_another_cell(known, random), said, random))
        unclear.append(said != "all")
    blanks = random.choice(["", "", "\n", "\n\n", " \n"])
    return blanks.join(images).replace("\n", random.choice(_ENDS)), unclear


def _image(structure: Structure, said: str, random: Random) -> str:
    lattice = " ".join(f"{value:.10f}" for value in structure.lattice.matrix.ravel())
    quote = random.choice(['"{}"', '"{}"', "'{}'", "{{{}}}"])
    name = random.choice(["Lattice", "Lattice", "Lattice", "lattice", "LATTICE"])
    by_number = said != "types" and random.random() < 0.2
    columns = {"species:S:1": [site.specie.symbol for site in structure]}
    if by_number:
        columns = {"Z:I:1": [str(site.specie.Z) for site in structure]}
    if said == "types":
        kinds = sorted({site.specie.symbol for site in structure})
        columns = {"species:S:1": [str(kinds.index(site.specie.symbol) + 1) for site in structure]}
    columns["pos:R:3"] = [" ".join(f"{value:.9f}" for value in place) for place in structure.cart_coords]
    if random.random() < 0.4:
        columns["forces:R:3"] = ["0.1 -0.2 0.3"] * len(structure)
    if random.random() < 0.3:
        columns["tags:I:1"] = ["1"] * len(structure)
    names = list(columns)
    random.shuffle(names)
    members = [f"{name}={quote.format(lattice)}", f"Properties={':'.join(names)}"]
    if said == "no cell":
        members.pop(0)
    if said == "two cells":
        members.append(f'{name}="9 0 0 0 9 0 0 0 9"')
    members += random.sample(
        [
            'pbc="T T T"', "energy=-3.5", 'title="Lattice=fcc pbc=F"', "config_type=bulk", "weights={1 2 3}",
            r'info="_JSON {\"Lattice\": \"1 0 0\", \"a\": 1}"', *(["lattice=fcc"] if name == "Lattice" else []),
        ],
        random.randint(0, 4),
    )  # fmt: skip
    random.shuffle(members)
    extra = " 7" if said == "column too many" else ""
    rows = [
        random.choice(["", "  "]) + " ".join(columns[n][row] for n in names) + extra for row in range(len(structure))
    ]
    return "\n".join([f"{len(rows)}", " ".join(members), *rows, ""])
