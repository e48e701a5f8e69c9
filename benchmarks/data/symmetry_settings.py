"""Crystals in all 564 settings of the space groups that gemmi tables, with their symmetry stated in every usual way.

gemmi writes the files and says which atoms the cell holds. A reader answers right, refuses, or is wrong. pymatgen's
``CifParser``, what most scripts use, reads the same files.

``python benchmarks/data/symmetry_settings.py``
"""

from __future__ import annotations

import argparse
import collections
import functools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gemmi
import numpy as np
import spglib
from numpy.typing import NDArray

from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.readers.cif import read_cif
from matloop.data.readers.structure_split import Unreadable

SITES = (("Na", None), ("Cl", (0.0, 0.0, 0.0)))
VOLUME_PER_ATOM = 22.0  # Å³, about that of rock salt
TOLERANCE = 0.02  # Å

Answer = tuple[NDArray[np.int64], NDArray[np.float64]]


class Example(NamedTuple):
    """A crystal in one setting.

    Attributes:
        setting: The setting, of gemmi's table.
        lattice: Row vectors in Å.
        places: Fractional coordinates of the listed atoms, shape (2, 3).
        species: Atomic numbers of all atoms of the cell.
        frac_coords: Their fractional coordinates.
    """

    setting: gemmi.SpaceGroup
    lattice: NDArray[np.float64]
    places: NDArray[np.float64]
    species: NDArray[np.int64]
    frac_coords: NDArray[np.float64]


def operations_of(setting: gemmi.SpaceGroup) -> NDArray[np.float64]:
    """Operations that gemmi has for a setting, shape (n, 3, 4)."""
    return np.array([np.column_stack([op.rot, op.tran]) for op in setting.operations()], float) / 24


def is_tabled(setting: gemmi.SpaceGroup) -> bool:
    """Whether a setting is one of the 530 of spglib; the others are large cells and origins of one program alone."""
    return key_of(operations_of(setting)) in tabled_keys()


@functools.cache
def tabled_keys() -> frozenset[bytes]:
    entries = [spglib.get_symmetry_from_database(number) for number in range(1, 531)]
    return frozenset(
        key_of(np.concatenate([entry["rotations"], entry["translations"][:, :, None]], axis=2)) for entry in entries
    )


def key_of(operations: NDArray[np.float64]) -> bytes:
    """Bytes that are equal for equal sets of operations."""
    rows = np.concatenate([operations[:, :, :3].reshape(-1, 9), np.rint(operations[:, :, 3] * 24) % 24], axis=1)
    whole = np.rint(rows).astype(np.int8)
    return bytes(whole[np.lexsort(whole.T)].tobytes())


def make_example(setting: gemmi.SpaceGroup, seed: int) -> Example:
    """A cell that the setting leaves unchanged, with one atom at a general position and one at the origin."""
    random = np.random.default_rng(seed)
    operations = operations_of(setting)
    rotations = operations[:, :, :3]
    edges = np.diag(random.uniform(0.8, 1.25, 3)) + random.uniform(-0.12, 0.12, (3, 3))
    metric = (rotations.transpose(0, 2, 1) @ (edges @ edges.T) @ rotations).mean(0)
    lattice = np.linalg.cholesky(metric)
    places = np.array([best_place(operations, lattice, random), SITES[1][1]])
    images = [unique((operations[:, :, :3] @ place + operations[:, :, 3]) % 1, lattice) for place in places]
    counts = [len(image) for image in images]
    lattice *= np.cbrt(VOLUME_PER_ATOM * sum(counts) / np.linalg.det(lattice))
    numbers = [ATOMIC_NUMBERS[symbol] for symbol, _ in SITES]
    return Example(setting, lattice, places, np.repeat(numbers, counts), np.concatenate(images))


