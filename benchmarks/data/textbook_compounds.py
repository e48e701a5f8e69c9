"""Well-known compounds that no packaged crystal has: which generator makes them, and with the right space group?

``python benchmarks/data/textbook_compounds.py``

``textbook_compounds.csv`` lists compounds by class, with the space groups of their well-known forms, as handbooks and
reviews give them (``textbook_classes.csv``). It was written from memory of the literature before any generator was
tried, and holds all compounds so written whose composition no packaged crystal has. The short list takes one compound
of every class in turn, in the order of the list, until it has 198; the other compounds show what it leaves out.

A compound counts as made if a generator makes its composition, and as made right if a crystal that was made has, as
moyo finds it, one of the listed space groups. Atoms on other places of the same group are not told apart by that. How
much of it is chance tells the last line of a list: the share that is made right if every compound is asked for the
space groups of another one with as many elements, drawn 20 times. Ionic and element substitution make their children
from all their parents; of prototypes, all of up to 120 sites are decorated that have room for the elements of the
compound.
"""

from __future__ import annotations

import csv
import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.elements import SYMBOLS
from matloop.data.generators.element_substitution import ElementSubstitution
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.generators.prototype_decoration import PrototypeDecoration
from matloop.data.packaged.known_compositions import KNOWN_LISTS, list_keys
from matloop.data.packaged.materials import load_materials
from matloop.workflows.bench.hardware import describe

SHORT = 198
ALL_CHILDREN = 100_000_000
DEFAULT_CHILDREN = 160_000
MOST_SITES = 120
REPEATS = 20
HERE = Path(__file__).parent

Found = dict[str, set[int]]
"""Space groups of the crystals that were made, by generator."""


class Compound(NamedTuple):
    """A compound of the list.

    Attributes:
        formula: As listed.
        space_groups: Numbers of its well-known forms.
        family: Its class.
        key: Of its composition.
        elements: Their symbols.
    """

    formula: str
    space_groups: frozenset[int]
    family: str
    key: int
    elements: tuple[str, ...]


