"""Known crystals in CIF, POSCAR and extended XYZ files under random rewriting: read right, refused, or wrong.

Order of statements, spellings, comments, blank lines, line ends, axes, origins and settings vary. Every CIF says
enough; some of the other files do not, or contradict themselves. Beside it: pymatgen (CIF, POSCAR) and ASE
(extended XYZ) on the same texts.

``python benchmarks/data/fuzzed_files.py``
"""

from __future__ import annotations

import argparse
import io
import sys
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from pymatgen.core import Lattice, Structure

TESTS = types.ModuleType("tests")  # the tests are no package, and another one of that name may be installed
TESTS.__path__ = [str(Path(__file__).resolve().parents[2] / "tests")]
sys.modules["tests"] = TESTS

from tests.data.readers.known_crystals import Known, is_same, known_crystals  # noqa: E402
from tests.data.readers.reading import outcomes  # noqa: E402
from tests.data.readers.rewritten_atoms import write_extended_xyz, write_poscar  # noqa: E402
from tests.data.readers.rewritten_cif import write_cif  # noqa: E402

NAMES = {"cif": "a.cif", "poscar": "POSCAR", "extxyz": "a.extxyz"}
KINDS = ("cif", "cif", "poscar", "extxyz")
Read = Callable[[str, str], list[Structure | None]]
"""Reads the text of a format: the structures, None for one that is refused."""


def read_here(kind: str, text: str) -> list[Structure | None]:
    """What matloop reads."""
    found = outcomes(NAMES[kind], text)
    return [
        None if row.code or row.lattice is None else Structure(Lattice(row.lattice), list(row.symbols), row.frac_coords)
        for row in found
    ]


def read_by_others(kind: str, text: str) -> list[Structure | None]:
    """What pymatgen reads of a CIF or POSCAR, and ASE of extended XYZ."""
    import ase.io
    from pymatgen.io.ase import AseAtomsAdaptor

    try:
        if kind == "extxyz":
            images = ase.io.read(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), ":", format="extxyz")
            return [AseAtomsAdaptor.get_structure(image) if image.pbc.all() else None for image in images]
        return [Structure.from_str(text.replace("\r\n", "\n").replace("\r", "\n"), fmt=kind)]
    except Exception:  # noqa: BLE001  # whatever a reader raises is a refusal
        return [None]


def judge(known: Known, found: list[Structure | None], expected: int) -> str:
    """The worst of what became of the structures of one file; structures that are missing are wrong."""
    if all(structure is None for structure in found):
        return "refused"
    if len(found) != expected or not all(structure is None or is_same(known, structure) for structure in found):
        return "wrong"
    return "refused in part" if None in found else "right"


def main() -> None:
    """Write and read the files, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    readers: dict[str, Read] = {"matloop": read_here, "pymatgen, ASE": read_by_others}
    counts: Counter[tuple[str, str, str]] = Counter()
    seconds: Counter[str] = Counter()
    for number in range(arguments.files):
        random, kind = Random(arguments.seed * 1_000_000 + number), KINDS[number % len(KINDS)]
        known = random.choice(known_crystals())
        text, expected = write(known, kind, random)
        for name, read in readers.items():
            begin = time.perf_counter()
            found = read(kind, text)
            seconds[name] += time.perf_counter() - begin
            outcome = judge(known, found, expected)
            counts[name, kind, outcome] += 1
            if outcome == "wrong" and name == "matloop":
                print(f"WRONG: {kind} of {known.name}, number {number}\n{text}")
    print(f"{arguments.files:,} files of {len(known_crystals())} crystals")
    words = ("right", "refused in part", "refused", "wrong")
    print(f"{'':16}{'':8}" + "".join(f"{word:>16}" for word in words))
    for name in readers:
        for kind in NAMES:
            print(f"{name:16}{kind:8}" + "".join(f"{counts[name, kind, word]:16,}" for word in words))
        print(f"{'':16}{seconds[name] / arguments.files * 1000:.1f} ms a file")
    sys.exit(sum(counts["matloop", kind, "wrong"] for kind in NAMES) > 0)


def write(known: Known, kind: str, random: Random) -> tuple[str, int]:
    """The text of a file, and how many structures it holds."""
    if kind == "cif":
        return write_cif(known, random), 1
    if kind == "poscar":
        return write_poscar(known, random)[0], 1
    text, unclear = write_extended_xyz(known, random)
    return text, len(unclear)


if __name__ == "__main__":
    main()