def best_place(
    operations: NDArray[np.float64], lattice: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """The place of 200 random ones whose images are farthest from each other and from those of the origin."""
    best, widest = np.zeros(3), -1.0
    for place in random.uniform(0.03, 0.97, (200, 3)).round(4):
        images = np.concatenate([operations[:, :, :3] @ place + operations[:, :, 3], operations[:, :, 3]])
        apart = images[1:] - place
        apart -= np.rint(apart)
        width = ((apart @ lattice) ** 2).sum(1).min()
        if width > widest:
            best, widest = place, width
    return best


def unique(images: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """The different ones of some places."""
    kept: list[NDArray[np.float64]] = []
    for image in images:
        apart = np.array([image - other for other in kept]).reshape(-1, 3)
        apart -= np.rint(apart)
        if not ((apart @ lattice) ** 2).sum(1).min(initial=1) < 1e-6:
            kept.append(image)
    return np.array(kept)


def cif_of(example: Example, symmetry: str, *, amounts: bool) -> str:
    """The file of an example.

    Args:
        example: The crystal.
        symmetry: Lines that state the symmetry.
        amounts: Whether the file states formula and Z.
    """
    lattice = example.lattice
    lengths = np.linalg.norm(lattice, axis=1)
    angles = [
        np.degrees(np.arccos(lattice[i] @ lattice[j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    lines = [f"data_x\n{symmetry}"]
    lines += [f"_cell_length_{axis} {length:.5f}" for axis, length in zip("abc", lengths, strict=True)]
    lines += [f"_cell_angle_{name} {angle:.4f}" for name, angle in zip(("alpha", "beta", "gamma"), angles, strict=True)]
    if amounts:
        counts = [int((example.species == ATOMIC_NUMBERS[symbol]).sum()) for symbol, _ in SITES]
        units = int(np.gcd(*counts))
        formula = " ".join(
            f"{symbol}{count // units}" for (symbol, _), count in sorted(zip(SITES, counts, strict=True))
        )
        lines += [f"_chemical_formula_sum '{formula}'", f"_cell_formula_units_Z {units}"]
    lines += ["loop_", *(f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))]
    for (symbol, _), place in zip(SITES, example.places, strict=True):
        lines.append(f"{symbol}1 {symbol} " + " ".join(f"{value:.4f}" for value in place))
    return "\n".join(lines) + "\n"


def statements(setting: gemmi.SpaceGroup) -> Iterator[tuple[str, str]]:
    """The ways to state a setting: a name, and lines of CIF."""
    symbol, short = setting.hm, setting.short_name()
    listed = "".join(f"'{op.triplet()}'\n" for op in setting.operations())
    spellings = {
        "symbol": symbol,
        "symbol without blanks": symbol.replace(" ", ""),
        "symbol with underscores": symbol.replace("21", "2_1").replace("63", "6_3").replace("41", "4_1"),
        "symbol in capitals": symbol.upper(),
        "short symbol": short,
        "symbol with suffix": setting.xhm(),
    }
    if setting.number >= 200:
        spellings["old cubic symbol"] = symbol.replace("-3", "3")
    if setting.ext in ("1", "2"):
        spellings["symbol with S or Z"] = f"{symbol} {'S' if setting.ext == '1' else 'Z'}"
    for name, text in spellings.items():
        yield name, f"_symmetry_space_group_name_H-M '{text}'"
    yield (
        "Hall symbol",
        f"_space_group_name_Hall '{setting.hall}'"
        if '"' in setting.hall
        else (f"_symmetry_space_group_name_Hall '{setting.hall}'"),
    )
    yield "operations", f"loop_\n_space_group_symop_operation_xyz\n{listed}"
    yield (
        "operations, symbol, number",
        f"_space_group_IT_number {setting.number}\n_space_group_name_H-M_alt '{symbol}'\n"
        f"loop_\n_symmetry_equiv_pos_as_xyz\n{listed}",
    )
    if not is_tabled(setting):
        return  # a number does not stand for cells and origins that the International Tables do not list
    usual = [other for other in gemmi.spacegroup_table() if other.number == setting.number]
    name = "number of a group with one setting" if len(usual) == 1 else "number of a group with several settings"
    yield name, f"_symmetry_Int_Tables_number {setting.number}"


def matloop(text: str) -> Answer | None:
    """The atoms that matloop reads, or None if it refuses."""
    try:
        cell = read_cif(text)
    except Unreadable:
        return None
    return cell.numbers().astype(np.int64), cell.frac_coords


def pymatgen(text: str) -> Answer | None:
    """The atoms that pymatgen reads, or None if it refuses."""
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            (structure,) = CifParser.from_str(text).parse_structures(primitive=False)
        except (ValueError, AssertionError, KeyError, IndexError):
            return None
    return np.array(structure.atomic_numbers), np.asarray(structure.frac_coords)


def judge(example: Example, answer: Answer | None) -> str:
    """Whether an answer is right, refused or wrong."""
    if answer is None:
        return "refused"
    species, places = answer
    if sorted(species) != sorted(example.species):
        return "wrong"
    apart = places[:, None] - example.frac_coords
    apart -= np.rint(apart)
    close = ((apart @ example.lattice) ** 2).sum(-1) < TOLERANCE**2
    close &= species[:, None] == example.species
    return "right" if (close.sum(0) == 1).all() and (close.sum(1) == 1).all() else "wrong"


def count(
    readers: dict[str, Callable[[str], Answer | None]], settings: list[gemmi.SpaceGroup]
) -> dict[tuple[str, str], collections.Counter[str]]:
    """Counts of right, refused and wrong by the way the symmetry is stated and by reader; wrong files are printed."""
    counts: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for seed, setting in enumerate(settings):
        example = make_example(setting, seed)
        for way, lines in statements(setting):
            for amounts in (False, True):
                text = cif_of(example, lines, amounts=amounts)
                for reader, read in readers.items():
                    verdict = judge(example, read(text))
                    counts[f"{way}{', formula and Z' if amounts else ''}", reader][verdict] += 1
                    if verdict == "wrong" and reader == "matloop":
                        print(f"wrong: {setting.xhm()} by {way}")
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th setting")
    parser.add_argument("--alone", action="store_true", help="leave pymatgen out, which takes minutes")
    arguments = parser.parse_args()
    settings = list(gemmi.spacegroup_table())[:: arguments.every]
    readers = {"matloop": matloop} | ({} if arguments.alone else {"pymatgen": pymatgen})
    start = time.perf_counter()
    counts = count(readers, settings)
    print(f"{len(settings)} settings, {time.perf_counter() - start:.0f} s")
    print("\n| stated by | reader | right | refused | wrong |\n|---|---|---|---|---|")
    total: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for (way, reader), verdicts in sorted(counts.items()):
        total[reader] += verdicts
        print(f"| {way} | {reader} | {verdicts['right']} | {verdicts['refused']} | {verdicts['wrong']} |")
    for reader, verdicts in total.items():
        print(f"| all | {reader} | {verdicts['right']} | {verdicts['refused']} | {verdicts['wrong']} |")


if __name__ == "__main__":
    main()