def read_compounds() -> list[Compound]:
    """Read the list; every class must have a source, and no packaged crystal may have the composition."""
    with (HERE / "textbook_compounds.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    with (HERE / "textbook_classes.csv").open(encoding="utf-8") as stream:
        sources = {row["class"]: row["source"] for row in csv.DictReader(stream)}
    compositions, codes = parse_formulas([row["formula"] for row in rows], exact=True)
    keys = composition_keys(compositions)
    assert not any(codes), "a formula that cannot be read"
    assert len(set(keys.tolist())) == len(rows), "a compound that stands twice"
    assert not np.isin(keys, composition_keys(load_materials().compositions)).any(), "a compound that is packaged"
    assert all(sources[row["class"]] for row in rows)
    return [
        Compound(
            row["formula"], frozenset(map(int, row["space_groups"].split())), row["class"], key,
            tuple(SYMBOLS[z] for z in compositions.elements[start:stop]),
        )
        for row, key, (start, stop) in zip(
            rows, keys.tolist(), itertools.pairwise(compositions.offsets.tolist()), strict=True
        )
    ]  # fmt: skip


def short_list(compounds: Iterable[Compound]) -> list[Compound]:
    """One compound of every class in turn, until there are 198."""
    families: dict[str, list[Compound]] = defaultdict(list)
    for one in compounds:
        families[one.family].append(one)
    turns = itertools.zip_longest(*families.values())
    return [one for turn in turns for one in turn if one is not None][:SHORT]


def space_groups_of(batch: CandidateBatch) -> Iterator[int]:
    """Find the space group of each crystal."""
    crystals = batch.crystals
    assert crystals is not None
    for row, (start, stop) in enumerate(itertools.pairwise(crystals.offsets.tolist())):
        found = symmetry_of(
            crystals.lattice[row], crystals.frac_coords[start:stop], crystals.species[start:stop], SYMMETRY_TOLERANCE
        )
        yield 0 if found is None else found.number


def note(made: Mapping[int, Found], name: str, batch: CandidateBatch) -> None:
    """Note the space groups of those candidates that are compounds of the list."""
    keys = composition_keys(batch.compositions)
    rows = np.flatnonzero(np.isin(keys, np.array(list(made), np.uint64)))
    if len(rows):
        part = batch.take(rows)
        for key, group in zip(keys[rows].tolist(), space_groups_of(part), strict=True):
            made[key].setdefault(name, set()).add(group)


def make(compounds: list[Compound]) -> dict[int, Found]:
    """Run all generators."""
    made: dict[int, Found] = {one.key: {} for one in compounds}
    total = 0
    for intake in IonicSubstitution(limit=ALL_CHILDREN).intakes(20_000):
        if total < DEFAULT_CHILDREN:
            note(made, "the default campaign", intake.batch)
        note(made, "ionic substitution", intake.batch)
        total += len(intake.batch)
    for intake in ElementSubstitution(limit=ALL_CHILDREN).intakes(20_000):
        note(made, "element substitution", intake.batch)
    for one in compounds:
        for name, neutral in (("prototypes, neutral", True), ("prototypes, any charges", False)):
            width = len(one.elements)
            if width > 5:
                continue
            source = PrototypeDecoration(
                one.elements, fewest_elements=width, most_elements=width, max_sites=MOST_SITES, charge_neutral=neutral
            )
            for intake in source.intakes(1_000):
                note(made, name, intake.batch)
    return made


@functools.cache
def lists_of_known() -> dict[str, set[int]]:
    """Keys of the compositions that each packaged list knows."""
    lists = {f"{known.label.en} ({known.year})": set(list_keys(name).tolist()) for name, known in KNOWN_LISTS.items()}
    return {**lists, "any of them": set().union(*lists.values())}


def share_by_chance(compounds: list[Compound], made: Mapping[int, Found]) -> float:
    """Share made right if each compound is asked for the space groups of another one with as many elements."""
    random = np.random.default_rng(0)
    widths = np.array([len(one.elements) for one in compounds])
    groups = [set().union(*made[one.key].values()) for one in compounds]
    right = 0
    for _ in range(REPEATS):
        for width in np.unique(widths):
            rows = np.flatnonzero(widths == width)
            asked = random.permutation(rows)
            right += sum(
                bool(compounds[other].space_groups & groups[row]) for row, other in zip(rows, asked, strict=True)
            )
    return right / REPEATS / len(compounds)


def report(title: str, compounds: list[Compound], made: Mapping[int, Found]) -> None:
    """Print what was made, by generator and by class."""
    told = [f"{sum(one.key in keys for one in compounds)} in {name}" for name, keys in lists_of_known().items()]
    print(f"{title}: {len(compounds)} compounds; known: {', '.join(told)}")

    def shares(rows: list[Compound], names: Iterable[str] | None) -> str:
        groups = [
            set().union(*(found for name, found in made[one.key].items() if names is None or name in names))
            for one in rows
        ]
        right = sum(bool(one.space_groups & found) for one, found in zip(rows, groups, strict=True))
        return f"{sum(map(bool, groups)):4} {right:4} {right / len(rows):6.1%}"

    names = list(dict.fromkeys(name for found in made.values() for name in found))
    print("  made, with the right space group")
    for name in names:
        print(f"    {name:46}{shares(compounds, [name])}")
    print(f"    {'any of them':46}{shares(compounds, None)}")
    print(f"    {'any of them, asked for other space groups':56}{share_by_chance(compounds, made):6.1%}")
    for family in dict.fromkeys(one.family for one in compounds):
        rows = [one for one in compounds if one.family == family]
        print(f"    {family:40}{len(rows):4}  {shares(rows, None)}")


def missing(compounds: list[Compound], made: Mapping[int, Found]) -> None:
    """Name the compounds that are not made right."""
    lacks = [one for one in compounds if not one.space_groups & set().union(*made[one.key].values())]
    named = [f"{one.formula} ({' '.join(map(str, sorted(one.space_groups)))})" for one in lacks]
    print(f"  not made right: {', '.join(named)}")


def main() -> None:
    """Print both lists."""
    compounds = read_compounds()
    made = make(compounds)
    short = short_list(compounds)
    report("The short list", short, made)
    missing(short, made)
    others = [one for one in compounds if one not in short]
    report("The other compounds", others, made)
    missing(others, made)


if __name__ == "__main__":
    print(describe("pymatgen", "moyopy"))
    main()
