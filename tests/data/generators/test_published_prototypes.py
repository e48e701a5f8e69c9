"""Prototypes written from published crystallography: symmetry, atoms and distances, also with other elements."""

import csv
import functools
import math
import re
from collections import Counter

import moyopy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matloop.data.candidates.crystals import CLOSEST
from matloop.data.candidates.symmetry import SYMMETRY_TOLERANCE, symmetry_of
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.generators.aflow_prototypes import Prototype, load_prototypes
from matloop.data.generators.prototype_decoration import PrototypeDecoration
from matloop.data.generators.published_prototypes import PROTOTYPES_FILE, all_prototypes, load_published_prototypes

LABEL = re.compile(r"(?P<amounts>[A-Z0-9]+)_(?P<system>[aomthc])(?P<centring>[PCIFR])(?P<atoms>\d+)_(?P<group>\d+)_.*")
LATTICE_POINTS = {"P": 1, "C": 2, "I": 2, "F": 4, "R": 3}
POOL = "Li Na K Ca Sr Ba Y La Ti Zr Nb Ta Cr Mn Fe Co Ni Cu Zn Al Ga In Si Ge Sn P As Sb O S Se F Cl Br".split()
PUBLISHED = load_published_prototypes()


def by_name(one: Prototype) -> str:
    return f"{one.mineral} {one.space_group}"


@functools.cache
def source_lines() -> dict[str, dict[str, str]]:
    with PROTOTYPES_FILE.open(encoding="utf-8") as stream:
        return {row["label"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("one", PUBLISHED, ids=by_name)
def test_atoms_and_symmetry_are_those_of_the_label(one: Prototype) -> None:
    label = LABEL.fullmatch(one.label)
    assert label is not None
    assert one.space_group == int(label["group"])
    conventional = len(one.roles) * LATTICE_POINTS[label["centring"]]
    assert conventional == int(label["atoms"]) * (
        3 if label["centring"] == "R" else 1
    )  # labels count the primitive one
    amounts = [int(count or 1) for _, count in re.findall(r"([A-Z])(\d*)", label["amounts"])]
    assert (one.counts * math.gcd(*amounts) == np.array(amounts) * math.gcd(*one.counts.tolist())).all()
    assert [SYMBOLS[z] for z in one.elements] == sorted(SYMBOLS[z] for z in one.elements)
    cell = moyopy.Cell(one.lattice.tolist(), one.frac_coords.tolist(), one.elements[one.roles].tolist())
    found = moyopy.MoyoDataset(cell, symprec=0.01)
    assert found.number == one.space_group
    orbits = {(role, orbit) for role, orbit in zip(one.roles.tolist(), found.orbits, strict=True)}
    wanted = [sum(int(n or 1) for n, _ in re.findall(r"(\d*)([a-zA-Z])", part)) for part in one.label.split("_")[3:]]
    assert [Counter(role for role, _ in orbits)[role] for role in range(len(one.elements))] == wanted


@pytest.mark.parametrize("one", PUBLISHED, ids=by_name)
def test_every_prototype_names_its_source_and_a_name_of_its_own(one: Prototype) -> None:
    row = source_lines()[one.label]
    assert re.search(r"\(\d{4}\)", row["source"])
    assert one.mineral == row["mineral"]
    assert one.mineral not in {other.mineral for other in load_prototypes()}


def test_all_prototypes_are_both_libraries_in_order() -> None:
    both = all_prototypes()
    assert len(both) == len(load_prototypes()) + len(PUBLISHED)
    assert [(len(one.elements), one.label) for one in both] == sorted((len(one.elements), one.label) for one in both)


BONDS = {
    ("Garnet", "O", "Si"): 1.64, ("Forsterite", "O", "Si"): 1.61, ("Triphylite", "O", "P"): 1.52,
    ("Beryl", "Be", "O"): 1.66, ("Dolomite", "C", "O"): 1.28, ("Fluorapatite", "O", "P"): 1.53,
    ("Zinc phosphide", "P", "Zn"): 2.28, ("Filled skutterudite", "Fe", "P"): 2.26, ("Sodalite", "Al", "O"): 1.74,
    ("Rare-earth sesquioxide", "O", "Y"): 2.24, ("Hexagonal manganite", "Mn", "O"): 1.86,
}  # fmt: skip
"""Shortest distances in Å, usual ones of these bonds: a slip in a coordinate of the file changes them."""


@pytest.mark.parametrize(("mineral", "first", "second", "length"), [(*key, length) for key, length in BONDS.items()])
def test_shortest_bonds_have_usual_lengths(mineral: str, first: str, second: str, length: float) -> None:
    one = next(prototype for prototype in PUBLISHED if prototype.mineral == mineral)
    numbers = one.elements[one.roles]
    apart = one.frac_coords[:, None] - one.frac_coords
    distances = np.linalg.norm((apart - np.rint(apart)) @ one.lattice, axis=2)
    pairs = (numbers[:, None] == ATOMIC_NUMBERS[first]) & (numbers == ATOMIC_NUMBERS[second])
    assert distances[pairs].min() == pytest.approx(length, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_decorations_keep_symmetry_composition_and_distances(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from([p for p in PUBLISHED if len(p.roles) <= 45]))
    symbols = data.draw(st.lists(st.sampled_from(POOL), min_size=len(one.elements), max_size=5, unique=True))
    roles = {role: [symbol] for role, symbol in zip("ABCDE"[: len(one.elements)], symbols, strict=False)}
    source = PrototypeDecoration(roles, prototypes=[one.mineral], max_sites=45, charge_neutral=False)
    (intake,) = source.intakes(10)
    assert len(intake.batch) + len(intake.refused) == 1
    if intake.refused:  # small ions in the place of large ones bring atoms too close
        assert "CLOSE" in intake.refused[0].code
        return
    crystals = intake.batch.crystals
    assert crystals is not None
    assert crystals.shortest_distances()[0] >= CLOSEST
    found = Counter(SYMBOLS[z] for z in crystals.species.tolist())
    assert found == dict(zip(symbols, one.counts.tolist(), strict=False))
    symmetry = symmetry_of(crystals.lattice[0], crystals.frac_coords, crystals.species, 0.2 * SYMMETRY_TOLERANCE)
    assert symmetry.number == one.space_group == intake.batch.column("space_group_number")[0]
